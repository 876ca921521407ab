/**
 * Closes what labels name over the columns that hold the same values: children and partitions and what they belong to, generated columns, views
 * and materialized views. It is worked out group by group, and what was found for a group of relations that did not change is used again.
 */
import { type CatalogSnapshot, columnText, type Relation, relationText } from "../catalog/index.ts";
import type { Attribute } from "../facts/effects.ts";
import { attributeOf, keyOf } from "./lineage/flow.ts";
import { storedLineage } from "./lineage/stored.ts";
import type { LabelMatcher, ProtectedColumn } from "./protected.ts";

interface Entry {
  readonly labels: Set<LabelMatcher>;
  readonly why: string[];
}

type Named = readonly (readonly [label: LabelMatcher, attributes: readonly number[]])[];

/** What labels name of relations: catalogs share those that did not change, and a policy has one list for each database. */
const namedIn = new WeakMap<readonly LabelMatcher[], WeakMap<Relation, Named>>();

/** The labels that name columns of a relation, in the order of the policy, and the numbers of these columns. */
function namedBy(relation: Relation, labels: readonly LabelMatcher[]): Named {
  const known = namedIn.get(labels) ?? new WeakMap<Relation, Named>();
  namedIn.set(labels, known);
  let named = known.get(relation);
  if (named === undefined) {
    named = labels.flatMap((label) => {
      const { schema, name, columns } = relation;
      const matched = columns.filter((column) => label.matches(schema, name, column.name));
      return matched.length === 0 ? [] : [[label, matched.map(({ attnum }) => attnum)] as const];
    });
    if (named.length === 0) named = namesNothing;
    known.set(relation, named);
  }
  return named;
}

const namesNothing: Named = [];

/** Whether labels name anything in the database. */
export function namesAny(catalog: CatalogSnapshot, labels: readonly LabelMatcher[]): boolean {
  for (const relation of catalog.relations()) if (namedBy(relation, labels).length > 0) return true;
  return false;
}

/** By name, as "columns" of a ProtectedSet stand. */
export function byNameOf(a: ProtectedColumn, b: ProtectedColumn): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Relations of which one may hold the values of another, and what is protected of them. */
interface Known {
  readonly members: readonly Relation[];
  readonly columns: ReadonlyMap<number, readonly ProtectedColumn[]>;
}

/** By policy, and the first relation of a group. */
const known = new WeakMap<readonly LabelMatcher[], WeakMap<Relation, Known>>();

/** The protected columns of a group, by relation and sorted by name, when labels name anything in the database. */
export function closureOf(
  members: readonly Relation[],
  catalog: CatalogSnapshot,
  labels: readonly LabelMatcher[],
): Known["columns"] {
  const [first] = members;
  if (first === undefined) return nothingKnown;
  if (members.length === 1 && first.kind !== "m" && namedBy(first, labels).length === 0) return nothingKnown;
  const groups = known.get(labels) ?? new WeakMap<Relation, Known>();
  known.set(labels, groups);
  const before = groups.get(first);
  if (before?.members.length === members.length && before.members.every((one, i) => one === members[i]))
    return before.columns;
  const columns = close(members, catalog, labels);
  groups.set(first, { members, columns });
  return columns;
}

const nothingKnown: Known["columns"] = new Map();

/** The closure in one group, when labels name anything in the database. */
function close(
  members: readonly Relation[],
  catalog: CatalogSnapshot,
  labels: readonly LabelMatcher[],
): Known["columns"] {
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

  for (const relation of members)
    for (const [label, attributes] of namedBy(relation, labels))
      for (const attribute of attributes)
        protect(keyOf(relation.oid, attribute), [label], `label ${label.label}`);

  const readers = readersOf(members, catalog, (relation) => {
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

  const columns = new Map<number, ProtectedColumn[]>();
  for (const [key, { labels: reached, why }] of entries) {
    const attribute = attributeOf(key);
    const column = {
      ...attribute,
      name: columnText(catalog, attribute.relation, attribute.attribute),
      relationName: relationText(catalog, attribute.relation),
      labels: labels.filter((label) => reached.has(label)),
      why,
    };
    const group = columns.get(attribute.relation);
    if (group === undefined) columns.set(attribute.relation, [column]);
    else group.push(column);
  }
  for (const group of columns.values()) group.sort(byNameOf);
  return columns;
}

/** Groups of relations that are parents and children, or views and what they read: no value goes from one group into another. */
export function relatives(catalog: CatalogSnapshot): Iterable<readonly Relation[]> {
  const above = new Map<number, number>();
  function rootOf(oid: number): number {
    let root = oid;
    for (let next = above.get(root); next !== undefined; next = above.get(root)) root = next;
    for (let at = oid; at !== root; ) {
      const next = above.get(at) ?? root;
      above.set(at, root);
      at = next;
    }
    return root;
  }
  function join(a: number, b: number): void {
    const [left, right] = [rootOf(a), rootOf(b)];
    if (left !== right) above.set(left, right);
  }
  for (const relation of catalog.relations()) {
    for (const parent of relation.parents) join(relation.oid, parent);
    for (const child of relation.children) join(relation.oid, child);
    if (relation.kind !== "v" && relation.kind !== "m") continue;
    const lineage = storedLineage(relation, catalog);
    if (lineage !== null)
      for (const sources of lineage.values())
        for (const source of sources) join(relation.oid, source.relation);
  }
  const groups = new Map<number, Relation[]>();
  for (const relation of catalog.relations()) {
    const root = rootOf(relation.oid);
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [relation]);
    else group.push(relation);
  }
  return groups.values();
}

interface Neighbour extends Attribute {
  readonly why: string;
}

/** Views by the columns they read; attribute 0 of a relation: those that read whole rows. */
type Readers = ReadonlyMap<number, readonly Attribute[]>;

function readersOf(
  members: readonly Relation[],
  catalog: CatalogSnapshot,
  opaque: (relation: Relation) => void,
): Readers {
  const readers = new Map<number, Attribute[]>();
  for (const relation of members) {
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
