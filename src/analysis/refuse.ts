/** Why a statement may not run where columns are protected. */
import type { Attribute, ColumnUse, Position, Touched, UnsafeFunction } from "../facts/effects.ts";
import type { MaskOptions, MaskRefusal, MaskRefusalCode } from "./masktypes.ts";
import type { LabelMatcher, LabelUse, ProtectedColumn, ProtectedSet } from "./protected.ts";

/** Positions that each form of use allows beside `output` and `owner`. */
const allowed: Readonly<Record<LabelUse, readonly Position[]>> = {
  output: [],
  equality: ["equality"],
  derived: ["derived"],
  any: ["equality", "derived", "predicate"],
};

/** Functions that give the definitions of views, rules and functions, which tell where protected values come from. */
const definitions: ReadonlySet<string> = new Set(
  ["pg_get_viewdef", "pg_get_ruledef", "pg_get_functiondef", "pg_get_function_sqlbody"].map(
    (name) => `pg_catalog.${name}`,
  ),
);

/** Functions that tell how much an update wrote, or whether it left the indexes alone: by guesses that are rolled back, what a row holds. */
const measures: ReadonlySet<string> = new Set(
  [
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_current_wal_flush_lsn",
    "pg_stat_get_wal",
    "pg_stat_get_tuples_hot_updated",
    "pg_stat_get_tuples_newpage_updated",
    "pg_stat_get_xact_tuples_hot_updated",
    "pg_stat_get_xact_tuples_newpage_updated",
  ].map((name) => `pg_catalog.${name}`),
);

/** Effects of functions that may read or pass on anything. */
export const opaque: ReadonlySet<string> = new Set(["execute", "file", "network", "admin"]);
/**
 * Of those, what reads nothing and passes on nothing but its arguments (manual, NOTIFY, "Delaying Execution" and "Server Signaling
 * Functions"): drivers notify by calling pg_notify(). Whether it may run is the rules' business; with a protected value it never does.
 */
const confined: ReadonlySet<string> = new Set(
  [
    "pg_notify",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_cancel_backend",
    "pg_terminate_backend",
  ].map((name) => `pg_catalog.${name}`),
);

/** The labels of a column whose masks are not lifted. */
export type Active = (column: ProtectedColumn) => readonly LabelMatcher[];
export type Refused = Omit<MaskRefusal, "ok" | "labels" | "labelsInPredicates">;

/** The protected columns that an attribute stands for: attribute 0 for all of its relation's. */
export function protectedAt(at: Attribute, set: ProtectedSet): readonly ProtectedColumn[] {
  const column = set.column(at.relation, at.attribute);
  const labelled = at.attribute === 0 ? set.ofRelation(at.relation) : column === undefined ? [] : [column];
  const emptied = set.emptied(at.relation).filter(({ attribute }) => attribute === at.attribute);
  return emptied.length === 0 ? labelled : [...labelled, ...emptied];
}

/** Only there a protected value can be a function's argument. */
function carriesProtected(touched: Touched, set: ProtectedSet): boolean {
  return touched.uses.some(
    (use) => (use.position === "derived" || use.position === "predicate") && protectedAt(use, set).length > 0,
  );
}

function unsafe(func: UnsafeFunction): Refused {
  return {
    code: "UNSAFE_FUNCTION",
    column: func.name,
    label: "",
    where: "predicate",
    message: `function ${func.name} is not allowed where columns are protected: ${func.reason}`,
    hint: "Use functions of PostgreSQL that only compute a value, or ask for this one to be allowed.",
  };
}

/**
 * What has another effect than to compute, where a protected value could be its argument. Looked at behind the uses: a default's
 * nextval() is not what is wrong with an INSERT that compares a protected column.
 */
export function refusedCarrier(touched: Touched, set: ProtectedSet): Refused | null {
  const [func] = touched.unsafe;
  return func === undefined || !carriesProtected(touched, set) ? null : unsafe(func);
}

/** What is refused whatever columns are named: not understood, opaque functions, catalogs with others' values. */
export function refusedWhole(touched: Touched, set: ProtectedSet): Refused | null {
  const [problem] = touched.problems;
  if (problem !== undefined)
    return {
      code: problem.code,
      column: problem.object ?? "",
      label: "",
      where: "predicate",
      message: problem.message,
      hint: "Write the statement in a simpler form: what is not understood exactly does not run where columns are protected.",
    };
  const carries = carriesProtected(touched, set);
  for (const func of touched.unsafe)
    if (opaque.has(func.effect) && (carries || !confined.has(func.name))) return unsafe(func);
  const definition = touched.functions.find((name) => definitions.has(name));
  if (definition !== undefined)
    return {
      code: "PROTECTED_CATALOG",
      column: definition,
      label: "",
      where: "predicate",
      message: `function ${definition} is not allowed where columns are protected: definitions tell where protected values come from`,
      hint: "Leave it out; names and types of columns can be read from information_schema.columns.",
    };
  for (const use of touched.uses) {
    if (use.position === "owner") continue;
    const reason = set.refusal(use.relation, use.attribute);
    if (reason === null) continue;
    const column = set.nameOf(use);
    return {
      code: "PROTECTED_CATALOG",
      column,
      label: "",
      where: use.position,
      message: `column ${column} cannot be read here: ${reason}`,
      hint: "Leave the column out; name the columns you need instead of *.",
    };
  }
  return null;
}

/** Who may write a protected column may not measure what the writing takes. */
export function refusedMeasure(
  touched: Touched,
  set: ProtectedSet,
  options: MaskOptions,
  active: Active,
): Refused | null {
  const measure = touched.functions.find((name) => measures.has(name));
  if (measure === undefined) return null;
  const column = set.columns.find(
    (one) => active(one).length > 0 && options.mayWrite?.(one.relationName) !== false,
  );
  if (column === undefined) return null;
  return {
    code: "PROTECTED_CATALOG",
    column: measure,
    label: "",
    where: "predicate",
    message: `function ${measure} is not allowed where protected columns may be written: what an update writes tells what the row held`,
    hint: "Leave it out, or ask it under a login that writes nothing.",
  };
}

/** The strict rule: each use of a protected column must be one that its labels allow. */
export function refusedUse(
  touched: Touched,
  set: ProtectedSet,
  options: MaskOptions,
  active: Active,
): Refused | null {
  for (const source of touched.beside ?? [])
    for (const column of protectedAt(source, set))
      for (const label of active(column))
        return {
          code: "PROTECTED_PREDICATE",
          column: column.name,
          label: label.label,
          where: "predicate",
          message: `column ${column.name} (${label.label}) is protected and stands in rows that a rule adds, which are not masked`,
          hint: "Ask the owner of the database to change the rule.",
        };
  const copied = triedOut(touched, set, options, active);
  if (copied !== null) return copied;
  // The gravest is told first.
  const uses = touched.uses
    .filter((use) => protectedAt(use, set).length > 0)
    .sort((a, b) => gravity.indexOf(a.position) - gravity.indexOf(b.position));
  for (const use of uses) {
    if (use.position === "owner") continue;
    for (const column of protectedAt(use, set))
      for (const label of active(column)) {
        if (label.access === "none") return unreadable(column, label, use.position, set);
        const refused = strictly(use.position, label, options);
        if (refused !== null) return explained(refused, column, label, use);
      }
  }
  return null;
}

/** A copy in a table of one's own: what looks at it there tells of the value, by what fails or where the row comes to lie, or copies it on. */
function triedOut(touched: Touched, set: ProtectedSet, options: MaskOptions, active: Active): Refused | null {
  for (const { target, sources } of touched.assignments) {
    if (target === null) continue;
    for (const source of sources) {
      if (source.relation === target.relation && source.attribute === target.attribute) continue;
      for (const column of protectedAt(source, set))
        for (const label of active(column))
          if (
            !allowed[options.relax?.get(label.label) ?? label.use].includes("predicate") &&
            set.tried(target.relation, target.attribute)
          )
            return {
              code: "PROTECTED_PREDICATE",
              column: column.name,
              label: label.label,
              where: "assigned",
              message: `column ${column.name} (${label.label}) is protected and may not be copied to ${set.nameOf(target)}: what belongs to that table and to the login (conditions, generated columns, keys, statistics, triggers, views) looks at what is written`,
              hint: "Copy it to a table that has none of these, or to one that others own.",
            };
    }
  }
  return null;
}

const gravity: readonly Position[] = [
  "predicate",
  "equality",
  "derived",
  "assigned",
  "arbiter",
  "output",
  "owner",
];

function strictly(position: Position, label: LabelMatcher, options: MaskOptions): MaskRefusalCode | null {
  // How many bytes the values are is what SERIALIZE prints.
  if (options.serialize === true && (position === "output" || position === "derived"))
    return "PROTECTED_EXPLAIN";
  switch (position) {
    case "output":
    case "owner":
    // The index would find the value in the row that is written without being named, too: docs/masking.md, Residuals.
    case "arbiter":
    // Where it goes is checked with the assignments.
    case "assigned":
      return null;
    case "equality":
    case "predicate":
      if (options.explain) return "PROTECTED_EXPLAIN";
      break;
    case "derived":
      if (options.analyze === true) return "PROTECTED_EXPLAIN";
      break;
  }
  const use = options.relax?.get(label.label) ?? label.use;
  if (allowed[use].includes(position)) return null;
  return position === "derived" ? "PROTECTED_EXPRESSION" : "PROTECTED_PREDICATE";
}

function unreadable(
  column: ProtectedColumn,
  label: LabelMatcher,
  where: Position,
  set: ProtectedSet,
): Refused {
  const readable = set.readable(column.relation);
  const listed = readable.slice(0, 50).join(", ");
  return {
    code: "PROTECTED_COLUMN",
    column: column.name,
    label: label.label,
    where,
    message: `column ${column.name} (${label.label}) cannot be read`,
    hint:
      readable.length === 0
        ? "No column of this relation can be read."
        : `Name the columns you need instead of *; these can be read: ${listed}${readable.length > 50 ? ", …" : ""}`,
  };
}

const places: Readonly<Record<Position, string>> = {
  output: "as an output column",
  equality: "in an equality",
  derived: "inside an expression",
  assigned: "in a value that is written",
  arbiter: "in ON CONFLICT",
  owner: "in a condition of its owner",
  predicate: "in a condition, join, grouping, ordering, aggregate or function call",
};

function explained(
  code: MaskRefusalCode,
  column: ProtectedColumn,
  label: LabelMatcher,
  use: ColumnUse,
): Refused {
  const { position: where } = use;
  const named = `column ${column.name} (${label.label})`;
  const part = use.attribute === 0 ? `: it is part of the whole row of ${column.relationName}` : "";
  const sized = code === "PROTECTED_EXPLAIN" && (where === "output" || where === "derived");
  const message =
    code === "PROTECTED_EXPLAIN"
      ? sized
        ? `${named} is protected and may not be in the rows of EXPLAIN (SERIALIZE), nor inside an expression in EXPLAIN ANALYZE: sizes tell of its values`
        : `${named} is protected and may not be compared in EXPLAIN: estimates tell of its values`
      : `${named} is protected and may not be used ${places[where]}${part}`;
  const hint = sized
    ? "Leave SERIALIZE or ANALYZE out, or the column."
    : use.attribute === 0
      ? "Name the columns you need instead of the row; protected ones come back masked."
      : where === "derived"
        ? "Select the column by itself, without a function, cast or operator around it; its values come back masked."
        : "Use the column only by itself in the select list, where its values come back masked; filter and sort by others.";
  return { code, column: column.name, label: label.label, where, message, hint };
}

/**
 * Laundering: a protected value may only be written to a column that the same labels protect. Who may see it in clear may not
 * show it to those who may not.
 */
export function refusedWrite(touched: Touched, set: ProtectedSet): Refused | null {
  for (const assignment of touched.assignments) {
    const { target } = assignment;
    const over = target === null ? [] : protectedAt(target, set).flatMap((column) => column.labels);
    for (const source of assignment.sources)
      for (const column of protectedAt(source, set))
        for (const label of column.labels) {
          if (over.some((other) => other.label === label.label || other.access === "none")) continue;
          const into = target === null ? `the new column ${assignment.name}` : set.nameOf(target);
          return {
            code: "PROTECTED_WRITE",
            column: column.name,
            label: label.label,
            where: "assigned",
            message: `column ${column.name} (${label.label}) is protected and may not be copied to ${into}`,
            hint: "Write other columns, or have the target column labelled alike.",
          };
        }
  }
  return null;
}
