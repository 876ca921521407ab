/** Lays the protected columns over what a statement touches: how its outputs are hidden, or why it is refused. */
import type {
  Attribute,
  ColumnMask,
  ColumnUse,
  Mask,
  MaskPlan,
  OutputColumn,
  Position,
  Touched,
} from "../facts/effects.ts";
import type { LabelMatcher, LabelUse, ProtectedColumn, ProtectedSet } from "./protected.ts";

export interface MaskOptions {
  /** Labels whose masks are lifted for the principal. `access: none` is never lifted. */
  readonly unmask: readonly string[];
  /** It is an EXPLAIN: estimates tell of the values that conditions compare with. */
  readonly explain: boolean;
  /** Uses that a rule allows the principal instead of the label's own. */
  readonly relax?: ReadonlyMap<string, LabelUse>;
  /** The principal may write rows of the relation ("schema.relation"), so that a hash could be looked up by writing guesses. */
  readonly mayWrite?: (relation: string) => boolean;
}

/** Closed list; docs/errors.md. The problems of the analysis bring their own codes. */
export type MaskRefusalCode =
  | "PROTECTED_COLUMN"
  | "PROTECTED_PREDICATE"
  | "PROTECTED_EXPRESSION"
  | "PROTECTED_WRITE"
  | "PROTECTED_CATALOG"
  | "PROTECTED_EXPLAIN"
  | "UNSAFE_FUNCTION";

export interface MaskRefusal {
  readonly ok: false;
  readonly code: MaskRefusalCode | (string & {});
  /** "schema.relation.column", or the function; "" when it is about the whole statement. */
  readonly column: string;
  readonly label: string;
  readonly where: Position;
  readonly message: string;
  readonly hint: string;
  readonly labels: readonly string[];
  readonly labelsInPredicates: readonly string[];
}

export interface MaskGrant {
  readonly ok: true;
  /** null: no protected column is touched, or all its masks are lifted. */
  readonly plan: MaskPlan | null;
  /** Columns whose values are masked in the result, sorted, for the record. */
  readonly masked: readonly string[];
  /** Labels of the columns that the statement touches, lifted ones too, sorted. */
  readonly labels: readonly string[];
  /** Those among them that stand where rows are chosen, ordered or grouped. */
  readonly labelsInPredicates: readonly string[];
  /** Protected columns in plain equalities, for the budget and the record. */
  readonly equalities: readonly string[];
}

export type MaskOutcome = MaskGrant | MaskRefusal;

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

/** Effects of functions that may read or pass on anything. */
const opaque = new Set(["execute", "file", "network", "admin"]);

/**
 * Decides how a statement's rows are masked. Pure. A statement that was not understood is refused as soon as anything is
 * protected.
 */
export function planMasks(touched: Touched, set: ProtectedSet, options: MaskOptions): MaskOutcome {
  const said = labelsOf(touched, set);
  const lifted = new Set(options.unmask);
  const holds = (label: LabelMatcher): boolean => label.access === "none" || !lifted.has(label.label);
  const stillHolds = (column: ProtectedColumn): readonly LabelMatcher[] => column.labels.filter(holds);
  const active = set.columns.some((column) => stillHolds(column).length > 0);
  if (!active) {
    const copied = refusedWrite(touched, set);
    if (copied !== null) return { ok: false, ...copied, ...said };
    return { ok: true, plan: null, masked: [], ...said, equalities: [] };
  }
  const refusal =
    refusedWhole(touched, set) ?? refusedUse(touched, set, options, stillHolds) ?? refusedWrite(touched, set);
  if (refusal !== null) return { ok: false, ...refusal, ...said };

  const masks = touched.outputs?.map((output) => maskFor(output, touched, set, options, stillHolds)) ?? [];
  const masked = new Set<string>();
  for (const mask of masks) for (const column of mask?.columns ?? []) masked.add(column);
  const scrub = touchesProtected(touched, set, stillHolds);
  const hidden = masks.some((mask) => mask !== null);
  return {
    ok: true,
    plan: hidden || scrub ? { columns: masks.map((mask) => mask?.mask ?? null), scrub } : null,
    masked: [...masked].sort(),
    ...said,
    equalities: equalitiesOf(touched, set, stillHolds),
  };
}

type Active = (column: ProtectedColumn) => readonly LabelMatcher[];
type Refused = Omit<MaskRefusal, "ok" | "labels" | "labelsInPredicates">;

/** The protected columns that an attribute stands for: attribute 0 for all of its relation's. */
function protectedAt(at: Attribute, set: ProtectedSet): readonly ProtectedColumn[] {
  if (at.attribute === 0) return set.ofRelation(at.relation);
  const column = set.column(at.relation, at.attribute);
  return column === undefined ? [] : [column];
}

function labelsOf(
  touched: Touched,
  set: ProtectedSet,
): { labels: readonly string[]; labelsInPredicates: readonly string[] } {
  const labels = new Set<string>();
  const inPredicates = new Set<string>();
  for (const use of touched.uses)
    for (const column of protectedAt(use, set))
      for (const { label } of column.labels) {
        labels.add(label);
        if (use.position === "predicate" || use.position === "equality") inPredicates.add(label);
      }
  for (const { target } of touched.assignments)
    if (target !== null)
      for (const column of protectedAt(target, set)) for (const { label } of column.labels) labels.add(label);
  return { labels: [...labels].sort(), labelsInPredicates: [...inPredicates].sort() };
}

function equalitiesOf(touched: Touched, set: ProtectedSet, active: Active): readonly string[] {
  const names = new Set<string>();
  for (const use of touched.uses)
    if (use.position === "equality")
      for (const column of protectedAt(use, set)) if (active(column).length > 0) names.add(column.name);
  return [...names].sort();
}

/** What is refused whatever columns are named: not understood, opaque functions, catalogs with others' values. */
function refusedWhole(touched: Touched, set: ProtectedSet): Refused | null {
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
  // Only there a protected value can be a function's argument.
  const carries = touched.uses.some(
    ({ position, ...at }) =>
      (position === "derived" || position === "predicate") && protectedAt(at, set).length > 0,
  );
  for (const func of touched.unsafe)
    if (opaque.has(func.effect) || carries)
      return {
        code: "UNSAFE_FUNCTION",
        column: func.name,
        label: "",
        where: "predicate",
        message: `function ${func.name} is not allowed where columns are protected: ${func.reason}`,
        hint: "Use functions of PostgreSQL that only compute a value, or ask for this one to be allowed.",
      };
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

/** The strict rule: each use of a protected column must be one that its labels allow. */
function refusedUse(
  touched: Touched,
  set: ProtectedSet,
  options: MaskOptions,
  active: Active,
): Refused | null {
  // The gravest is told first.
  const uses = [...touched.uses].sort((a, b) => gravity.indexOf(a.position) - gravity.indexOf(b.position));
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

const gravity: readonly Position[] = ["predicate", "equality", "derived", "assigned", "output", "owner"];

function strictly(position: Position, label: LabelMatcher, options: MaskOptions): MaskRefusalCode | null {
  switch (position) {
    case "output":
    case "owner":
    // Where it goes is checked with the assignments.
    case "assigned":
      return null;
    case "equality":
    case "predicate":
      if (options.explain) return "PROTECTED_EXPLAIN";
      break;
    case "derived":
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
  const message =
    code === "PROTECTED_EXPLAIN"
      ? `${named} is protected and may not be compared in EXPLAIN: estimates tell of its values`
      : `${named} is protected and may not be used ${places[where]}${part}`;
  const hint =
    use.attribute === 0
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
function refusedWrite(touched: Touched, set: ProtectedSet): Refused | null {
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

/** How much a mask hides, when several apply. */
const strength: Readonly<Record<Mask["kind"], number>> = {
  partial: 0,
  keep: 1,
  date: 2,
  hash: 3,
  redact: 4,
  null: 5,
};

interface Planned {
  readonly mask: ColumnMask;
  readonly columns: readonly string[];
}

function maskFor(
  output: OutputColumn,
  touched: Touched,
  set: ProtectedSet,
  options: MaskOptions,
  active: Active,
): Planned | null {
  const found = output.sources
    .flatMap((source) => protectedAt(source, set))
    .filter((column) => active(column).length > 0);
  if (found.length === 0) return null;
  // A view's column is what the view reads; only where it alone is labelled it is named itself.
  const stored = found.filter((column) => !set.isView(column.relation));
  const columns = [...(stored.length > 0 ? stored : found)].sort((a, b) => (a.name < b.name ? -1 : 1));
  const [first] = columns;
  if (first === undefined) return null;
  const strongest = found
    .flatMap((column) => active(column))
    .reduce((a, b) => (strength[b.mask.kind] > strength[a.mask.kind] ? b : a));
  const exact = output.plain && isOneProtection(output, set, active);
  const guessable =
    strongest.mask.kind === "hash" &&
    found.some(
      ({ relationName }) =>
        touched.writes.includes(relationName) || (options.mayWrite?.(relationName) ?? false),
    );
  const mask: Mask = exact && !guessable ? strongest.mask : { kind: "null" };
  return {
    mask: { mask, label: strongest.label, column: first.name, domain: `${set.database}/${strongest.label}` },
    columns: columns.map((column) => column.name),
  };
}

/**
 * The output is one protected column's value as it stands; or, through UNION ALL, of several that the same labels protect.
 * Anything else beside it might be a guess to compare with.
 */
function isOneProtection(output: OutputColumn, set: ProtectedSet, active: Active): boolean {
  const stored = output.sources.filter((source) => !set.isView(source.relation));
  if (stored.length <= 1) return true;
  const labels = new Set(
    stored.map((source) => {
      const column = set.column(source.relation, source.attribute);
      const names = column === undefined ? [] : active(column).map((label) => label.label);
      return names.sort().join("\n");
    }),
  );
  return labels.size === 1 && !labels.has("");
}

/** Texts of errors may quote a value: of columns that are read, and of any column of a row that is written. */
function touchesProtected(touched: Touched, set: ProtectedSet, active: Active): boolean {
  const holds = (column: ProtectedColumn): boolean => active(column).length > 0;
  return (
    touched.uses.some((use) => protectedAt(use, set).some(holds)) ||
    touched.assignments.some(({ target }) => target !== null && protectedAt(target, set).some(holds)) ||
    touched.writes.some((relation) => set.ofName(relation).some(holds))
  );
}
