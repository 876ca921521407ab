/** What COPY was asked for (manual: COPY; ProcessCopyOptions() in copy.c). */
import { optionValue } from "./explain.ts";
import type { CopyFacts } from "./facts.ts";
import { named } from "./relations.ts";
import { flagAt, isObject, type JsonObject, nodeOf, objectAt, stringAt } from "./tree.ts";

/** null: a format that this version does not know. */
export function copyFacts(node: JsonObject): CopyFacts | null {
  const options = new Map<string, unknown>();
  const given: readonly unknown[] = Array.isArray(node.options) ? node.options : [];
  for (const option of given) {
    const element = objectAt(option, "DefElem");
    options.set(stringAt(element, "defname").toLowerCase(), element?.arg);
  }
  const text = (name: string): string | null => {
    const arg = options.get(name);
    return isObject(arg) && arg.String !== undefined ? stringAt(objectAt(arg, "String"), "sval") : null;
  };
  const format = text("format")?.toLowerCase() ?? "text";
  if (format !== "text" && format !== "csv" && format !== "binary") return null;
  const csv = format === "csv";
  const quote = text("quote") ?? '"';
  const file = stringAt(node, "filename");
  const relation = objectAt(node, "relation");
  return {
    direction: flagAt(node, "is_from") ? "in" : "out",
    target: flagAt(node, "is_program") ? "program" : file === "" ? "client" : "file",
    format,
    relation: relation === undefined ? null : named(relation),
    columns: Array.isArray(node.attlist) ? nameList(node.attlist) : null,
    delimiter: text("delimiter") ?? (csv ? "," : "\t"),
    null: text("null") ?? (csv ? "" : "\\N"),
    header: options.has("header") && optionValue(options.get("header")),
    quote,
    escape: text("escape") ?? quote,
    forceQuote: forceQuote(options.get("force_quote")),
    encoding: text("encoding")?.toUpperCase() ?? null,
  };
}

function forceQuote(arg: unknown): readonly string[] | "*" {
  const at = nodeOf(arg);
  if (at?.name === "A_Star") return "*";
  return Array.isArray(at?.node.items) ? nameList(at.node.items) : [];
}

function nameList(names: readonly unknown[]): string[] {
  return names.map((name) => stringAt(objectAt(name, "String"), "sval"));
}
