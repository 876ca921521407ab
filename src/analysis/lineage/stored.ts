/** Lineage of views and materialized views, from the trees that the server keeps of them (pg_rewrite.ev_action). */
import type { CatalogSnapshot, Relation } from "../../catalog/index.ts";
import type { Attribute } from "../../facts/effects.ts";
import { intOf, readServerTree } from "../../sql/servertree/index.ts";
import { collect } from "./collect.ts";
import { sourcesOf } from "./flow.ts";
import { createScopes } from "./scope.ts";
import { createTracer } from "./trace.ts";

type Lineage = ReadonlyMap<number, readonly Attribute[]>;

/** A tree says by itself where its columns come from: catalogs share the relations that did not change. */
const known = new WeakMap<Relation, { readonly lineage: Lineage | null }>();

/**
 * The columns that each column of the view is made of, by its number; null when its tree is not understood, or not there.
 * Views below it are not expanded: their columns are sources like those of tables.
 */
export function storedLineage(relation: Relation, catalog: CatalogSnapshot): Lineage | null {
  if (relation.storedTree === null) return null;
  let found = known.get(relation);
  if (found === undefined) {
    found = { lineage: read(relation.storedTree, catalog) };
    known.set(relation, found);
  }
  return found.lineage;
}

function read(storedTree: string, catalog: CatalogSnapshot): Lineage | null {
  const tree = readServerTree(storedTree);
  const [query] = tree.ok ? tree.queries : [];
  if (!tree.ok || query === undefined || tree.queries.length !== 1) return null;
  try {
    if (collect([query], catalog).surprises.size > 0) return null;
    const scopes = createScopes();
    const tracer = createTracer(scopes, { onOutput() {} });
    const scope = scopes.of(query, null);
    if (scope.command !== "select") return null;
    const lineage = new Map<number, readonly Attribute[]>();
    for (const entry of scope.outputs) {
      const number = intOf(entry, "resno", -1);
      lineage.set(number, sourcesOf(tracer.output(scope, number)));
    }
    return lineage;
  } catch {
    return null;
  }
}
