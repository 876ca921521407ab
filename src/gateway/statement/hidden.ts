/**
 * Catalog queries do not tell the names of columns that nobody may read (`access: none`; docs/masking.md, "Names"). Rows about them
 * come all the same, lest tools break that count them, with asterisks in place of the names.
 */

import { isWholePattern } from "../../analysis/lineage/inspect.ts";
import type { Touched } from "../../facts/effects.ts";
import { createNameMask, type NameMask } from "../../masking/index.ts";
import type { View } from "../analyst/index.ts";
import type { Reason } from "./state.ts";

/** Where names of columns stand in the system's relations, alone or in a definition. */
const bearing: ReadonlySet<string> = new Set([
  "attname",
  "attnames",
  "column_name",
  "referenced_column_name",
  "triggered_column_name",
  "domain_name",
  "indexdef",
  "definition",
  "check_clause",
  "consrc",
  "qual",
  "with_check",
  "prosrc",
  "routine_definition",
  "action_condition",
  "action_statement",
]);

/** Functions that write definitions of what is built on columns. */
const defining =
  /^pg_catalog\.(?:pg_get_|pg_describe_object$|pg_identify_object|query_to_xml|table_to_xml|schema_to_xml|database_to_xml|(?:col|obj|shobj)_description$)/;
/** Those of them that may write a column's name: `disguising` around them is refused. */
const describing =
  /^pg_catalog\.(?:pg_get_(?:indexdef|constraintdef|expr|triggerdef|partkeydef|partition_constraintdef|statisticsobjdef)|pg_describe_object$|pg_identify_object|(?:col|obj|shobj)_description$)/;
/** What tools do with definitions: JDBC takes the quotes off a column of an index. */
const customary: ReadonlySet<string> = new Set(["btrim"]);
/** Functions that write the names of a row's columns: of those that functions of the database give, nobody knows the names. */
const writing = /^pg_catalog\.(?:row_to_json|to_jsonb?)$/;

/** Functions that make something of a name in which it cannot be found again. */
const disguising: ReadonlySet<string> = new Set(
  (
    "reverse md5 sha224 sha256 sha384 sha512 digest hmac crypt substr substring left right overlay translate replace regexp_replace " +
    "regexp_substr regexp_split_to_array regexp_split_to_table regexp_match regexp_matches split_part string_to_array string_to_table " +
    "ascii chr encode convert convert_to convert_from to_hex lpad rpad ltrim rtrim btrim get_byte get_bit set_byte hashtext hashtextextended " +
    "hashname hashnameextended namesend textsend bpchar varchar char unistr quote_unicode tsvector to_tsvector string_agg_transfn bit_xor " +
    "levenshtein soundex metaphone difference similarity ts_debug ts_parse ts_lexize unaccent starts_with strpos position " +
    "length char_length character_length octet_length bit_length pg_column_size regexp_like regexp_count regexp_instr"
  ).split(" "),
);

/** Functions that join texts: a name may stand in the middle of a word behind them. */
const joining =
  /^pg_catalog\.(?:textcat|anytextcat|textanycat|concat|concat_ws|format|string_agg|array_to_string|xmlconcat|jsonb?_.*|array_agg)$/;

/** Types whose values are bytes and numbers: a name in them would not be read. bytea, bit, varbit, "char" and integers, with their arrays. */
const opaqueTypes: ReadonlySet<number> = new Set([17, 1001, 1560, 1561, 1562, 1563, 18, 1002]);

interface Hidden {
  readonly names: readonly string[];
  /** Values of this type are rows of a relation that has such columns, or hold some. */
  readonly rows: (type: number) => boolean;
  readonly words: NameMask;
  readonly parts: NameMask;
}

const known = new WeakMap<View, Hidden | { readonly names: readonly [] }>();

/** What is hidden under a view: names that columns with `access: none` have, and no column that may be read. */
function hiddenOf(view: View): Hidden | null {
  let found = known.get(view);
  if (found === undefined) {
    const names = namesOf(view);
    found =
      names.length === 0
        ? { names: [] }
        : {
            names,
            rows: rowHolders(view),
            words: createNameMask(names, false),
            parts: createNameMask(names, true),
          };
    known.set(view, found);
  }
  return "words" in found ? found : null;
}

function closedOf({ protectedSet }: View) {
  return protectedSet.columns.filter(({ labels }) => labels.some(({ access }) => access === "none"));
}

/** By oid, remembered; a type that the catalog does not hold may be any. */
function rowHolders(view: View): (type: number) => boolean {
  const { catalog } = view;
  const closed = new Set(closedOf(view).map(({ relation }) => relation));
  const told = new Map<number, boolean>();
  function holds(type: number): boolean {
    const seen = new Set([type]);
    for (const oid of seen) {
      const facts = catalog.type(oid);
      if (facts === undefined || closed.has(facts.relation)) return true;
      const columns = catalog.relation(facts.relation)?.columns ?? [];
      for (const part of [facts.element, facts.base, ...columns.map((column) => column.type)])
        if (part !== 0) seen.add(part);
    }
    return false;
  }
  return (type) => {
    let known = told.get(type);
    if (known === undefined) {
      known = holds(type);
      told.set(type, known);
    }
    return known;
  };
}

function namesOf(view: View): string[] {
  const { catalog, protectedSet } = view;
  const closed = closedOf(view);
  if (closed.length === 0) return [];
  const names = new Set<string>();
  for (const { relation, attribute } of closed) {
    const name = catalog.column(relation, attribute)?.name;
    if (name !== undefined) names.add(name);
  }
  // A name that others have, too, tells nothing; and tools must find those.
  for (const relation of catalog.relations())
    for (const { attnum, name } of relation.columns)
      if (
        names.has(name) &&
        protectedSet.column(relation.oid, attnum)?.labels.some(({ access }) => access === "none") !== true
      )
        names.delete(name);
  return [...names];
}

/** What a statement's rows must not tell: null: nothing in them could. */
export type NamesKept =
  | {
      readonly mask: NameMask;
      /** Parameters that a name is compared with by LIKE: see `patternRefused`. */
      readonly patterns: readonly number[];
    }
  | { readonly refusal: Reason }
  | null;

/**
 * @param explain it is an EXPLAIN: plans list columns.
 * @param bound its parameters are bound by a message that the gateway sees.
 * @param texts of the statement, and of those that it names.
 */
export function keepNames(
  view: View,
  touched: readonly Touched[],
  explain: boolean,
  bound: boolean,
  texts: readonly string[],
): NamesKept {
  const hidden = hiddenOf(view);
  if (hidden === null) return null;
  const functions = touched.flatMap((one) => one.functions);
  // A row type's columns come by their names, also where no row of its table does.
  const given = touched
    .flatMap(({ outputs }) => outputs ?? [])
    .find(({ name }) => hidden.names.includes(name) && !texts.some((text) => says(text, name)));
  if (given !== undefined)
    return {
      refusal: {
        sqlstate: "42501",
        code: "PROTECTED_COLUMN",
        message: "policy: a column of the result has a name that is hidden",
        hint: "Name the columns you need instead of *.",
      },
    };
  const looks =
    explain ||
    functions.some((name) => defining.test(name)) ||
    (functions.some((name) => writing.test(name)) &&
      functions.some((name) => !name.startsWith("pg_catalog."))) ||
    // JSON of a row has the names of all its columns, whichever way it is made.
    touched.some(({ valueTypes }) => valueTypes === undefined || valueTypes.some(hidden.rows)) ||
    touched.some((one) => one.reads.some((name) => /^(?:pg_catalog|information_schema)\./.test(name)));
  if (!looks) return null;
  const described = functions.find((name) => describing.test(name));
  const around = functions.find(
    (name) => disguising.has(bare(name)) && !customary.has(bare(name)) && described !== undefined,
  );
  if (around !== undefined && described !== undefined) return { refusal: transformed(described, around) };
  const [column] = touched.flatMap((one) =>
    one.uses.filter((use) => use.position !== "output" && use.position !== "owner" && bears(view, use)),
  );
  if (column !== undefined) {
    const disguise = functions.find((name) => disguising.has(bare(name)));
    const opaque = touched.some((one) =>
      one.outputs?.some(
        (output) => opaqueTypes.has(output.type) && output.sources.some((source) => bears(view, source)),
      ),
    );
    if (disguise !== undefined || opaque)
      return { refusal: transformed(view.protectedSet.nameOf(column), disguise) };
  }
  const patterns: number[] = [];
  for (const one of touched.flatMap(({ inspected }) => inspected)) {
    if (!bears(view, one)) continue;
    if (one.parameter === null || !bound)
      return { refusal: inspectedName(view.protectedSet.nameOf(one), one.by) };
    patterns.push(one.parameter);
  }
  // An operator may join texts, too.
  const joined =
    functions.some((name) => joining.test(name)) ||
    touched.some((one) => one.uses.some((use) => use.position === "derived" && bears(view, use)));
  return { mask: joined ? hidden.parts : hidden.words, patterns };
}

function bare(name: string): string {
  return name.replace(/^[^.]*\./, "").replaceAll('"', "");
}

function transformed(name: string, by: string | undefined): Reason {
  return {
    sqlstate: "42501",
    code: "PROTECTED_CATALOG",
    message: `policy: names from ${name} may not be transformed where columns are hidden${by === undefined ? "" : ` (${by})`}`,
    hint: "Select the names as they are, without functions around them.",
    object: name,
  };
}

/** The name stands in the text: who wrote it knows it. */
function says(text: string, name: string): boolean {
  return createNameMask([name], false).text(text) !== text;
}

/** A refusal as the caller may read it: a column that `*` or a view has brought in is not named. The record names it. */
export function refusalWithoutNames(
  view: View,
  reason: Reason | null,
  texts: readonly string[],
): Reason | null {
  const hidden = reason === null ? null : hiddenOf(view);
  if (reason === null || hidden === null) return reason;
  const kept = hidden.names.filter((name) => !texts.some((text) => says(text, name)));
  if (kept.length === 0) return reason;
  const mask = createNameMask(kept, false);
  const { object } = reason;
  return {
    ...reason,
    message: mask.text(reason.message),
    hint: mask.text(reason.hint),
    ...(object === undefined || object === null ? {} : { object: mask.text(object) }),
  };
}

/** A text of the database's owner, such as a comment. */
export function textWithoutNames(view: View | null, text: string): string {
  const hidden = view === null ? null : hiddenOf(view);
  return hidden === null ? text : hidden.words.text(text);
}

function inspectedName(name: string, by: string): Reason {
  return {
    sqlstate: "42501",
    code: "PROTECTED_CATALOG",
    message: `policy: names from ${name} may only be compared as a whole where columns are hidden (${by})`,
    hint: "Compare with = or IN, or LIKE '%', and sort by the names alone or by their numbers.",
    object: name,
  };
}

/** Why a Bind may not go on: LIKE would look into names. null: its values for `patterns` take everything, or one name. */
export function patternRefused(
  patterns: readonly number[],
  values: readonly (Buffer | null)[],
): Reason | null {
  const loose = patterns.some((number) => {
    const value = values[number - 1] ?? null;
    return value !== null && !isWholePattern(value.toString("latin1"));
  });
  return loose ? inspectedName("the catalogs", "operator LIKE") : null;
}

/** The server's own words may name columns that the statement does not (hints at a misspelling). */
export function withoutNames(
  view: View | null,
  fields: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const hidden = view === null ? null : hiddenOf(view);
  if (hidden === null) return fields;
  return new Map([...fields].map(([key, text]) => [key, told.has(key) ? hidden.words.text(text) : text]));
}

/** Message, detail, hint, context, internal query; column, constraint. */
const told: ReadonlySet<string> = new Set(["M", "D", "H", "W", "q", "c", "n"]);

function bears({ catalog }: View, at: { readonly relation: number; readonly attribute: number }): boolean {
  const relation = catalog.relation(at.relation);
  if (relation?.system !== true) return false;
  if (at.attribute === 0) return relation.columns.some(({ name }) => bearing.has(name));
  const column = catalog.column(at.relation, at.attribute);
  return column !== undefined && bearing.has(column.name);
}
