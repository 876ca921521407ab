/** Looking for columns, and for what else a condition rests on, in expressions of the parser's tree. */
import { isObject, type JsonObject, nodeOf, numberAt, objectAt, stringAt } from "./tree.ts";

/** The relation that is written, and what stands beside it. null: every column names rows. */
export interface Scope {
  /** The name that its columns are qualified with. */
  readonly target: string;
  readonly isTarget: (relation: JsonObject) => boolean;
  /** Other names in FROM or USING; true: the same relation once more. */
  readonly others: ReadonlyMap<string, boolean>;
}

/**
 * It holds a column of the target, as far as can be told: one that is not qualified counts, one that is qualified by a name in
 * FROM, or by one that a sub-select around it gives, does not.
 */
export function mentionsTarget(value: unknown, scope: Scope | null): boolean {
  if (scope === null) return mentionsColumn(value);
  const others = new Set(scope.others.keys());
  others.delete(scope.target);
  const open: [value: unknown, foreign: ReadonlySet<string>][] = [[value, others]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [at, foreign] = next;
    if (Array.isArray(at)) for (const item of at as unknown[]) open.push([item, foreign]);
    else if (isObject(at)) {
      const path = at.ColumnRef === undefined ? undefined : columnPath(at);
      if (path !== undefined && (path === null || path.length < 2 || !foreign.has(path.at(-2) ?? "")))
        return true;
      for (const field of Object.keys(at)) {
        const inner = at[field];
        const nested = field === "subselect";
        open.push([inner, nested ? new Set([...foreign, ...innerNames(inner)]) : foreign]);
      }
    }
  }
  return false;
}

/** It holds a column, or `*`. */
function mentionsColumn(value: unknown): boolean {
  const open: unknown[] = [value];
  while (open.length > 0) {
    const at = open.pop();
    if (Array.isArray(at)) for (const item of at as unknown[]) open.push(item);
    else if (isObject(at)) {
      if (at.ColumnRef !== undefined) return true;
      for (const field in at) {
        const inner = at[field];
        if (typeof inner === "object") open.push(inner);
      }
    }
  }
  return false;
}

/** It calls no function, which might answer otherwise each time. */
export function steady(value: unknown): boolean {
  return !search(value, (name) => name === "FuncCall" || name === "SubLink" || name === "SQLValueFunction");
}

/** The members of a list or ARRAY[…]. */
export function elements(value: unknown): readonly unknown[] {
  const at = nodeOf(value);
  const items =
    at?.name === "List" ? at.node.items : at?.name === "A_ArrayExpr" ? at.node.elements : undefined;
  return Array.isArray(items) ? items : [];
}

export function plainNumber(value: unknown): number | null {
  const at = nodeOf(value);
  if (at?.name !== "A_Const" || !isObject(at.node.ival)) return null;
  return numberAt(at.node.ival, "ival");
}

export function lastString(names: unknown): string {
  if (!Array.isArray(names)) return "";
  return stringAt(objectAt(names.at(-1), "String"), "sval");
}

/** The parts of a column's name; null for anything but a column, and for `*`. */
export function columnPath(value: unknown): string[] | null {
  const fields = objectAt(value, "ColumnRef")?.fields;
  if (!Array.isArray(fields)) return null;
  const path: string[] = [];
  for (const field of fields as unknown[]) {
    const part = objectAt(field, "String");
    if (part === undefined) return null;
    path.push(stringAt(part, "sval"));
  }
  return path;
}

/** The last part of a column's name; null for anything but a column. */
export function columnName(value: unknown): string | null {
  return columnPath(value)?.at(-1) ?? null;
}

/** Names that a sub-select gives to its relations. */
function innerNames(value: unknown): string[] {
  const names: string[] = [];
  search(value, (name, node) => {
    const alias = stringAt(objectAt(node, "alias"), "aliasname");
    if (alias !== "") names.push(alias);
    else if (name === "RangeVar") names.push(stringAt(node, "relname"));
    return false;
  });
  return names;
}

/** True when `found` is true for some node under `value`. Not recursive. */
function search(value: unknown, found: (name: string, node: JsonObject) => boolean): boolean {
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (Array.isArray(next)) for (const item of next as unknown[]) open.push(item);
    else if (isObject(next)) {
      for (const name of Object.keys(next)) {
        const inner = next[name];
        if (isObject(inner) && found(name, inner)) return true;
        open.push(inner);
      }
    }
  }
  return false;
}
