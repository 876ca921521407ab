/** A tool call's session: the same walk as on the wire, and what it says beside its stream. */
import type { Claimed } from "../../facts/session.ts";
import type { Judgement, Refusal, Unopened } from "../../gateway/index.ts";
import type { Provenance } from "../claimed.ts";
import type { Caller, McpDeps } from "../deps.ts";
import { type RunLimits, type RunResult, runStatement } from "../sql/run.ts";
import type { Json } from "../sql/values.ts";

export interface Asked {
  readonly database: string;
  readonly sql: string;
  readonly parameters: readonly Json[];
}

export interface Told {
  readonly result: RunResult;
  /** What the gateway itself refused; null: an error in `result`, if any, is the database's. */
  readonly refusal: Refusal | null;
  /** Why the gateway began no session; null: it did. */
  readonly unopened: Unopened | null;
  /** The last judgement; null: no policy, or it never came so far. */
  readonly judgement: Judgement | null;
}

/** Runs (or only prepares) one statement in a session of its own. */
export async function inSession(
  deps: McpDeps,
  caller: Caller,
  { claimed, application }: Pick<Provenance, "claimed" | "application">,
  asked: Asked,
  limits: RunLimits,
  signal: AbortSignal,
  execute: boolean,
): Promise<Told> {
  let refusal: Refusal | null = null;
  let unopened: Unopened | null = null;
  let judgement: Judgement | null = null;
  const { principal, ip, port, tls } = caller;
  const stream = deps.gateway.attach({
    principal,
    database: asked.database,
    application,
    claimed: claimed satisfies Claimed,
    via: "mcp",
    ip,
    port,
    tls,
    // Results look alike whatever the login's own settings are.
    parameters: new Map([
      ["datestyle", "ISO"],
      ["intervalstyle", "postgres"],
      ["bytea_output", "hex"],
      ["extra_float_digits", "1"],
      ["client_min_messages", "error"],
    ]),
    watch: {
      judged: (next) => {
        judgement = next;
      },
      refused: (next) => {
        refusal ??= next;
      },
      unopened: (why) => {
        unopened = why;
      },
    },
  });
  const result = await runStatement(stream, asked.sql, asked.parameters, limits, signal, execute);
  return { result, refusal, unopened, judgement };
}
