/** Cancel keys: ours towards clients, never the server's (PROTOCOL.md A9, H). */
import { randomBytes, timingSafeEqual } from "node:crypto";

export interface Cancellable {
  /** Protocol 3.0 has keys of 4 bytes, 3.2 longer ones. */
  readonly minor: 0 | 2;
  readonly ip: string;
  /** The server's process id; 0: it told none. */
  readonly pid: number;
  /** Resolves when the server has taken the request, or there was nothing to cancel. Never rejects. */
  cancel(): Promise<void>;
}

export interface CancelKey {
  /** What the client is told: the server's own process id, which pg_cancel_backend() and notifications go by. */
  readonly pid: number;
  readonly key: Buffer;
  remove(): void;
}

export interface CancelKeys {
  add(session: Cancellable): CancelKey;
  /** Cancels what the session with this key runs; a wrong key does nothing and looks no different. `ip`: who asks. */
  cancel(request: { readonly pid: number; readonly key: Buffer; readonly ip: string }): Promise<void>;
}

interface Entry {
  readonly key: Buffer;
  readonly session: Cancellable;
  /** Wrong keys of this minute, from the session's own address and from others. */
  readonly wrong: { own: number; other: number; since: number };
}

/**
 * Wrong keys that are compared for one session in a minute, and as many again from its own address. With protocol 3.0 a key has 32
 * bits: at this pace it takes decades to guess one. Those of others do not keep a client from cancelling what is its own.
 */
const maxWrong = 100;
const minute = 60_000;

/** @param now milliseconds that only grow. */
export function createCancelKeys(now: () => number = () => performance.now()): CancelKeys {
  // Several servers may have a process of the same id.
  const keys = new Map<number, Set<Entry>>();
  return {
    add(session) {
      const pid = session.pid === 0 ? randomBytes(4).readUInt32BE() >>> 1 : session.pid;
      const key = randomBytes(session.minor === 2 ? 32 : 4);
      const entry: Entry = { key, session, wrong: { own: 0, other: 0, since: now() } };
      const entries = keys.get(pid) ?? new Set();
      keys.set(pid, entries.add(entry));
      return {
        pid,
        key,
        remove() {
          entries.delete(entry);
          if (entries.size === 0 && keys.get(pid) === entries) keys.delete(pid);
        },
      };
    },
    async cancel({ pid, key, ip }) {
      for (const entry of keys.get(pid) ?? []) {
        const { wrong, session } = entry;
        if (now() - wrong.since >= minute) Object.assign(wrong, { own: 0, other: 0, since: now() });
        const whose = ip === session.ip ? "own" : "other";
        if (wrong[whose] >= maxWrong) continue;
        if (entry.key.length === key.length && timingSafeEqual(entry.key, key)) return session.cancel();
        wrong[whose]++;
      }
    },
  };
}
