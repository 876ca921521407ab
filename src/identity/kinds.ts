/** `kinds[].when`: CEL conditions over a token's claims that say whether a person, an agent or a service is calling. */
import type { PrincipalKind } from "../facts/principal.ts";
import { compileCondition } from "./cel.ts";
import type { JsonObject } from "./json.ts";
import type { KindRule } from "./settings.ts";

export type KindOf = (claims: JsonObject, groups: readonly string[]) => PrincipalKind;

/**
 * Compiles and type-checks a provider's kind rules. Facts: `claims` (JSON numbers are doubles) and `groups` (the groups as mapped).
 * The first rule that is true wins; a rule that fails, say on a claim the token lacks, does not match; no match: "agent", the most
 * restricted kind. Throws IdentityConfigError naming the rule's index and its text.
 */
export function compileKinds(provider: string, rules: readonly KindRule[]): KindOf {
  const compiled = rules.map((rule, index) => ({
    kind: rule.kind,
    matches: compileCondition(provider, `kinds[${index}].when`, rule.when),
  }));
  return (claims, groups) => compiled.find((rule) => rule.matches({ claims, groups }))?.kind ?? "agent";
}
