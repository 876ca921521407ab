/** How many may stand in the doorway. */
import type { Socket } from "node:net";
import { encodeError } from "../../protocol/index.ts";
import { plainAddress, unixPeer } from "./address.ts";
import { type ConnectionRules, type Greeting, greet } from "./connection.ts";
import { Over } from "./refusal.ts";

export interface Door {
  enter(socket: Socket): void;
  /** Ends every connection that has not been handed over. */
  clear(): Promise<void>;
}

/** Counts the connections of a listener that have not authenticated, those being refused included, and bounds them. */
export function createDoor(unix: boolean, rules: ConnectionRules): Door {
  const inside = new Map<Socket, Greeting | null>();
  const limit = rules.limits.connections;
  let reportedAt = Number.NEGATIVE_INFINITY;
  let unreported = 0;

  /** One record a second at most: a flood of connections must not become a flood of records. */
  function reportFull(socket: Socket): void {
    unreported++;
    const now = performance.now();
    if (now - reportedAt < 1000) return;
    const cause = `too many connections that have not authenticated (limit ${limit}); refused since the last record: ${unreported}`;
    reportedAt = now;
    unreported = 0;
    try {
      rules.onFailure({
        code: "TOO_MANY_CONNECTIONS",
        cause,
        ip: unix ? unixPeer : plainAddress(socket.remoteAddress ?? ""),
        port: unix ? 0 : (socket.remotePort ?? 0),
        tls: null,
        user: null,
        database: null,
        application: null,
        tokenSha256: null,
      });
    } catch {
      // As in Line.report: the connection is refused in any case.
    }
  }

  function turnAway(socket: Socket): void {
    socket.on("error", () => {});
    reportFull(socket);
    // Far above the limit not even words are spent.
    if (inside.size >= 2 * limit) {
      socket.destroy();
      return;
    }
    inside.set(socket, null);
    const timer = setTimeout(() => socket.destroy(), 1000);
    socket.on("close", () => {
      clearTimeout(timer);
      inside.delete(socket);
    });
    socket.resume();
    socket.end(encodeError({ severity: "FATAL", code: "53300", message: "too many connections" }));
  }

  return {
    enter(socket) {
      if (inside.size >= limit) {
        turnAway(socket);
        return;
      }
      const greeting = greet(socket, unix, rules);
      inside.set(socket, greeting);
      const leave = (): void => {
        inside.delete(socket);
      };
      socket.on("close", leave);
      greeting.done.then((handedOver) => {
        if (!handedOver) return;
        socket.off("close", leave);
        leave();
      });
    },
    async clear() {
      const over = new Over({
        sqlstate: "57P01",
        message: "terminating connection due to administrator command",
      });
      const waiting = [...inside];
      for (const [socket, greeting] of waiting) {
        if (greeting === null) socket.destroy();
        else greeting.abort(over);
      }
      await Promise.all(waiting.map(([, greeting]) => greeting?.done));
      // Let the last words out, then end what lingers.
      await new Promise(setImmediate);
      for (const socket of inside.keys()) socket.destroy();
    },
  };
}
