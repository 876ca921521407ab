/**
 * The sessions of other nodes. Each node that shares its store writes what it has open into one sealed document that expires by itself: every few
 * seconds, off the way of statements, and only while there is something to tell.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Json, Store } from "../../store/types.ts";
import { type Session, session } from "../schema/sessions.ts";

const collection = "sessions";
const publishMs = 5_000;
/** Two may be missed. */
const deadMs = 16_000;
/** A list is asked for again after this. */
const freshMs = 2_000;
/** Of one node: those that did something last. */
const mostSessions = 200;
const mostNodes = 100;
const sqlKept = 300;

const document = z.object({ v: z.literal(1), node: z.string(), sessions: z.array(session) });

export interface Peers {
  /** Sessions that other nodes told of last. None when the store does not answer: what is here can always be shown. */
  others(): Promise<readonly Session[]>;
  /** Takes back what this node told. */
  close(): Promise<void>;
}

export interface PeersDeps {
  readonly store: Store;
  readonly sealer: {
    seal(collection: string, key: string, value: Json): string;
    open(collection: string, key: string, sealed: string): Json | null;
  };
  readonly node: string;
  /** This node's own, as the API tells them. */
  own(): readonly Session[];
  readonly publishMs?: number;
}

/** Begins to tell the other nodes, through the store, of this node's sessions, and to ask for theirs. Never throws: a store that is away shows in `others()`. */
export function startPeers(deps: PeersDeps): Peers {
  const { store, sealer, node } = deps;
  const boot = randomUUID();
  let told = false;
  let busy: Promise<void> = Promise.resolve();
  let stopped = false;
  let known: { readonly at: number; readonly sessions: Promise<readonly Session[]> } | null = null;

  async function publish(): Promise<void> {
    const sessions = shorten(deps.own());
    if (sessions.length === 0) {
      if (told) await store.remove(collection, boot);
      told = false;
      return;
    }
    const value = sealer.seal(collection, boot, { v: 1, node, sessions } as unknown as Json);
    const options = { expires: Date.now() + deadMs };
    told = true;
    if (await store.insert(collection, boot, value, options)) return;
    const before = await store.get(collection, boot);
    if (before !== null) await store.update(collection, boot, before.version, value, options);
  }

  // One at a time; a store that is slow is not asked twice at once.
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    busy = publish()
      .catch(() => {})
      .finally(() => {
        running = false;
      });
  }, deps.publishMs ?? publishMs).unref();

  async function read(): Promise<readonly Session[]> {
    const { items } = await store.list(collection, { limit: mostNodes, newestFirst: true });
    return items.flatMap(({ key, value }) => {
      if (key === boot || typeof value !== "string") return [];
      const found = document.safeParse(sealer.open(collection, key, value));
      return found.success ? found.data.sessions : [];
    });
  }

  return {
    others() {
      if (known === null || Date.now() - known.at > freshMs)
        known = { at: Date.now(), sessions: read().catch(() => []) };
      return known.sessions;
    },
    async close() {
      if (stopped) return;
      stopped = true;
      clearInterval(timer);
      await busy;
      if (told) await store.remove(collection, boot).catch(() => false);
    },
  };
}

function shorten(sessions: readonly Session[]): Session[] {
  return [...sessions]
    .sort((a, b) => (a.lastActive < b.lastActive ? 1 : -1))
    .slice(0, mostSessions)
    .map((one) => ({
      ...one,
      statement:
        one.statement === null
          ? null
          : { ...one.statement, sql: one.statement.sql?.slice(0, sqlKept) ?? null },
    }));
}
