/** Lays the protected columns over what a statement touches: how its outputs are hidden, or why it is refused. */
import type { ColumnMask, Mask, OutputColumn, Position, Touched } from "../facts/effects.ts";
import type { MaskOptions, MaskOutcome } from "./masktypes.ts";
import type { LabelMatcher, ProtectedColumn, ProtectedSet } from "./protected.ts";
import {
  type Active,
  protectedAt,
  refusedCarrier,
  refusedMeasure,
  refusedUse,
  refusedWhole,
  refusedWrite,
} from "./refuse.ts";
import { emptiedLabel } from "./systemcolumns.ts";

export type { MaskOptions, MaskOutcome } from "./masktypes.ts";

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
    refusedWhole(touched, set) ??
    refusedMeasure(touched, set, options, stillHolds) ??
    refusedUse(touched, set, options, stillHolds) ??
    refusedCarrier(touched, set) ??
    refusedWrite(touched, set);
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

/** Where a column decides which rows there are, or which one is changed. */
const decides: ReadonlySet<Position> = new Set(["predicate", "equality", "arbiter"]);

function labelsOf(
  touched: Touched,
  set: ProtectedSet,
): { labels: readonly string[]; labelsInPredicates: readonly string[] } {
  const labels = new Set<string>();
  const inPredicates = new Set<string>();
  for (const use of touched.uses)
    for (const column of protectedAt(use, set))
      for (const { label } of named(column)) {
        labels.add(label);
        if (decides.has(use.position)) inPredicates.add(label);
      }
  for (const { target } of touched.assignments)
    if (target !== null)
      for (const column of protectedAt(target, set)) for (const { label } of named(column)) labels.add(label);
  return { labels: [...labels].sort(), labelsInPredicates: [...inPredicates].sort() };
}

/** Labels of the policy. */
function named({ labels }: ProtectedColumn): readonly LabelMatcher[] {
  return labels.filter((label) => label !== emptiedLabel);
}

function equalitiesOf(touched: Touched, set: ProtectedSet, active: Active): readonly string[] {
  const names = new Set<string>();
  for (const use of touched.uses)
    if (use.position === "equality")
      for (const column of protectedAt(use, set)) if (active(column).length > 0) names.add(column.name);
  return [...names].sort();
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
