/** Limits of a decision that are looked at before a statement runs. */
import { notCountable } from "./guard.ts";
import type { Judgement } from "./judgement.ts";
import type { Shape } from "./names.ts";
import type { Reason, Walk } from "./state.ts";

/**
 * Changed rows are limited, and a statement is of a form whose rows cannot be counted, or stands in a message with others; null:
 * none does. Part of each statement's judgement; a Query asks once more for all of its statements.
 */
export function uncountable(
  statements: readonly { readonly shape: Shape }[],
  judgements: readonly Pick<Judgement, "decision" | "facts">[],
): Reason | null {
  for (const [index, judgement] of judgements.entries()) {
    const limit = judgement.decision?.limits.affectedRows ?? null;
    const shape = statements[index]?.shape;
    if (limit === null || shape === undefined || !judgement.facts.effects.includes("write")) continue;
    const counted =
      shape.kind === "insert" || shape.kind === "update" || shape.kind === "delete" || shape.kind === "merge";
    if (!counted || shape.facts.modifications > 1 || judgements.length > 1) return notCountable;
  }
  return null;
}

/**
 * Charges the rates that the statements count against; a reason when one is used up. `goesOn`: more of a result that was begun before is
 * asked for, which is no other statement.
 */
export function charge(walk: Walk, judgements: readonly Judgement[], goesOn = false): Reason | null {
  const { guard } = walk;
  if (guard === null) return null;
  for (const { budgets: all } of judgements) {
    const budgets = goesOn ? all.filter(({ unit }) => unit === "rows") : all;
    if (budgets.length === 0) continue;
    const charged = guard.budgets.charge(guard.principal, budgets, performance.now());
    if (charged.ok) continue;
    const { amount, unit, perSeconds, rule } = charged.budget;
    return {
      sqlstate: "53400",
      code: "RATE_LIMITED",
      message: `policy: more than ${amount} ${unit} in ${perSeconds} seconds`,
      hint: `Wait ${Math.ceil(charged.retryMs / 1000)} s, then go on more slowly.`,
      rule,
      retryable: true,
    };
  }
  return null;
}
