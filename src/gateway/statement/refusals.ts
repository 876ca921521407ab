/**
 * Memory of what principals were refused, and the circuit breaker for those who go on all the same: an agent in a loop, or
 * someone who tries one door after the other. Touched only when something is refused; the way of what is allowed costs one
 * comparison.
 */
import { requesterKey, requesterOf } from "../../approvals/index.ts";
import { AuditUnavailable } from "../../audit/index.ts";
import type { Principal } from "../../facts/principal.ts";
import type { RefusalLimits } from "../settings.ts";
import type { PreparedStatement } from "./names.ts";
import type { Reason, Walk } from "./state.ts";

export const defaultRefusalLimits: RefusalLimits = {
  same: 100,
  session: 1000,
  principal: 2000,
  pauseSeconds: 30,
};

/** Refusals of one kind are forgotten after this time without another. */
const forgetMs = 600_000;
const windowMs = 60_000;
/** Statements that are remembered for one principal, and principals. */
const maxSame = 256;
const maxPrincipals = 10_000;
/** From this one on the answer says how often it was. */
const told = 3;

/** Counts within a minute, and a pause once there were too many. */
interface Window {
  since: number;
  count: number;
  /** performance.now() until which nothing is let through; 0: open for all. */
  until: number;
}

interface Same {
  /** In all, since it was last forgotten. */
  total: number;
  since: number;
  count: number;
  last: number;
}

/** One principal's, shared by all of its sessions. */
export interface Remembered extends Window {
  readonly same: Map<string, Same>;
}

export interface RefusalMemory {
  readonly limits: RefusalLimits;
  of(principal: Principal): Remembered;
}

/** Kept in memory, for as long as the gateway runs. */
export function createRefusalMemory(limits: RefusalLimits = defaultRefusalLimits): RefusalMemory {
  // In order of last use.
  const known = new Map<string, Remembered>();
  return {
    limits,
    of(principal) {
      // With everybody who acts: one agent of a person must not stop the person, nor the others.
      const key = requesterKey(requesterOf(principal));
      const found = known.get(key) ?? { ...fresh(), same: new Map() };
      known.delete(key);
      known.set(key, found);
      if (known.size > maxPrincipals) {
        const [oldest] = known.keys();
        if (oldest !== undefined) known.delete(oldest);
      }
      return found;
    },
  };
}

export function fresh(): Window {
  return { since: 0, count: 0, until: 0 };
}

/** What says nothing of a caller that does not listen: it may try again, was told to, or is not to blame. */
const harmless: ReadonlySet<string> = new Set([
  "NEEDS_APPROVAL",
  "APPROVAL_REQUIRED",
  "APPROVAL_UNAVAILABLE",
  "APPROVAL_CANCELLED",
  "APPROVAL_GONE",
  "APPROVAL_EXPIRED",
  "ANALYSIS_UNAVAILABLE",
  "LOCKED",
  "CANCELLED",
  "AUDIT_UNAVAILABLE",
  "RATE_LIMITED",
  "CIRCUIT_OPEN",
  "SERVER_ERROR",
  "TRANSACTION_ABORTED",
]);

/** Why nothing of the caller's passes for a while; null: it may. Asked before a statement is looked at. */
export function circuitOpen({ guard }: Pick<Walk, "guard">): Reason | null {
  if (guard === null) return null;
  const { refusals, remembered } = guard;
  if (refusals.until === 0 && remembered.until === 0) return null;
  const left = Math.max(refusals.until, remembered.until) - performance.now();
  if (left <= 0) {
    refusals.until = 0;
    remembered.until = 0;
    return null;
  }
  return {
    sqlstate: "53400",
    code: "CIRCUIT_OPEN",
    message: "policy: too many statements were refused; nothing is looked at for a while",
    hint: `Stop repeating what is refused. Wait ${Math.ceil(left / 1000)} s, read the last refusals, and send something else.`,
    retryable: true,
  };
}

/** Counts a refusal, and gives it as it is to be told: with how often it was, once it is often. */
export function remember(walk: Walk, reason: Reason, statement: PreparedStatement | null): Reason {
  const { guard } = walk;
  if (guard === null || harmless.has(reason.code)) return reason;
  const now = performance.now();
  const { remembered, refusals, memory } = guard;
  const { limits } = memory;
  const same = sameOf(
    remembered,
    `${statement?.shape.fingerprint ?? ""}|${reason.code}|${reason.object ?? ""}`,
    now,
  );
  const cause =
    same.count >= limits.same
      ? "same"
      : count(refusals, now) >= limits.session
        ? "session"
        : count(remembered, now) >= limits.principal
          ? "principal"
          : null;
  if (cause !== null) {
    const until = now + limits.pauseSeconds * 1000;
    if (cause === "session") refusals.until = until;
    else remembered.until = until;
    refusals.count = 0;
    remembered.count = cause === "principal" ? 0 : remembered.count;
    same.count = 0;
    record(walk, cause, reason);
  }
  if (same.total < told) return reason;
  return {
    ...reason,
    repeated: same.total,
    hint: `${reason.hint} This was refused ${same.total} times: sending it again changes nothing.`.trimStart(),
  };
}

function sameOf({ same }: Remembered, key: string, now: number): Same {
  let one = same.get(key);
  if (one === undefined || now - one.last > forgetMs) one = { total: 0, since: now, count: 0, last: now };
  same.delete(key);
  same.set(key, one);
  if (same.size > maxSame) {
    const [oldest] = same.keys();
    if (oldest !== undefined) same.delete(oldest);
  }
  if (now - one.since > windowMs) {
    one.since = now;
    one.count = 0;
  }
  one.total++;
  one.count++;
  one.last = now;
  return one;
}

function count(window: Window, now: number): number {
  if (now - window.since > windowMs) {
    window.since = now;
    window.count = 0;
  }
  return ++window.count;
}

/** That it opened is on the record, by itself. */
function record(walk: Walk, cause: "same" | "session" | "principal", { code, rule }: Reason): void {
  const { guard } = walk;
  if (guard === null) return;
  const { subject, issuer, kind, groups, provider } = guard.principal;
  const { pauseSeconds } = guard.memory.limits;
  try {
    walk.audit.event("circuit.opened", {
      session: guard.id,
      principal: { subject, issuer, kind, groups, provider },
      database: guard.session.database,
      via: guard.session.via,
      cause,
      code,
      rule: rule ?? null,
      seconds: pauseSeconds,
    });
  } catch (error) {
    // The refusal itself could be recorded or not; that the log fails is told by its own way.
    if (!(error instanceof AuditUnavailable)) throw error;
  }
}
