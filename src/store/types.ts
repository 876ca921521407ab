/** State that nodes share: small JSON documents with versions. Two drivers, one meaning (docs/architecture.md). */

/** What can be kept: plain JSON. Whoever reads it checks it: a store may have been written by another version. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface StoredDocument {
  readonly key: string;
  readonly value: Json;
  /** 1 when inserted, one more with every update. */
  readonly version: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly updated: number;
  /** null: kept until it is removed. */
  readonly expires: number | null;
}

export interface WriteOptions {
  /** Words it can be listed by (state, principal …), at most 16. */
  readonly tags?: readonly string[];
  /** Milliseconds since the epoch, from which it is no longer given and may be removed; null: never. */
  readonly expires?: number | null;
}

export interface ListOptions {
  /** Only those with all of these tags. */
  readonly tags?: readonly string[];
  readonly newestFirst?: boolean;
  /** `next` of the page before. */
  readonly after?: string | null;
  /** 1 to 1,000. */
  readonly limit: number;
}

/**
 * Every call is atomic and, once resolved, durable. All reject with StoreUnavailable when the store cannot be reached in time:
 * whoever asks must then refuse. Collections and keys: 1 to 200 characters of [A-Za-z0-9_.:-].
 */
export interface Store {
  /** null: no such document, or expired. */
  get(collection: string, key: string): Promise<StoredDocument | null>;
  /** false: there is one already (an expired one is replaced). */
  insert(collection: string, key: string, value: Json, options?: WriteOptions): Promise<boolean>;
  /** Compare and set: false when it is gone or its version is another. Options left out stay as they are. */
  update(
    collection: string,
    key: string,
    version: number,
    value: Json,
    options?: WriteOptions,
  ): Promise<boolean>;
  /** false: it was not there, or (with `version`) it is another. */
  remove(collection: string, key: string, version?: number): Promise<boolean>;
  /** In the order of their creation. */
  list(
    collection: string,
    options: ListOptions,
  ): Promise<{ readonly items: readonly StoredDocument[]; readonly next: string | null }>;
  /**
   * Calls back with the key of each document of the collection that was inserted, updated or removed, by any node, about a second later
   * at most; null: something may have been missed, look at all. Gives the way to stop it.
   */
  watch(collection: string, changed: (key: string | null) => void): () => void;
  /** Removes what has expired; done by itself every minute. Gives how many. */
  sweep(): Promise<number>;
  readonly failure: Error | null;
  close(): Promise<void>;
}
