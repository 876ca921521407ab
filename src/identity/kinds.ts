/** `kinds[].when`: CEL conditions over a token's claims that say whether a person, an agent or a service is calling. */
import { Environment } from "@marcbachmann/cel-js";
import type { PrincipalKind } from "../facts/principal.ts";
import { IdentityConfigError, quote } from "./errors.ts";
import { isObject, type JsonObject } from "./json.ts";
import type { KindRule } from "./settings.ts";

const environment = new Environment({ limits: { maxAstNodes: 1000, maxDepth: 50 } })
  .registerVariable("claims", "map<string, dyn>")
  .registerVariable("groups", "list<string>");

export type KindOf = (claims: JsonObject, groups: readonly string[]) => PrincipalKind;

/**
 * Compiles and type-checks a provider's kind rules. Facts: `claims` (JSON numbers are doubles) and `groups` (the groups as mapped).
 * The first rule that is true wins; a rule that fails, say on a claim the token lacks, does not match; no match: "agent", the most
 * restricted kind. Throws IdentityConfigError naming the rule's index and its text.
 */
export function compileKinds(provider: string, rules: readonly KindRule[]): KindOf {
  const compiled = rules.map((rule, index) => ({
    kind: rule.kind,
    matches: compileRule(provider, index, rule.when),
  }));
  return (claims, groups) => compiled.find((rule) => rule.matches(claims, groups))?.kind ?? "agent";
}

function compileRule(
  provider: string,
  index: number,
  when: string,
): (claims: JsonObject, groups: readonly string[]) => boolean {
  const fail = (why: string) =>
    new IdentityConfigError(provider, `kinds[${index}].when`, `${why} in ${JSON.stringify(when)}`);
  let evaluate: ReturnType<typeof environment.parse>;
  try {
    evaluate = environment.parse(when);
  } catch (error) {
    throw fail(firstLine(error));
  }
  const checked = evaluate.check();
  if (!checked.valid) throw fail(firstLine(checked.error));
  if (checked.type !== "bool" && checked.type !== "dyn")
    throw fail(`a condition is expected, not a ${quote(checked.type ?? "")}`);
  if (calls(evaluate.ast, "matches")) {
    // CEL means RE2 here; the library runs a backtracking engine, which a crafted claim can keep busy for ever.
    throw fail("matches() is not available (use startsWith, endsWith, contains or ==)");
  }
  return (claims, groups) => {
    try {
      return evaluate({ claims, groups }) === true;
    } catch {
      return false;
    }
  };
}

function calls(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((inner) => calls(inner, name));
  if (!isObject(node) || !("op" in node) || !("args" in node)) return false;
  const { op, args } = node;
  if ((op === "call" || op === "rcall") && Array.isArray(args) && args[0] === name) return true;
  return calls(args, name);
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : "not a CEL expression";
  return message.split("\n", 1)[0] ?? "";
}
