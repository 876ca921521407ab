/** The idle connections of one pool, watched: one on which anything happens is no longer used. */
import type { OpenConnection } from "./connect.ts";

export interface IdleList {
  readonly size: number;
  /** Takes in a connection that was just reset. */
  add(key: string, connection: OpenConnection): void;
  /** Gives the connection with this key that was used last, paused and without listeners; null when there is none. */
  take(key: string): OpenConnection | null;
  /** Gives the connection that has been idle longest. */
  takeOldest(): OpenConnection | null;
  /** Hands every connection to `retire`; none may be added afterwards. */
  close(): void;
}

interface Entry {
  readonly key: string;
  readonly connection: OpenConnection;
  readonly since: number;
  /** Takes the listeners off. */
  leave(): void;
}

/**
 * @param limits.idleMs after this time a connection is retired, unless it is one of the `minIdle` used last and its key
 *   was in use during the last `keepMs` milliseconds.
 * @param retire takes over a connection that is still sound, to close it.
 * @param broken is told that a connection is gone.
 */
export function createIdleList(
  limits: { readonly idleMs: number; readonly keepMs: number; readonly minIdle: number },
  retire: (connection: OpenConnection) => void,
  broken: () => void,
): IdleList {
  /** Longest idle first. */
  const entries: Entry[] = [];
  let timer: NodeJS.Timeout | null = null;

  function remove(entry: Entry): OpenConnection {
    entry.leave();
    const at = entries.indexOf(entry);
    if (at >= 0) entries.splice(at, 1);
    schedule();
    return entry.connection;
  }

  function schedule(): void {
    if (entries.length > 0 && timer === null) {
      timer = setInterval(sweep, Math.max(1, limits.idleMs / 4));
      timer.unref();
    } else if (entries.length === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  }

  /** An entry's age is the time since its key was used last. */
  function sweep(): void {
    const now = performance.now();
    for (const entry of [...entries]) {
      const age = now - entry.since;
      if (age < limits.idleMs) return;
      if (entries.length > limits.minIdle || age >= limits.keepMs) retire(remove(entry));
    }
  }

  return {
    get size() {
      return entries.length;
    },
    add(key, connection) {
      const { socket } = connection;
      // A server speaks to an idle session to end it (FATAL, end of stream) or to tell of a changed setting, which the
      // next session could not know: either way it is of no more use. PROTOCOL.md D9: only a flowing socket sees its end.
      const onEvent = () => {
        remove(entry);
        socket.destroy();
        broken();
      };
      const entry: Entry = {
        key,
        connection,
        since: performance.now(),
        leave() {
          socket.pause();
          socket.removeListener("data", onEvent);
          socket.removeListener("end", onEvent);
          socket.removeListener("close", onEvent);
        },
      };
      entries.push(entry);
      socket.on("data", onEvent);
      socket.on("end", onEvent);
      socket.on("close", onEvent);
      socket.resume();
      schedule();
      if (socket.destroyed) onEvent();
    },
    take(key) {
      for (;;) {
        const entry = entries.findLast((candidate) => candidate.key === key);
        if (entry === undefined) return null;
        const connection = remove(entry);
        const { socket } = connection;
        if (!socket.destroyed && socket.readable && socket.writable && socket.readableLength === 0)
          return connection;
        socket.destroy();
        broken();
      }
    },
    takeOldest() {
      const [entry] = entries;
      return entry === undefined ? null : remove(entry);
    },
    close() {
      for (const entry of [...entries]) retire(remove(entry));
    },
  };
}
