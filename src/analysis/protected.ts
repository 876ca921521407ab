/**
 * Which columns are protected: those that labels name, and those that hold the same values elsewhere (MASKING.md section 3.2,
 * "closure"): children and partitions and what they belong to, generated columns, views and materialized views.
 */
import { type CatalogSnapshot, columnText, type Relation, relationText } from "../catalog/index.ts";
import type { Attribute, Mask } from "../facts/effects.ts";
import { attributeOf, keyOf } from "./lineage/flow.ts";
import { storedLineage } from "./lineage/stored.ts";
import { type RefusedRelation, refusedRelations } from "./systemcolumns.ts";

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

interface Entry {
  readonly labels: Set<LabelMatcher>;
  readonly why: string[];
}

/** Lays labels over a catalog snapshot. Views and materialized views that are not understood are protected whole. */
export function resolveProtected(
  catalog: CatalogSnapshot,
  labels: readonly LabelMatcher[],
  database: string,
): ProtectedSet {
  const entries = new Map<number, Entry>();
  const due: number[] = [];

  function protect(key: number, reached: Iterable<LabelMatcher>, why: string): void {
    const entry = entries.get(key) ?? { labels: new Set(), why: [] };
    entries.set(key, entry);
    const before = entry.labels.size;
    for (const label of reached) entry.labels.add(label);
    if (entry.labels.size === before) return;
    if (!entry.why.includes(why)) entry.why.push(why);
    due.push(key);
  }

  for (const relation of catalog.relations())
    for (const column of relation.columns)
      for (const label of labels)
        if (label.matches(relation.schema, relation.name, column.name))
          protect(keyOf(relation.oid, column.attnum), [label], `label ${label.label}`);

  if (entries.size > 0) {
    const readers = readersOf(catalog, (relation) => {
      for (const column of relation.columns)
        protect(
          keyOf(relation.oid, column.attnum),
          labels,
          "a materialized view whose definition is not understood",
        );
    });
    for (let key = due.pop(); key !== undefined; key = due.pop()) {
      const reached = entries.get(key)?.labels ?? [];
      for (const next of neighbours(attributeOf(key), catalog, readers))
        protect(keyOf(next.relation, next.attribute), reached, next.why);
    }
  }

  const columns: ProtectedColumn[] = [...entries]
    .map(([key, { labels: reached, why }]) => {
      const attribute = attributeOf(key);
      return {
        ...attribute,
        name: columnText(catalog, attribute.relation, attribute.attribute),
        relationName: relationText(catalog, attribute.relation),
        labels: labels.filter((label) => reached.has(label)),
        why,
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const byKey = new Map(columns.map((column) => [keyOf(column.relation, column.attribute), column]));
  const byRelation = Map.groupBy(columns, (column) => column.relation);
  const byName = new Map([...byRelation].map(([oid, group]) => [relationText(catalog, oid), group]));
  const refused = columns.length === 0 ? [] : refusedRelations(catalog);
  const refusedBy = new Map(refused.map((entry) => [entry.relation, entry]));
  return {
    database,
    empty: columns.length === 0,
    columns,
    refused,
    column: (relation, attribute) => byKey.get(keyOf(relation, attribute)),
    ofRelation: (relation) => byRelation.get(relation) ?? [],
    ofName: (relation) => byName.get(relation) ?? [],
    isView: (relation) => catalog.relation(relation)?.kind === "v",
    refusal(relation, attribute) {
      const entry = refusedBy.get(relation);
      return entry === undefined || attribute < 0 || entry.readable.has(attribute) ? null : entry.reason;
    },
    tried: (relation, attribute) => isTried(catalog, relation, attribute),
    nameOf: (attribute) => columnText(catalog, attribute.relation, attribute.attribute),
    readable(relation) {
      const known = catalog.relation(relation)?.columns ?? [];
      return known
        .filter((column) => {
          const entry = byKey.get(keyOf(relation, column.attnum));
          return entry === undefined || entry.labels.every((label) => label.access !== "none");
        })
        .map((column) => column.name);
    },
  };
}

function isTried(catalog: CatalogSnapshot, relation: number, attribute: number): boolean {
  const name = catalog.column(relation, attribute)?.name;
  const seen = new Set([relation]);
  for (const oid of seen) {
    const known = catalog.relation(oid);
    if (known === undefined) continue;
    const own = known.columns.find((column) => column.name === name)?.attnum ?? attribute;
    const looks = known.conditioned.includes(own) || known.conditioned.includes(0);
    if (looks && (known.temporary || known.privileges.owns)) return true;
    for (const child of known.children) seen.add(child);
  }
  return false;
}

interface Neighbour extends Attribute {
  readonly why: string;
}

/** Views by the columns they read; attribute 0 of a relation: those that read whole rows. */
type Readers = ReadonlyMap<number, readonly Attribute[]>;

function readersOf(catalog: CatalogSnapshot, opaque: (relation: Relation) => void): Readers {
  const readers = new Map<number, Attribute[]>();
  for (const relation of catalog.relations()) {
    if (relation.kind !== "v" && relation.kind !== "m") continue;
    const lineage = storedLineage(relation, catalog);
    if (lineage === null) {
      // The server expands a view whenever it is used; a materialized view is a copy.
      if (relation.kind === "m") opaque(relation);
      continue;
    }
    for (const [attribute, sources] of lineage)
      for (const source of sources) {
        const key = keyOf(source.relation, source.attribute);
        const known = readers.get(key);
        const reader = { relation: relation.oid, attribute };
        if (known === undefined) readers.set(key, [reader]);
        else known.push(reader);
      }
  }
  return readers;
}

/** Columns that hold the same values as a column, or values made of them. */
function* neighbours(from: Attribute, catalog: CatalogSnapshot, readers: Readers): Generator<Neighbour> {
  const relation = catalog.relation(from.relation);
  if (relation === undefined) return;
  const name = columnText(catalog, from.relation, from.attribute);
  const column = catalog.column(from.relation, from.attribute)?.name;
  for (const child of relation.children) yield* sameNamed(child, column, catalog, `inherits ${name}`);
  // Rows of a child appear when its parent is read.
  for (const parent of relation.parents) yield* sameNamed(parent, column, catalog, `shows rows of ${name}`);
  for (const other of relation.columns)
    if (other.generatedFrom.includes(from.attribute))
      yield { relation: relation.oid, attribute: other.attnum, why: `generated from ${name}` };
  for (const attribute of [from.attribute, 0])
    for (const reader of readers.get(keyOf(from.relation, attribute)) ?? []) {
      const kind = catalog.relation(reader.relation)?.kind === "m" ? "materialized view" : "view";
      yield { ...reader, why: `${kind} over ${name}` };
    }
}

function* sameNamed(
  oid: number,
  name: string | undefined,
  catalog: CatalogSnapshot,
  why: string,
): Generator<Neighbour> {
  for (const column of catalog.relation(oid)?.columns ?? [])
    if (column.name === name) yield { relation: oid, attribute: column.attnum, why };
}
