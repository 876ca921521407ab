/**
 * Groups that a principal has for a while (docs/approvals.md): they count from the start of a session, and from the moment they are
 * given or taken back in sessions that are open.
 */
import type { Grant, GrantSource } from "../approvals/index.ts";
import type { Principal } from "../facts/principal.ts";
import { literal } from "./hold/sqltext.ts";
import { chooseLogin } from "./logins.ts";
import { readsOnly } from "./readonly.ts";
import type { EndReason } from "./session/types.ts";
import type { DatabaseSettings, LoginSettings } from "./settings.ts";
import { queryHere } from "./statement/ask.ts";
import { unsettle } from "./statement/judgement.ts";
import { queueLength } from "./statement/queue.ts";
import type { Walk } from "./statement/state.ts";

/** A principal with what it was granted. */
export interface Granted {
  readonly principal: Principal;
  readonly grants: readonly Grant[];
}

/** `source` null: nobody can be granted anything. */
export function grantedTo(source: GrantSource | null, base: Principal, database: string): Granted {
  const grants = source?.groupsOf(base, database, Date.now()) ?? [];
  const more = [...new Set(grants.map(({ group }) => group))].filter((group) => !base.groups.includes(group));
  return { principal: more.length === 0 ? base : { ...base, groups: [...base.groups, ...more] }, grants };
}

const accessOver: EndReason = {
  sqlstate: "57P01",
  message: "the access that this session was opened with has ended; connect again",
  reason: "granted access ended",
};

const notTold: EndReason = {
  sqlstate: "57P01",
  message: "the session could not take over a change of access; connect again",
  reason: "change of access failed",
};

export interface SessionGrants {
  /** Looks again at what is granted: on every change, and about once a second, since grants end by themselves. */
  refresh(): void;
  /** The session stands idle: what the server must be told is told now. */
  idle(): void;
  stop(): void;
}

export interface GrantedSession {
  readonly source: GrantSource;
  readonly base: Principal;
  readonly database: DatabaseSettings;
  readonly login: LoginSettings;
  /** What the session began with. */
  readonly granted: Granted;
  /** Its transactions began as READ ONLY. */
  readonly readOnly: boolean;
  readonly walk: Walk;
  /** false: the stream is replicated, and its statements are not looked at. */
  readonly judged: boolean;
  /** Says in the trail what holds from now on. */
  record(grants: readonly Grant[]): void;
  end(why: EndReason): void;
}

/** Keeps one session's principal as grants come and go. */
export function followGrants(session: GrantedSession): SessionGrants {
  const { source, base, database, login, walk } = session;
  const { guard } = walk;
  let current = idsOf(session.granted.grants);
  let told = { groups: base.groups, readOnly: session.readOnly };
  let over = false;
  const unlisten = source.onChange(() => walk.guarded(refresh));
  apply(session.granted);
  if (session.granted.grants.length > 0) session.record(session.granted.grants);

  function refresh(): void {
    if (over) return;
    const granted = grantedTo(source, base, database.name);
    const ids = idsOf(granted.grants);
    if (ids === current) return;
    current = ids;
    session.record(granted.grants);
    // Another login would see other things: the one of this session must still be one of the principal's.
    if (chooseLogin({ logins: [login] }, granted.principal) === null) {
      over = true;
      session.end(accessOver);
      return;
    }
    apply(granted);
    idle();
  }

  function apply({ principal, grants }: Granted): void {
    if (guard === null) return;
    guard.principal = principal;
    guard.grantsEnd = grants.length === 0 ? null : Math.min(...grants.map(({ until }) => until));
    guard.onGrantsEnd = refresh;
    if (session.readOnly) guard.readOnly = readsOnly(guard.policies.current, principal, guard.session);
    unsettle(guard);
  }

  /** Row policies may ask for `postern.groups`; in the start-up packet stand those of the token only, to which RESET returns. */
  function idle(): void {
    if (over || guard === null || !session.judged) return;
    const { readOnly, principal } = guard;
    // After every statement: mostly it is the same list.
    if (told.readOnly === readOnly && sameGroups(told.groups, principal.groups)) return;
    const wanted = { groups: principal.groups, readOnly };
    const free =
      walk.stall === null &&
      queueLength(walk.queue) === 0 &&
      walk.transaction === "I" &&
      !walk.unsynced &&
      !walk.skipping &&
      !walk.leaving;
    if (!free) return;
    told = wanted;
    const stall = { until: "judged" } as const;
    walk.stall = stall;
    queryHere(walk, settingsText(wanted)).then(
      () =>
        walk.guarded(() => {
          if (walk.stall !== stall) return;
          walk.stall = null;
          walk.resume();
        }),
      () => walk.guarded(() => session.end(notTold)),
    );
  }

  return {
    refresh,
    idle,
    stop() {
      over = true;
      unlisten();
    },
  };
}

function idsOf(grants: readonly Grant[]): string {
  return grants
    .map(({ id }) => id)
    .sort()
    .join();
}

interface Told {
  readonly groups: readonly string[];
  readonly readOnly: boolean;
}

function sameGroups(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((group, i) => group === b[i]));
}

function settingsText({ groups, readOnly }: Told): string {
  return (
    `SELECT pg_catalog.set_config('postern.groups', ${literal(JSON.stringify(groups))}, false), ` +
    `pg_catalog.set_config('default_transaction_read_only', '${readOnly ? "on" : "off"}', false)`
  );
}
