/** A simple Query of which a statement needs approval: all of it waits. */

import { textsOf } from "./agreed.ts";
import { decisionOf } from "./decided.ts";
import { hold } from "./hold.ts";
import { released } from "./holdend.ts";
import type { HeldMessage, Pass } from "./holding.ts";
import type { Guarding, Judgement } from "./judgement.ts";
import type { PreparedStatement } from "./names.ts";
import { refuseHeld } from "./refuseheld.ts";
import type { Walk } from "./state.ts";

/**
 * Takes a Query that is not refused, and of which the statement at `awaiting` (-1: none any more) needs approval.
 * null: it may run as it is.
 */
export function holdQuery(
  walk: Walk,
  guard: Guarding,
  statements: readonly PreparedStatement[],
  judgements: readonly Judgement[],
  awaiting: number,
): Pass | { readonly refused: readonly Buffer[] } | "later" | null {
  const message: HeldMessage = {
    protocol: "simple",
    parts: statements.flatMap((statement, i) => {
      const judgement = judgements[i];
      return judgement === undefined
        ? []
        : [{ statement, texts: textsOf(walk, statement), judgement, bound: null }];
    }),
    ticket: hasBegun(walk) ? "begun" : null,
  };
  if (awaiting < 0) {
    const late = released(walk);
    return late === null ? null : { refused: refuseHeld(walk, message, late.reason, late.request) };
  }
  if (guard.desk === null) return null;
  const held = hold(walk, guard, guard.desk, message);
  if (held === "later") return "later";
  if ("refused" in held)
    return { refused: refuseHeld(walk, message, held.refused.reason, held.refused.request) };
  return held;
}

/** Something of the implicit transaction that is under way has been sent: it would stand half done while people think. */
export function hasBegun(walk: Walk): boolean {
  return walk.unsynced && walk.lastRun === walk.batch;
}

/** What was judged, with those who agreed to it. */
export function agreed(walk: Walk, judgements: readonly Judgement[], pass: Pass): Judgement[] {
  return judgements.map((judgement) =>
    judgement.awaits ? { ...judgement, decisionRecord: agreedRecord(walk, judgement, pass) } : judgement,
  );
}

/** The decision as the record shows it: who agreed to it. */
export function agreedRecord(
  walk: Walk,
  { decision, masked }: Judgement,
  { approval }: Pass,
): Judgement["decisionRecord"] {
  return decisionOf(walk, decision, "approve", null, masked, approval);
}
