/** Limits of a decision that are looked at before a statement runs, and the clock of one that does. */
import { withComparisons } from "../../policy/index.ts";
import { type Guard, limitReached, notCountable } from "./guard.ts";
import type { Judgement } from "./judgement.ts";
import type { Shape } from "./names.ts";
import { type Expected, firstRun, runningGuard } from "./queue.ts";
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
 * asked for, which is no other statement. `compared`: values in parameters that are lists; null: not known.
 */
export function charge(
  walk: Walk,
  judgements: readonly Judgement[],
  goesOn = false,
  compared: number | null = null,
): Reason | null {
  const { guard } = walk;
  if (guard === null) return null;
  for (const { budgets: all, lists } of judgements) {
    const begun = goesOn ? all.filter(({ unit }) => unit === "rows") : all;
    const budgets = lists.length === 0 ? begun : begun.map((budget) => withComparisons(budget, compared));
    if (budgets.length === 0) continue;
    const charged = guard.budgets.charge(guard.principal, budgets, performance.now());
    if (charged.ok) continue;
    const { amount, unit, perSeconds, rule } = charged.budget;
    const never = charged.retryMs === Number.POSITIVE_INFINITY;
    return {
      sqlstate: "53400",
      code: "RATE_LIMITED",
      message: `policy: more than ${amount} ${never ? "comparisons" : unit} in ${perSeconds} seconds`,
      hint: never
        ? `Compare with ${amount} values at most.`
        : `Wait ${Math.ceil(charged.retryMs / 1000)} s, then go on more slowly.`,
      rule,
      retryable: !never,
    };
  }
  return null;
}

/** How often a statement that is not running yet is looked at again. */
const againMs = 100;

/** The statements of `entry` are on their way: those with a time limit are cancelled when it has passed. */
export function startClocks(walk: Walk, entry: Expected): void {
  for (const part of entry.run?.parts ?? []) {
    const { guard } = part;
    const limit = guard?.judgement.decision?.limits.timeoutMs ?? null;
    if (guard === null || limit === null) continue;
    const fire = () => {
      const running = firstRun(walk.queue);
      if (running === null || running.run === null) return;
      // What is before it may be what takes so long: its own time begins when that is answered.
      const mine = runningGuard(running) === guard;
      const since = Math.max(running.run.since, walk.concluded);
      const left = mine ? Math.ceil(limit - (performance.now() - since)) : againMs;
      if (left > 0) guard.timer = setTimeout(fire, left).unref();
      else cutOff(walk, guard, limitReached("time", guard));
    };
    guard.timer = setTimeout(fire, limit).unref();
  }
}

/**
 * Nothing more of the running statement is delivered. `cancel`: the server is told to end it; a needless request might hit
 * the statement behind it.
 */
export function cutOff(walk: Walk, guard: Guard, reason: Reason, cancel = true): void {
  if (guard.cut !== null) return;
  guard.cut = { ...reason, request: firstRun(walk.queue)?.run?.request ?? "" };
  if (cancel) walk.cancel();
}
