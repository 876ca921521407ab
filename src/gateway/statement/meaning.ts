/** What statements mean, compared at two moments; and whose errors may tell what is protected. */
import { relationText } from "../../catalog/index.ts";
import type { StatementFacts, Touched } from "../../facts/effects.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import { detectionOf } from "../analyst/detection.ts";
import type { View } from "../analyst/index.ts";
import type { Judgement } from "./judgement.ts";
import type { PreparedStatement } from "./names.ts";
import type { Reason } from "./state.ts";

export const outdated: Reason = {
  sqlstate: "42501",
  code: "PORTAL_OUTDATED",
  message: "policy: the names in this portal or cursor stand for something else since it was opened",
  hint: "Open it again under the settings that it is to be read with.",
};

/** Whether two readings of one text, made under different settings or catalogs, found the same. */
export function sameMeaning(before: readonly Touched[], now: readonly Touched[]): boolean {
  return (
    before.length === now.length &&
    before.every((one, i) => one === now[i] || meaningOf(one) === meaningOf(now[i] ?? one))
  );
}

function meaningOf({
  reads,
  writes,
  columns,
  functions,
  uses,
  outputs,
  assignments,
  problems,
}: Touched): string {
  return JSON.stringify([reads, writes, columns, functions, uses, outputs, assignments, problems]);
}

/** Nothing that is decided, hidden, watched or shown to approvers depends on what a statement touches. */
export function needsNoAnalysis({ policy, protectedSet, observedSet }: View): boolean {
  const { analysis, estimate } = policy.needs;
  return (
    !analysis &&
    !estimate &&
    protectedSet.empty &&
    observedSet.empty &&
    detectionOf(policy) === null &&
    !asksPeople(policy)
  );
}

const asking = new WeakMap<CompiledPolicy, boolean>();

/** Whether a rule may hold statements until people agree. */
export function asksPeople(policy: CompiledPolicy): boolean {
  let asks = asking.get(policy);
  if (asks === undefined) {
    asks = policy.rules.some(({ then, observe }) => then === "approve" && !observe);
    asking.set(policy, asks);
  }
  return asks;
}

/**
 * A portal runs what its names meant when it was bound. What has changed since, settings or objects, must not let it be
 * taken for something else. null: it means what it meant.
 */
export function outdatedPortal(bound: Judgement | null, now: Judgement): Reason | null {
  if (bound === null || now.refusal !== null || bound === now || bound.stand === now.stand) return null;
  if (now.view !== null && needsNoAnalysis(now.view)) return null;
  return sameMeaning(bound.touched, now.touched) ? null : outdated;
}

/**
 * Errors of what writes show whole rows and keys: those of the relations that are written, and of others that foreign keys,
 * triggers and code in checks, generated columns and indexes reach. Names in utility statements are not resolved; any relation called so counts.
 */
export function mayTell(
  view: View,
  used: readonly PreparedStatement[],
  { effects, writes }: StatementFacts,
): boolean {
  if (view.protectedSet.empty) return false;
  if (effects.includes("execute")) return true;
  const { telling, names } = tellingRelations(view);
  return (
    writes.some((name) => telling.has(name)) ||
    used.some(({ shape }) => shape.facts.relations.some(({ name }) => names.has(name)))
  );
}

const telling = new WeakMap<
  View,
  { readonly telling: ReadonlySet<string>; readonly names: ReadonlySet<string> }
>();

function tellingRelations(view: View): {
  readonly telling: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
} {
  let known = telling.get(view);
  if (known === undefined) {
    const all = [...view.catalog.relations()].filter(({ oid }) => tells(view, oid));
    known = {
      telling: new Set(all.map(({ oid }) => relationText(view.catalog, oid))),
      names: new Set(all.map(({ name }) => name)),
    };
    telling.set(view, known);
  }
  return known;
}

/** It, or a partition or child of it, whose rows go through a write to the parent, and whose code that runs. */
function tells(view: View, relation: number): boolean {
  const seen = new Set([relation]);
  for (const oid of seen) {
    if (view.protectedSet.ofRelation(oid).length > 0) return true;
    const known = view.catalog.relation(oid);
    if (known === undefined) continue;
    if (known.runsCode || (known.hasRules && known.kind !== "v")) return true;
    for (const child of known.children) seen.add(child);
  }
  return false;
}
