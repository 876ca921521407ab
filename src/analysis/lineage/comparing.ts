/**
 * What comparisons fail by: a collation that is not decided, which is told only when two texts are compared, and types whose values
 * are compared part by part, of which a later part may be what cannot be compared (PostgreSQL source, rowtypes.c, arrayfuncs.c).
 */
import { type CatalogSnapshot, firstNormalOid } from "../../catalog/index.ts";
import {
  intOf,
  isNode,
  itemsOf,
  nodeOf,
  nodesOf,
  numbersOf,
  type ServerNode,
} from "../../sql/servertree/index.ts";
import { tagOf } from "./nodes.ts";
import { entryOf, exprOf, kindOfEntry, outer, outputAt, type Scope, type Scopes } from "./scope.ts";
import { typeOf } from "./types.ts";

/** By pg_type oid: types of PostgreSQL's own, any two values of which it can compare. */
const scalars: ReadonlySet<number> = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 27, 28, 650, 700, 701, 774, 790, 829, 869, 1042, 1043, 1082, 1083, 1114,
  1184, 1186, 1266, 1560, 1562, 1700, 2950, 3220, 3614, 3615, 3802, 5069,
]);
/** "char" has no collation. */
const char = 18;

/** Any two values of the type can be compared: numbers, texts, dates, enums … and arrays of them. Rows cannot: their columns may differ. */
export function isComparable(type: number, catalog: CatalogSnapshot): boolean {
  const facts = partOf(type, catalog);
  return facts !== undefined && (scalars.has(facts.oid) || "erm".includes(facts.kind));
}

/** What the type is under domains, or of which it is an array. */
function partOf(type: number, catalog: CatalogSnapshot) {
  let at = catalog.type(type);
  for (let i = 0; i < 64 && at !== undefined; i++) {
    const next = at.base !== 0 ? at.base : at.category === "A" ? at.element : 0;
    if (next === 0) return at;
    at = catalog.type(next);
  }
  return undefined;
}

function isCollatable(type: number, catalog: CatalogSnapshot): boolean {
  const facts = partOf(type, catalog);
  return facts === undefined || (facts.category === "S" && facts.oid !== char);
}

/** Whether the collation that texts among its arguments are compared by is known: where columns of two meet, it is not. */
export function isCollated(node: ServerNode, args: readonly ServerNode[], catalog: CatalogSnapshot): boolean {
  return intOf(node, "inputcollid") !== 0 || !args.some((arg) => isCollatable(typeOf(arg, catalog), catalog));
}

/** A comparison of rows, column by column, of which no column fails. */
export function comparesColumns(node: ServerNode, catalog: CatalogSnapshot): boolean {
  const collations = numbersOf(node, "inputcollids");
  return [nodesOf(node, "largs"), nodesOf(node, "rargs")].every((side) =>
    side.every((arg, i) => {
      const type = typeOf(arg, catalog);
      return isComparable(type, catalog) && ((collations[i] ?? 0) !== 0 || !isCollatable(type, catalog));
    }),
  );
}

/** A collation that initdb did not make: of those some take different texts for equal, and do not search in them. */
export function isOwnCollation(node: ServerNode): boolean {
  return intOf(node, "inputcollid") >= firstNormalOid;
}

/** Compares by a collation of PostgreSQL's own, or by that of the column which the operand is. */
export function comparesAsStored(
  qual: ServerNode,
  operand: ServerNode,
  scope: Scope,
  scopes: Scopes,
): boolean {
  if (!isOwnCollation(qual)) return true;
  const collation = intOf(qual, "inputcollid");
  let at: ServerNode | null = operand;
  let within = scope;
  for (let i = 0; i < 100 && at !== null; i++) {
    if (tagOf(at) === "RELABELTYPE") {
      at = nodeOf(at, "arg");
      continue;
    }
    if (at.tag !== "VAR" || intOf(at, "varcollid") !== collation) return false;
    within = outer(within, intOf(at, "varlevelsup", -1));
    const entry = entryOf(within, intOf(at, "varno", -1));
    switch (kindOfEntry(entry)) {
      case "relation":
        return true;
      case "subquery": {
        const query = nodeOf(entry, "subquery");
        if (query === null || nodeOf(query, "setOperations") !== null) return false;
        within = scopes.of(query, within);
        const output = outputAt(within, intOf(at, "varattno", -1));
        at = output === undefined ? null : exprOf(output);
        break;
      }
      case "join":
        at = aliased(entry, intOf(at, "varattno", 0));
        break;
      default:
        return false;
    }
  }
  return false;
}

function aliased(join: ServerNode, attribute: number): ServerNode | null {
  const alias = itemsOf(join, "joinaliasvars")[attribute - 1];
  return isNode(alias) ? alias : null;
}
