/**
 * What views look at to choose their rows where no statement asks for it: REFRESH runs the query of a materialized view again, over
 * values that have been written since; and the conditions of security-barrier views and WITH CHECK OPTION count as their owner's. Whoever
 * has made one may learn of these values by the rows that are there afterwards, or by a failure.
 */
import type { CatalogSnapshot, Relation } from "../catalog/index.ts";
import type { Attribute, Position } from "../facts/effects.ts";
import { readServerTree } from "../sql/servertree/index.ts";
import { collect } from "./lineage/collect.ts";
import { factsOf } from "./lineage/facts.ts";
import { storedLineage } from "./lineage/stored.ts";
import { findUses } from "./lineage/uses.ts";

interface Looks {
  readonly columns: readonly Attribute[];
  /** Relations that it reads. */
  readonly reads: readonly number[];
}

/** Where a column only gives a value. */
const harmless: ReadonlySet<Position> = new Set(["output", "derived"]);

function looksUnasked({ kind, securityBarrier, checksRows }: Relation): boolean {
  return kind === "m" || (kind === "v" && (securityBarrier || checksRows));
}

/**
 * Columns by relation that such views of the login look at, themselves or through others; attribute 0: any of them. Views that are not
 * understood look at everything that they read.
 */
export function unaskedLooks(catalog: CatalogSnapshot): ReadonlyMap<number, ReadonlySet<number>> {
  const found = new Map<number, Set<number>>();
  const due: Attribute[] = [];
  function add(at: Attribute): void {
    const known = found.get(at.relation) ?? new Set<number>();
    found.set(at.relation, known);
    if (known.has(at.attribute)) return;
    known.add(at.attribute);
    due.push(at);
  }
  const views = new Set<Relation>();
  for (const relation of catalog.relations())
    if (looksUnasked(relation) && relation.privileges.owns) views.add(relation);
  for (const view of views) {
    const { columns, reads } = looksOf(view, catalog);
    for (const at of columns) add(at);
    for (const oid of reads) {
      const relation = catalog.relation(oid);
      if (relation?.kind === "v") views.add(relation);
    }
  }
  // What is looked at in a view is what that is made of.
  for (let at = due.pop(); at !== undefined; at = due.pop()) {
    const { relation: oid, attribute } = at;
    const relation = catalog.relation(oid);
    const lineage = relation?.kind === "v" ? storedLineage(relation, catalog) : null;
    for (const [column, sources] of lineage ?? [])
      if (attribute === 0 || attribute === column) for (const source of sources) add(source);
  }
  return found;
}

function looksOf({ storedTree }: Relation, catalog: CatalogSnapshot): Looks {
  const tree = storedTree === null ? null : readServerTree(storedTree);
  if (tree === null || !tree.ok) return { columns: [], reads: [] };
  const collected = collect(tree.queries, catalog);
  const reads = [...collected.relations.keys()];
  const all = { columns: reads.map((relation) => ({ relation, attribute: 0 })), reads };
  if (collected.surprises.size > 0) return all;
  try {
    const { uses } = findUses(tree.queries, factsOf(catalog), false, false);
    return { columns: uses.filter(({ position }) => !harmless.has(position)), reads };
  } catch {
    return all;
  }
}
