/**
 * What of the protected columns a login may read in the database itself: where that is nothing, a fault of the gateway's own
 * analysis is an error of PostgreSQL's, and not a leak (MASKING.md section 4.4).
 */
import type { ProtectedColumn, ProtectedSet } from "../../analysis/protected.ts";
import type { CatalogQuery } from "../../catalog/index.ts";
import type { LoginSettings } from "../settings.ts";

/** Nothing may run under the login unless it was looked at. */
export function mustBeHardened({ hardened }: LoginSettings): boolean {
  return hardened === "all" || hardened === "secrets";
}

/** Columns at once: a statement must not grow without bound. */
const batch = 2_000;

/**
 * The stored protected columns on which the login has SELECT, by a grant on the column, its table, or a role of its. What a view
 * shows is what it reads: views are left out. Rejects with what the query rejects with.
 */
export async function readableColumns(
  query: CatalogQuery,
  protectedSet: ProtectedSet,
): Promise<ProtectedColumn[]> {
  const columns = protectedSet.columns.filter(({ relation }) => !protectedSet.isView(relation));
  const readable: ProtectedColumn[] = [];
  for (let from = 0; from < columns.length; from += batch) {
    const part = columns.slice(from, from + batch);
    const pairs = part.map(({ relation, attribute }) => `(${relation}, ${attribute})`).join(", ");
    const rows = await query(
      `select c.relation, c.attribute from (values ${pairs}) as c(relation, attribute)
 where pg_catalog.has_column_privilege(c.relation::oid, c.attribute::smallint, 'SELECT')`,
    );
    const keys = new Set(rows.map(([relation, attribute]) => `${relation}.${attribute}`));
    readable.push(...part.filter(({ relation, attribute }) => keys.has(`${relation}.${attribute}`)));
  }
  return readable;
}
