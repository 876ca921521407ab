/** Limits of a decision that are looked at before a statement runs. */
import { type Budget, withComparisons } from "../../policy/index.ts";
import { notCountable } from "./guard.ts";
import type { Judgement } from "./judgement.ts";
import type { Shape } from "./names.ts";
import type { Reason, Walk } from "./state.ts";

/**
 * Changed rows are limited, and a statement is of a form whose rows cannot be counted, is rewritten by rules into such a one, or stands
 * in a message with others; null: none does. Part of each statement's judgement; a Query asks once more for all of its statements.
 */
export function uncountable(
  statements: readonly { readonly shape: Shape }[],
  judgements: readonly Pick<Judgement, "decision" | "facts" | "touched">[],
): Reason | null {
  for (const [index, judgement] of judgements.entries()) {
    const limit = judgement.decision?.limits.affectedRows ?? null;
    const shape = statements[index]?.shape;
    if (limit === null || shape === undefined) continue;
    // Nobody knows what code changes; a function in a query is not counted, as triggers are not.
    const runs = shape.kind === "do" || shape.kind === "call";
    if (!runs && !judgement.facts.effects.includes("write")) continue;
    const counted =
      shape.kind === "insert" || shape.kind === "update" || shape.kind === "delete" || shape.kind === "merge";
    const ruled = judgement.touched.some(({ uncounted }) => uncounted === true);
    if (!counted || ruled || shape.facts.modifications > 1 || judgements.length > 1) return notCountable;
  }
  return null;
}

/**
 * The rates that statements count against. `goesOn`: more of a result that was begun before is asked for, which is no other statement.
 * `compared`: values in parameters that are lists; null: not known.
 */
function ratesOf(
  judgements: readonly Judgement[],
  goesOn: boolean,
  compared: number | null,
): readonly Budget[] {
  const [only] = judgements;
  const all =
    only !== undefined && judgements.length === 1
      ? ratesOfOne(only, compared)
      : judgements.flatMap((judgement) => ratesOfOne(judgement, compared));
  return goesOn ? all.filter(({ unit }) => unit === "rows") : all;
}

function ratesOfOne({ budgets, lists }: Judgement, compared: number | null): readonly Budget[] {
  return lists.length === 0 ? budgets : budgets.map((budget) => withComparisons(budget, compared));
}

/** Charges the rates that the statements of a message count against, all or none; a reason when one is used up. The rest: see ratesOf(). */
export function charge(
  walk: Walk,
  judgements: readonly Judgement[],
  goesOn = false,
  compared: number | null = null,
): Reason | null {
  const { guard } = walk;
  if (guard === null) return null;
  const budgets = ratesOf(judgements, goesOn, compared);
  if (budgets.length === 0) return null;
  const charged = guard.budgets.charge(guard.principal, budgets, performance.now());
  if (charged.ok) return null;
  const { amount, unit, perSeconds, rule, weight = 1 } = charged.budget;
  const ever = Number.isFinite(charged.retryMs);
  return {
    sqlstate: "53400",
    code: "RATE_LIMITED",
    message: `policy: more than ${amount} ${weight > amount ? "comparisons" : unit} in ${perSeconds} seconds`,
    hint: ever
      ? `Wait ${Math.ceil(charged.retryMs / 1000)} s, then go on more slowly.`
      : weight > amount
        ? `Compare with ${amount} values at most.`
        : `Send at most ${amount} of them in one message.`,
    rule,
    retryable: ever,
  };
}

/** Statements that were charged for do not run: what they took is there again. */
export function refund(walk: Walk, judgements: readonly Judgement[], compared: number | null = null): void {
  const { guard } = walk;
  if (guard === null) return;
  const budgets = ratesOf(judgements, false, compared);
  if (budgets.length > 0) guard.budgets.refund(guard.principal, budgets, performance.now());
}
