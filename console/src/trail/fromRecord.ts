/** What a sentence needs, read from stored records. */
import type { Claimed, Kind, OutcomeStatus, Verdict } from "../lib/types.ts";
import { list, number, objects, text } from "./record.ts";
import type { Told } from "./tell.ts";
import type { Json } from "./types.ts";

const kinds: readonly string[] = ["human", "agent", "service"];
const statuses: readonly string[] = ["ok", "error", "denied", "cancelled", "cut", "unknown"];

export function kindOf(value: string | null): Kind {
  return value !== null && kinds.includes(value) ? (value as Kind) : "agent";
}

export function verdictOf(value: string | null): Verdict {
  return value === "allow" || value === "approve" ? value : "deny";
}

export function statusOf(value: string | null): OutcomeStatus | null {
  if (value === null) return null;
  return statuses.includes(value) ? (value as OutcomeStatus) : "unknown";
}

export function claimedOf(record: Json): Claimed {
  const said: Record<string, string> = {};
  for (const name of ["agent", "model", "run", "intent", "traceparent"]) {
    const value = text(record, `claimed.${name}`);
    if (value !== null && value !== "") said[name] = value;
  }
  return said;
}

/** `email` where the sealed session record was opened; else null. */
export function toldOf(intent: Json, outcome: Json | null, email: string | null = null): Told {
  return {
    principal: {
      subject: text(intent, "principal.subject") ?? "somebody",
      email,
      kind: kindOf(text(intent, "principal.kind")),
      actor: objects(intent, "principal.actor").map((one) => ({
        subject: text(one, "subject") ?? "?",
        issuer: text(one, "issuer"),
      })),
    },
    claimed: claimedOf(intent),
    database: text(intent, "database.name") ?? "?",
    command: text(intent, "statement.command") ?? "",
    verdict: verdictOf(text(intent, "decision.verdict")),
    rule: text(intent, "decision.rule"),
    code: text(intent, "decision.code"),
    reads: list(intent, "statement.reads"),
    writes: list(intent, "statement.writes"),
    masked: list(intent, "decision.masked") ?? [],
    status: outcome === null ? null : statusOf(text(outcome, "status") ?? "unknown"),
    sqlstate: outcome === null ? null : text(outcome, "sqlstate"),
    rows: outcome === null ? null : number(outcome, "result.rows"),
    rowsAffected: outcome === null ? null : number(outcome, "rows_affected"),
  };
}
