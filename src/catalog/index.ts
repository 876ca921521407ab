/** What the database has: the room's public face. */
export { partReaders } from "./functions/effects.ts";
export { loadGrants } from "./grants.ts";
export { type HardenFinding, hardenFindings, predefinedRoles } from "./harden.ts";
export { type LoadOptions, loadCatalog } from "./load.ts";
export { columnText, functionText, qualified, quoteIdentifier, relationText } from "./names.ts";
export { firstNormalOid } from "./queries.ts";
export { type Catalog, createCatalog } from "./refresh.ts";
export { isDecidedByColumns } from "./relations.ts";
export type * from "./types.ts";
