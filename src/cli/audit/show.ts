/** `postern audit show REQUEST`: who asked what, what was decided, what came of it, and where it stands in the log. */

import { decodeCopy, decodeRows, showValue } from "../../audit/capture/read.ts";
import { AuditOpenError } from "../../audit/index.ts";
import { at, isObject, type Json, list, text } from "../../audit/read/leaves.ts";
import { type RequestResult, readResults } from "../../audit/read/result.ts";
import { became, person, printable, sentence, sqlOf, whyUndone } from "../../audit/read/sentence.ts";
import { type Shown, showRequest } from "../../audit/read/show.ts";
import { readUndone, type Undone } from "../../audit/read/undone.ts";
import { readArgs } from "../lib/args.ts";
import { findPlace, ownKey, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit show REQUEST [--open] [--rows] [--keys DIR] [--json]

REQUEST is the request id of a client message (search prints it), or the id of any record.

      --open      unseal exact SQL, parameters and claimed prompts, with the master key of this machine
      --rows      show the rows that were kept (audit.results.capture_rows), as they were delivered
      --keys DIR  the folder of the keys (default: as postern.yaml says; with --dir: "keys" beside the audit folder)
      --json      all records as one JSON document
${placeUsage}
Exit code 0: shown. 1: not found, or the seal did not open.
`;

export async function show(args: string[]): Promise<number> {
  const options = {
    ...placeOptions,
    open: { type: "boolean" },
    rows: { type: "boolean" },
    keys: { type: "string" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const request = parsed.positionals[0] ?? "";
  const place = await findPlace(parsed.values, usage);
  const allKeys = parsed.values.keys ?? place.keys;
  const keys = parsed.values.open === true ? allKeys : null;
  const shown: Told[] = [];
  try {
    for (const log of place.logs) {
      const origin = ownKey(log)?.origin ?? "";
      const found = showRequest(log, origin, request, keys);
      const undone = readUndone(log, withOutcomes(found));
      const kept = parsed.values.rows === true ? readResults(log, origin, request, allKeys) : null;
      for (const one of found)
        shown.push({
          ...one,
          undone: undone.get(one.index) ?? null,
          kept: kept?.find(({ outcome }) => outcome === one.index) ?? null,
        });
    }
  } catch (error) {
    if (!(error instanceof AuditOpenError)) throw error;
    process.stderr.write(`postern audit show: ${error.message}\n`);
    return 1;
  }
  if (shown.length === 0) {
    process.stderr.write(
      `postern audit show: no record of ${JSON.stringify(request)} in ${place.logs.length} log(s)\n`,
    );
    return 1;
  }
  if (parsed.values.json === true) {
    const records = shown.map(({ log, index, segment, offset, record, opened, undone, kept }) => ({
      ...record,
      ...(undone === null ? {} : { undone }),
      ...(kept === null ? {} : { rows: keptRows(kept), rows_closed: kept.closed }),
      place: { log, index, segment, offset },
      opened: opened?.state === "open" ? opened.content : opened,
      ...(opened?.state === "open" ? { salt: opened.salt } : {}),
    }));
    process.stdout.write(`${JSON.stringify({ request, records })}\n`);
  } else process.stdout.write(describe(shown));
  return shown.some(({ opened, kept }) => opened?.state === "closed" || (kept?.closed ?? null) !== null)
    ? 1
    : 0;
}

interface Told extends Shown {
  readonly undone: Undone | null;
  /** The delivered result of an outcome, when rows were asked for. */
  readonly kept: RequestResult | null;
}

/** The intents among records, each with its outcome. */
function withOutcomes(shown: readonly Shown[]) {
  return shown
    .filter(({ record }) => record.type === "statement.intent")
    .map(({ index, record }) => ({
      index,
      leaf: record,
      outcome:
        shown.find((o) => o.record.type === "statement.outcome" && at(o.record, "intent.index") === index)
          ?.record ?? null,
    }));
}

/** Captured rows, value by value; lines of a copy as rows of one. null: none were kept, or they do not open. */
function keptRows({ rows }: RequestResult): (string | null)[][] | null {
  if (rows === null) return null;
  const values = decodeRows(rows) ?? decodeCopy(rows)?.map((line) => [line]);
  return values?.map((row) => row.map(showValue)) ?? null;
}

function rowLines(kept: RequestResult | null): string[] {
  if (kept === null) return [];
  if (kept.closed !== null) return line("rows", `not opened: ${kept.closed}`);
  const rows = keptRows(kept);
  if (rows === null) return line("rows", kept.result.rows === 0 ? "none" : "none were kept");
  // JSON, for it tells NULL from text, and one value from the next.
  const shown = rows.map((row) => `    ${printable(JSON.stringify(row))}`);
  return [...line("rows", `${rows.length} kept of ${kept.result.rows} delivered`), ...shown];
}

function describe(shown: readonly Told[]): string {
  const lines: string[] = [];
  const outcomes = new Map<unknown, Told>();
  for (const s of shown)
    if (s.record.type === "statement.outcome") outcomes.set(at(s.record, "intent.index"), s);
  for (const s of shown) {
    if (s.record.type === "statement.intent") lines.push(...statement(s, outcomes.get(s.index)), "");
    else if (
      s.record.type !== "statement.outcome" ||
      !shown.some((i) => i.index === at(s.record, "intent.index"))
    )
      lines.push(sentence(s.record), ...where(s), ...sealed(s), "");
  }
  return lines.join("\n");
}

function line(name: string, value: string | null): string[] {
  return value === null ? [] : [`  ${name.padEnd(11)} ${value}`];
}

function where({ log, index, segment, offset }: Shown): string[] {
  return line("place", `${log === "" ? "record" : `${log}, record`} ${index}, ${segment} at byte ${offset}`);
}

function statement(intent: Told, outcome: Told | undefined): string[] {
  const { record } = intent;
  const facts = record.statement;
  const claims = Object.entries(isObject(record.claimed) ? record.claimed : {}).map(
    ([n, v]) => `${n} ${printable(String(v))}`,
  );
  const database = `${printable(text(record, "database.name") ?? "?")} as ${printable(text(record, "database.login") ?? "?")}`;
  const rule = text(record, "decision.rule");
  const code = text(record, "decision.code");
  const types = at(record, "parameters");
  const parameters =
    Array.isArray(types) && types.length > 0 ? types.map((t) => text(t, "type") ?? "?").join(", ") : null;
  return [
    `${printable(text(record, "time") ?? "")}  ${sqlOf(record)}`,
    ...line("who", person(record)),
    ...line("token", text(record, "principal.token.sha256")),
    ...line("groups", list(record, "principal.groups")?.map(printable).join(", ") ?? null),
    ...line(
      "from",
      `${text(record, "client.ip") ?? "?"}:${String(at(record, "client.port"))}, ${text(record, "client.tls") ?? "no TLS"}, ${printable(text(record, "client.application") ?? "no application name")}`,
    ),
    ...line("claims", claims.length > 0 ? claims.join(", ") : null),
    ...line("database", `${database}, backend ${String(at(record, "database.backend"))}`),
    ...line(
      "statement",
      `${text(facts, "protocol") ?? "?"}, part ${String(at(facts, "index"))}, ${text(facts, "command") ?? "?"}, fingerprint ${text(facts, "fingerprint") ?? "none"}`,
    ),
    ...line("types", parameters),
    ...line(
      "decision",
      `${text(record, "decision.verdict") ?? "?"}${rule === null ? "" : ` by ${printable(rule)}`}${code === null ? "" : ` (${printable(code)})`}`,
    ),
    ...sealed(intent),
    ...line("outcome", outcome === undefined ? "none on the record yet" : became(outcome.record)),
    ...undoneLines(intent),
    ...(outcome === undefined ? [] : result(outcome.record)),
    ...rowLines(outcome?.kept ?? null),
    ...line("request", text(record, "request")),
    ...line("session", text(record, "session")),
    ...where(intent),
    ...(outcome === undefined ? [] : where(outcome)),
  ];
}

function undoneLines({ undone }: Told): string[] {
  if (undone === null) return [];
  const why = whyUndone(undone.cause, undone.sqlstate);
  const what =
    undone.fate === "rolled_back"
      ? `UNDONE ${why}`
      : "nobody saw whether its transaction committed: the connection was lost";
  return line("then", `${what} (record ${undone.by})`);
}

function result(outcome: Json): string[] {
  const columns = at(outcome, "result.columns");
  const cells = at(outcome, "result.masked_cells");
  const counts: readonly unknown[] = Array.isArray(cells) ? cells : [];
  const names = Array.isArray(columns)
    ? columns.map((c, i) => {
        const count = typeof counts[i] === "number" && counts[i] > 0 ? `, ${counts[i]} cells` : "";
        const masked = at(c, "masked") === true || count !== "" ? ` (masked${count})` : "";
        return `${printable(text(c, "name") ?? "?")} ${printable(text(c, "type") ?? "?")}${masked}`;
      })
    : [];
  return [
    ...line("columns", names.length > 0 ? names.join(", ") : null),
    ...line("digest", text(outcome, "result.digests.delivered.value")),
    ...line("unmasked", text(outcome, "result.digests.source.value")),
  ];
}

function sealed({ opened }: Shown): string[] {
  if (opened === null) return [];
  if (opened.state === "closed") return line("sealed", `not opened: ${opened.why}`);
  return Object.entries(opened.content).flatMap(([name, value]) => {
    if (typeof value === "string") return line(name, printable(value));
    return line(name, printable(JSON.stringify(value)));
  });
}
