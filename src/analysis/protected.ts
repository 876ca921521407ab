/**
 * Which columns are protected: those that labels name, and those that hold the same values elsewhere (MASKING.md section 3.2,
 * "closure"): children and partitions and what they belong to, generated columns, views and materialized views.
 */
import { type CatalogSnapshot, columnText, relationText } from "../catalog/index.ts";
import type { Attribute, Mask } from "../facts/effects.ts";
import { byNameOf, closureOf, namesAny, relatives } from "./closure.ts";
import { emptiedColumns, type RefusedRelation, refusedRelations } from "./systemcolumns.ts";
import { unaskedLooks } from "./unasked.ts";

/** What a label allows beside plain output columns. */
export type LabelUse = "output" | "equality" | "derived" | "any";

/** A label of the policy for one database. */
export interface LabelMatcher {
  readonly label: string;
  matches(schema: string, relation: string, column: string): boolean;
  readonly mask: Mask;
  /** `none`: the column cannot be read at all. */
  readonly access: "masked" | "none";
  readonly use: LabelUse;
}

export interface ProtectedColumn extends Attribute {
  /** "schema.relation.column", quoted as PostgreSQL quotes. */
  readonly name: string;
  /** "schema.relation". */
  readonly relationName: string;
  /** Every label that reaches it, in the order of the policy. */
  readonly labels: readonly LabelMatcher[];
  /** Why it is protected, for people: "label pii.email", "partition of public.part.email" … */
  readonly why: readonly string[];
}

export interface ProtectedSet {
  readonly database: string;
  /** No label reaches a column: nothing is masked or refused. */
  readonly empty: boolean;
  /** Sorted by name. */
  readonly columns: readonly ProtectedColumn[];
  /** undefined: not protected. */
  column(relation: number, attribute: number): ProtectedColumn | undefined;
  /** The protected columns of a relation. */
  ofRelation(relation: number): readonly ProtectedColumn[];
  /** The protected columns of a relation by its "schema.relation". */
  ofName(relation: string): readonly ProtectedColumn[];
  /** Columns of a system relation that come back as NULL while anything is protected. */
  emptied(relation: number): readonly ProtectedColumn[];
  /** A view: what it gives is what it reads. */
  isView(relation: number): boolean;
  /** Why a column of the system catalogs may not be read while anything is protected; null: it may. */
  refusal(relation: number, attribute: number): string | null;
  /** All of them, for `postern policy columns`. */
  readonly refused: readonly RefusedRelation[];
  /** What is written there is looked at by conditions that the login may have made: of a table that it owns, or of parts of it. */
  tried(relation: number, attribute: number): boolean;
  /** "schema.relation.column" of any column. */
  nameOf(attribute: Attribute): string;
  /** Names of a relation's columns that no label with `access: none` reaches. */
  readable(relation: number): readonly string[];
}

/**
 * Lays labels over a catalog snapshot. Views and materialized views that are not understood are protected whole. What was worked
 * out for relations that the catalog shares with one before it is used again.
 */
export function resolveProtected(
  catalog: CatalogSnapshot,
  labels: readonly LabelMatcher[],
  database: string,
): ProtectedSet {
  const named = namesAny(catalog, labels);
  const byRelation = new Map<number, readonly ProtectedColumn[]>();
  if (named)
    for (const group of relatives(catalog))
      for (const [relation, columns] of closureOf(group, catalog, labels)) byRelation.set(relation, columns);
  const columns = sorted(labels, byRelation);
  const byName = once(
    () => new Map([...byRelation].map(([oid, group]) => [relationText(catalog, oid), group])),
  );
  const refused = once(() => (named ? refusedRelations(catalog) : []));
  const emptied = once(() => (named ? emptiedColumns(catalog) : null));
  const refusedBy = once(() => new Map(refused().map((entry) => [entry.relation, entry])));
  const looked = once(() => unaskedLooks(catalog));
  const columnOf = (relation: number, attribute: number) =>
    byRelation.get(relation)?.find((column) => column.attribute === attribute);
  return {
    database,
    empty: columns.length === 0,
    columns,
    get refused() {
      return refused();
    },
    column: columnOf,
    ofRelation: (relation) => byRelation.get(relation) ?? [],
    ofName: (relation) => byName().get(relation) ?? [],
    emptied: (relation) => emptied()?.get(relation) ?? [],
    isView: (relation) => catalog.relation(relation)?.kind === "v",
    refusal(relation, attribute) {
      const entry = refusedBy().get(relation);
      return entry === undefined || attribute < 0 || entry.readable.has(attribute) ? null : entry.reason;
    },
    tried: (relation, attribute) => isTried(catalog, relation, attribute, looked()),
    nameOf: (attribute) => columnText(catalog, attribute.relation, attribute.attribute),
    readable(relation) {
      const known = catalog.relation(relation)?.columns ?? [];
      return known
        .filter((column) => {
          const entry = columnOf(relation, column.attnum);
          return entry === undefined || entry.labels.every((label) => label.access !== "none");
        })
        .map((column) => column.name);
    },
  };
}

/** @param unasked what views that the login may have made look at. */
function isTried(
  catalog: CatalogSnapshot,
  relation: number,
  attribute: number,
  unasked: ReadonlyMap<number, ReadonlySet<number>>,
): boolean {
  const name = catalog.column(relation, attribute)?.name;
  return [...family(catalog, relation)].some((oid) => {
    const known = catalog.relation(oid);
    if (known === undefined) return false;
    const own = known.columns.find((column) => column.name === name)?.attnum ?? attribute;
    if (unasked.get(oid)?.has(own) === true || unasked.get(oid)?.has(0) === true) return true;
    const looks =
      known.conditioned.includes(own) ||
      known.conditioned.includes(0) ||
      known.columns.some((column) => column.generatedFrom.includes(own));
    return looks && (known.temporary || known.privileges.owns);
  });
}

/** Where its rows may come to lie, and of which it is a part. */
function family(catalog: CatalogSnapshot, relation: number): ReadonlySet<number> {
  const below = new Set([relation]);
  for (const oid of below) for (const child of catalog.relation(oid)?.children ?? []) below.add(child);
  const above = new Set([relation]);
  for (const oid of above) for (const parent of catalog.relation(oid)?.parents ?? []) above.add(parent);
  return new Set([...below, ...above]);
}

/** Worked out when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** By policy: the columns as they were sorted last, so that few are out of place. */
const sortedLast = new WeakMap<readonly LabelMatcher[], readonly ProtectedColumn[]>();

function sorted(
  labels: readonly LabelMatcher[],
  byRelation: ReadonlyMap<number, readonly ProtectedColumn[]>,
): readonly ProtectedColumn[] {
  const fresh = new Set<ProtectedColumn>();
  for (const group of byRelation.values()) for (const column of group) fresh.add(column);
  const before = (sortedLast.get(labels) ?? []).filter((column) => fresh.delete(column));
  const columns = before.concat([...fresh].sort(byNameOf)).sort(byNameOf);
  sortedLast.set(labels, columns);
  return columns;
}
