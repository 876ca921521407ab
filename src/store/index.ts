/** State that nodes share: SQLite on one node, PostgreSQL for several. One interface (types.ts), one meaning. */
import { openPostgres } from "./postgres.ts";
import { openSqlite } from "./sqlite.ts";
import type { Store } from "./types.ts";

export { StoreUnavailable } from "./errors.ts";
export { createSealer, type Sealer } from "./seal.ts";
export { memoryStore } from "./sqlite.ts";
export type { Json, Store, StoredDocument, WriteOptions } from "./types.ts";

/** Where the store lies: a file of SQLite, or a database of PostgreSQL by its URL (which holds a secret). */
export type StorePlace =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: string };

/** Opens the store and brings its tables up to date. Rejects with StoreUnavailable. */
export function openStore(place: StorePlace): Promise<Store> {
  switch (place.kind) {
    case "sqlite":
      return openSqlite(place.path);
    case "postgres":
      return openPostgres(place.url);
  }
}
