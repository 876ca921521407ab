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
  const held = heldOf(walk);
  return {
    id,
    started: wall(times.started),
    lastActive: wall(times.lastActive),
    principal: walk.guard?.principal ?? client.principal,
    claimed: client.claimed,
    client: {
      ip: client.ip,
      application: client.application,
      user: client.user,
      via: client.via,
      tls: client.tls,
    },
    database: client.database,
    login,
    state: held !== null ? "waiting for approval" : stateOf(walk),
    statement:
      held !== null
        ? { sql: held.sql, started: wall(held.since), verdict: "approve" }
        : run === null || part === null
          ? null
          : {
              sql: part.sql,
              started: wall(run.since),
              verdict: run.approval === null ? "allow" : "approve",
            },
    counters: { ...walk.counters },
    approval: held?.approval ?? run?.approval ?? null,
    expires: client.principal.token.expires * 1000,
  };
}

function stateOf(walk: Walk): SessionState {
  return queueLength(walk.queue) > 0 ? "active" : walk.transaction === "I" ? "idle" : "in transaction";
}

/** What waits for people; null: nothing does, or they have decided. */
function heldOf({ hold }: Walk): { sql: string | null; since: number; approval: string | null } | null {
  if (hold === null || hold.answer !== null || hold.approval === null) return null;
  const first = hold.message.parts.find(({ judgement }) => judgement.awaits)?.statement.shape;
  return {
    sql: first === undefined || first.kind === "unknown" ? null : first.stripped,
    since: hold.since,
    approval: hold.approval.id,
  };
}
