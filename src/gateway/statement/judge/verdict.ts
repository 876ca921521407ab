/** What the policy says of a statement of which it is known what it touches, and what that means for its rows. */
import { type MaskOutcome, planMasks } from "../../../analysis/plan.ts";
import type { Effect, StatementFacts, Touched } from "../../../facts/effects.ts";
import type { PolicyDecision } from "../../../policy/index.ts";
import { gravest, type Renames, setsRow } from "../../../sql/index.ts";
import type { View } from "../../analyst/index.ts";
import { reachOf } from "../changes.ts";
import { changesSettings, factsOf, givesRows, loosens, mayWrite } from "../facts.ts";
import { refusalWithoutNames } from "../hidden.ts";
import type { Guarding, Judgement, Question } from "../judgement.ts";
import { uncountable } from "../limits.ts";
import { mayTell } from "../meaning.ts";
import type { PreparedStatement, Shape } from "../names.ts";
import { endsTransaction, mayCommit, type Place } from "../place.ts";
import type { Reason, Walk } from "../state.ts";
import { estimateFor } from "./cost.ts";
import { formOf } from "./form.ts";
import { hide } from "./hide.ts";
import { copiedColumns, watch } from "./outputs.ts";
import { records } from "./refused.ts";
import { wouldBe } from "./would.ts";

/** Lays the policy over what is known. `analysed` null: nobody asked what the statement touches. null: the server must be asked first. */
export function decided(
  walk: Walk,
  guard: Guarding,
  view: View,
  statement: PreparedStatement,
  { statements, inTransaction }: Place,
  used: readonly PreparedStatement[],
  analysed: readonly Touched[] | null,
  questions: Question[],
): Judgement | null {
  const { shape } = statement;
  const touched = analysed ?? [];
  const bare = factsOf(shape, touched, used, inTransaction, statements, statement.bytes);
  const own = bare.effects;
  const explain = shape.facts.explain !== null;
  const serialize = shape.facts.explain?.serialize === true;
  const analyze = shape.facts.explain?.analyze === true;
  const writable = (name: string): boolean => mayWrite(view, name);
  const first = touched.map((one) =>
    planMasks(one, view.protectedSet, { unmask: [], explain, serialize, analyze, mayWrite: writable }),
  );
  const protects = first.some(({ labels }) => labels.length > 0);
  const observed = view.observedSet.empty
    ? []
    : touched.map((one) => planMasks(one, view.observedSet, { unmask: [], explain }));
  const facts: StatementFacts = {
    ...bare,
    effects: analysed === null ? unknownEffects(own, used) : own,
    ...labelsOf([...first, ...observed]),
  };
  const asked = { principal: guard.principal, session: guard.session, statement: facts, now: new Date() };
  const estimate = estimateFor(guard, view, asked, statement, touched, questions);
  if (estimate === "open") return null;
  const decision = view.policy.decide(estimate === null ? asked : { ...asked, estimate: () => estimate });
  const { unmask, relax } = decision;
  const outcomes =
    unmask.length === 0 && relax.size === 0
      ? first
      : touched.map((one) =>
          planMasks(one, view.protectedSet, {
            unmask,
            relax,
            explain,
            serialize,
            analyze,
            mayWrite: writable,
          }),
        );
  const { texts, masks, kept, names, ...hidden } = hide(view, statement, used, touched, outcomes, unmask);
  let { reason } = hidden;
  // Before people are asked: it could not run even then.
  if (decision.verdict !== "deny") reason ??= uncountable([statement], [{ decision, facts, touched }]);
  // People cannot agree to what nobody understands, or what cannot be masked.
  const agreeable = decision.verdict === "approve" && reason === null;
  // PREPARE runs nothing, as Parse does not: people are asked at its EXECUTE.
  const awaits = agreeable && shape.kind !== "prepare";
  // A rule that denies says more than that the statement is not understood.
  if (awaits || decision.verdict === "deny") reason = ofDecision(decision);
  const input = estimate === null ? asked : { ...asked, estimate: () => estimate };
  const would = wouldBe(view, statement, used, touched, input, decision, reason);
  return {
    view,
    stand: guard.stand,
    inTransaction,
    reusable:
      reason?.server === undefined &&
      shape.names.length === 0 &&
      view.policy.cacheKey(guard.principal, guard.session) !== null,
    decision,
    // PREPARE compares nothing yet, and the list that a cursor compares with was counted at its DECLARE.
    budgets: shape.kind === "prepare" ? decision.budgets : [...decision.budgets, ...masks.budgets],
    lists: shape.kind === "prepare" || shape.kind === "fetch" ? [] : masks.lists,
    durability: decision.durability ?? walk.durability,
    awaits,
    refusal: refusalWithoutNames(view, reason, texts),
    ...records(
      walk,
      statement,
      analysed === null ? { ...facts, effects: null } : facts,
      { ...decision, would },
      reason,
      masks.masked,
      touched.length > 0,
      formOf(facts, used, touched, view),
      guard.uncertain ? null : guard.searchPath,
    ),
    patterns: kept !== null && "patterns" in kept ? kept.patterns : [],
    ...rowsOf(view, statement, touched, masks.plan, names),
    names,
    masked: masks.masked,
    facts,
    scrub: protects || mayTell(view, used, facts),
    // What is not analysed may change what names mean: nothing depends on that, as nothing depends on names.
    after: aftermath(used, { ...facts, effects: own }, touched),
    touched,
  };
}

function labelsOf(outcomes: readonly MaskOutcome[]): Pick<StatementFacts, "labels" | "labelsInPredicates"> {
  return {
    labels: [...new Set(outcomes.flatMap(({ labels }) => labels))].sort(),
    labelsInPredicates: [...new Set(outcomes.flatMap((one) => one.labelsInPredicates))].sort(),
  };
}

/** What is done with the rows it sends. */
function rowsOf(
  view: View,
  { shape }: PreparedStatement,
  touched: readonly Touched[],
  plan: Judgement["plan"],
  names: Judgement["names"],
): Pick<Judgement, "plan" | "watched" | "outputs"> {
  const rows = givesRows(shape.facts, shape);
  const outputs = rows ? (touched.find((one) => one.outputs !== null)?.outputs ?? null) : null;
  const copied = copiedColumns(shape.facts, outputs, view);
  const sent = <T>(columns: readonly T[]): readonly T[] => columns.filter((_, i) => copied[i] !== false);
  const watched = rows ? watch(view, shape.facts, outputs) : null;
  const looked = shape.facts.explain !== null && names !== null ? 1 : rows ? (outputs?.length ?? 0) : 0;
  const hiding =
    plan ??
    (watched === null && (names === null || looked === 0)
      ? null
      : { columns: new Array<null>(looked).fill(null), scrub: false });
  return {
    plan: looked > 0 && hiding !== null ? { ...hiding, columns: sent(hiding.columns) } : null,
    watched: watched === null ? null : { ...watched, labelled: sent(watched.labelled) },
    outputs: outputs === null ? null : sent(outputs),
  };
}

function ofDecision(decision: PolicyDecision): Reason {
  return {
    sqlstate: "42501",
    code: decision.code ?? "POLICY_DENIED",
    message: `policy: ${decision.message ?? "the statement is not allowed"}`,
    hint: decision.hint ?? "",
    ...(decision.verdict === "approve"
      ? { approvers: decision.approvers.map(({ groups, count }) => ({ groups, count })) }
      : {}),
    object: decision.object,
    rule: decision.rule,
  };
}

/** Of what nobody asked about. Whatever functions it calls may do; only what has no query in it has no effects. */
export function unknownEffects(
  own: readonly Effect[],
  used: readonly { readonly shape: Shape }[],
): readonly Effect[] {
  if (used.every(({ shape }) => shape.facts.tree.length === 0)) return own;
  return [...new Set<Effect>([...own, "execute", "read"])].sort();
}

function aftermath(
  used: readonly PreparedStatement[],
  { effects }: StatementFacts,
  touched: readonly Touched[],
): Judgement["after"] {
  const unchecked = !touched.some(({ settingRow }) => settingRow === true);
  // Nobody knows what a function does that is not on the list.
  const opaque = effects.includes("execute");
  const [only] = used;
  return {
    settings: opaque || used.some(({ shape }) => changesSettings(shape)),
    objects:
      opaque ||
      effects.includes("ddl") ||
      effects.includes("admin") ||
      // Others, the gateway's own connection among them, wait for its lock.
      used.some(({ shape }) => shape.kind === "lock" || shape.kind === "truncate"),
    renames: opaque ? "others" : used.map(({ shape }) => shape.facts.renames).reduce<Renames>(gravest, null),
    temporary: opaque || used.some(({ shape }) => shape.facts.temporary),
    ends: used.some(({ shape }) => endsTransaction(shape)),
    commits: used.some(({ shape }) => mayCommit(shape)),
    within: !opaque && only !== undefined && used.length === 1 ? reachOf(only.shape) : null,
    loosens: used.some((one) => loosens(one) || (unchecked && setsRow(one.shape.facts))),
  };
}
