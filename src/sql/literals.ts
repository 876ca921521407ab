/**
 * Where a literal's value cannot change what a statement touches, so that texts that differ in it may share one answer
 * (MASKING.md section 1.5). Everything else counts as if it could.
 */
import { builtInName } from "./settings/uses.ts";
import { isObject, type JsonObject, objectAt, stringAt } from "./tree.ts";

/** Literals under this node matter. */
export const exact = 1;
/** A literal that stands here as it is names an output column by its number. */
export const position = 2;
/** What stands here does not run because of this statement. */
export const idle = 4;
/** It stands in a query, whose relations the server's tree tells. */
export const queried = 8;

/** Immutable built-in functions that do nothing but work out a value of plain types from plain values. */
const plainFunctions = new Set(
  `abs age array_agg array_append array_cat array_length array_position array_prepend array_remove array_replace
  array_to_string ascii avg bit_and bit_length bit_or bool_and bool_or btrim cardinality ceil ceiling char_length
  character_length chr concat concat_ws corr count covar_pop covar_samp cume_dist date date_bin date_part date_trunc degrees
  dense_rank div every exp extract first_value floor gcd generate_series generate_subscripts greatest initcap isfinite
  json_agg json_array_length json_build_array json_build_object json_object_agg jsonb_agg jsonb_array_elements
  jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_typeof
  justify_days justify_hours justify_interval lag last_value lcm lead least left length like_escape ln log log10 lower lpad
  ltrim make_date make_interval make_time make_timestamp make_timestamptz max md5 min mod mode nth_value ntile
  nullif octet_length overlay percent_rank percentile_cont percentile_disc pi position power radians rank regexp_count
  regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
  regexp_substr regr_count regr_slope repeat replace reverse right round row_number row_to_json rpad rtrim sign
  similar_to_escape split_part sqrt starts_with stddev stddev_pop stddev_samp string_agg string_to_array string_to_table
  strpos substr substring sum timezone to_char to_date to_hex to_json to_jsonb to_number to_timestamp translate trim
  trim_array trunc unnest upper var_pop var_samp variance width_bucket`.split(/\s+/),
);

/** Types whose input looks names up, or whose values are paths, documents or addresses of rows. */
const namingType =
  /^(?:reg|_reg|pg_)|^_?(?:oid|oidvector|xml|jsonpath|tid|xid|xid8|cid|refcursor|aclitem|name)$/;

/** The marks for what stands in `field` of a node, given those of the node itself. */
export function literalFlags(name: string, node: JsonObject, field: string, flags: number): number {
  const inherited = flags & ~position;
  switch (name) {
    case "SortBy":
      return field === "node" ? inherited | position : inherited;
    case "SelectStmt":
      return field === "groupClause" || field === "distinctClause" ? inherited | position : inherited;
    case "GroupingSet":
    case "RowExpr":
    case "List":
      // GROUP BY (1, 2) and GROUPING SETS ((1), (2)) count columns too.
      return flags;
    case "FuncCall":
      return plainFunctions.has(builtInName(node.funcname) ?? "") ? inherited : inherited | exact;
    case "TypeCast":
      return namesThings(objectAt(node, "typeName")) ? inherited | exact : inherited;
    default:
      return inherited;
  }
}

function namesThings(type: JsonObject | undefined): boolean {
  const names = type?.names;
  if (!Array.isArray(names)) return true;
  return namingType.test(stringAt(objectAt(names.at(-1), "String"), "sval"));
}

/** true: written as a literal, not as one of the words TRUE, FALSE, NULL. */
export function isLiteral(constant: JsonObject): boolean {
  return constant.isnull !== true && !isObject(constant.boolval);
}
