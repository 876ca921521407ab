/** The parts of a record that many records share, made into ready JSON text once (SPEC section 5). */
import type { ColumnRecord, DecisionRecord, SessionRecord, StatementRecord } from "../../facts/audit.ts";
import type { TokenFacts } from "../../facts/principal.ts";
import type { ColumnsContext, DecisionContext, SessionContext, StatementContext } from "../types.ts";

/** Text longer than this leaves the leaf for a blob before the leaf is even built. */
const longText = 32 * 1024;

/** Stores text as a blob and gives the JSON that stands for it. */
export type StoreBlob = (text: string) => string;

/** What stands in the leaf where the text itself is sealed. */
export const sealedMark = "(sealed)";

function seconds(time: number | null): string | null {
  if (time === null || !Number.isFinite(time)) return null;
  const date = new Date(time * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function token(facts: TokenFacts) {
  return {
    jti: facts.jti,
    sha256: facts.sha256,
    issued: seconds(facts.issued),
    expires: seconds(facts.expires),
  };
}

/** Everything of a session that its records repeat. Claims never get here; e-mail and claimed prompt are sealed. */
export function sessionContext(node: string, record: SessionRecord): SessionContext {
  const { principal: p, client: c, claimed, database: d } = record;
  const principal = {
    issuer: p.issuer,
    subject: p.subject,
    kind: p.kind,
    groups: p.groups,
    actor: p.actor.map((a) => ({ subject: a.subject, issuer: a.issuer })),
    provider: p.provider,
    token: token(p.token),
  };
  const client = {
    ip: c.ip,
    port: c.port,
    tls: c.tls,
    application: c.application,
    user: c.user,
    via: c.via,
  };
  const prompt = claimed.intent;
  const shown = {
    agent: claimed.agent,
    model: claimed.model,
    run: claimed.run,
    intent: prompt === undefined ? undefined : sealedMark,
    traceparent: claimed.traceparent,
    unmask: claimed.unmask,
  };
  const database = {
    name: d.name,
    login: d.login,
    backend: d.backend,
    server_version: d.server_version,
  };
  const sealed = prompt === undefined ? "" : `"claimed":${JSON.stringify({ intent: prompt })}`;
  const email = p.email === null ? "" : `"email":${JSON.stringify(p.email)}`;
  const start = [email, sealed].filter((s) => s !== "").join(",");
  return {
    kind: "session",
    head: Buffer.from(
      `","node":${JSON.stringify(node)},"session":${JSON.stringify(record.session)},"request":"`,
      "utf8",
    ),
    facts: Buffer.from(
      `","principal":${JSON.stringify(principal)},"client":${JSON.stringify(client)},"claimed":${JSON.stringify(shown)},"database":${JSON.stringify(database)}`,
      "utf8",
    ),
    sealed: sealed === "" ? "" : `,${sealed}`,
    start: start === "" ? null : `{${start}}`,
  };
}

/** A statement without its literals; SQL too long for a leaf goes to a blob, whole. */
export function statementContext(record: StatementRecord, store: StoreBlob): StatementContext {
  let sql = JSON.stringify(record.sql);
  if (sql.length > longText) sql = store(sql);
  let facts =
    `"fingerprint":${JSON.stringify(record.fingerprint)},"kind":${JSON.stringify(record.kind)},` +
    `"command":${JSON.stringify(record.command)},"effects":${JSON.stringify(record.effects)},`;
  for (const name of ["reads", "writes", "columns", "functions", "labels"] as const) {
    let list = JSON.stringify(record[name]);
    if (list.length > longText / 8) list = store(list);
    facts += `"${name}":${list},`;
  }
  facts += formText(record, store);
  let path = JSON.stringify(record.searchPath ?? null);
  if (path.length > longText / 8) path = store(path);
  return {
    kind: "statement",
    sql: Buffer.from(`,"sql":${sql},"sealed":`, "utf8"),
    facts: Buffer.from(`,${facts}"search_path":${path},"transaction":{"state":"`, "utf8"),
    last: null,
  };
}

function formText({ form }: StatementRecord, store: StoreBlob): string {
  if (form === undefined) return "";
  const { clauses, statements, uses } = form;
  const places = JSON.stringify(uses);
  return (
    `"clauses":${JSON.stringify(clauses)},` +
    `${statements === 1 ? "" : `"statements":${statements},`}` +
    `${places === "{}" ? "" : `"uses":${places.length > longText / 8 ? store(places) : places},`}`
  );
}

/** A decision as every intent under it shows it. */
export function decisionContext(record: DecisionRecord, store: StoreBlob): DecisionContext {
  const short = (list: string) => (list.length > longText / 4 ? store(list) : list);
  const text =
    `{"verdict":${JSON.stringify(record.verdict)},"rule":${JSON.stringify(record.rule)},` +
    `"rules":${short(JSON.stringify(record.rules))},"code":${JSON.stringify(record.code)},` +
    `"policy":${JSON.stringify(record.policy)},"masked":${short(JSON.stringify(record.masked))},` +
    `"limits":${JSON.stringify(record.limits)}` +
    `${record.would === undefined ? "" : `,"would":${JSON.stringify(record.would)}`}}`;
  return {
    kind: "decision",
    text: Buffer.from(`,"decision":${text},"approval":${approvalText(record.approval)}}\n`, "utf8"),
  };
}

function approvalText(approval: DecisionRecord["approval"]): string {
  if (approval == null) return "null";
  const { id, approvers, breakGlass } = approval;
  return JSON.stringify({ id, approvers, ...(breakGlass === true ? { break_glass: true } : {}) });
}

/** The columns of a result as they were delivered; `formats`: of its values, where they are known with the columns. */
export function columnsContext(
  columns: readonly ColumnRecord[],
  store: StoreBlob,
  formats?: readonly number[],
): ColumnsContext {
  const text = JSON.stringify(
    columns.map((c) => ({ name: c.name, type: c.type, origin: c.origin, masked: c.masked })),
  );
  return {
    kind: "columns",
    text: Buffer.from(text.length > longText ? store(text) : text, "utf8"),
    formats: formats === undefined ? null : formats.some((format) => format !== 0) ? formats : [],
    last: null,
  };
}
