/**
 * Columns of system relations that hold a value of another table's column, or tell of it, among others that tools read with `*`: while
 * anything is protected they come back as NULL. What ADD COLUMN found as the default, worked out, stands in pg_attribute for all rows of
 * that time (manual, "pg_attribute"). Whether an update was a heap-only one tells whether an indexed column was that already, and how much
 * it wrote to the write-ahead log how much of the old row the new one repeats (heapam.c, heap_update, log_heap_update).
 */
import type { Column, Relation } from "../catalog/index.ts";

const emptied: ReadonlyMap<string, RegExp> = new Map([
  ["pg_attribute", /^attmissingval$/],
  ["pg_stat_wal", /^wal_(?:records|fpi|bytes|buffers_full)$/],
  ...["all", "user", "sys"]
    .flatMap((which) => [`pg_stat_${which}_tables`, `pg_stat_xact_${which}_tables`])
    .map((view) => [view, /^n_tup_(?:hot|newpage)_upd$/] as const),
]);

/** Those of a relation; nearly none has any. */
export function emptiedOf({ schema, name, columns }: Relation): readonly Column[] {
  const found = schema === "pg_catalog" ? emptied.get(name) : undefined;
  return found === undefined ? [] : columns.filter((column) => found.test(column.name));
}
