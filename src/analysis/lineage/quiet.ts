/**
 * Expressions that may be worked out from a hidden value without telling of it by anything but their own value: whether they fail,
 * and what else is worked out, does not depend on it. A closed list (PostgreSQL manual, chapter "Functions and Operators"):
 * arithmetic overflows, casts and patterns fail, and CASE goes one way or the other.
 */
import { intOf, nodeOf, nodesOf, type ServerNode, textOf } from "../../sql/servertree/index.ts";
import { comparesColumns, isCollated, isComparable, isOwnCollation } from "./comparing.ts";
import { isTrue, textConstant } from "./constants.ts";
import type { CatalogFacts } from "./facts.ts";
import { childrenOf, tagOf } from "./nodes.ts";
import { shownType, typeOf } from "./types.ts";

/** Nodes that hand on, or put together, what stands in them. */
const plain: ReadonlySet<string> = new Set(
  `RELABELTYPE COLLATEEXPR NAMEDARGEXPR RETURNINGEXPR FIELDSELECT FIELDSTORE ROWEXPR BOOLEANTEST
  CONVERTROWTYPEEXPR JSONVALUEEXPR JSONFORMAT JSONRETURNING`.split(/\s+/),
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
  jsonb_typeof json_typeof jsonb_strip_nulls json_strip_nulls jsonb_pretty
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

/** Keys must not be NULL. */
const builders: ReadonlySet<string> = new Set(["json_build_object", "jsonb_build_object"]);

const comparison =
  /^(?:text|bpchar|name|char|bool|bytea|bit|varbit|oid|int[248]{1,2}|float[48]{1,2}|numeric|cash|date|time|timetz|timestamp|timestamptz|interval|uuid|network|macaddr8?|jsonb|array|record|enum|range|tsvector|pg_lsn)_?(?:eq|ne|lt|le|gt|ge)(?:_?(?:text|name|date|timestamp|timestamptz))?$/;

/** Of those in `total` and `inOne`: NULL where an argument is NULL, and only there. `concat` never is. */
const neverNull: ReadonlySet<string> = new Set(
  `initcap length char_length character_length octet_length bit_length reverse left right btrim ltrim rtrim
  concat textcat textanycat anytextcat byteacat translate strpos position textpos starts_with ascii md5 sha224 sha256 sha384
  sha512 quote_ident quote_literal quote_nullable text varchar bpchar name hashtext round floor ceil ceiling trunc sign
  substr split_part lpad rpad encode`.split(/\s+/),
);

/** In one argument, where all others are constants: its number. They fail, for any value, where a constant does not suit. */
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
const patterns = /^(?:regexp_|text(?:ic)?regex)/;
/** They compare values of any type part by part. */
const inParts = /^(?:(?:array|record)_(?:eq|ne|lt|le|gt|ge)|arraycontain(?:s|ed)|arrayoverlap)$/;
/** They go as deep into the one as the other's first parts are found in it: too deep, where the statement has put that together. */
const descending = /^(?:jsonb_contain(?:s|ed)|ts_match_(?:vq|qv))$/;
/** They look for one text in another, which fails by the length of it under some collations (PostgreSQL 14 to 17, varlena.c). */
const searching = /^(?:strpos|position|textpos|starts_with|string_to_array|split_part)$/;
/**
 * They pick a part of what they are given: of constants, of which one fails, or prints long, in whatever is done with it, the key
 * would pick that one. And JSON that is never converted may hold what is no text, which they then fail by unless the key is NULL.
 */
const picking = /^jsonb?_(?:object_field|array_element|extract_path)(?:_text)?$/;
/** By pg_type oid, jsonb and what is made of numeric: a few bytes may print as a hundred thousand digits. */
const printsLong: ReadonlySet<number> = new Set([3802, 1231, 3906, 3907, 4532, 6151]);
/** By pg_type oid: smallint, integer, bigint, numeric. */
const scaled: ReadonlySet<number> = new Set([20, 21, 23, 1700]);
/** By pg_type oid: date, timestamp, timestamptz, and arrays of them. XML has no infinite ones (xml.c, map_sql_value_to_xml_value). */
const infinite: ReadonlySet<number> = new Set([1082, 1114, 1184, 1182, 1115, 1185]);
/** By pg_type oid: json, jsonb. */
const jsons: ReadonlySet<number> = new Set([114, 3802]);
/** How long a match with these takes depends on the value (PostgreSQL manual, section 9.7.3). */
const backReference = /\\[1-9mM]/;
const int4 = 23;
const text = 25;
const lastSystemOid = 16_383;

/** Which of its children a node only looks at in a way that tells nothing: all, or those listed. */
export type Quiet = "all" | ReadonlySet<ServerNode>;
const none: Quiet = new Set();

/** Tells whether an expression is a column as some table holds it, whichever way its rows have come. */
export type IsStored = (expr: ServerNode) => boolean;

/**
 * Gives the children of a node that it looks at in such a way; none for whatever is not on the list. Where something else is worked
 * out for some values only, it must be what cannot fail: constants, parameters, stored columns. (The expressions of a sub-select
 * count as written where its columns are named: the planner puts them there.)
 */
export function quietChildren(node: ServerNode, facts: CatalogFacts, isStored: IsStored): Quiet {
  const tag = tagOf(node);
  if (plain.has(tag)) return "all";
  switch (tag) {
    case "ARRAYEXPR":
      // Arrays of arrays must be of one size.
      return textOf(node, "multidims") === "true" ? none : "all";
    case "NULLTEST": {
      // Of a row the columns are looked at one after the other.
      const arg = nodeOf(node, "arg");
      if (textOf(node, "argisrow") !== "true" || arg === null) return "all";
      const parts = tagOf(arg) === "ROWEXPR" ? nodesOf(arg, "args") : [arg];
      return parts.every((one) => isSimple(one, isStored)) ? "all" : none;
    }
    case "BOOLEXPR":
      return textOf(node, "boolop") === "not" ? "all" : none;
    case "CASEEXPR":
      return only(nodeOf(node, "defresult"), ...nodesOf(node, "args"));
    case "CASEWHEN":
      return only(nodeOf(node, "result"));
    case "COALESCEEXPR": {
      const args = nodesOf(node, "args");
      return only(...args.filter((arg, i) => i === args.length - 1 || isStored(bare(arg))));
    }
    case "MINMAXEXPR": {
      const type = intOf(node, "minmaxtype");
      const alike =
        isComparable(type, facts.catalog) && isCollated(node, nodesOf(node, "args"), facts.catalog);
      return type <= lastSystemOid && !printsLong.has(type) && alike ? "all" : none;
    }
    case "JSONISPREDICATE": {
      // Of a text that is put together, a part may decide how deep the rest is read.
      const arg = nodeOf(node, "expr");
      return arg !== null && (jsons.has(typeOf(arg, facts.catalog)) || isSimple(arg, isStored))
        ? "all"
        : none;
    }
    case "COERCEVIAIO":
      return texts.has(intOf(node, "resulttype")) ? "all" : none;
    case "ARRAYCOERCEEXPR": {
      const element = nodeOf(node, "elemexpr");
      return element !== null && isQuietCoercion(element, facts) ? "all" : none;
    }
    case "SUBSCRIPTINGREF": {
      // Nobody subscripts NULL: the subscripts are then not worked out. They pick, as keys do.
      const subscripts = [...nodesOf(node, "refupperindexpr"), ...nodesOf(node, "reflowerindexpr")];
      return nodeOf(node, "refassgnexpr") === null && subscripts.every((one) => isSimple(one, isStored))
        ? only(nodeOf(node, "refexpr"))
        : none;
    }
    case "XMLEXPR":
      // primnodes.h, XmlExprOp: IS_XMLELEMENT and IS_XMLFOREST. The others read XML.
      return [1, 2].includes(intOf(node, "op"))
        ? only(...childrenOf(node).filter((child) => !isInfinite(typeOf(child, facts.catalog), facts)))
        : none;
    case "JSONCONSTRUCTOREXPR":
      // JsonConstructorType: JSCTOR_JSON_ARRAY and JSCTOR_JSON_SCALAR. Keys must not be NULL, texts must be JSON.
      return [2, 6].includes(intOf(node, "type")) && isQuietOrNone(nodeOf(node, "coercion"), facts)
        ? "all"
        : none;
    case "ROWCOMPAREEXPR":
      // From left to right, as far as the columns are equal.
      return comparesColumns(node, facts.catalog) &&
        [...nodesOf(node, "largs"), ...nodesOf(node, "rargs")].every((one) => isSimple(one, isStored))
        ? "all"
        : none;
    case "OPEXPR":
    case "DISTINCTEXPR":
    case "NULLIFEXPR":
    case "SCALARARRAYOPEXPR":
      return ofFunction(facts.catalog.operator(intOf(node, "opno"))?.func ?? 0, node, facts, isStored);
    case "FUNCEXPR":
      return ofFunction(intOf(node, "funcid"), node, facts, isStored);
    default:
      return none;
  }
}

/** A function of pg_catalog whose result is about as long as its arguments at most. */
export function keepsSize(name: string): boolean {
  return (
    total.has(name) || inOne.has(name) || builders.has(name) || widening.has(name) || comparison.test(name)
  );
}

function ofFunction(oid: number, node: ServerNode, facts: CatalogFacts, isStored: IsStored): Quiet {
  const func = facts.catalog.func(oid);
  if (func === undefined || !func.system || func.schema !== "pg_catalog") return none;
  const { name } = func;
  const args = nodesOf(node, "args");
  if (failsByParts(name, node, args, facts)) return none;
  if (descending.test(name) && !args.every((arg) => isSimple(arg, isStored))) return none;
  if (comparison.test(name)) return "all";
  const [first] = args;
  if (first !== undefined && picking.test(name)) return only(first);
  if (total.has(name) && (arity.get(name) ?? args.length) === args.length)
    return cutsShort(name, args) ? "all" : none;
  if (args.length === 1 && widening.get(name)?.includes(func.arguments[0] ?? 0) === true) return "all";
  if (builders.has(name))
    return textOf(node, "funcvariadic") === "true" ? none : only(...args.filter((_, i) => i % 2 === 1));
  const place = inOne.get(name);
  if (place === undefined || first === undefined) return none;
  const value = args[place];
  // Numbers are multiplied by what stands behind the V; of integers PostgreSQL 14 to 17 do not take what becomes too large.
  if (name === "to_char" && scaled.has(func.arguments[0] ?? 0)) {
    facts.byValue?.();
    const format = args[1] === undefined ? null : textConstant(bare(args[1]));
    if (format === null || /v/i.test(format)) return none;
  }
  if (value === undefined || !args.every((arg) => arg === value || bare(arg).tag === "CONST")) return none;
  if (patterns.test(name) || (name === "substring" && func.arguments[1] === text)) {
    const [, pattern] = args;
    const written = pattern === undefined ? null : textConstant(bare(pattern));
    if (written === null || backReference.test(written)) return none;
  }
  // A constant that does not suit fails, but not for NULL: which values are NULL must be known anyway.
  return isNullAsStored(value, facts, isStored) ? only(value) : none;
}

/** What it compares, or how, may turn out to be impossible when the first parts are found equal, or two texts meet at all. */
function failsByParts(
  name: string,
  node: ServerNode,
  args: readonly ServerNode[],
  { catalog }: CatalogFacts,
) {
  if (!isCollated(node, args, catalog)) return true;
  if (searching.test(name) && isOwnCollation(node)) return true;
  return inParts.test(name) && !args.every((arg) => isComparable(typeOf(arg, catalog), catalog));
}

/** Casts to varchar(n) and char(n) cut where they are written as casts, and fail elsewhere. */
function cutsShort(name: string, args: readonly ServerNode[]): boolean {
  const [, , explicit] = args;
  if (explicit === undefined || (name !== "varchar" && name !== "bpchar")) return true;
  return isTrue(explicit);
}

/** A date that may be infinite, also under a domain. */
function isInfinite(type: number, { catalog }: CatalogFacts): boolean {
  return infinite.has(shownType(type, catalog));
}

/** NULL for the rows in which a stored column is, whatever the values of the others are. */
function isNullAsStored(expr: ServerNode, facts: CatalogFacts, isStored: IsStored): boolean {
  const node = bare(expr);
  const all = (nodes: readonly ServerNode[]): boolean =>
    nodes.every((one) => isNullAsStored(one, facts, isStored));
  switch (tagOf(node)) {
    case "COERCEVIAIO":
      return childrenOf(node).every((child) => isNullAsStored(child, facts, isStored));
    case "COALESCEEXPR":
    case "MINMAXEXPR":
      return all(nodesOf(node, "args"));
    case "OPEXPR":
    case "FUNCEXPR": {
      const oid =
        node.tag === "FUNCEXPR"
          ? intOf(node, "funcid")
          : (facts.catalog.operator(intOf(node, "opno"))?.func ?? 0);
      const func = facts.catalog.func(oid);
      return (
        func?.schema === "pg_catalog" &&
        func.system &&
        isNeverNull(func.name, func.arguments) &&
        all(nodesOf(node, "args"))
      );
    }
    default:
      return isSimple(node, isStored);
  }
}

function isNeverNull(name: string, types: readonly number[]): boolean {
  // Bounds of ranges, and the part of a text that fits a pattern, may not be there.
  if (name === "upper" || name === "lower") return types[0] === text;
  if (name === "substring") return types[1] === int4;
  return neverNull.has(name) || comparison.test(name);
}

/** Cannot fail, and takes no time. */
function isSimple(expr: ServerNode, isStored: IsStored): boolean {
  const node = bare(expr);
  return (
    node.tag === "CONST" || (node.tag === "PARAM" && intOf(node, "paramkind", -1) === 0) || isStored(node)
  );
}

/** What is done to each element of an array, or to the result of a JSON constructor. */
function isQuietCoercion(coercion: ServerNode, facts: CatalogFacts): boolean {
  const tag = tagOf(coercion);
  if (tag === "CASETESTEXPR") return true;
  const arg = tag === "FUNCEXPR" ? nodesOf(coercion, "args")[0] : nodeOf(coercion, "arg");
  return (
    arg !== undefined &&
    arg !== null &&
    quietChildren(coercion, facts, () => false) === "all" &&
    isQuietCoercion(arg, facts)
  );
}

function isQuietOrNone(coercion: ServerNode | null, facts: CatalogFacts): boolean {
  return coercion === null || isQuietCoercion(coercion, facts);
}

/** Below other types and collations for the same bytes. */
export function bare(node: ServerNode): ServerNode {
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
