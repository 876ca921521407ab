/** What to say of a statement whose transaction took it back. */
import type { Undone } from "./types.ts";

const causes: Readonly<Record<string, string>> = {
  rollback: "by ROLLBACK",
  savepoint: "by ROLLBACK TO SAVEPOINT",
  error: "because of an error in its transaction",
  commit_failed: "because the commit failed",
  session_ended: "because its session ended",
  gateway_killed: "because the gateway was killed in its transaction",
};

/** null: it stands. */
export function undoneWords(undone: Undone | null): string | null {
  if (undone === null) return null;
  if (undone.fate === "unknown") return "Nobody saw whether its transaction committed.";
  const state = undone.sqlstate === null ? "" : ` (${undone.sqlstate})`;
  return `Then undone ${causes[undone.cause] ?? undone.cause}${state}.`;
}
