import type { Kept, ServerNode } from "../../sql/servertree/index.ts";

/**
 * The nodes of a server tree that are understood, each with its fields (PostgreSQL 14 to 18: src/include/nodes/primnodes.h and
 * parsenodes.h). `*` marks a field that may hold nodes; all others hold scalars. A node or field that is not listed here
 * makes the statement one that is not understood: a new server version is read field by field before it is trusted.
 */
const grammar: Readonly<Record<string, string>> = {
  AGGREF: `aggfnoid aggtype aggcollid inputcollid aggtranstype aggargtypes aggdirectargs* args* aggorder*
    aggdistinct* aggfilter* aggstar aggvariadic aggkind agglevelsup aggsplit aggno aggtransno location
    aggpresorted`,
  ALIAS: "aliasname colnames*",
  ARRAYCOERCEEXPR: "arg* elemexpr* resulttype resulttypmod resultcollid coerceformat location",
  ARRAYEXPR: "array_typeid array_collid element_typeid elements* multidims location list_start list_end",
  BOOLEANTEST: "arg* booltesttype location",
  BOOLEXPR: "boolop args* location",
  CASEEXPR: "casetype casecollid arg* args* defresult* location",
  CASETESTEXPR: "typeId typeMod collation",
  CASEWHEN: "expr* result* location",
  COALESCEEXPR: "coalescetype coalescecollid args* location",
  COERCETODOMAIN: "arg* resulttype resulttypmod resultcollid coercionformat location",
  COERCEVIAIO: "arg* resulttype resultcollid coerceformat location",
  COLLATEEXPR: "arg* collOid location",
  COMMONTABLEEXPR: `ctename aliascolnames* ctematerialized ctequery* search_clause* cycle_clause* location cterecursive
    cterefcount ctecolnames* ctecoltypes ctecoltypmods ctecolcollations`,
  CONST: "consttype consttypmod constcollid constlen constbyval constisnull location constvalue",
  CONVERTROWTYPEEXPR: "arg* resulttype convertformat location",
  CTECYCLECLAUSE: `cycle_col_list* cycle_mark_column cycle_mark_value* cycle_mark_default* cycle_path_column location
    cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop`,
  CTESEARCHCLAUSE: "search_col_list* search_breadth_first search_seq_column location",
  CURRENTOFEXPR: "cvarno cursor_name cursor_param",
  DISTINCTEXPR: "opno opfuncid opresulttype opretset opcollid inputcollid args* location",
  FIELDSELECT: "arg* fieldnum resulttype resulttypmod resultcollid",
  FIELDSTORE: "arg* newvals* fieldnums resulttype",
  FROMEXPR: "fromlist* quals*",
  FUNCEXPR: `funcid funcresulttype funcretset funcvariadic funcformat funccollid inputcollid args* location`,
  GROUPINGFUNC: "args* refs cols agglevelsup location",
  GROUPINGSET: "kind content* location",
  INFERENCEELEM: "expr* infercollid inferopclass",
  JOINEXPR: "jointype isNatural larg* rarg* usingClause* join_using_alias* quals* alias* rtindex",
  JSONBEHAVIOR: "btype expr* coerce location",
  JSONCONSTRUCTOREXPR: "type args* func* coercion* returning* absent_on_null unique location",
  JSONEXPR: `op column_name formatted_expr* format* path_spec* returning* passing_names* passing_values*
    on_empty* on_error* use_io_coercion use_json_coercion wrapper omit_quotes collation location`,
  JSONFORMAT: "format_type encoding location",
  JSONISPREDICATE: "expr* format* item_type unique_keys location",
  JSONRETURNING: "format* typid typmod",
  JSONTABLEPATH: "value* name",
  JSONTABLEPATHSCAN: "path* errorOnError child* colMin colMax",
  JSONTABLESIBLINGJOIN: "lplan* rplan*",
  JSONVALUEEXPR: "raw_expr* formatted_expr* format*",
  MERGEACTION: "matched commandType override qual* targetList* updateColnos matchKind",
  MERGESUPPORTFUNC: "msftype msfcollid location",
  MINMAXEXPR: "minmaxtype minmaxcollid inputcollid op args* location",
  NAMEDARGEXPR: "arg* name argnumber location",
  NEXTVALUEEXPR: "seqid typeId",
  NULLIFEXPR: "opno opfuncid opresulttype opretset opcollid inputcollid args* location",
  NULLTEST: "arg* nulltesttype argisrow location",
  ONCONFLICTEXPR: `action arbiterElems* arbiterWhere* constraint onConflictSet* onConflictWhere* exclRelIndex
    exclRelTlist*`,
  OPEXPR: "opno opfuncid opresulttype opretset opcollid inputcollid args* location",
  PARAM: "paramkind paramid paramtype paramtypmod paramcollid location",
  QUERY: `commandType querySource canSetTag utilityStmt resultRelation hasAggs hasWindowFuncs hasTargetSRFs
    hasSubLinks hasDistinctOn hasRecursive hasModifyingCTE hasForUpdate hasRowSecurity isReturn cteList*
    rtable* jointree* targetList* override onConflict* returningList* groupClause* groupDistinct
    groupingSets* havingQual* windowClause* distinctClause* sortClause* limitOffset* limitCount*
    limitOption rowMarks* setOperations* constraintDeps withCheckOptions* stmt_location stmt_len
    mergeActionList* mergeUseOuterJoin rteperminfos* mergeTargetRelation mergeJoinCondition* hasGroupRTE
    returningOldAlias returningNewAlias`,
  RANGETBLENTRY: `alias* eref* rtekind relid relkind rellockmode tablesample* lateral inh inFromCl requiredPerms
    checkAsUser selectedCols insertedCols updatedCols extraUpdatedCols securityQuals* jointype
    joinmergedcols joinaliasvars* joinleftcols joinrightcols join_using_alias* subquery*
    security_barrier ctename ctelevelsup self_reference coltypes coltypmods colcollations functions*
    funcordinality tablefunc* values_lists* perminfoindex groupexprs* enrname enrtuples`,
  RANGETBLFUNCTION: `funcexpr* funccolcount funccolnames* funccoltypes funccoltypmods funccolcollations funcparams`,
  RANGETBLREF: "rtindex",
  RELABELTYPE: "arg* resulttype resulttypmod resultcollid relabelformat location",
  RETURNINGEXPR: "retlevelsup retold retexpr*",
  ROWCOMPAREEXPR: "rctype opnos opfamilies inputcollids largs* rargs* cmptype",
  ROWEXPR: "args* row_typeid row_format colnames* location",
  ROWMARKCLAUSE: "rti strength waitPolicy pushedDown",
  RTEPERMISSIONINFO: "relid inh requiredPerms checkAsUser selectedCols insertedCols updatedCols",
  SCALARARRAYOPEXPR: "opno opfuncid hashfuncid useOr inputcollid args* location negfuncid",
  SETOPERATIONSTMT: "op all larg* rarg* colTypes colTypmods colCollations groupClauses*",
  SETTODEFAULT: "typeId typeMod collation location",
  COERCETODOMAINVALUE: "typeId typeMod collation location",
  SORTGROUPCLAUSE: "tleSortGroupRef eqop sortop nulls_first hashable reverse_sort",
  SQLVALUEFUNCTION: "op type typmod location",
  SUBLINK: "subLinkType subLinkId testexpr* operName* subselect* location",
  SUBSCRIPTINGREF: `refcontainertype refelemtype refrestype reftypmod refcollid refupperindexpr* reflowerindexpr*
    refexpr* refassgnexpr*`,
  TABLEFUNC: `ns_uris* ns_names* docexpr* rowexpr* colnames* coltypes coltypmods colcollations colexprs*
    coldefexprs* notnulls ordinalitycol location functype colvalexprs* passingvalexprs* plan*`,
  TABLESAMPLECLAUSE: "tsmhandler args* repeatable*",
  TARGETENTRY: "expr* resno resname ressortgroupref resorigtbl resorigcol resjunk",
  VAR: `varno varattno vartype vartypmod varcollid varlevelsup varnosyn varattnosyn location varnullingrels
    varreturningtype`,
  WINDOWCLAUSE: `name refname partitionClause* orderClause* frameOptions startOffset* endOffset* startInRangeFunc
    endInRangeFunc inRangeColl inRangeAsc inRangeNullsFirst winref copiedOrder runCondition`,
  WINDOWFUNC: `winfnoid wintype wincollid inputcollid args* aggfilter* winref winstar winagg location runCondition`,
  WITHCHECKOPTION: "kind relname polname qual* cascaded",
  XMLEXPR: "op name named_args* arg_names* args* xmloption type typmod location indent",
};

/** Names of the same nodes in PostgreSQL 14. */
const formerTags: Readonly<Record<string, string>> = {
  ARRAY: "ARRAYEXPR",
  CASE: "CASEEXPR",
  COALESCE: "COALESCEEXPR",
  COLLATE: "COLLATEEXPR",
  MINMAX: "MINMAXEXPR",
  ROW: "ROWEXPR",
  ROWCOMPARE: "ROWCOMPAREEXPR",
  RTE: "RANGETBLENTRY",
  WHEN: "CASEWHEN",
};

/** Fields without which a node says nothing: their absence is a surprise, too. */
const required: Readonly<Record<string, string>> = {
  AGGREF: "aggfnoid",
  COMMONTABLEEXPR: "ctename ctequery cterecursive",
  FUNCEXPR: "funcid funcretset",
  OPEXPR: "opno opretset",
  PARAM: "paramkind paramid",
  QUERY:
    "commandType canSetTag resultRelation rtable jointree targetList returningList setOperations hasTargetSRFs",
  RANGETBLENTRY: "rtekind securityQuals",
  SUBLINK: "subLinkType subselect testexpr",
  TARGETENTRY: "expr resno ressortgroupref resjunk",
  VAR: "varno varattno varlevelsup",
  WINDOWFUNC: "winfnoid winref",
};

interface NodeGrammar {
  readonly tag: string;
  readonly scalars: ReadonlySet<string>;
  readonly nodes: ReadonlySet<string>;
  readonly required: readonly string[];
}

const table = new Map<string, NodeGrammar>();
for (const [tag, text] of Object.entries(grammar)) {
  const names = text.split(/\s+/);
  table.set(tag, {
    tag,
    nodes: new Set(names.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1))),
    scalars: new Set(names.filter((name) => !name.endsWith("*"))),
    required: required[tag]?.split(" ") ?? [],
  });
}
for (const [former, tag] of Object.entries(formerTags)) {
  const entry = table.get(tag);
  if (entry !== undefined) table.set(former, entry);
}

/** What all nodes of one layout are. */
interface Shape {
  /** As PostgreSQL 15 and later spell it. */
  readonly tag: string;
  readonly surprise: string | null;
  /** Places of the fields that may hold nodes. */
  readonly open: readonly number[];
}
/** By the layouts' numbers. */
const shapes: (Shape | undefined)[] = [];

function shapeOf({ layout }: ServerNode): Shape {
  const known = layout.id === -1 ? undefined : shapes[layout.id];
  if (known !== undefined) return known;
  const shape = readShape(layout.tag, layout.names);
  if (layout.id !== -1) shapes[layout.id] = shape;
  return shape;
}

function readShape(tag: string, names: readonly string[]): Shape {
  const entry = table.get(tag);
  const strange = names.find((name) => entry?.nodes.has(name) !== true && entry?.scalars.has(name) !== true);
  const missing = entry?.required.find((name) => !names.includes(name));
  return {
    tag: entry?.tag ?? tag,
    surprise:
      entry === undefined
        ? shown(tag)
        : strange !== undefined
          ? `${tag}.${shown(strange)}`
          : missing !== undefined
            ? `${tag}.${missing}`
            : null,
    open: names.flatMap((name, i) => (entry?.nodes.has(name) === true ? [i] : [])),
  };
}

/** The tag as PostgreSQL 15 and later spell it. */
export function tagOf(node: ServerNode): string {
  return shapeOf(node).tag;
}

/** What is not understood about a node itself, as "TAG" or "TAG.field"; null: nothing. */
export function surpriseIn(node: ServerNode): string | null {
  const { surprise, open } = shapeOf(node);
  if (surprise !== null) return surprise;
  let holders = 0;
  if (node.holders > 0) for (const place of open) if (holdsNodes(node.values[place])) holders++;
  if (holders === node.holders) return null;
  const at = node.values.findIndex((value, i) => !open.includes(i) && holdsNodes(value));
  return `${node.tag}.${node.layout.names[at]}`;
}

function holdsNodes(value: Kept | undefined): boolean {
  return typeof value === "object" && value !== null && (value.kind === "node" || value.kind === "list");
}

/** Tags and fields are identifiers of PostgreSQL's source; anything else is not repeated. */
function shown(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name) ? name : "?";
}

/** The nodes in a node's fields, those in lists (also lists of lists) too. */
export function childrenOf(node: ServerNode): readonly ServerNode[] {
  return node.children;
}

/** The nodes in a value. */
export function collectNodes(value: Kept | undefined, into: ServerNode[]): void {
  if (typeof value !== "object" || value === null) return;
  if (value.kind === "node") into.push(value);
  else if (value.kind === "list") for (const item of value.items) collectNodes(item, into);
}
