/** The type of an expression of a server tree (exprType() in src/backend/nodes/nodeFuncs.c). */
import type { CatalogSnapshot } from "../../catalog/index.ts";
import { intOf, nodeOf, nodesOf, type ServerNode } from "../../sql/servertree/index.ts";
import { tagOf } from "./nodes.ts";

const bool = 16;
const int4 = 23;
const text = 25;
const xml = 142;
const record = 2249;

const fields: Readonly<Record<string, string>> = {
  VAR: "vartype",
  CONST: "consttype",
  PARAM: "paramtype",
  AGGREF: "aggtype",
  WINDOWFUNC: "wintype",
  SUBSCRIPTINGREF: "refrestype",
  FUNCEXPR: "funcresulttype",
  OPEXPR: "opresulttype",
  DISTINCTEXPR: "opresulttype",
  NULLIFEXPR: "opresulttype",
  FIELDSELECT: "resulttype",
  FIELDSTORE: "resulttype",
  RELABELTYPE: "resulttype",
  COERCEVIAIO: "resulttype",
  ARRAYCOERCEEXPR: "resulttype",
  CONVERTROWTYPEEXPR: "resulttype",
  COERCETODOMAIN: "resulttype",
  CASEEXPR: "casetype",
  CASETESTEXPR: "typeId",
  ARRAYEXPR: "array_typeid",
  ROWEXPR: "row_typeid",
  COALESCEEXPR: "coalescetype",
  MINMAXEXPR: "minmaxtype",
  SQLVALUEFUNCTION: "type",
  NEXTVALUEEXPR: "typeId",
  SETTODEFAULT: "typeId",
  COERCETODOMAINVALUE: "typeId",
  MERGESUPPORTFUNC: "msftype",
};
const booleans: ReadonlySet<string> = new Set(
  "SCALARARRAYOPEXPR BOOLEXPR ROWCOMPAREEXPR NULLTEST BOOLEANTEST JSONISPREDICATE CURRENTOFEXPR".split(" "),
);
const through: Readonly<Record<string, string>> = {
  COLLATEEXPR: "arg",
  NAMEDARGEXPR: "arg",
  RETURNINGEXPR: "retexpr",
  JSONVALUEEXPR: "formatted_expr",
  JSONBEHAVIOR: "expr",
  INFERENCEELEM: "expr",
};

/** Type oid; 0: not known. */
export function typeOf(expr: ServerNode, catalog: CatalogSnapshot): number {
  let at = expr;
  for (let i = 0; i < 1000; i++) {
    const tag = tagOf(at);
    const field = fields[tag];
    if (field !== undefined) return intOf(at, field);
    if (booleans.has(tag)) return bool;
    if (tag === "GROUPINGFUNC") return int4;
    // primnodes.h, XmlExprOp: 6 is IS_XMLSERIALIZE, 7 IS_DOCUMENT.
    if (tag === "XMLEXPR") return intOf(at, "op") === 7 ? bool : intOf(at, "op") === 6 ? text : xml;
    if (tag === "JSONCONSTRUCTOREXPR" || tag === "JSONEXPR") {
      const returning = nodeOf(at, "returning");
      return returning === null ? 0 : intOf(returning, "typid");
    }
    if (tag === "SUBLINK") return subLinkType(at, catalog);
    const next = through[tag];
    const inner = next === undefined ? null : nodeOf(at, next);
    if (inner === null) return 0;
    at = inner;
  }
  return 0;
}

function subLinkType(link: ServerNode, catalog: CatalogSnapshot): number {
  const kind = intOf(link, "subLinkType", -1);
  // primnodes.h, SubLinkType: 4 scalar, 5 several columns, 6 array; the others are tests.
  if (kind !== 4 && kind !== 6) return kind === 5 ? record : bool;
  const select = nodeOf(link, "subselect");
  const [first] = select === null ? [] : nodesOf(select, "targetList");
  const expr = first === undefined ? null : nodeOf(first, "expr");
  if (expr === null) return 0;
  const type = typeOf(expr, catalog);
  if (kind === 4) return type;
  const facts = catalog.type(type);
  if (facts === undefined) return 0;
  if (facts.array !== 0) return facts.array;
  return facts.category === "A" ? type : 0;
}

/** What RowDescription says of a type: domains show as what they are made of (SendRowDescription in printtup.c). */
export function shownType(type: number, catalog: CatalogSnapshot): number {
  let at = type;
  for (let i = 0; i < 64; i++) {
    const base = catalog.type(at)?.base ?? 0;
    if (base === 0) return at;
    at = base;
  }
  return 0;
}
