/** Rules' answers → one verdict. Order never matters: rules are sorted by name, and names are unique. */
import type { DecideInput } from "../types.ts";
import { type Answers, mayAllow } from "./evaluate.ts";
import type { CompiledRule, RuleSet } from "./rules.ts";

/** Why a statement is allowed, denied or held. `by`: the deciding rule; null: the default. */
export type Outcome =
  | { readonly verdict: "allow"; readonly by: CompiledRule | null }
  | { readonly verdict: "approve"; readonly by: CompiledRule }
  | { readonly verdict: "deny"; readonly why: "rule"; readonly by: CompiledRule }
  | { readonly verdict: "deny"; readonly why: "error"; readonly by: CompiledRule; readonly detail: string }
  | { readonly verdict: "deny"; readonly why: "default"; readonly by: null };

export interface Combined {
  readonly outcome: Outcome;
  /** Matching rules, sorted by name. */
  readonly matched: readonly CompiledRule[];
}

/**
 * Combines the answers of the rules that `counts` lets count: deny, then failed conditions, then approve, then allow, then the
 * default. A statement without effects is not held, and passes for whom some rule may allow something.
 */
export function combine(
  set: RuleSet,
  answers: Answers,
  input: DecideInput,
  counts: (rule: CompiledRule) => boolean,
  fallback: "allow" | "deny",
): Combined {
  const matched = set.rules.filter((rule, i) => counts(rule) && answers[i]?.is === "true");
  const first = (then: CompiledRule["then"]) => matched.find((rule) => rule.then === then) ?? null;

  const denied = first("deny");
  if (denied !== null) return { matched, outcome: { verdict: "deny", why: "rule", by: denied } };
  for (const [i, rule] of set.rules.entries()) {
    const answer = answers[i];
    if (!counts(rule) || answer === undefined || answer.is === "true" || answer.is === "false") continue;
    // `unknown` cannot be left here; like an error, it would deny.
    const detail = answer.is === "error" ? answer.detail : "not_evaluated";
    return { matched, outcome: { verdict: "deny", why: "error", by: rule, detail } };
  }
  const held = first("approve");
  const allowed = first("allow");
  if (input.statement.effects.length === 0) {
    const passes =
      allowed !== null || held !== null || set.rules.some((r) => counts(r) && mayAllow(r, input));
    if (passes) return { matched, outcome: { verdict: "allow", by: allowed } };
  } else {
    if (held !== null) return { matched, outcome: { verdict: "approve", by: held } };
    if (allowed !== null) return { matched, outcome: { verdict: "allow", by: allowed } };
  }
  if (fallback === "allow") return { matched, outcome: { verdict: "allow", by: null } };
  return { matched, outcome: { verdict: "deny", why: "default", by: null } };
}
