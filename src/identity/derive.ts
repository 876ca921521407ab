/** `groups_from` and `require`: groups that follow from claims, and conditions without which a token is refused. */
import { compileCondition, compileTexts } from "./cel.ts";
import { readGroups } from "./claims.ts";
import { IdentityError } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { PrincipalRules } from "./settings.ts";

export interface Derivation {
  /** The mapped groups and those that follow from the rules. Throws IdentityError TOKEN_CLAIMS when there are too many. */
  groups(claims: JsonObject, mapped: readonly string[]): readonly string[];
  /** Throws IdentityError TOKEN_NOT_ADMITTED when a condition of `require` is not true. */
  admit(claims: JsonObject, groups: readonly string[]): void;
}

/** Compiles a provider's rules. Throws IdentityConfigError naming the rule and its text. */
export function compileDerivation(
  provider: string,
  settings: Pick<PrincipalRules, "groupsFrom" | "require">,
): Derivation {
  const rules = (settings.groupsFrom ?? []).map((rule, index) => {
    const key = `groups_from[${index}]`;
    const when = rule.when === null ? () => true : compileCondition(provider, `${key}.when`, rule.when);
    const { group } = rule;
    const texts =
      typeof group === "string" ? () => group : compileTexts(provider, `${key}.value`, group.expression);
    return { when, texts };
  });
  const conditions = (settings.require ?? []).map((text, index) =>
    compileCondition(provider, `require[${index}]`, text),
  );
  return {
    groups(claims, mapped) {
      if (rules.length === 0) return mapped;
      const derived = rules.flatMap((rule) => {
        const facts = { claims, groups: mapped };
        const found = rule.when(facts) ? rule.texts(facts) : undefined;
        return found === undefined ? [] : found;
      });
      return readGroups({ groups: [...mapped, ...derived.filter((group) => group !== "")] }, "groups");
    },
    admit(claims, groups) {
      const failed = conditions.findIndex((condition) => !condition({ claims, groups }));
      if (failed >= 0)
        throw new IdentityError(
          "TOKEN_NOT_ADMITTED",
          `condition ${failed + 1} of the provider's require is not true of the token`,
        );
    },
  };
}
