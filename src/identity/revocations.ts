/** Tokens that are refused before their time. */
import type { CacheEntry } from "./cache.ts";

/** A token is refused as expired only once its clock tolerance is over; 60 s is well past it. */
const marginMs = 60_000;

export interface Revocations {
  /** Adds a token by its SHA-256; `known` when it was seen. Throws TypeError for anything but 64 lower-case hex digits. */
  add(tokenSha256: string, known: CacheEntry | null): void;
  /** `hashes`: the token's, that of its signing input and that of its twin, as far as they are known. `now`: ms since the epoch. */
  has(hashes: readonly (string | undefined)[], now: number): boolean;
}

/**
 * Revocations of seen tokens are forgotten once the token has expired; those of unseen ones are kept, since nobody knows when they end.
 * Seen tokens are also kept by what their signature covers.
 */
export function createRevocations(): Revocations {
  const until = new Map<string, number>();
  let nextSweep = 1024;

  function sweep(now: number): void {
    if (until.size < nextSweep) return;
    for (const [sha256, end] of until) if (end < now) until.delete(sha256);
    nextSweep = Math.max(1024, until.size * 2);
  }

  return {
    add(tokenSha256, known) {
      if (!/^[0-9a-f]{64}$/.test(tokenSha256)) throw new TypeError("a SHA-256 in hex is expected");
      const end = known === null ? Number.POSITIVE_INFINITY : known.until + marginMs;
      until.set(tokenSha256, end);
      const input = known?.principal.token.input;
      if (input !== undefined) until.set(input, end);
    },
    has(hashes, now) {
      sweep(now);
      return hashes.some((hash) => hash !== undefined && until.has(hash));
    },
  };
}
