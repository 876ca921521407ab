/** A cheap answer to "has anything changed that the snapshot depends on?" */
import { hash } from "node:crypto";
import { unreadable } from "./errors.ts";
import { digestQuery } from "./queries.ts";
import type { TextRow } from "./rows.ts";
import type { CatalogQuery } from "./types.ts";

export interface CatalogState {
  /** "sha256:…". Equal digests mean an unchanged catalog (temporary objects of sessions do not count). */
  readonly digest: string;
  /** The same of the login and of the objects that initdb made only. */
  readonly system: string;
}

/**
 * What a snapshot depends on: one statement that reads the catalogs once and returns one row. Rejects with what the query
 * rejects with, or CatalogError.
 */
export async function catalogState(query: CatalogQuery): Promise<CatalogState> {
  const rows = await query(digestQuery);
  const [row] = rows;
  if (row === undefined || rows.length !== 1) throw unreadable("the catalog's state");
  const digestOf = (part: TextRow) => `sha256:${hash("sha256", JSON.stringify(part), "hex")}`;
  return { digest: digestOf(row), system: digestOf(row.slice(0, -1)) };
}

/** The digest alone. Rejects as catalogState(). */
export async function catalogDigest(query: CatalogQuery): Promise<string> {
  return (await catalogState(query)).digest;
}
