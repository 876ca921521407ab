/** What a decision counts: the planner's estimate, and comparisons with protected columns. */
import type { Effect, Touched } from "../../../facts/effects.ts";
import { type Budget, type DecideInput, type Estimate, equalityBudget } from "../../../policy/index.ts";
import type { View } from "../../analyst/index.ts";
import { planned } from "../facts.ts";
import type { Guarding, Question } from "../judgement.ts";
import type { PreparedStatement, Shape } from "../names.ts";

/** What the planner guesses, where a rule cannot be decided without it; "open": it must be asked first. */
export function estimateFor(
  guard: Guarding,
  view: View,
  input: DecideInput,
  statement: PreparedStatement,
  touched: readonly Touched[],
  questions: Question[],
): Estimate | null | "open" {
  if (!view.policy.needs.estimate || !view.policy.wantsEstimate(input)) return null;
  const plan = plannable(statement.shape, touched, input.statement.effects);
  if (plan === null || "cost" in plan) return plan;
  const { only } = plan;
  const key = `\0estimate\0${only.parameterTypes.join()}\0${statement.text}`;
  const answer = guard.fresh.get(key);
  if (answer?.kind === "estimate") return answer.estimate;
  questions.push({
    key,
    text: statement.text,
    types: only.parameterTypes,
    kind: "estimate",
    settledSettings: 0,
  });
  return "open";
}

/**
 * What the planner may be asked about: `only`, or nothing, since the estimate is known without it. null: there is none. Planning
 * runs functions: only those that are known to be harmless may.
 */
export function plannable(
  { kind }: Pick<Shape, "kind">,
  touched: readonly Touched[],
  effects: readonly Effect[],
): Estimate | { readonly only: Touched } | null {
  const [only] = touched;
  // Transaction control and settings have no plan, and cost nothing.
  if (only === undefined && effects.every((effect) => effect === "session")) return { rows: 0, cost: 0 };
  if (only === undefined || touched.length > 1 || only.unsafe.length > 0 || only.problems.length > 0)
    return null;
  return planned.has(kind) ? { only } : null;
}

/**
 * Comparisons with protected columns that the policy counts (`use: equality`): of each label as many as there are values that columns
 * with it are compared with.
 */
export function equalityBudgets(view: View, columns: readonly string[], touched: Touched): Budget[] {
  if (columns.length === 0) return [];
  const labels = new Map<string, number>();
  for (const { name, labels: own } of view.protectedSet.columns)
    if (columns.includes(name)) for (const { label } of own) labels.set(label, 0);
  for (const { labels: own, values } of compared(view, columns, touched))
    for (const { label } of own) labels.set(label, (labels.get(label) ?? 0) + values);
  return view.policy.labels.flatMap((label) => {
    const values = labels.get(label.label);
    return values === undefined ? [] : [equalityBudget(label, values)];
  });
}

/** The parameters that hold lists of values which such columns are compared with. */
export function comparedLists(view: View, columns: readonly string[], touched: Touched): number[] {
  return compared(view, columns, touched).flatMap(({ list }) => (list === null ? [] : [list]));
}

/** A view's column stands beside what it reads: it counts where it alone is protected. */
function compared({ protectedSet }: View, columns: readonly string[], { comparisons = [] }: Touched) {
  const found = comparisons.flatMap((one) => {
    const column = protectedSet.column(one.relation, one.attribute);
    return column === undefined || !columns.includes(column.name) ? [] : [{ ...one, labels: column.labels }];
  });
  const stored = found.filter(({ relation }) => !protectedSet.isView(relation));
  return stored.length > 0 ? stored : found;
}
