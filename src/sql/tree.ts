/** Reading the parser's JSON tree. It is data like any other: every access says what it expects and gives a default. */
export type JsonObject = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
/** The object under `key`, undefined when there is none. */
export function objectAt(value: unknown, key: string): JsonObject | undefined {
  if (!isObject(value)) return undefined;
  const inner = value[key];
  return isObject(inner) ? inner : undefined;
}
/** The string under `key`; "" when there is none, as the parser leaves empty strings out. */
export function stringAt(value: JsonObject | undefined, key: string): string {
  const inner = value?.[key];
  return typeof inner === "string" ? inner : "";
}
/** The number under `key`; 0 when there is none, as the parser leaves zeros out. */
export function numberAt(value: JsonObject | undefined, key: string): number {
  const inner = value?.[key];
  return typeof inner === "number" ? inner : 0;
}
/** True when the parser set the flag `key`. */
export function flagAt(value: JsonObject | undefined, key: string): boolean {
  return value?.[key] === true;
}

/** A node of the tree is an object with one member, named by the node's type; null for anything else. */
export function nodeOf(value: unknown): { name: string; node: JsonObject } | null {
  if (!isObject(value)) return null;
  // Quicker than a list of the names: every node of every statement comes by here, several times.
  let only: string | null = null;
  for (const name in value) {
    if (only !== null) return null;
    only = name;
  }
  if (only === null) return null;
  const node = value[only];
  return isObject(node) ? { name: only, node } : null;
}

/** The texts of a list of String nodes; others are left out. */
export function wordsOf(list: unknown): string[] {
  const items: readonly unknown[] = Array.isArray(list) ? list : [];
  return items.flatMap((item) => {
    const word = objectAt(item, "String");
    return word === undefined ? [] : [stringAt(word, "sval")];
  });
}
