/**
 * What of the protected columns a login may read in the database itself: where that is nothing, a fault of the gateway's own
 * analysis is an error of PostgreSQL's, and not a leak (MASKING.md section 4.4).
 */
import type { ProtectedColumn, ProtectedSet } from "../../analysis/protected.ts";
import type { CatalogQuery, CatalogSnapshot, Relation } from "../../catalog/index.ts";
import type { LoginSettings } from "../settings.ts";

/** Nothing may run under the login unless it was looked at. */
export function mustBeHardened({ hardened }: LoginSettings): boolean {
  return hardened === "all" || hardened === "secrets";
}

/** Columns at once: a statement must not grow without bound. */
const batch = 2_000;

/** What a view with its caller's rights shows is what it reads; one with its owner's rights shows by itself. */
export function exposing(protectedSet: ProtectedSet, catalog: CatalogSnapshot): readonly ProtectedColumn[] {
  return protectedSet.columns.filter(
    ({ relation }) => !protectedSet.isView(relation) || catalog.relation(relation)?.securityInvoker !== true,
  );
}

/** Whether the login may read columns, by number, of relations as one catalog had them: another version of a relation is another object. */
export type KnownReadable = WeakMap<Relation, Map<number, boolean>>;

/**
 * The protected columns on which the login has SELECT, by a grant on the column, its table, or a role of its (one that it would have to
 * take on by SET ROLE, too). See `exposing` for views. Rejects with what the query rejects with.
 * @param known what was found for relations that `catalog` shares with the catalogs before it; what is found is added. Grants are
 * the relation's, and what was read under a role with other memberships is shared with nothing.
 */
export async function readableColumns(
  query: CatalogQuery,
  protectedSet: ProtectedSet,
  catalog: CatalogSnapshot,
  known: KnownReadable = new WeakMap(),
): Promise<ProtectedColumn[]> {
  const columns = exposing(protectedSet, catalog).flatMap((column) => {
    const relation = catalog.relation(column.relation);
    if (relation === undefined) return [];
    const readable = known.get(relation) ?? new Map<number, boolean>();
    known.set(relation, readable);
    return [{ column, readable }];
  });
  const asked = columns.filter(({ column, readable }) => !readable.has(column.attribute));
  for (let from = 0; from < asked.length; from += batch) {
    const part = asked.slice(from, from + batch);
    const pairs = part.map(({ column }) => `(${column.relation}, ${column.attribute})`).join(", ");
    const rows = await query(
      `with mine as materialized (
  select r.oid from pg_catalog.pg_roles r where pg_catalog.pg_has_role(r.oid, 'MEMBER'))
select c.relation, c.attribute from (values ${pairs}) as c(relation, attribute)
where exists (select from mine where
  pg_catalog.has_column_privilege(mine.oid, c.relation::oid, c.attribute::smallint, 'SELECT'))`,
    );
    const keys = new Set(rows.map(([relation, attribute]) => `${relation}.${attribute}`));
    for (const { column, readable } of part)
      readable.set(column.attribute, keys.has(`${column.relation}.${column.attribute}`));
  }
  return columns.flatMap(({ column, readable }) => (readable.get(column.attribute) === true ? [column] : []));
}
