/**
 * What keeps a statement from running that the rules would let run, and what its rows must not show. One place for the data path
 * and for the tools that explain it (`postern policy explain` and `test`, the API).
 */
import type { MaskOutcome } from "../../../analysis/plan.ts";
import type { Touched } from "../../../facts/effects.ts";
import { createPlanMask } from "../../../masking/index.ts";
import type { Budget } from "../../../policy/index.ts";
import type { View } from "../../analyst/index.ts";
import { leewayOf, notUnderstood, unmaskable } from "../facts.ts";
import { keepNames, type NamesKept } from "../hidden.ts";
import type { Judgement } from "../judgement.ts";
import type { Shape } from "../names.ts";
import { unreadCode } from "../sideways.ts";
import type { Reason } from "../state.ts";
import { comparedLists, equalityBudgets } from "./cost.ts";

/** A statement's text as it was read. */
export interface ReadStatement {
  readonly shape: Shape;
  readonly text: string;
}

export interface Hidden {
  /** Texts of the statement and of those that it names. */
  readonly texts: readonly string[];
  readonly masks: Masks;
  readonly kept: NamesKept;
  readonly names: Judgement["names"];
  /** null: it may run, as far as the columns and names go that are protected. */
  readonly reason: Reason | null;
}

/**
 * @param used the statement itself and those that EXECUTE and FETCH in it name.
 * @param outcomes planMasks() of each of `touched`, with the labels that the decision lifts and relaxes.
 * @param unmask labels that the decision lifts.
 */
export function hide(
  view: View,
  { shape }: ReadStatement,
  used: readonly ReadStatement[],
  touched: readonly Touched[],
  outcomes: readonly MaskOutcome[],
  unmask: readonly string[],
): Hidden {
  const masks = masksOf(view, outcomes, touched);
  const texts = used.map(({ text }) => text);
  const bound = used.length === 1 && shape.kind !== "prepare" && shape.kind !== "declare";
  const kept = keepNames(view, touched, shape.facts.explain !== null, bound, texts);
  const named = kept !== null && "mask" in kept ? kept.mask : null;
  const hides = outcomes.some((outcome) => outcome.ok && outcome.plan !== null);
  const writes = touched.some((one) => one.writes.length > 0);
  const names = hides && shape.facts.explain?.analyze === true ? createPlanMask(named, writes) : named;
  let reason = notReadable(view, touched) ?? masks.reason;
  for (const one of used) reason ??= unreadCode(one.shape, view, unmask);
  if (kept !== null && "refusal" in kept) reason ??= kept.refusal;
  if ((masks.plan !== null || names !== null) && shape.facts.copy?.direction === "out")
    reason ??= unmaskable(shape.facts.copy, masks.masked[0] ?? null);
  return { texts, masks, kept, names, reason };
}

/** What of it nobody can follow, where the policy depends on that. */
function notReadable(view: View, touched: readonly Touched[]): Reason | null {
  if (leewayOf(view.policy, !view.protectedSet.empty) !== "none") return null;
  const problem = touched.find(({ problems }) => problems.length > 0)?.problems[0];
  return problem === undefined ? null : notUnderstood(problem.code, problem.message, problem.object);
}

interface Masks {
  readonly plan: Judgement["plan"];
  readonly masked: readonly string[];
  readonly budgets: readonly Budget[];
  /** Parameters that hold lists of values which protected columns are compared with. */
  readonly lists: readonly number[];
  readonly reason: Reason | null;
}

/** The masks of all parts: one plan, the columns' names, what they cost, and why they cannot be. */
function masksOf(view: View, outcomes: readonly MaskOutcome[], touched: readonly Touched[]): Masks {
  const masked = new Set<string>();
  const budgets: Budget[] = [];
  let plan: Judgement["plan"] = null;
  let reason: Reason | null = null;
  const lists: number[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    const one = touched[i];
    if (outcome.ok) {
      if (one !== undefined && outcome.equalities.length > 0) {
        budgets.push(...equalityBudgets(view, outcome.equalities, one));
        lists.push(...comparedLists(view, outcome.equalities, one));
      }
      for (const column of outcome.masked) masked.add(column);
      if (outcome.plan?.columns.some((column) => column !== null) === true) plan ??= outcome.plan;
    } else
      reason ??= {
        sqlstate: "42501",
        code: outcome.code,
        message: `policy: ${outcome.message}`,
        hint: outcome.hint,
        object: outcome.column,
      };
  }
  return { plan, masked: [...masked].sort(), budgets, lists, reason };
}
