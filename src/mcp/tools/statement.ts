/** One statement for an agent: its run in a session of its own, and the result that tells of it. */
import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Provenance } from "../claimed.ts";
import type { Caller, McpDeps } from "../deps.ts";
import type { RunResult } from "../sql/run.ts";
import { columnType, refusedCall, refusedSession } from "./refusals.ts";
import { answer, databaseError, unfinished, untrusted } from "./result.ts";
import { type Asked, inSession, type Told } from "./session.ts";

/** The tool that runs statements. */
export const queryTool = "query";

export interface Wanted extends Asked {
  /** Most rows to give back. */
  readonly rows: number;
}

/** @param signal cancels the statement. */
export function runWanted(
  deps: McpDeps,
  caller: Caller,
  provenance: Pick<Provenance, "claimed" | "application">,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Told> {
  const { resultCharacters, timeoutMs } = deps.settings;
  const limits = {
    rows: wanted.rows,
    characters: resultCharacters,
    cell: Math.max(256, Math.floor(resultCharacters / 8)),
    timeoutMs,
  };
  return inSession(deps, caller, provenance, wanted, limits, signal, true);
}

/** A statement's rows, error or refusal as the tool tells them. */
export function resultOf(told: Told): CallToolResult {
  const { result, refusal, unopened } = told;
  if (refusal !== null) return refusedCall(refusal, queryTool);
  if (unopened !== null) return refusedSession(unopened);
  switch (result.kind) {
    case "done":
      return answer(rowsOf(result, told));
    case "error":
      return databaseError(result.fields);
    default:
      return unfinished(result.kind);
  }
}

const hints = {
  rows: "There may be more rows: raise max_rows, add a WHERE or aggregate, or page with ORDER BY and LIMIT/OFFSET.",
  size: "The result was too long: name fewer columns, or fetch fewer rows.",
  cells: "Long values are cut off: use left() or substring() on the column for a part of it.",
} as const;

function rowsOf(
  { columns, rows, truncated, tag }: Extract<RunResult, { kind: "done" }>,
  { judgement }: Told,
): Record<string, unknown> {
  if (columns === null) return { status: "ok", command: tag ?? "" };
  const plan = judgement?.plan?.columns ?? [];
  const masked = columns.filter((_, i) => plan[i] != null).map(({ name: column }) => column);
  const writes = tag !== null && !/^(?:SELECT|FETCH|SHOW|EXPLAIN|VALUES)/.test(tag);
  return {
    status: "ok",
    columns: columns.map(({ name: column }) => column),
    types: columns.map(({ type }) => columnType(judgement, type)),
    rows,
    ...(masked.length === 0 ? {} : { masked }),
    ...(writes ? { command: tag } : {}),
    ...(truncated === null ? {} : { truncated: hints[truncated] }),
    ...(rows.length === 0 ? {} : { note: untrusted }),
  };
}
