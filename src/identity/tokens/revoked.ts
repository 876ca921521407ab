/** The list of revocations, kept in memory by every node from the store they share. */

import { randomUUID } from "node:crypto";
import type { Principal } from "../../facts/principal.ts";
import type { Json, Store } from "../../store/types.ts";
import type { Audience } from "./record.ts";
import {
  decodeRevocation,
  keyOf,
  keysOf,
  meets,
  type Revocation,
  type RevocationKind,
  type StoredRevocation,
} from "./revocation.ts";

export type { Revocation, RevocationKind } from "./revocation.ts";

const collection = "revocations";
/** How often the store is asked whether it still answers. */
const beatMs = 5_000;
/** Everything is read again so often, whatever the watch says. */
const rereadMs = 60_000;
/** Without an answer for so long nobody new is let in. */
const staleMs = 20_000;
/** Without an answer for so long open sessions end as well. */
export const sessionStaleMs = 300_000;
/** Longer than any token that was issued before the revocation may live; SPEC: pgt_ 60 min, access tokens days at the utmost. */
const keepMs = 90 * 86_400_000;
const maxText = 1024;

export interface RevocationRequest {
  readonly kind: RevocationKind;
  readonly value?: string;
  readonly issuer?: string | null;
  /** Default: `block` for subject, agent, token and everything, `before` for sub and sid. */
  readonly mode?: "block" | "before";
  /** Milliseconds since the epoch; null: until lifted (block), or as long as tokens of before may live. */
  readonly expires?: number | null;
  readonly reason: string;
  readonly by: { readonly subject: string; readonly issuer: string } | null;
}

export interface Revocations {
  /** The revocation that meets a principal; null: none. `audience` null: an open session. */
  find(principal: Principal, audience: Audience | null): Revocation | null;
  /** Milliseconds since the store was last known to answer. */
  readonly age: number;
  /** Whether new logins may rely on the list. */
  readonly fresh: boolean;
  /** Rejects with what the store says when it cannot be written. Effective here when it resolves, elsewhere about a second later. */
  add(request: RevocationRequest): Promise<Revocation>;
  /** false: there is none of that id. */
  lift(id: string): Promise<boolean>;
  readonly all: readonly Revocation[];
  /** Called after something was added, here or elsewhere. */
  onChange(listener: () => void): () => void;
  close(): void;
}

/** Reads the whole list, then follows it. Rejects when the store cannot be read: without the list nobody is let in. */
export async function openRevocations(
  store: Store,
  options: { readonly now?: () => number } = {},
): Promise<Revocations> {
  const now = options.now ?? Date.now;
  const listeners = new Set<() => void>();
  let byId = new Map<string, Revocation>();
  let byKey = new Map<string, Revocation[]>();
  let answered = performance.now();
  let readAt = answered;
  let closed = false;
  /** Added here while the list was being read, perhaps behind the reader's back. */
  const addedLately = new Map<Revocation, number>();

  function index(next: Map<string, Revocation>): void {
    byId = next;
    byKey = new Map();
    for (const revocation of next.values()) {
      const key = keyOf(revocation.kind, revocation.value);
      const there = byKey.get(key);
      if (there === undefined) byKey.set(key, [revocation]);
      else there.push(revocation);
    }
  }

  function tell(): void {
    for (const listener of listeners) listener();
  }

  async function readAll(): Promise<void> {
    const next = new Map<string, Revocation>();
    let after: string | null = null;
    const began = performance.now();
    do {
      const page: Awaited<ReturnType<Store["list"]>> = await store.list(collection, { limit: 1000, after });
      for (const { key, value } of page.items) {
        const revocation = decodeRevocation(key, value);
        if (revocation !== null) next.set(key, revocation);
      }
      after = page.next;
    } while (after !== null);
    for (const [revocation, when] of addedLately) {
      if (when >= began) next.set(revocation.id, revocation);
      else addedLately.delete(revocation);
    }
    const news = [...next.keys()].some((id) => !byId.has(id));
    index(next);
    answered = performance.now();
    readAt = began;
    if (news) tell();
  }

  /** One reading at a time; what changes meanwhile is read once more. */
  let reading: Promise<void> | null = null;
  let again = false;
  function reread(): Promise<void> {
    if (reading !== null) {
      again = true;
      return reading;
    }
    reading = (async () => {
      do {
        again = false;
        await readAll();
      } while (again && !closed);
    })().finally(() => {
      reading = null;
    });
    return reading;
  }
  /** A failure shows in `age`. */
  const rereadSoon = () => void reread().catch(() => {});

  await readAll();
  const unwatch = store.watch(collection, rereadSoon);
  const beat = setInterval(() => {
    if (performance.now() - readAt > rereadMs || performance.now() - answered > 2 * beatMs) rereadSoon();
    else
      void store.get(collection, "beat").then(
        () => {
          answered = performance.now();
        },
        () => {},
      );
  }, beatMs);
  beat.unref();

  return {
    find(principal, audience) {
      if (byId.size === 0) return null;
      const time = now();
      for (const key of keysOf(principal))
        for (const revocation of byKey.get(key) ?? [])
          if (
            (revocation.expires === null || revocation.expires > time) &&
            meets(revocation, principal, audience)
          )
            return revocation;
      return null;
    },
    get age() {
      return performance.now() - answered;
    },
    get fresh() {
      return performance.now() - answered < staleMs;
    },
    async add(request) {
      const at = now();
      const mode = request.mode ?? (request.kind === "sub" || request.kind === "sid" ? "before" : "block");
      const forGood = mode === "block" && request.kind !== "token";
      const stored: StoredRevocation = {
        v: 1,
        kind: request.kind,
        issuer: request.issuer ?? null,
        value: request.value ?? "",
        mode,
        at,
        expires: request.expires ?? (forGood ? null : at + keepMs),
        reason: request.reason.slice(0, maxText),
        by: request.by,
      };
      const id = randomUUID();
      await store.insert(collection, id, JSON.parse(JSON.stringify(stored)) as Json, {
        tags: [stored.kind],
        expires: stored.expires,
      });
      const revocation: Revocation = { ...stored, id };
      addedLately.set(revocation, performance.now());
      index(new Map(byId).set(id, revocation));
      tell();
      return revocation;
    },
    async lift(id) {
      const removed = await store.remove(collection, id);
      if (removed) {
        for (const revocation of addedLately.keys()) if (revocation.id === id) addedLately.delete(revocation);
        const next = new Map(byId);
        next.delete(id);
        index(next);
      }
      return removed;
    },
    get all() {
      return [...byId.values()].sort((a, b) => b.at - a.at);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      clearInterval(beat);
      unwatch();
      listeners.clear();
    },
  };
}
