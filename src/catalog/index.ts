/** What the database has: the room's public face. */
export { catalogDigest } from "./digest.ts";
export { CatalogError, type CatalogErrorCode, CatalogUnavailable } from "./errors.ts";
export { type Grant, loadGrants } from "./grants.ts";
export { type HardenFinding, type HardenOptions, hardenFindings } from "./harden.ts";
export { type CatalogLimits, defaultCatalogLimits, type LoadOptions, loadCatalog } from "./load.ts";
export { columnText, functionText, qualified, quoteIdentifier, quoteLiteral, relationText } from "./names.ts";
export { type Catalog, type CatalogOptions, createCatalog } from "./refresh.ts";
export { isDecidedByColumns } from "./relations.ts";
export type { FunctionTrust, ParseSql } from "./snapshot.ts";
export type * from "./types.ts";
