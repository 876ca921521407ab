/**
 * Columns of system relations that hold a value of another table's column, among others that tools read with `*`: while anything is
 * protected they come back as NULL. What ADD COLUMN found as the default, worked out, stands in pg_attribute for all rows of that time
 * (manual, "pg_attribute").
 */
import type { Column, Relation } from "../catalog/index.ts";

const emptied: readonly (readonly [relation: string, column: string])[] = [["pg_attribute", "attmissingval"]];

/** Those of a relation; nearly none has any. */
export function emptiedOf({ schema, name, columns }: Relation): readonly Column[] {
  if (schema !== "pg_catalog" || !emptied.some(([relation]) => relation === name)) return [];
  return columns.filter((column) => emptied.some((one) => one[0] === name && one[1] === column.name));
}
