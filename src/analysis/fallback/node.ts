/** Reading the parser's nodes for the static fallback: what is not expected ends the reading. */
import type { JsonObject } from "../../sql/tree.ts";
import { isObject, nodeOf, stringAt } from "../../sql/tree.ts";

/** The statement is outside of the closed subset. */
export class OutsideSubset extends Error {
  readonly object: string | null;
  constructor(what: string, object: string | null = null) {
    super(what);
    this.object = object;
  }
}

/** Ends the reading: `what` completes "the static analysis does not follow …". */
export function outside(what: string, object: string | null = null): never {
  throw new OutsideSubset(what, object);
}

/** One node with its name; null nodes of lists are outside. */
export function node(value: unknown): { name: string; node: JsonObject } {
  return nodeOf(value) ?? outside("a node without a name");
}

/** The list under a key; [] when there is none. */
export function list(value: JsonObject, key: string): readonly unknown[] {
  const inner = value[key];
  if (inner === undefined) return [];
  return Array.isArray(inner) ? inner : outside(`a ${key} that is no list`);
}

/** Every member must be known: a new one of a new grammar might change the meaning. */
export function only(value: JsonObject, name: string, members: readonly string[]): void {
  for (const key of Object.keys(value))
    if (!members.includes(key) && key !== "location") outside(`${name} with ${key}`);
}

/** A dotted name: a list of String nodes. */
export function dotted(items: readonly unknown[], what: string): string[] {
  return items.map((item) => {
    const { name, node: inner } = node(item);
    return name === "String" ? stringAt(inner, "sval") : outside(what);
  });
}

/** The integer of an A_Const; null: another constant. */
export function integer(constant: JsonObject): number | null {
  const value = constant.ival;
  if (!isObject(value)) return null;
  return typeof value.ival === "number" ? value.ival : 0;
}
