/** What a policy's labels say that protects nothing: a mistyped pattern leaves a column open. */
import type { CatalogSnapshot } from "../../catalog/index.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import { type ColumnPattern, parsePattern } from "../../policy/schema/columns.ts";

export interface IdlePattern {
  readonly label: string;
  readonly pattern: string;
  readonly what: string;
}

/** A database of the configuration; null: its catalog could not be read, or was not asked for. */
export interface Looked {
  readonly database: string;
  readonly catalog: CatalogSnapshot | null;
}

/** Patterns of labels that name no column of any database they are for. Nothing is said where a catalog is missing. */
export function idlePatterns(policy: CompiledPolicy, databases: readonly Looked[]): IdlePattern[] {
  return policy.labels.flatMap(({ label, columns }) =>
    columns.flatMap((text) => {
      const parsed = parsePattern(text);
      if (!parsed.ok) return [];
      const meant = databases.filter(({ database }) => parsed.pattern.matchesDatabase(database));
      if (meant.length === 0)
        return [{ label, pattern: text, what: "names no database of the configuration" }];
      const isIdle = meant.every(({ catalog }) => catalog !== null && !names(parsed.pattern, catalog));
      return isIdle ? [{ label, pattern: text, what: "matches no column" }] : [];
    }),
  );
}

function names(pattern: ColumnPattern, catalog: CatalogSnapshot): boolean {
  for (const relation of catalog.relations())
    for (const column of relation.columns)
      if (pattern.matches(relation.schema, relation.name, column.name)) return true;
  return false;
}
