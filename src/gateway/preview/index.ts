/**
 * What a held statement would do: it is run on a connection of its own, as the same login, in a transaction that is rolled back whatever
 * happens, under short limits. Values that come of it are masked for everybody.
 */
import type pino from "pino";
import type { Approver } from "../../approvals/index.ts";
import type { AuditLog } from "../../audit/index.ts";
import { quoteIdentifier } from "../../catalog/index.ts";
import type { Approval, EffectPreview, Requester } from "../../facts/approval.ts";
import type { MaskKeys } from "../../masking/index.ts";
import type { View } from "../analyst/index.ts";
import type { Judging } from "../analyst/registry.ts";
import { createTalk, type Talk } from "../analyst/talk.ts";
import type { ApprovalDesk } from "../hold/desk.ts";
import { factParameters } from "../logins.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { connectUpstream } from "../upstream/connect.ts";
import { type Ran, runOne } from "./run.ts";
import { refusedByItself, refusedByTriggers } from "./safe.ts";
import {
  columnList,
  columnsShown,
  masked,
  maxRows,
  returning,
  type Sample,
  type SampleColumn,
  sampled,
  sliceRow,
} from "./sample.ts";
import { affected, beginText, explain, must, wholeMs } from "./transaction.ts";

export interface PreviewDeps {
  readonly desk: ApprovalDesk;
  readonly databases: readonly DatabaseSettings[];
  readonly judging: Judging;
  readonly maskKeys: MaskKeys;
  readonly audit: AuditLog;
  readonly logger: pino.Logger;
}

/** Why a preview cannot be had at all; `message` may be shown. */
export class PreviewRefused extends Error {
  override readonly name = "PreviewRefused";
  readonly code: "NOT_FOUND" | "NOT_PENDING" | "NOT_APPROVER" | "BUSY";
  constructor(code: PreviewRefused["code"], message: string) {
    super(message);
    this.code = code;
  }
}

const answerBytes = 16 * 1024 * 1024;
/** At a time, on this node: each holds a connection and locks. */
const maxAtOnce = 4;

/** Makes what `gateway.preview` is. */
export function createPreviews(
  deps: PreviewDeps,
): (id: string, approver: Approver) => Promise<EffectPreview> {
  const running = new Set<string>();
  return async (id, approver) => {
    const approval = await deps.desk.get(id);
    if (approval === null) throw new PreviewRefused("NOT_FOUND", "there is no such approval");
    const { principal } = approver;
    if (principal.kind !== "human" || principal.actor.length > 0)
      throw new PreviewRefused("NOT_APPROVER", "only people may look at what a statement would do");
    if (approval.state !== "pending")
      throw new PreviewRefused("NOT_PENDING", "it is not waiting for a decision any more");
    if (running.has(id) || running.size >= maxAtOnce)
      throw new PreviewRefused("BUSY", "a preview is running already: try again in a moment");
    running.add(id);
    try {
      deps.audit.event("admin.action", {
        action: "approval.preview",
        approval: id,
        by: { issuer: principal.issuer, subject: principal.subject },
        database: approval.database,
        login: approval.login,
      });
      const preview = await previewOf(deps, approval, principal.email ?? principal.subject);
      await deps.desk.setPreview(id, preview);
      return preview;
    } finally {
      running.delete(id);
    }
  };
}

type Found = Pick<EffectPreview, "rowsAffected" | "sample" | "notes" | "refused">;

const refusedFor = (why: string): Found => ({ rowsAffected: null, sample: null, notes: [], refused: why });

async function previewOf(deps: PreviewDeps, approval: Approval, by: string): Promise<EffectPreview> {
  const found = await find(deps, approval).catch((error: unknown): Found => {
    deps.logger.warn({ approval: approval.id, err: error }, "a preview could not be run");
    return refusedFor("the database did not answer in time");
  });
  return { time: new Date().toISOString(), by, ...found };
}

async function find(deps: PreviewDeps, approval: Approval): Promise<Found> {
  const early = refusedByItself(approval);
  if (early !== null) return refusedFor(early);
  const database = deps.databases.find(({ name }) => name === approval.database);
  const login = database?.logins.find(({ user }) => user === approval.login);
  if (database === undefined || login === undefined)
    return refusedFor("its database or login is not configured any more");
  const { analyst } = deps.judging.of(database, login);
  const view = await analyst.ready(deps.judging.policies.current);
  const writes = [...new Set(approval.statements.flatMap((statement) => statement.writes))];
  const triggers = await refusedByTriggers((sql) => analyst.query(sql), writes);
  if (triggers !== null) return refusedFor(triggers);
  const line = await open(database, login, approval.requester);
  try {
    return await rolledBack(deps, line, approval, view, writes, () =>
      open(database, login, approval.requester),
    );
  } finally {
    // Whatever is open there ends with the connection: nothing of it is ever committed.
    line.close();
  }
}

async function open(database: DatabaseSettings, login: LoginSettings, requester: Requester): Promise<Talk> {
  const parameters = factParameters(requester, "postern:preview");
  const connection = await connectUpstream(database, login, parameters, { timeoutMs: wholeMs });
  return createTalk(connection.socket, { timeoutMs: wholeMs, answerBytes });
}

async function rolledBack(
  deps: PreviewDeps,
  talk: Talk,
  approval: Approval,
  view: View,
  writes: readonly string[],
  other: () => Promise<Talk>,
): Promise<Found> {
  const notes: string[] = [];
  for (const text of beginText(approval)) await must(talk, text);
  if (approval.transaction?.open === true)
    notes.push(
      "What its own transaction has done so far is not seen here, and may hold locks that it waits for.",
    );
  let rowsAffected: number | null = null;
  for (const { sql, parameters, kind } of approval.statements) {
    const ran = await runOne(talk, sql, parameters, kind === "select" ? maxRows : 0);
    if (ran.error !== null) return { ...refusedFor(explain(ran.error)), notes };
    const rows = affected(ran.tag);
    if (rows !== null) rowsAffected = (rowsAffected ?? 0) + rows;
  }
  // What is checked at COMMIT is checked now.
  const late = await runOne(talk, "SET CONSTRAINTS ALL IMMEDIATE");
  if (late.error !== null) notes.push(`At COMMIT it would fail: ${explain(late.error)}`);
  if (approval.warnings.some(({ code }) => code === "SEQUENCE"))
    notes.push("Values of sequences that were taken for this preview are not given back.");
  const sample =
    late.error === null ? await sampleOf(deps, talk, approval, view, writes, other, notes) : null;
  await runOne(talk, "ROLLBACK");
  return { rowsAffected, sample, notes, refused: null };
}

async function sampleOf(
  deps: PreviewDeps,
  talk: Talk,
  approval: Approval,
  view: View,
  writes: readonly string[],
  other: () => Promise<Talk>,
  notes: string[],
): Promise<Sample | null> {
  const target = sampled(view, writes);
  if (target === null) {
    if (writes.length > 0)
      notes.push("No rows are shown: it does not write exactly one table that may be read.");
    return null;
  }
  if (target.cut) notes.push("Only the first columns are shown.");
  const { relation, columns } = target;
  const shown = (found: Versions): Sample => {
    const before = masked(view, relation, columns, found.fields, found.before, deps.maskKeys);
    const after = masked(view, relation, columns, found.fields, found.after, deps.maskKeys);
    return {
      columns: columnsShown(view, columns, before.hidden),
      before: before.rows,
      after: after.rows,
      truncated: found.truncated,
    };
  };
  const [only, more] = approval.statements;
  if (only !== undefined && more === undefined && view.catalog.serverVersion >= 180000) {
    const both = await byReturning(talk, approval, only.sql, only.parameters, columns);
    if (both !== null) return shown(both);
  }
  const found = await byVersion(talk, other, approval, relation, columns);
  if (found === null) notes.push("No rows could be taken in time: the table is large.");
  return found === null ? null : shown(found);
}

interface Versions {
  readonly fields: Ran["fields"];
  readonly before: readonly Buffer[];
  readonly after: readonly Buffer[];
  readonly truncated: boolean;
}

/** PostgreSQL 18 gives both versions of the rows that a statement changes: it is run anew, and returns them. null: it cannot. */
async function byReturning(
  talk: Talk,
  approval: Approval,
  sql: string,
  parameters: Approval["statements"][number]["parameters"],
  columns: readonly SampleColumn[],
): Promise<Versions | null> {
  await must(talk, "ROLLBACK");
  for (const text of beginText(approval)) await must(talk, text);
  const ran = await runOne(talk, `${sql.replace(/;\s*$/, "")}${returning(columns)}`, parameters, maxRows + 1);
  if (ran.error !== null) {
    // It returns something of its own, or the login may not read what it writes: the other way is tried, from the beginning.
    await must(talk, "ROLLBACK");
    for (const text of beginText(approval)) await must(talk, text);
    return (await runOne(talk, sql, parameters)).error === null ? null : noRows(ran.fields);
  }
  const width = columns.length + 1;
  const rows = ran.rows.slice(0, maxRows);
  const there = (row: Buffer, at: number) => flagAt(row, at);
  return {
    fields: ran.fields.slice(1, width),
    before: rows.filter((row) => there(row, 0)).map((row) => sliceRow(row, 1, width)),
    after: rows.filter((row) => there(row, width)).map((row) => sliceRow(row, width + 1, 2 * width)),
    truncated: ran.rows.length > maxRows,
  };
}

const noRows = (fields: Ran["fields"]): Versions => ({ fields, before: [], after: [], truncated: false });

function flagAt(row: Buffer, at: number): boolean {
  return sliceRow(row, at, at + 1)
    .subarray(6)
    .toString("latin1")
    .startsWith("t");
}

/**
 * Older servers: what the transaction wrote carries its number as xmin; what it replaced or deleted carries it as xmax, and another
 * connection still sees it. null: that took too long.
 */
async function byVersion(
  talk: Talk,
  other: () => Promise<Talk>,
  approval: Approval,
  relation: { readonly schema: string; readonly name: string },
  columns: readonly SampleColumn[],
): Promise<Versions | null> {
  const current = await runOne(
    talk,
    "SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.xid::pg_catalog.text",
  );
  const [row] = current.rows;
  const xid = row === undefined ? "" : row.subarray(6).toString("latin1");
  if (!/^\d+$/.test(xid)) return noRows([]);
  const from = `${quoteIdentifier(relation.schema)}.${quoteIdentifier(relation.name)}`;
  const select = (system: "xmin" | "xmax") =>
    `SELECT ${columnList(columns)} FROM ${from} WHERE ${system}::pg_catalog.text OPERATOR(pg_catalog.=) '${xid}'`;
  const after = await runOne(talk, select("xmin"), [], maxRows + 1);
  if (after.error !== null) return null;
  const aside = await other();
  try {
    for (const text of beginText(approval)) await must(aside, text);
    const before = await runOne(aside, select("xmax"), [], maxRows + 1);
    if (before.error !== null) return null;
    return {
      fields: after.fields,
      before: before.rows.slice(0, maxRows),
      after: after.rows.slice(0, maxRows),
      truncated: before.rows.length > maxRows || after.rows.length > maxRows,
    };
  } finally {
    aside.close();
  }
}
