/** Found records as the API tells them, and the cursor of a search. */
import { sentence } from "../../audit/read/sentence.ts";
import type { ToldHit } from "../../audit/read/undone.ts";
import { ApiError } from "../failure.ts";
import { at, isObject, list, number, text, time, word } from "../json.ts";
import type { AuditHit } from "../schema/audit.ts";
import { recordedClaims, recordedPrincipal } from "../told.ts";

const statuses = ["ok", "error", "denied", "cancelled", "cut", "unknown"] as const;
const verdicts = ["allow", "deny", "approve"] as const;

export function tellHit({ leaf, outcome, index, log, undone }: ToldHit): AuditHit {
  const verdict = verdicts.find((one) => one === at(leaf, "decision.verdict")) ?? null;
  return {
    id: text(leaf, "id") ?? "",
    index,
    log,
    type: text(leaf, "type") ?? "",
    time: time(leaf, "time"),
    request: text(leaf, "request") ?? "",
    statementIndex: number(leaf, "statement.index") ?? 0,
    session: text(leaf, "session") ?? "",
    principal: recordedPrincipal(leaf),
    claimed: recordedClaims(leaf),
    database: text(leaf, "database.name") ?? text(leaf, "database") ?? "",
    login: text(leaf, "database.login") ?? "",
    sql: text(leaf, "statement.sql"),
    kind: text(leaf, "statement.kind"),
    command: text(leaf, "statement.command"),
    verdict,
    rule: text(leaf, "decision.rule"),
    code: text(leaf, "decision.code") ?? text(leaf, "code"),
    reads: list(leaf, "statement.reads"),
    writes: list(leaf, "statement.writes"),
    columns: list(leaf, "statement.columns"),
    labels: list(leaf, "statement.labels"),
    masked: list(leaf, "decision.masked") ?? [],
    status: outcome === null ? null : word(at(outcome, "status"), statuses),
    sqlstate: text(outcome, "sqlstate"),
    tag: text(outcome, "tag"),
    rows: number(outcome, "result.rows"),
    bytes: number(outcome, "result.bytes"),
    rowsAffected: number(outcome, "rows_affected"),
    durationUs: number(outcome, "duration_us"),
    undone: undone === null ? null : { ...undone },
    approval: text(leaf, "approval") ?? text(leaf, "approval.id") ?? text(outcome, "approval"),
    // The list has a column for the time.
    sentence: sentence(leaf, null, outcome, undone).slice("2026-11-22 10:00:00.123  ".length),
  };
}

/** Where each log goes on: below the oldest record that was given of it. */
export function searchCursor(
  hits: readonly Pick<ToldHit, "log" | "index">[],
  before: Readonly<Record<string, number>> | null,
): string {
  const next: Record<string, number> = { ...before };
  for (const { log, index } of hits) next[log] = Math.min(next[log] ?? Number.MAX_SAFE_INTEGER, index);
  return Buffer.from(JSON.stringify(next), "utf8").toString("base64url");
}

/** Throws ApiError BAD_REQUEST for what no search gave out. */
export function readSearchCursor(cursor: string): Record<string, number> {
  const bad = () => new ApiError("BAD_REQUEST", "`after` is not what the page before gave as `next`");
  if (!/^[\w-]{1,4096}$/.test(cursor)) throw bad();
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    throw bad();
  }
  if (!isObject(value)) throw bad();
  const entries = Object.entries(value);
  const fits = ([name, index]: [string, unknown]) =>
    /^[\w./-]{0,200}$/.test(name) && typeof index === "number" && Number.isSafeInteger(index) && index >= 0;
  if (entries.length > 1000 || !entries.every(fits)) throw bad();
  return Object.fromEntries(entries) as Record<string, number>;
}
