/**
 * Whether a statement's condition names rows. A condition that is constant, or true for every row by its form alone, counts as
 * none: `WHERE 1=1`, `id = id`, `x IS NULL OR x IS NOT NULL`, `EXISTS (SELECT 1)`, a condition on other tables only. That a
 * condition happens to hold for every row (`id > 0`) cannot be seen here: limits on affected rows are for that.
 */

import type { Scope } from "./columns.ts";
import { isObject, type JsonObject, nodeOf, objectAt, stringAt } from "./tree.ts";
import { condition } from "./truth.ts";
export interface Bound {
  readonly unbounded: boolean;
  /** The answer depends on the value of a literal. */
  readonly literal: boolean;
}

/** UPDATE, DELETE and MERGE nodes; null for others. */
export function writeBound(name: string, node: JsonObject): Bound | null {
  switch (name) {
    case "UpdateStmt":
      return whereBound(node, node.fromClause);
    case "DeleteStmt":
      return whereBound(node, node.usingClause);
    case "MergeStmt":
      return mergeBound(node);
    default:
      return null;
  }
}

function whereBound(node: JsonObject, from: unknown): Bound {
  const { truth, literal } = condition(node.whereClause, scopeOf(node, from));
  return { unbounded: truth === "always", literal };
}

/** Judged by its actions: INSERT and DO NOTHING change no row that is there. */
function mergeBound(node: JsonObject): Bound {
  const scope = scopeOf(node, node.sourceRelation);
  const join = condition(node.joinCondition, scope);
  let { literal } = join;
  let unbounded = false;
  const clauses = Array.isArray(node.mergeWhenClauses) ? node.mergeWhenClauses : [];
  for (const clause of clauses as unknown[]) {
    const when = objectAt(clause, "MergeWhenClause");
    const command = stringAt(when, "commandType");
    if (command === "CMD_INSERT" || command === "CMD_NOTHING") continue;
    const own = condition(when?.condition, scope);
    literal ||= own.literal;
    const matched = stringAt(when, "matchKind") === "MERGE_WHEN_MATCHED";
    if (own.truth === "always" && !(matched && join.truth !== "always")) unbounded = true;
  }
  return { unbounded, literal };
}

/**
 * Whether a query or write has a condition at all: `WHERE true` counts as none. Of set operations each part needs one; MERGE
 * always has its ON, INSERT has what its query has.
 */
export function hasWhere(name: string, node: JsonObject): { has: boolean; literal: boolean } {
  if (name === "InsertStmt") {
    const query = objectAt(node.selectStmt, "SelectStmt");
    return query === undefined ? { has: false, literal: false } : hasWhere("SelectStmt", query);
  }
  if (name === "MergeStmt" || name === "UpdateStmt" || name === "DeleteStmt") {
    const bound = writeBound(name, node);
    const where = name === "MergeStmt" ? node.joinCondition : node.whereClause;
    return { has: where !== undefined && bound?.unbounded !== true, literal: bound?.literal ?? false };
  }
  let has = name === "SelectStmt";
  let literal = false;
  const open = has ? [node] : [];
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    const left = objectAt(part, "larg");
    const right = objectAt(part, "rarg");
    if (left !== undefined && right !== undefined) {
      open.push(left, right);
      continue;
    }
    const found = condition(part.whereClause, null);
    has &&= found.truth !== "always";
    literal ||= found.literal;
  }
  return { has, literal };
}

/** LIMIT n, FETCH FIRST n ROWS. LIMIT ALL and LIMIT NULL are none, and so is a count that only the server can work out. */
export function hasLimit(name: string, node: JsonObject): boolean {
  if (name === "FetchStmt") {
    // FETCH ALL is the largest integer.
    const many = node.howMany;
    return typeof many !== "number" || Math.abs(many) < 2 ** 31 - 1;
  }
  if (name !== "SelectStmt") return false;
  let count = nodeOf(node.limitCount);
  while (count?.name === "TypeCast") count = nodeOf(count.node.arg);
  if (count?.name === "ParamRef") return true;
  return count?.name === "A_Const" && count.node.isnull !== true;
}

/** What stands beside the target: names in FROM or USING, each with the relation it is, if it plainly is one. */
function scopeOf(node: JsonObject, from: unknown): Scope {
  const relation = objectAt(node, "relation");
  const others = new Map<string, boolean>();
  const open: unknown[] = [from];
  for (let value = open.pop(); open.length > 0 || value !== undefined; value = open.pop()) {
    if (Array.isArray(value)) {
      for (const item of value as unknown[]) open.push(item);
      continue;
    }
    const item = nodeOf(value);
    if (item === null) continue;
    if (item.name === "JoinExpr") open.push(item.node.larg, item.node.rarg);
    const alias = stringAt(objectAt(item.node, "alias"), "aliasname");
    const same = item.name === "RangeVar" && sameRelation(item.node, relation);
    const name = alias !== "" ? alias : item.name === "RangeVar" ? stringAt(item.node, "relname") : "";
    if (name !== "") others.set(name, same);
  }
  const alias = stringAt(objectAt(relation, "alias"), "aliasname");
  return {
    target: alias !== "" ? alias : stringAt(relation, "relname"),
    isTarget: (other) => sameRelation(other, relation),
    others,
  };
}

function sameRelation(a: JsonObject | undefined, b: JsonObject | undefined): boolean {
  if (!isObject(a) || !isObject(b)) return false;
  return (
    stringAt(a, "relname") === stringAt(b, "relname") &&
    stringAt(a, "schemaname") === stringAt(b, "schemaname")
  );
}
