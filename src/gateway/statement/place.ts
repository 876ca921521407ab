/** Where a statement stands: in which message, inside or outside of a transaction block, and behind what. */
import { Use } from "./intend.ts";
import type { Guarding } from "./judgement.ts";
import type { PreparedStatement, Shape } from "./names.ts";
import type { Walk } from "./state.ts";

/** Where a statement stands. */
export interface Place {
  /** How many statements its message has. */
  readonly statements: number;
  readonly inTransaction: boolean;
}

/** EXECUTE and FETCH behind it in the same message may name something else than they would now. */
export function changesNames(walk: Walk, statement: PreparedStatement): boolean {
  if (statement.shape.names.length === 0) return statement.hides;
  const use = new Use(walk);
  use.of(statement);
  return use.changes;
}

/** Settings and objects that it changed may be what they were before. */
export function endsTransaction({ facts: { transaction } }: Shape): boolean {
  return (
    transaction === "commit" ||
    transaction === "rollback" ||
    transaction === "rollback-to" ||
    transaction === "prepare"
  );
}

/** What it changed may be seen by others behind it. */
export function mayCommit({ facts: { transaction } }: Shape): boolean {
  return transaction === "commit" || transaction === "prepare";
}

/** Whether a transaction block is open behind the statement; null: as before it. */
export function inBlockBehind({ facts: { transaction, chain } }: Shape): boolean | null {
  if (transaction === "begin") return true;
  if (transaction === "commit" || transaction === "rollback" || transaction === "prepare") return chain;
  return null;
}

/** Whether a transaction block is open when the next message is carried out. */
export function inBlock(walk: Walk, { block }: Guarding): boolean {
  return block?.batch === walk.batch ? block.open : walk.transaction !== "I";
}
