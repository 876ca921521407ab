/**
 * Expressions that may be worked out from a hidden value without telling of it by anything but their own value: whether they fail,
 * and what else is worked out, does not depend on it. A closed list (PostgreSQL manual, chapter "Functions and Operators"):
 * arithmetic overflows, casts and patterns fail, and CASE goes one way or the other.
 */
import { intOf, nodeOf, nodesOf, type ServerNode, textOf } from "../../sql/servertree/index.ts";
import type { CatalogFacts } from "./facts.ts";
import { tagOf } from "./nodes.ts";

/** Nodes that hand on, or put together, what stands in them. */
const plain: ReadonlySet<string> = new Set(
  `RELABELTYPE COLLATEEXPR NAMEDARGEXPR RETURNINGEXPR FIELDSELECT FIELDSTORE ROWEXPR NULLTEST BOOLEANTEST ARRAYCOERCEEXPR
  CONVERTROWTYPEEXPR JSONVALUEEXPR JSONFORMAT JSONRETURNING JSONISPREDICATE JSONBEHAVIOR`.split(/\s+/),
);

/** Of pg_catalog, whatever the arguments are. None makes much more of a text than it was: sizes are seen. */
const total: ReadonlySet<string> = new Set(
  `upper lower initcap length char_length character_length octet_length bit_length reverse left right btrim ltrim rtrim
  concat concat_ws textcat textanycat anytextcat byteacat translate strpos position textpos starts_with ascii md5 sha224 sha256
  sha384 sha512 quote_ident quote_literal quote_nullable string_to_array text varchar bpchar name pg_typeof pg_column_size
  hashtext isfinite host family masklen abbrev isempty
  round floor ceil ceiling trunc sign
  jsonb_object_field jsonb_object_field_text jsonb_array_element jsonb_array_element_text jsonb_extract_path
  jsonb_extract_path_text json_object_field json_object_field_text json_array_element json_array_element_text
  json_extract_path json_extract_path_text jsonb_contains jsonb_contained jsonb_exists jsonb_exists_any jsonb_exists_all
  jsonb_path_exists_opr jsonb_path_match_opr jsonb_typeof json_typeof jsonb_strip_nulls json_strip_nulls jsonb_pretty
  to_json to_jsonb row_to_json array_to_json json_build_array jsonb_build_array
  array_length array_ndims array_upper array_lower cardinality arraycontains arraycontained arrayoverlap
  strip tsvector_to_array ts_match_vq ts_match_qv`.split(/\s+/),
);
/** These with this many arguments only; the others name an encoding or a width. */
const arity: ReadonlyMap<string, number> = new Map([
  ["length", 1],
  ["round", 1],
  ["trunc", 1],
]);

const comparison =
  /^(?:text|bpchar|name|char|bool|bytea|bit|varbit|oid|int[248]{1,2}|float[48]{1,2}|numeric|cash|date|time|timetz|timestamp|timestamptz|interval|uuid|network|macaddr8?|jsonb|array|record|enum|range|tsvector|pg_lsn)_?(?:eq|ne|lt|le|gt|ge)(?:_?(?:text|name|date|timestamp|timestamptz))?$/;

/** In one argument, where all others are constants: its number. */
const inOne: ReadonlyMap<string, number> = new Map([
  ...`substr substring split_part lpad rpad encode to_char regexp_match regexp_like textregexeq textregexne texticregexeq
  texticregexne round trunc`
    .split(/\s+/)
    .map((name) => [name, 0] as const),
  ...["date_part", "date_trunc", "extract"].map((name) => [name, 1] as const),
]);

/** Casts to a type that holds every value of the other, by pg_type oid: bool, int8, int2, int4, float4, float8, numeric. */
const widening: ReadonlyMap<string, readonly number[]> = new Map([
  ["bool", [23]],
  ["int4", [16, 21]],
  ["int8", [21, 23]],
  ["float8", [20, 21, 23, 700]],
  ["numeric", [20, 21, 23]],
  ["date", [1114, 1184]],
]);

/** Types that any text can be written into. */
const texts: ReadonlySet<number> = new Set([18, 19, 25, 1042, 1043, 2275]);
const lastSystemOid = 16_383;

/** Which of its children a node only looks at in a way that tells nothing: all, or those listed. */
export type Quiet = "all" | ReadonlySet<ServerNode>;
const none: Quiet = new Set();

/** Gives the children of a node that it looks at in such a way; none for whatever is not on the list. */
export function quietChildren(node: ServerNode, facts: CatalogFacts): Quiet {
  const tag = tagOf(node);
  if (plain.has(tag)) return "all";
  switch (tag) {
    case "ARRAYEXPR":
      // Arrays of arrays must be of one size.
      return textOf(node, "multidims") === "true" ? none : "all";
    case "BOOLEXPR":
      return textOf(node, "boolop") === "not" ? "all" : none;
    case "CASEEXPR":
      return only(nodeOf(node, "defresult"), ...nodesOf(node, "args"));
    case "CASEWHEN":
      return only(nodeOf(node, "result"));
    case "COALESCEEXPR": {
      const args = nodesOf(node, "args");
      return only(...args.filter((arg, i) => i === args.length - 1 || bare(arg).tag === "VAR"));
    }
    case "MINMAXEXPR":
      return intOf(node, "minmaxtype") <= lastSystemOid ? "all" : none;
    case "COERCEVIAIO":
      return texts.has(intOf(node, "resulttype")) ? "all" : none;
    case "SUBSCRIPTINGREF":
      return nodeOf(node, "refassgnexpr") === null ? "all" : none;
    case "XMLEXPR":
      // primnodes.h, XmlExprOp: IS_XMLELEMENT and IS_XMLFOREST. The others read XML.
      return [1, 2].includes(intOf(node, "op")) ? "all" : none;
    case "JSONCONSTRUCTOREXPR":
      // JsonConstructorType: JSCTOR_JSON_ARRAY and JSCTOR_JSON_SCALAR. Keys must not be NULL, texts must be JSON.
      return [2, 6].includes(intOf(node, "type")) ? "all" : none;
    case "JSONEXPR":
      return ["on_empty", "on_error"].every((field) => settles(nodeOf(node, field))) ? "all" : none;
    case "ROWCOMPAREEXPR":
      return "all";
    case "OPEXPR":
    case "DISTINCTEXPR":
    case "NULLIFEXPR":
    case "SCALARARRAYOPEXPR":
      return ofFunction(facts.catalog.operator(intOf(node, "opno"))?.func ?? 0, node, facts);
    case "FUNCEXPR":
      return ofFunction(intOf(node, "funcid"), node, facts);
    default:
      return none;
  }
}

/** The test of ANY, ALL and row comparisons with a sub-select fails for no values. */
export function isQuietTest(test: ServerNode, facts: CatalogFacts): boolean {
  const tag = tagOf(test);
  if (tag === "BOOLEXPR") return nodesOf(test, "args").every((arg) => isQuietTest(arg, facts));
  return (tag === "OPEXPR" || tag === "ROWCOMPAREEXPR") && quietChildren(test, facts) === "all";
}

function ofFunction(oid: number, node: ServerNode, facts: CatalogFacts): Quiet {
  const func = facts.catalog.func(oid);
  if (func === undefined || !func.system || func.schema !== "pg_catalog") return none;
  const { name } = func;
  const args = nodesOf(node, "args");
  if (comparison.test(name)) return "all";
  if (total.has(name) && (arity.get(name) ?? args.length) === args.length) return "all";
  const [first] = args;
  if (args.length === 1 && widening.get(name)?.includes(func.arguments[0] ?? 0) === true) return "all";
  if (name === "jsonb_build_object" || name === "json_build_object")
    return textOf(node, "funcvariadic") === "true" ? none : only(...args.filter((_, i) => i % 2 === 1));
  const place = inOne.get(name);
  if (place === undefined || first === undefined) return none;
  const value = args[place];
  return value !== undefined && args.every((arg) => arg === value || bare(arg).tag === "CONST")
    ? only(value)
    : none;
}

/** JsonBehaviorType: JSON_BEHAVIOR_ERROR fails, JSON_BEHAVIOR_DEFAULT works something else out. */
function settles(behavior: ServerNode | null): boolean {
  return behavior === null || ![1, 8].includes(intOf(behavior, "btype"));
}

function bare(node: ServerNode): ServerNode {
  let at = node;
  while (at.tag === "RELABELTYPE" || tagOf(at) === "COLLATEEXPR") {
    const arg = nodeOf(at, "arg");
    if (arg === null) return at;
    at = arg;
  }
  return at;
}

function only(...nodes: readonly (ServerNode | null)[]): Quiet {
  return new Set(nodes.filter((node) => node !== null));
}
