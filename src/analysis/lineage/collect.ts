/** One pass over every node of a statement's trees: is it understood, and which objects does it name by oid. */

import { type CatalogSnapshot, firstNormalOid, partReaders } from "../../catalog/index.ts";
import { boolOf, intOf, nodeOf, nodesOf, numbersOf, type ServerNode } from "../../sql/servertree/index.ts";
import { childrenOf, surpriseIn, tagOf } from "./nodes.ts";
import { viewOf } from "./scope.ts";
import { attributesOf } from "./trace.ts";
import { typeOf } from "./types.ts";

/** A relation as a range table names it, with the privileges that PostgreSQL will check (parsenodes.h, RTEPermissionInfo). */
export interface RelationUse {
  readonly relation: number;
  readonly required: number;
  readonly inserted: readonly number[];
  readonly updated: readonly number[];
}

export interface Collected {
  /** "TAG" or "TAG.field" of what is not understood, each once. */
  readonly surprises: ReadonlySet<string>;
  /** Functions that are called by name or as a cast. */
  readonly functions: ReadonlySet<number>;
  /** Functions that only PostgreSQL's own views call: what those views show is decided by their columns. */
  readonly viewFunctions: ReadonlySet<number>;
  /** How often set_config is called; Infinity: a constant names it. */
  readonly settingCalls: number;
  /** Functions that stand behind something else (operators' functions, sampling methods, window frames). */
  readonly hidden: ReadonlySet<number>;
  readonly operators: ReadonlySet<number>;
  /** Types whose values are read from or written as text, or checked. */
  readonly types: ReadonlySet<number>;
  /** Types of the database's own that values have before anything is made of them. */
  readonly valueTypes: ReadonlySet<number>;
  readonly permissions: readonly RelationUse[];
  /** Relations that rows are taken from; their relkind as the server had it. */
  readonly relations: ReadonlyMap<number, string>;
  /** Relations that the statement reaches itself, or through views that are not PostgreSQL's own. */
  readonly reached: ReadonlySet<number>;
  /** Relations in a FROM clause. */
  readonly scanned: ReadonlySet<number>;
  /** Relations that INSERT, UPDATE, DELETE or MERGE name. */
  readonly targets: ReadonlySet<number>;
  readonly locks: boolean;
  /** An identity column takes the next value of its sequence. */
  readonly sequences: boolean;
  /** Types of $1, $2 …; 0: not used. */
  readonly parameterTypes: readonly number[];
}

const record = 2249;
const jsonWriters = /^(?:to_jsonb?|row_to_json|array_to_json|jsonb?_(?:build_|agg|object_agg).*)$/;

const regproc = 24;
const regprocedure = 2202;
const regoper = 2203;
const regoperator = 2204;

const listFunctions = ["opfuncid", "hashfuncid", "negfuncid"] as const;

/** The value of a constant of an oid type; 0: none. */
function oidOf(node: ServerNode): number {
  const value = node.kept("constvalue");
  if (typeof value !== "object" || value === null || value.kind !== "datum") return 0;
  const bytes = value.text.trim().split(/\s+/).map(Number);
  // A Datum's bytes as the server's machine orders them.
  const low = bytes.slice(0, 4);
  const little = low.some((byte) => byte !== 0) ? low : bytes.slice(-4).reverse();
  return little.reduce((oid, byte, i) => oid + (byte & 0xff) * 2 ** (8 * i), 0);
}

export function collect(queries: readonly ServerNode[], catalog: CatalogSnapshot): Collected {
  const surprises = new Set<string>();
  const functions = new Set<number>();
  const viewFunctions = new Set<number>();
  const hidden = new Set<number>();
  const operators = new Set<number>();
  const types = new Set<number>();
  const valueTypes = new Set<number>();
  const permissions: RelationUse[] = [];
  const relations = new Map<number, string>();
  const reached = new Set<number>();
  const scanned = new Set<number>();
  const targets = new Set<number>();
  const parameters = new Map<number, number>();
  let locks = false;
  let sequences = false;
  let settingCalls = 0;

  function addTo(set: Set<number>, oid: number): void {
    if (oid !== 0) set.add(oid);
  }

  /** Values of types that have a cast to json are written by that (json.c, json_categorize_type), wherever they stand in others. */
  function jsonCasts(node: ServerNode): void {
    for (const { source, func } of catalog.jsonCasts)
      if (nodesOf(node, "args").some((child) => mayHold(catalog, argumentType(child, catalog), source)))
        addTo(hidden, func);
  }

  function valued(type: number): void {
    if (type >= firstNormalOid) valueTypes.add(type);
  }

  function visit(node: ServerNode, inSystemView: boolean): void {
    const called = inSystemView ? viewFunctions : functions;
    switch (tagOf(node)) {
      case "VAR":
        valued(intOf(node, "vartype"));
        break;
      case "ROWEXPR":
        valued(intOf(node, "row_typeid"));
        break;
      case "CONVERTROWTYPEEXPR":
        valued(intOf(node, "resulttype"));
        break;
      case "FUNCEXPR":
        valued(intOf(node, "funcresulttype"));
        addTo(called, intOf(node, "funcid"));
        if (populates(catalog, intOf(node, "funcid"))) addTo(types, intOf(node, "funcresulttype"));
        if (writesJson(catalog, intOf(node, "funcid"))) jsonCasts(node);
        if (isSetConfig(catalog, intOf(node, "funcid"))) settingCalls++;
        break;
      case "AGGREF":
        addTo(called, intOf(node, "aggfnoid"));
        if (writesJson(catalog, intOf(node, "aggfnoid"))) jsonCasts(node);
        break;
      case "WINDOWFUNC":
        addTo(called, intOf(node, "winfnoid"));
        if (writesJson(catalog, intOf(node, "winfnoid"))) jsonCasts(node);
        break;
      case "OPEXPR":
      case "DISTINCTEXPR":
      case "NULLIFEXPR":
        addTo(operators, intOf(node, "opno"));
        addTo(hidden, intOf(node, "opfuncid"));
        if (populates(catalog, intOf(node, "opfuncid"))) addTo(types, intOf(node, "opresulttype"));
        break;
      case "SCALARARRAYOPEXPR":
        addTo(operators, intOf(node, "opno"));
        for (const field of listFunctions) addTo(hidden, intOf(node, field));
        break;
      case "ROWCOMPAREEXPR":
        for (const oid of numbersOf(node, "opnos")) addTo(operators, oid);
        break;
      case "SORTGROUPCLAUSE":
        addTo(operators, intOf(node, "eqop"));
        addTo(operators, intOf(node, "sortop"));
        break;
      case "CTECYCLECLAUSE":
        addTo(operators, intOf(node, "cycle_mark_neop"));
        break;
      case "WINDOWCLAUSE":
        addTo(hidden, intOf(node, "startInRangeFunc"));
        addTo(hidden, intOf(node, "endInRangeFunc"));
        break;
      case "TABLESAMPLECLAUSE":
        addTo(hidden, intOf(node, "tsmhandler"));
        break;
      case "COERCEVIAIO": {
        const arg = nodeOf(node, "arg");
        addTo(types, intOf(node, "resulttype"));
        valued(intOf(node, "resulttype"));
        if (arg !== null) addTo(types, typeOf(arg, catalog));
        break;
      }
      case "COERCETODOMAIN":
        addTo(types, intOf(node, "resulttype"));
        valued(intOf(node, "resulttype"));
        break;
      case "CONST":
        constant(node, inSystemView);
        break;
      case "PARAM":
        valued(intOf(node, "paramtype"));
        if (intOf(node, "paramkind", -1) === 0)
          parameters.set(intOf(node, "paramid"), intOf(node, "paramtype"));
        break;
      // What json, xml and row functions make values of while they run.
      case "JSONRETURNING":
        addTo(types, intOf(node, "typid"));
        valued(intOf(node, "typid"));
        break;
      case "JSONCONSTRUCTOREXPR":
        jsonCasts(node);
        break;
      case "TABLEFUNC":
        for (const oid of numbersOf(node, "coltypes")) {
          addTo(types, oid);
          valued(oid);
        }
        break;
      case "RANGETBLFUNCTION":
        for (const oid of numbersOf(node, "funccoltypes")) {
          addTo(types, oid);
          valued(oid);
        }
        break;
      case "NEXTVALUEEXPR":
        sequences = true;
        break;
      case "ROWMARKCLAUSE":
        locks = true;
        break;
      case "RANGETBLENTRY":
        rangeTable(node, inSystemView);
        break;
      case "RTEPERMISSIONINFO":
        permission(node);
        break;
      case "QUERY":
        query(node);
        break;
    }
  }

  /** 'pg_sleep'::regproc names a function as well as a call does. */
  function constant(node: ServerNode, inSystemView: boolean): void {
    const type = intOf(node, "consttype");
    valued(type);
    // A literal of a row, array or range was read as one when the server parsed it; those of initdb's types run nothing of the database's own.
    if (type >= firstNormalOid && !boolOf(node, "constisnull")) addTo(types, type);
    const isOperator = type === regoper || type === regoperator;
    if (!isOperator && type !== regproc && type !== regprocedure) return;
    const oid = oidOf(node);
    // Drivers ask which types are read by array_in: to name it runs nothing.
    const name = isOperator ? undefined : catalog.func(oid);
    const asked = name?.schema === "pg_catalog" && partReaders.has(name.name);
    if (!inSystemView && !asked) addTo(isOperator ? operators : functions, oid);
    if (isSetConfig(catalog, oid)) settingCalls = Number.POSITIVE_INFINITY;
  }

  function permission(node: ServerNode): void {
    permissions.push({
      relation: intOf(node, "relid"),
      required: intOf(node, "requiredPerms"),
      inserted: attributesOf(node, "insertedCols"),
      updated: attributesOf(node, "updatedCols"),
    });
  }

  function rangeTable(node: ServerNode, inSystemView: boolean): void {
    if (!inSystemView && intOf(node, "rtekind", -1) === 1) addTo(reached, viewOf(node));
    const relation = intOf(node, "relid");
    if (relation === 0) return;
    if (!inSystemView) reached.add(relation);
    const kind = node.kept("relkind");
    // A view's own subquery bears its oid from PostgreSQL 16 on.
    relations.set(relation, typeof kind === "string" ? kind : "v");
    // Up to PostgreSQL 15 the entry itself holds the privileges.
    if (node.has("requiredPerms")) permission(node);
    if (boolOf(node, "inFromCl")) scanned.add(relation);
  }

  function query(node: ServerNode): void {
    const result = intOf(node, "resultRelation");
    if (result === 0) return;
    const target = nodesOf(node, "rtable")[result - 1];
    if (target !== undefined) addTo(targets, intOf(target, "relid"));
  }

  function isSystemView(node: ServerNode): boolean {
    if (tagOf(node) !== "RANGETBLENTRY" || intOf(node, "rtekind", -1) !== 1) return false;
    const view = viewOf(node);
    return view !== 0 && catalog.relation(view)?.system === true;
  }

  // Two stacks instead of one flag for each node.
  const open: ServerNode[] = [...queries];
  const insideViews: ServerNode[] = [];
  for (;;) {
    const own = open.pop();
    const node = own ?? insideViews.pop();
    if (node === undefined) break;
    const surprise = surpriseIn(node);
    if (surprise !== null) surprises.add(surprise);
    const inside = own === undefined;
    visit(node, inside);
    const into = inside || isSystemView(node) ? insideViews : open;
    for (const child of childrenOf(node)) into.push(child);
  }
  const count = Math.min(Math.max(0, ...parameters.keys()), 65535);
  return {
    surprises,
    functions,
    viewFunctions,
    settingCalls,
    hidden,
    operators,
    types,
    valueTypes,
    permissions,
    relations,
    reached,
    scanned,
    targets,
    locks,
    sequences,
    parameterTypes: Array.from({ length: count }, (_, i) => parameters.get(i + 1) ?? 0),
  };
}

/** The function that sets what its first argument names. */
export function isSetConfig(catalog: CatalogSnapshot, oid: number): boolean {
  const func = oid === 0 ? undefined : catalog.func(oid);
  return func !== undefined && func.name === "set_config" && func.schema === "pg_catalog";
}

/** Functions that make of json, jsonb or hstore a value of the row type that they are given. */
const populating: ReadonlySet<string> = new Set([
  "json_populate_record",
  "json_populate_recordset",
  "jsonb_populate_record",
  "jsonb_populate_recordset",
  "jsonb_populate_record_valid",
  "populate_record",
]);

function populates(catalog: CatalogSnapshot, oid: number): boolean {
  const func = oid === 0 ? undefined : catalog.func(oid);
  return func !== undefined && populating.has(func.name);
}

function writesJson(catalog: CatalogSnapshot, oid: number): boolean {
  // Nearly no database has any.
  if (catalog.jsonCasts.length === 0) return false;
  const func = catalog.func(oid);
  return func?.system === true && jsonWriters.test(func.name);
}

/** Arguments of aggregates stand in entries of a list. */
function argumentType(node: ServerNode, catalog: CatalogSnapshot): number {
  const entry = tagOf(node) === "TARGETENTRY" ? nodeOf(node, "expr") : node;
  return entry === null ? 0 : typeOf(entry, catalog);
}

/** A value of the type is one of the other, or may hold one; 0: not known. */
function mayHold(catalog: CatalogSnapshot, type: number, other: number): boolean {
  const seen = new Set([type]);
  for (const oid of seen) {
    if (oid === 0 || oid === record || oid === other) return true;
    const facts = catalog.type(oid);
    if (facts === undefined) return true;
    const columns = catalog.relation(facts.relation)?.columns ?? [];
    for (const part of [facts.element, facts.base, ...columns.map((column) => column.type)])
      if (part !== 0) seen.add(part);
  }
  return false;
}
