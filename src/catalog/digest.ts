/** A cheap answer to "has anything changed that the snapshot depends on?" */
import { hash } from "node:crypto";
import { unreadable } from "./errors.ts";
import { digestQuery } from "./queries.ts";
import type { CatalogQuery } from "./types.ts";

/**
 * Digest of what a snapshot depends on: "sha256:…". Equal digests mean an unchanged catalog (temporary objects of sessions do
 * not count). One statement that reads the catalogs once and returns one row. Rejects with what the query rejects with, or
 * CatalogError.
 */
export async function catalogDigest(query: CatalogQuery): Promise<string> {
  const rows = await query(digestQuery);
  const [row] = rows;
  if (row === undefined || rows.length !== 1) throw unreadable("the catalog's state");
  return `sha256:${hash("sha256", JSON.stringify(row), "hex")}`;
}
