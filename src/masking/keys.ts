/** The key of `hash` masks, and what a session remembers of values it hashed. */
import { createHmac, type KeyObject } from "node:crypto";
import { type HashAhead, sharedAhead } from "./lanes/ahead.ts";
import { type Hmac, hmacSha256 } from "./sha256.ts";

/** One for each session: hands out what hashes values of one domain. */
export interface MaskKeys {
  /**
   * Gives the HMAC for values of a domain and kind of type. Equal (domain, kind) give equal HMACs in every session under
   * the same key, others give unrelated ones.
   */
  hmac(domain: string, kind: string): Hmac;
  /** What hashes the values of a chunk of rows together; null: each is hashed by itself. */
  ahead(): HashAhead | null;
  /** Begins a digest of values before they were masked: only who has the key can tell what they were. */
  sourceDigest(): SourceDigest;
  /** Gives the memory of masked values for one purpose; equal names share it. */
  memo(name: string): Memo;
}

/** HMAC-SHA-256 over bytes as they came from the server. */
export interface SourceDigest {
  update(b: Buffer, from: number, to: number): void;
  /** Ends it: 64 hexadecimal digits. */
  hex(): string;
}

/** Masked values by their source bytes (as latin1 text); bounded. */
export interface Memo {
  get(source: string): Buffer | null | undefined;
  set(source: string, masked: Buffer | null): void;
}

interface AgingMemo extends Memo {
  age(): void;
}

const maxDomains = 64;
const maxMemos = 16;
/** Values in a session's memory, but for those of the generation before. */
const generation = 2048;
/** Longer values are seldom met again. */
export const maxMemoised = 64;

/**
 * @param key secret of at least 16 bytes; results can be joined where it is the same.
 * @param ahead called when the first mask that hashes is made.
 * Throws TypeError for another kind of key.
 */
export function createMaskKeys(key: KeyObject, ahead: () => HashAhead | null = sharedAhead): MaskKeys {
  if (key.type !== "secret" || (key.symmetricKeySize ?? 0) < 16)
    throw new TypeError("masking needs a secret key of 16 bytes or more");
  const hmacs = new Map<string, Hmac>();
  const memos = new Map<string, AgingMemo>();
  let spent = 0;
  return {
    hmac(domain, kind) {
      const name = JSON.stringify([domain, kind]);
      let hmac = hmacs.get(name);
      if (hmac === undefined) {
        // A key of its own: what is learnt of one domain says nothing of another.
        hmac = hmacSha256(createHmac("sha256", key).update(`postern mask 1 ${name}`).digest());
        if (hmacs.size >= maxDomains) hmacs.clear();
        hmacs.set(name, hmac);
      }
      return hmac;
    },
    ahead,
    sourceDigest() {
      const hmac = createHmac("sha256", createHmac("sha256", key).update("postern source digest 1").digest());
      return {
        update(b, from, to) {
          hmac.update(b.subarray(from, to));
        },
        hex: () => hmac.digest("hex"),
      };
    },
    memo(name) {
      let memo = memos.get(name);
      if (memo === undefined) {
        memo = createMemo(spend);
        if (memos.size >= maxMemos) memos.clear();
        memos.set(name, memo);
      }
      return memo;
    },
  };

  function spend(): void {
    if (++spent < generation) return;
    spent = 0;
    for (const memo of memos.values()) memo.age();
  }
}

/** Two generations: what was asked for since the last turn survives it. */
function createMemo(spend: () => void): AgingMemo {
  let young = new Map<string, Buffer | null>();
  let old = new Map<string, Buffer | null>();
  function set(source: string, masked: Buffer | null): void {
    young.set(source, masked);
    spend();
  }
  return {
    get(source) {
      const recent = young.get(source);
      if (recent !== undefined) return recent;
      const masked = old.get(source);
      if (masked !== undefined) set(source, masked);
      return masked;
    },
    set,
    age() {
      old = young;
      young = new Map();
    },
  };
}
