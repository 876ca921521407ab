/** What EXPLAIN was asked for (manual: EXPLAIN). */
import type { ExplainFacts } from "./facts.ts";
import { flagAt, isObject, type JsonObject, numberAt, objectAt, stringAt } from "./tree.ts";

/** The options of an ExplainStmt. Where one is given twice, or with a value that PostgreSQL would refuse, it counts as on. */
export function explainFacts(node: JsonObject): ExplainFacts {
  const on = new Set<string>();
  let format: ExplainFacts["format"] = "text";
  const options: readonly unknown[] = Array.isArray(node.options) ? node.options : [];
  for (const option of options) {
    const element = objectAt(option, "DefElem");
    const name = stringAt(element, "defname").toLowerCase();
    const text = stringAt(objectAt(element?.arg, "String"), "sval").toLowerCase();
    if (name === "format") {
      if (text === "json" || text === "xml" || text === "yaml") format = text;
    } else if (name === "serialize") {
      if (text !== "none") on.add(name);
    } else if (optionValue(element?.arg)) on.add(name);
  }
  return {
    analyze: on.has("analyze"),
    verbose: on.has("verbose"),
    settings: on.has("settings"),
    serialize: on.has("serialize"),
    format,
  };
}

/** defGetBoolean() of define.c: without a value on; 0, false, off: off. */
export function optionValue(arg: unknown): boolean {
  if (!isObject(arg)) return true;
  const integer = objectAt(arg, "Integer");
  if (integer !== undefined) return numberAt(integer, "ival") !== 0;
  const boolean = objectAt(arg, "Boolean");
  if (boolean !== undefined) return flagAt(boolean, "boolval");
  const text = stringAt(objectAt(arg, "String"), "sval").toLowerCase();
  return text !== "false" && text !== "off";
}
