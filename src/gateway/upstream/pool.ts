/**
 * Session pooling: a connection serves one session at a time, and after it, reset, another one with the same login and
 * exactly the same start-up settings (DISCARD ALL goes back to those of the start-up packet, so they are part of the key).
 */
import type { UpstreamConnection } from "../ports.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { closeConnection, endStream } from "./close.ts";
import { type ConnectOptions, connectUpstream, type OpenConnection, type UpstreamError } from "./connect.ts";
import { failures } from "./errors.ts";
import { createIdleList, type IdleList } from "./idle.ts";
import { resetConnection } from "./reset.ts";

export interface AcquireOptions {
  /** For waiting and connecting together; milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface PoolStats {
  /** Connections that count against `pool.max`: all of the following but `waiting`. */
  readonly total: number;
  /** Serving a session. */
  readonly active: number;
  readonly idle: number;
  readonly connecting: number;
  /** Being reset or closed. */
  readonly leaving: number;
  /** Sessions in the queue for a connection. */
  readonly waiting: number;
  /** Since the start: connections made, sessions that got a used one, connections that were not fit to be used again. */
  readonly opened: number;
  readonly reused: number;
  readonly dropped: number;
}

export interface UpstreamPool {
  /**
   * Gives a connection that is logged in, idle, and used by nobody else, from the idle ones or a new one; waits in line
   * while `pool.max` are in use. A connection that served before has no `notices`.
   * Throws UpstreamError: those of connectUpstream, "53300" when none became free in time, "57P01" after close().
   */
  acquire(
    login: LoginSettings,
    parameters: ReadonlyMap<string, string>,
    options: AcquireOptions,
  ): Promise<UpstreamConnection>;
  /**
   * Takes a connection back. The caller's listeners are off.
   * @param reusable every request was answered and the last ReadyForQuery said 'I', nothing is half written or half
   *   read, and no cancel request is under way: it would hit the next session. When in doubt, false.
   */
  release(connection: UpstreamConnection, reusable: boolean): void;
  readonly stats: PoolStats;
  /** Closes idle connections, gives up those being made, and refuses who waits; the active ones close when they are released. Resolves when the idle ones are closed. */
  close(): Promise<void>;
}

export interface PoolOptions {
  /** An idle connection is closed after this time. */
  readonly idleMs?: number;
  /** Up to `pool.minIdle` idle connections are kept longer while their login and settings were used within this time. */
  readonly keepMs?: number;
  readonly resetMs?: number;
  /** How long a closing connection waits for the server before it is cut. */
  readonly closeMs?: number;
}

interface Waiter {
  readonly key: string;
  serve(idle: OpenConnection | null): void;
  refuse(error: UpstreamError): void;
}

/** Makes the pool of one database; it opens nothing until it is asked. Times are in milliseconds. */
export function createUpstreamPool(database: DatabaseSettings, options: PoolOptions = {}): UpstreamPool {
  const { idleMs = 60_000, keepMs = 600_000, resetMs = 5_000, closeMs = 2_000 } = options;
  const { max, minIdle, reset } = database.pool;
  const errors = failures(database.name);
  const active = new Map<UpstreamConnection, string>();
  const waiting: Waiter[] = [];
  const idle: IdleList = createIdleList({ idleMs, keepMs, minIdle }, retire, () => {
    dropped++;
    // Not now: the list may be in the middle of a look-up.
    queueMicrotask(pump);
  });
  const leaving = new Set<Promise<void>>();
  /** Those whose user is lent for a time only: not for reuse. */
  const leased = new WeakSet<UpstreamConnection>();
  const ending = new AbortController();
  let connecting = 0;
  let opened = 0;
  let reused = 0;
  let dropped = 0;
  let closed = false;

  function total(): number {
    return active.size + idle.size + connecting + leaving.size;
  }

  /** Serves the head of the line as long as that is possible; nobody overtakes. */
  function pump(): void {
    for (let head = waiting[0]; head !== undefined; head = waiting[0]) {
      const found = idle.take(head.key);
      if (found === null && total() >= max) {
        // An idle connection with other settings makes room, once it is closed; enough may be leaving already.
        const oldest = leaving.size < waiting.length ? idle.takeOldest() : null;
        if (oldest !== null) retire(oldest);
        return;
      }
      waiting.shift();
      head.serve(found);
    }
  }

  function leave(work: Promise<void>): void {
    leaving.add(work);
    work.finally(() => {
      leaving.delete(work);
      pump();
    });
  }

  /** Closes a connection in good order: Terminate was never sent on it, no request is outstanding. */
  function retire(connection: OpenConnection): void {
    leave(closeConnection(connection, closeMs));
  }

  async function recycle(connection: OpenConnection, key: string): Promise<void> {
    try {
      await resetConnection(connection, errors, resetMs);
    } catch {
      dropped++;
      return;
    }
    if (closed) await closeConnection(connection, closeMs);
    else idle.add(key, connection); // counted twice until this promise has settled, which lets nobody in too early
  }

  async function open(
    key: string,
    login: LoginSettings,
    parameters: ReadonlyMap<string, string>,
    connectOptions: ConnectOptions,
  ): Promise<UpstreamConnection> {
    connecting++;
    try {
      const connection = await connectUpstream(database, login, parameters, connectOptions);
      opened++;
      active.set(connection, key);
      if (login.password?.readLogin !== undefined) leased.add(connection);
      return connection;
    } finally {
      connecting--;
      pump();
    }
  }

  return {
    acquire(login, parameters, { timeoutMs, signal }) {
      if (closed) return Promise.reject(errors.shuttingDown());
      if (signal?.aborted === true) return Promise.reject(errors.aborted());
      const key = poolKey(login, parameters);
      const deadline = performance.now() + timeoutMs;
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          key,
          serve(found) {
            stopWaiting();
            if (found !== null) {
              reused++;
              const connection: OpenConnection = { ...found, notices: [] };
              active.set(connection, key);
              resolve(connection);
              return;
            }
            const left = Math.max(1, deadline - performance.now());
            const own = {
              timeoutMs: left,
              signal: signal === undefined ? ending.signal : AbortSignal.any([ending.signal, signal]),
            };
            open(key, login, parameters, own).then(resolve, reject);
          },
          refuse(error) {
            stopWaiting();
            const at = waiting.indexOf(waiter);
            if (at >= 0) waiting.splice(at, 1);
            reject(error);
            pump();
          },
        };
        const onAbort = () => waiter.refuse(errors.aborted());
        const timer = setTimeout(() => waiter.refuse(errors.exhausted()), Math.min(timeoutMs, 0x7fffffff));
        signal?.addEventListener("abort", onAbort, { once: true });
        function stopWaiting(): void {
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
        }
        waiting.push(waiter);
        pump();
      });
    },

    release(connection, reusable) {
      const key = active.get(connection);
      if (key === undefined) return;
      active.delete(connection);
      const own = connection as OpenConnection;
      if (!reusable) {
        dropped++;
        leave(endStream(own, closeMs));
      } else if (reset === "discard_all" && !closed && !leased.has(own)) leave(recycle(own, key));
      else retire(own);
    },

    get stats() {
      return {
        total: total(),
        active: active.size,
        idle: idle.size,
        connecting,
        leaving: leaving.size,
        waiting: waiting.length,
        opened,
        reused,
        dropped,
      };
    },

    async close() {
      closed = true;
      ending.abort();
      for (const waiter of waiting.splice(0)) waiter.refuse(errors.shuttingDown());
      idle.close();
      await Promise.allSettled(leaving);
    },
  };
}

/** Equal for equal logins and equal start-up settings, whatever their order; unequal otherwise. */
function poolKey(login: LoginSettings, parameters: ReadonlyMap<string, string>): string {
  const settings = [...parameters].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([login.user, settings]);
}
