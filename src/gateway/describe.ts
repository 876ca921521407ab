/** What an operator sees of an open session. */
import type { Principal } from "../facts/principal.ts";
import type { Claimed, Via } from "../facts/session.ts";
import type { AuthenticatedClient } from "./ports.ts";
import { queueHead, queueLength } from "./statement/queue.ts";
import type { Counters, Walk } from "./statement/state.ts";

/** `waiting for approval`: a statement is held until people have decided. */
export type SessionState = "idle" | "active" | "in transaction" | "waiting for approval";

/** One open session. Times are milliseconds since the epoch. */
export interface SessionDescription {
  readonly id: string;
  readonly started: number;
  readonly lastActive: number;
  readonly principal: Principal;
  readonly claimed: Claimed;
  readonly client: {
    readonly ip: string;
    readonly application: string | null;
    readonly user: string;
    readonly via: Via;
    readonly tls: string | null;
  };
  readonly database: string;
  readonly login: string;
  readonly state: SessionState;
  /** What the server works on, or what is held: literals stripped; `sql` null: the text was not read. null: nothing. */
  readonly statement: {
    readonly sql: string | null;
    readonly started: number;
    readonly verdict: "allow" | "approve";
  } | null;
  readonly counters: Readonly<Counters>;
  /** The approval that is waited for. */
  readonly approval: string | null;
  /** When the token ends. */
  readonly expires: number;
}

/** What the session itself knows of what it is doing. */
export function describeSession(
  id: string,
  client: AuthenticatedClient,
  login: string,
  walk: Walk,
  times: { readonly started: number; readonly lastActive: number },
): SessionDescription {
  // Sessions keep time on the monotonic clock.
  const wall = (time: number) => Math.round(Date.now() - (performance.now() - time));
  const run = queueHead(walk.queue)?.run ?? null;
  const part = run?.parts[run.at] ?? null;
  return {
    id,
    started: wall(times.started),
    lastActive: wall(times.lastActive),
    principal: client.principal,
    claimed: client.claimed,
    client: {
      ip: client.ip,
      application: client.application,
      user: client.user,
      via: "wire",
      tls: client.tls,
    },
    database: client.database,
    login,
    state: queueLength(walk.queue) > 0 ? "active" : walk.transaction === "I" ? "idle" : "in transaction",
    statement:
      run === null || part === null ? null : { sql: part.sql, started: wall(run.since), verdict: "allow" },
    counters: { ...walk.counters },
    approval: null,
    expires: client.principal.token.expires * 1000,
  };
}
