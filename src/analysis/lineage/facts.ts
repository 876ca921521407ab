/** What the analysis asks of the catalog. */
import type { CatalogSnapshot } from "../../catalog/index.ts";

export interface CatalogFacts {
  readonly catalog: CatalogSnapshot;
  /** A column's name; undefined when the snapshot does not hold it. */
  columnName(relation: number, attribute: number): string | undefined;
  /** The value of a constant decides: what is found out holds for no other text, though it differs in its literals only. */
  byValue?(): void;
}

export function factsOf(catalog: CatalogSnapshot): CatalogFacts {
  return { catalog, columnName: (relation, attribute) => catalog.column(relation, attribute)?.name };
}
