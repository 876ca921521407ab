/** Functions that the configuration vouches for and the database does not have. */
import type { CatalogSnapshot } from "../../catalog/index.ts";

/** `trusted`: "schema.function", unquoted. Nothing is said where the catalog is missing. */
export function absentFunctions(trusted: readonly string[], catalog: CatalogSnapshot | null): string[] {
  if (catalog === null) return [];
  const known = new Set<string>();
  for (const { schema, name } of catalog.functions()) known.add(`${schema}.${name}`);
  return trusted.filter((name) => !known.has(name));
}
