/** Tokens verified a moment ago, by the SHA-256 of their text; the least recently used go first. */
import type { Principal } from "../facts/principal.ts";

export interface CacheEntry {
  readonly principal: Principal;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Length of the token, which bounds what the entry weighs. */
  readonly weight: number;
  /** Whether the key that verified the token is still among the provider's. */
  readonly stillTrusted: () => boolean;
}

export interface TokenCache {
  get(sha256: string): CacheEntry | null;
  set(sha256: string, entry: CacheEntry): void;
  delete(sha256: string): void;
  clear(): void;
  readonly size: number;
}

/** `maxWeight` bounds the sum of the tokens' lengths: their claims take a small multiple of that in memory. */
export function createTokenCache(limits: {
  readonly maxEntries: number;
  readonly maxWeight: number;
}): TokenCache {
  const entries = new Map<string, CacheEntry>();
  let weight = 0;

  function remove(sha256: string): void {
    const entry = entries.get(sha256);
    if (entry === undefined) return;
    entries.delete(sha256);
    weight -= entry.weight;
  }

  return {
    get(sha256) {
      const entry = entries.get(sha256);
      if (entry === undefined) return null;
      // A Map keeps the order of insertion: putting an entry back makes it the youngest.
      entries.delete(sha256);
      entries.set(sha256, entry);
      return entry;
    },
    set(sha256, entry) {
      remove(sha256);
      entries.set(sha256, entry);
      weight += entry.weight;
      for (const oldest of entries.keys()) {
        if (entries.size <= limits.maxEntries && weight <= limits.maxWeight) break;
        remove(oldest);
      }
    },
    delete: remove,
    clear() {
      entries.clear();
      weight = 0;
    },
    get size() {
      return entries.size;
    },
  };
}
