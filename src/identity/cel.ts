/** CEL over a token's claims, as postern.yaml uses it: compiled and type-checked once, without what a crafted claim could abuse. */
import { Environment } from "@marcbachmann/cel-js";
import { IdentityConfigError, quote } from "./errors.ts";
import { isObject, type JsonObject } from "./json.ts";

const environment = new Environment({ limits: { maxAstNodes: 1000, maxDepth: 50 } })
  .registerVariable("claims", "map<string, dyn>")
  .registerVariable("groups", "list<string>");

type Facts = { readonly claims: JsonObject; readonly groups: readonly string[] };

/**
 * Compiles a condition over `claims` (JSON numbers are doubles) and `groups`. One that fails, say on a claim the token lacks, is not
 * true. Throws IdentityConfigError naming `key` and the text.
 */
export function compileCondition(provider: string, key: string, text: string): (facts: Facts) => boolean {
  const evaluate = compile(provider, key, text, ["bool", "dyn"], "a condition is expected");
  return (facts) => {
    try {
      return evaluate({ claims: facts.claims, groups: facts.groups }) === true;
    } catch {
      return false;
    }
  };
}

/**
 * Compiles an expression that gives a text or a list of texts; undefined when it fails. Throws IdentityConfigError.
 */
export function compileTexts(
  provider: string,
  key: string,
  text: string,
): (facts: Facts) => string | readonly string[] | undefined {
  const evaluate = compile(
    provider,
    key,
    text,
    ["string", "dyn", "list<string>", "list<dyn>", "list"],
    "a text or a list of texts is expected",
  );
  return (facts) => {
    let value: unknown;
    try {
      value = evaluate({ claims: facts.claims, groups: facts.groups });
    } catch {
      return undefined;
    }
    if (typeof value === "string") return value;
    if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
    return undefined;
  };
}

function compile(
  provider: string,
  key: string,
  text: string,
  types: readonly string[],
  expected: string,
): (facts: { claims: JsonObject; groups: readonly string[] }) => unknown {
  const fail = (why: string) => new IdentityConfigError(provider, key, `${why} in ${JSON.stringify(text)}`);
  let evaluate: ReturnType<typeof environment.parse>;
  try {
    evaluate = environment.parse(text);
  } catch (error) {
    throw fail(firstLine(error));
  }
  const checked = evaluate.check();
  if (!checked.valid) throw fail(firstLine(checked.error));
  if (!types.includes(checked.type ?? "")) throw fail(`${expected}, not a ${quote(checked.type ?? "")}`);
  if (calls(evaluate.ast, "matches")) {
    // CEL means RE2 here; the library runs a backtracking engine, which a crafted claim can keep busy for ever.
    throw fail("matches() is not available (use startsWith, endsWith, contains or ==)");
  }
  return evaluate;
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
