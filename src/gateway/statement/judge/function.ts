/** FunctionCall messages. */
import { functionText } from "../../../catalog/index.ts";
import type { Touched } from "../../../facts/effects.ts";
import { emptyFacts } from "../../../sql/index.ts";
import type { Guarding, Judgement } from "../judgement.ts";
import type { PreparedStatement } from "../names.ts";
import { inBlock } from "../place.ts";
import type { Reason, Walk } from "../state.ts";
import { currentView, done, ending, maxAttempts, overtaken, stopped } from "./one.ts";
import { refusedBefore } from "./refused.ts";
import { decided } from "./verdict.ts";

/** A FunctionCall is decided like a SELECT of the function it calls; null: as judgeMessage. */
export function judgeFunction(
  walk: Walk,
  guard: Guarding,
  statement: PreparedStatement,
  oid: number,
): Judgement | null {
  overtaken(guard);
  const policy = guard.policies.current;
  const view = currentView(guard, policy);
  if (
    guard.unavailable === null &&
    !guard.cancelled &&
    guard.attempts <= maxAttempts &&
    (view === null || guard.uncertain)
  ) {
    guard.attempts++;
    guard.alone = true;
    return null;
  }
  const called = view?.catalog.func(oid);
  const place = { statements: 1, inTransaction: inBlock(walk, guard) };
  const why =
    (guard.loosened && !policy.permissive ? ending(walk) : null) ?? stopped(walk, guard) ?? guard.unavailable;
  done(guard);
  if (view === null || called === undefined || why !== null)
    return refusedBefore(walk, statement, why ?? unknownFunction, place);
  const name = functionText(view.catalog, oid);
  const unsafe = called.verdict.safe
    ? []
    : [{ oid, name, effect: called.verdict.effect, reason: called.verdict.reason }];
  const touched: Touched = {
    reads: [],
    writes: [],
    columns: [],
    functions: [name],
    effects: called.verdict.safe ? ["read"] : [called.verdict.effect],
    uses: [],
    outputs: null,
    assignments: [],
    inspected: [],
    unsafe,
    parameterTypes: called.arguments,
    problems: [],
  };
  const plain: PreparedStatement = { ...statement, shape: { ...statement.shape, facts: emptyFacts } };
  return (
    decided(walk, guard, view, plain, place, [plain], [touched], []) ??
    refusedBefore(walk, statement, unknownFunction, place)
  );
}

const unknownFunction: Reason = {
  sqlstate: "42501",
  code: "NOT_UNDERSTOOD",
  message: "policy: the function of a FunctionCall message is not known",
  hint: "Call it in a SELECT statement.",
};
