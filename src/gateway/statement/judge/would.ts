/** What enforcing would have made of a statement that passes because rules or labels only observe. */
import { planMasks } from "../../../analysis/plan.ts";
import type { Would } from "../../../facts/decision.ts";
import type { Touched } from "../../../facts/effects.ts";
import type { DecideInput, PolicyDecision } from "../../../policy/index.ts";
import { type View, viewOf } from "../../analyst/index.ts";
import { readsOnly } from "../../readonly.ts";
import { mayWrite, refusedStatically, staysReadOnly } from "../facts.ts";
import { uncountable } from "../limits.ts";
import type { Reason } from "../state.ts";
import { hide, type ReadStatement } from "./hide.ts";

const known = new WeakMap<View, View>();

/** The same view under the policy with nothing merely observed; null: nothing is. */
function enforcedView(view: View): View | null {
  const { enforced } = view.policy;
  if (enforced === null) return null;
  let found = known.get(view);
  if (found === undefined) {
    found = viewOf(enforced, view.catalog, view.protectedSet.database);
    known.set(view, found);
  }
  return found;
}

/**
 * What would have been decided of a statement; null: the same, or it would be allowed as well.
 *
 * @param used the statement itself and those that EXECUTE and FETCH in it name.
 * @param input what `decision` was made from, estimate included.
 * @param reason why it does not run as it is; null: it does.
 */
export function wouldBe(
  view: View,
  statement: ReadStatement & { readonly syntaxError?: boolean },
  used: readonly ReadStatement[],
  touched: readonly Touched[],
  input: DecideInput,
  decision: PolicyDecision,
  reason: Pick<Reason, "code"> | null,
): Would | null {
  const enforced = enforcedView(view);
  if (enforced === null || (reason !== null && decision.verdict !== "approve")) return null;
  // PostgreSQL refuses it itself.
  if (statement.syntaxError === true) return null;
  const would = enforcing(enforced, statement, used, touched, input);
  return would === null || (would.verdict === decision.verdict && would.code === decision.code)
    ? null
    : would;
}

function enforcing(
  view: View,
  statement: ReadStatement,
  used: readonly ReadStatement[],
  touched: readonly Touched[],
  input: DecideInput,
): Would | null {
  const refused = (code: string): Would => ({ verdict: "deny", rule: null, code });
  for (const { shape } of used) {
    const early = refusedStatically(shape, "none");
    if (early !== null) return refused(early.code);
  }
  const { facts } = statement.shape;
  if (facts.readOnly === false && readsOnly(view.policy, input.principal, input.session))
    return refused(staysReadOnly.code);
  const decision = view.policy.decide(input);
  const { verdict, rule, code } = decision;
  if (verdict === "deny") return { verdict, rule, code: code ?? "POLICY_DENIED" };
  const options = {
    unmask: decision.unmask,
    relax: decision.relax,
    explain: facts.explain !== null,
    serialize: facts.explain?.serialize === true,
    analyze: facts.explain?.analyze === true,
    mayWrite: (name: string) => mayWrite(view, name),
  };
  const outcomes = touched.map((one) => planMasks(one, view.protectedSet, options));
  const own = { decision, facts: input.statement, touched };
  // Another one stands for all that its message holds besides.
  const message = input.statement.statements > 1 ? [own, { ...own, decision: null }] : [own];
  const reason =
    hide(view, statement, used, touched, outcomes, decision.unmask).reason ??
    uncountable([statement], message);
  if (reason !== null) return refused(reason.code);
  return verdict === "approve" ? { verdict, rule, code: code ?? "NEEDS_APPROVAL" } : null;
}
