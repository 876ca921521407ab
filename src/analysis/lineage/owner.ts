/** Conditions whose form matters: what an owner wrote and a caller cannot reach, and plain equalities. */
import { intOf, nodesOf, type ServerNode, textOf } from "../../sql/servertree/index.ts";
import { isComparable } from "./comparing.ts";
import { textConstant } from "./constants.ts";
import type { CatalogFacts } from "./facts.ts";
import { childrenOf, tagOf } from "./nodes.ts";
import { typeOf } from "./types.ts";

/** Functions of pg_catalog that give what a caller may have set in the session. */
const sessionReaders: ReadonlySet<string> = new Set([
  "current_setting",
  "pg_show_all_settings",
  "current_query",
  "pg_stat_get_activity",
]);

/**
 * Input of the caller reaches a condition that an owner wrote: it reads settings of the session. Those named `postern.…` are
 * the gateway's own, which no statement may set.
 */
export function callerReaches(condition: ServerNode, facts: CatalogFacts): boolean {
  const open: ServerNode[] = [condition];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.tag === "PARAM" && intOf(node, "paramkind", -1) === 0) return true;
    if (node.tag === "FUNCEXPR") {
      const func = facts.catalog.func(intOf(node, "funcid"));
      if (func === undefined) return true;
      if (sessionReaders.has(func.name) && !readsOurSetting(node)) return true;
    }
    open.push(...childrenOf(node));
  }
  return false;
}

function readsOurSetting(call: ServerNode): boolean {
  const [name] = nodesOf(call, "args");
  if (name === undefined) return false;
  return /^postern\.[a-z_]+$/.test(textConstant(name) ?? "");
}

/**
 * `x = $1`, `'a' = x`, `x IN ('a', $2)`, `x = ANY ($1)` with an equality operator of PostgreSQL's own: the side that is not
 * constant; null: anything else.
 */
export function isSingleEquality(qual: ServerNode, facts: CatalogFacts): ServerNode | null {
  const tag = tagOf(qual);
  if (tag !== "OPEXPR" && tag !== "SCALARARRAYOPEXPR") return null;
  if (tag === "SCALARARRAYOPEXPR" && textOf(qual, "useOr") !== "true") return null;
  const operator = facts.catalog.operator(intOf(qual, "opno"));
  if (operator === undefined || !operator.system || operator.name !== "=") return null;
  const [left, right, more] = nodesOf(qual, "args");
  if (left === undefined || right === undefined || more !== undefined) return null;
  // Whether two rows fail to compare tells which of their first columns are equal.
  if (![left, right].every((side) => isComparable(typeOf(side, facts.catalog), facts.catalog))) return null;
  // A list that is one literal is one to the cache of shapes, however long it is.
  const list = tag === "SCALARARRAYOPEXPR";
  if (list ? isList(right) : isConstant(right)) return isConstant(left) ? null : left;
  return tag === "OPEXPR" && isConstant(left) ? right : null;
}

/** How many values it compares the operand with: it is one that isSingleEquality() gave. */
export function comparedWith(
  qual: ServerNode,
  operand: ServerNode,
): { readonly values: number; readonly list: number | null } {
  let other = nodesOf(qual, "args").find((arg) => arg !== operand);
  if (tagOf(qual) !== "SCALARARRAYOPEXPR" || other === undefined) return { values: 1, list: null };
  for (let arg = other; tagOf(arg) === "RELABELTYPE"; ) {
    const [inner] = childrenOf(arg);
    if (inner === undefined) break;
    other = arg = inner;
  }
  return tagOf(other) === "PARAM"
    ? { values: 0, list: intOf(other, "paramid") }
    : { values: nodesOf(other, "elements").length, list: null };
}

/** A parameter, or written out value by value. */
function isList(node: ServerNode): boolean {
  switch (tagOf(node)) {
    case "PARAM":
      return isConstant(node);
    case "RELABELTYPE":
      return childrenOf(node).every(isList);
    case "ARRAYEXPR":
      return textOf(node, "multidims") !== "true" && isConstant(node);
    default:
      return false;
  }
}

function isConstant(node: ServerNode): boolean {
  switch (tagOf(node)) {
    case "CONST":
      return true;
    case "PARAM":
      return intOf(node, "paramkind", -1) === 0;
    case "RELABELTYPE":
      return childrenOf(node).every(isConstant);
    case "ARRAYEXPR":
      return nodesOf(node, "elements").every(isConstant);
    default:
      return false;
  }
}
