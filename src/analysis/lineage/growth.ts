/**
 * How much longer than the values of columns and the statement's own constants the result of an expression can be. A text that
 * doubles thirty times fails for want of memory, or runs out of time, where it is not empty: that tells what it was made of.
 */
import {
  intOf,
  isNode,
  itemsOf,
  type Kept,
  nodeOf,
  nodesOf,
  type ServerNode,
} from "../../sql/servertree/index.ts";
import { bytesOf, integerConstant } from "./constants.ts";
import type { CatalogFacts } from "./facts.ts";
import { childrenOf, collectNodes, tagOf } from "./nodes.ts";
import { bare, keepsSize } from "./quiet.ts";
import {
  entryOf,
  exprOf,
  kindOfEntry,
  outer,
  outputAt,
  type Scope,
  type Scopes,
  withQueryOf,
} from "./scope.ts";

/** More than this many times is not bounded. */
export const boundedGrowth = 256;

/** By pg_type oid, of a few bytes whatever they hold: bool, "char", name, numbers, oids, dates and times, uuid, addresses. */
const small: ReadonlySet<number> = new Set([
  16, 18, 19, 20, 21, 23, 26, 27, 28, 29, 700, 701, 790, 1700, 1082, 1083, 1114, 1184, 1186, 1266, 2205, 2206,
  2950, 4089, 4096, 650, 774, 829, 869,
]);
const typeFields = [
  "vartype",
  "consttype",
  "paramtype",
  "funcresulttype",
  "opresulttype",
  "resulttype",
  "aggtype",
  "wintype",
  "type",
];

/** What puts quotes, escapes or tags around its argument: each time the ones inside are doubled. */
const wrapping = /^(?:quote_|to_json|row_to_json|array_to_json|jsonb?_build_|jsonb_pretty|encode$)/;
const wrap = 4;
/** Constants are as long as a statement at most, parameters as a message: so many times that (limits.statement_bytes and message_bytes). */
const parameter = 16;
/** By pg_type oid, as long as they were written: bytea, text, xml, bpchar, varchar, and arrays of texts. */
const written: ReadonlySet<number> = new Set([17, 25, 142, 705, 1042, 1043, 2275, 1009, 1014, 1015]);
/** Of other constants twelve bytes, a number in jsonb, print as 131,072 digits: so many bytes as long as a whole statement. */
const printing = 384;

const takesApart =
  /^(?:unnest|generate_(?:series|subscripts)|jsonb?_(?:each|array_elements)(?:_text)?|jsonb?_object_keys|(?:regexp_split|string)_to_table)$/;

/** Nodes that compare, or tell something of a value. */
const telling: ReadonlySet<string> = new Set(
  "BOOLEXPR NULLTEST BOOLEANTEST ROWCOMPAREEXPR DISTINCTEXPR SCALARARRAYOPEXPR JSONISPREDICATE SQLVALUEFUNCTION".split(
    " ",
  ),
);

export interface Growth {
  /** How many times longer, at most; Infinity: who knows. Throws NotUnderstood. */
  of(expr: ServerNode, scope: Scope): number;
}

/** `isStored`: a column as some table holds it. `steps`: how many nodes one question may look at. */
export function createGrowth(
  scopes: Scopes,
  facts: CatalogFacts,
  isStored: (expr: ServerNode, scope: Scope) => boolean,
  steps = 4_000,
): Growth {
  let left = 0;

  function growth(expr: ServerNode, scope: Scope): number {
    if (--left < 0) return Number.POSITIVE_INFINITY;
    const tag = tagOf(expr);
    if (telling.has(tag) || isSmall(expr)) return 1;
    switch (tag) {
      case "CONST":
        return constant(expr);
      case "PARAM":
        return ofParameter(intOf(expr, "paramtype"));
      case "VAR":
        return isStored(expr, scope) ? 1 : column(outer(scope, intOf(expr, "varlevelsup", -1)), expr);
      case "FIELDSELECT":
        return isStored(expr, scope) ? 1 : sum(childrenOf(expr), scope);
      case "SUBLINK":
        return subLink(expr, scope);
      case "FUNCEXPR":
        return call(intOf(expr, "funcid"), expr, scope);
      case "OPEXPR":
      case "NULLIFEXPR":
        return call(facts.catalog.operator(intOf(expr, "opno"))?.func ?? 0, expr, scope);
      case "COERCEVIAIO":
      case "JSONCONSTRUCTOREXPR":
      case "XMLEXPR":
        return wrap * sum(childrenOf(expr), scope);
      case "RELABELTYPE":
      case "COLLATEEXPR":
      case "NAMEDARGEXPR":
      case "RETURNINGEXPR":
      case "CONVERTROWTYPEEXPR":
      case "ARRAYCOERCEEXPR":
      case "SUBSCRIPTINGREF":
      case "ARRAYEXPR":
      case "ROWEXPR":
      case "CASEEXPR":
      case "CASEWHEN":
      case "CASETESTEXPR":
      case "COALESCEEXPR":
      case "MINMAXEXPR":
      case "JSONVALUEEXPR":
      case "JSONFORMAT":
      case "JSONRETURNING":
        return sum(childrenOf(expr), scope);
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  function constant(node: ServerNode): number {
    if (written.has(intOf(node, "consttype"))) return 1;
    const length = bytesOf(node)?.length ?? 0;
    if (length > 0) facts.byValue?.();
    return Math.max(1, length / printing);
  }

  function ofParameter(type: number): number {
    if (written.has(type)) return parameter;
    return facts.catalog.type(type)?.kind === "e" ? 1 : Number.POSITIVE_INFINITY;
  }

  function sum(nodes: readonly ServerNode[], scope: Scope): number {
    let all = 0;
    for (const node of nodes) all += growth(node, scope);
    return Math.max(all, 1);
  }

  function call(oid: number, node: ServerNode, scope: Scope): number {
    const func = facts.catalog.func(oid);
    if (func === undefined || !func.system || func.schema !== "pg_catalog") return Number.POSITIVE_INFINITY;
    const args = nodesOf(node, "args");
    if (func.name === "lpad" || func.name === "rpad") {
      facts.byValue?.();
      const width = args[1] === undefined ? null : integerConstant(args[1]);
      return width === null ? Number.POSITIVE_INFINITY : sum(args, scope) + Math.max(width, 0) / 16;
    }
    if (!keepsSize(func.name)) return Number.POSITIVE_INFINITY;
    return (wrapping.test(func.name) ? wrap : 1) * sum(args, scope);
  }

  function subLink(link: ServerNode, scope: Scope): number {
    const select = nodeOf(link, "subselect");
    // primnodes.h, SubLinkType: EXISTS, ALL, ANY, ROWCOMPARE, EXPR, MULTIEXPR, ARRAY.
    const kind = intOf(link, "subLinkType", -1);
    if (kind >= 0 && kind <= 3) return 1;
    if (select === null || (kind !== 4 && kind !== 6)) return Number.POSITIVE_INFINITY;
    const inner = scopes.of(select, scope);
    const entry = inner.outputs[0];
    if (entry === undefined || nodeOf(select, "setOperations") !== null) return Number.POSITIVE_INFINITY;
    // An array of many rows: of stored values only.
    if (kind === 4) return growth(exprOf(entry), inner);
    return isStored(bare(exprOf(entry)), inner) ? wrap : Number.POSITIVE_INFINITY;
  }

  /** The expression behind a column of a sub-select, a WITH query, a join, VALUES. */
  function column(scope: Scope, variable: ServerNode): number {
    const entry = entryOf(scope, intOf(variable, "varno", -1));
    const attribute = intOf(variable, "varattno", 0);
    switch (kindOfEntry(entry)) {
      case "subquery":
        return output(nodeOf(entry, "subquery"), scope, attribute);
      case "cte": {
        const { cte, holder } = withQueryOf(entry, scope);
        return output(nodeOf(cte, "ctequery"), holder, attribute);
      }
      case "join":
        return listed(itemsOf(entry, "joinaliasvars")[attribute - 1], scope);
      case "group":
        return listed(itemsOf(entry, "groupexprs")[attribute - 1], scope);
      case "values":
        return Math.max(
          ...itemsOf(entry, "values_lists").map((row) => {
            const nodes: ServerNode[] = [];
            collectNodes(row, nodes);
            return listed(nodes[attribute - 1], scope);
          }),
        );
      // Whole rows of tables are as long as their columns are.
      case "relation":
        return 1;
      case "function":
        return nodesOf(entry, "functions").reduce((most, one) => Math.max(most, ofRows(one, scope)), 1);
      case "tablefunc":
      case "tuplestore":
      case "result":
        return Number.POSITIVE_INFINITY;
    }
  }

  /** A function in FROM whose rows are parts of its arguments. */
  function ofRows(entry: ServerNode, scope: Scope): number {
    const expr = nodeOf(entry, "funcexpr");
    if (expr === null || expr.tag !== "FUNCEXPR") return Number.POSITIVE_INFINITY;
    const func = facts.catalog.func(intOf(expr, "funcid"));
    return func?.system === true && func.schema === "pg_catalog" && takesApart.test(func.name)
      ? sum(nodesOf(expr, "args"), scope)
      : Number.POSITIVE_INFINITY;
  }

  function listed(item: Kept | undefined, scope: Scope): number {
    return isNode(item) ? growth(item, scope) : Number.POSITIVE_INFINITY;
  }

  function output(query: ServerNode | null, scope: Scope, attribute: number): number {
    if (query === null) return Number.POSITIVE_INFINITY;
    const inner = scopes.of(query, scope);
    if (nodeOf(query, "setOperations") !== null) return Number.POSITIVE_INFINITY;
    if (attribute === 0) return sum(inner.outputs.map(exprOf), inner);
    const entry = outputAt(inner, attribute);
    return entry === undefined ? Number.POSITIVE_INFINITY : growth(exprOf(entry), inner);
  }

  return {
    of(expr, scope) {
      left = steps;
      return growth(expr, scope);
    },
  };
}

function isSmall(expr: ServerNode): boolean {
  return typeFields.some((field) => expr.has(field) && small.has(intOf(expr, field)));
}
