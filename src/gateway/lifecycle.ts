/**
 * How long sessions live: the earliest of their token's end, their certificate's and the longest time configured; a warning before,
 * FATAL 57P01 after the running statement. Revocations and administrators end them at once, on whichever node they are; so does taking
 * their identity provider out of the configuration.
 */
import { randomUUID } from "node:crypto";
import type pino from "pino";
import type { AuditLog } from "../audit/index.ts";
import type { Principal } from "../facts/principal.ts";
import type { Identity } from "../identity/index.ts";
import { type Revocations, sessionStaleMs } from "../identity/tokens/revoked.ts";
import type { Store } from "../store/types.ts";
import { differences } from "./renewal.ts";
import type { EndReason, Session } from "./session/types.ts";
import type { Limits } from "./settings.ts";

const collection = "commands";
/** By then every node has seen a command, or is not there. */
const commandMs = 120_000;
const defaultWarnSeconds = 300;
const defaultFinishSeconds = 900;

const tokenExpired: EndReason = {
  sqlstate: "57P01",
  message: "the token has expired; connect again with a fresh one",
  reason: "token expired",
};
const certificateExpired: EndReason = {
  sqlstate: "57P01",
  message: "the client certificate has expired; connect again with a fresh one",
  reason: "certificate expired",
};
const longEnough: EndReason = {
  sqlstate: "57P01",
  message: "the session has lasted as long as a session may; connect again",
  reason: "session limit",
};
const storeLost: EndReason = {
  sqlstate: "57P01",
  message: "the gateway cannot tell whether the token was revoked; connect again later",
  reason: "revocations unavailable",
};

export type RenewResult =
  | { readonly ok: true; readonly expires: number }
  | {
      readonly ok: false;
      readonly why: "unknown" | "another principal" | "changed";
      readonly message: string;
    };

export interface Lifecycle {
  /** Looks at every session; called about once a second. */
  tick(): void;
  /** For a session that has just begun: what was revoked while it did ends it. */
  begun(session: Session): void;
  /** The providers of identities have changed: sessions of those that are gone end at once. */
  judge(): void;
  /** Ends a session of this node at once. false: there is none of that id here. */
  end(id: string, reason: string): boolean;
  /** Ends a session wherever it is; resolves once the nodes have been told. Rejects with what the store says. */
  endAnywhere(id: string, reason: string): Promise<"ended" | "told">;
  /** A fresh token of the same principal: the session goes on until that one ends. */
  renew(id: string, principal: Principal): RenewResult;
  close(): void;
}

export interface LifecycleRooms {
  readonly sessions: ReadonlyMap<string, Session>;
  readonly limits: Limits;
  readonly audit: AuditLog;
  /** null: nothing is shared; only this node's own sessions can be ended. */
  readonly store: Store | null;
  readonly revocations: Revocations | null;
  readonly identity: Pick<Identity, "trusts">;
  readonly logger: pino.Logger;
}

export function createLifecycle(rooms: LifecycleRooms): Lifecycle {
  const { sessions, limits, revocations, identity, store, logger } = rooms;
  const warnSeconds = limits.warnSeconds ?? defaultWarnSeconds;
  const finishSeconds = limits.finishSeconds ?? defaultFinishSeconds;
  /** Until when each was warned for. */
  const warned = new WeakMap<Session, number>();

  /** Why a session may not go on although its time is not over: its provider is not one of ours any more. */
  function orphaned({ principals }: Session): EndReason | null {
    const left = principals.find((principal) => !identity.trusts(principal));
    if (left === undefined) return null;
    return {
      sqlstate: "57P01",
      message: "the identity provider of this session is not trusted any more; the session ends",
      reason: `provider removed (${left.provider})`,
    };
  }

  function judge(session: Session): void {
    const orphan = orphaned(session);
    if (orphan !== null) {
      session.cutOff(orphan);
      return;
    }
    for (const principal of session.principals) {
      const found = revocations?.find(principal, null) ?? null;
      if (found === null) continue;
      session.cutOff({
        sqlstate: "57P01",
        message: "access was revoked; the session ends",
        reason: `revoked (${found.kind}, ${found.id})`,
      });
      return;
    }
  }

  function judgeAll(): void {
    for (const session of sessions.values()) judge(session);
  }

  function end(id: string, reason: string): boolean {
    const session = sessions.get(id);
    session?.cutOff({
      sqlstate: "57P01",
      message: "the session was ended by an administrator",
      reason: reason.slice(0, 512),
    });
    return session !== undefined;
  }

  async function obey(key: string): Promise<void> {
    const document = await store?.get(collection, key);
    const command = document?.value;
    if (typeof command !== "object" || command === null || Array.isArray(command)) return;
    const { kind, session, reason } = command as { readonly [name: string]: unknown };
    if (kind === "end-session" && typeof session === "string" && typeof reason === "string")
      end(session, reason);
  }

  async function obeyAll(): Promise<void> {
    const page = await store?.list(collection, { limit: 1000, newestFirst: true });
    for (const { key } of page?.items ?? []) await obey(key);
  }

  const stops: (() => void)[] = [];
  if (revocations !== null) stops.push(revocations.onChange(judgeAll));
  if (store !== null)
    stops.push(
      store.watch(collection, (key) => {
        const work = key === null ? obeyAll() : obey(key);
        work.catch((error: unknown) => logger.warn({ err: error }, "a command of another node was not read"));
      }),
    );

  /** A statement that outlives its session's time is cut off in the end. */
  function expire(session: Session, why: EndReason, late: number): void {
    if (late > finishSeconds) session.cutOff(why);
    else session.expire(why);
  }

  /** Seconds before the end; a session that is short from the beginning is not warned as soon as it begins. */
  function warningOf(session: Session, now: number): number {
    const whole = session.deadline.at - now + (performance.now() - session.started) / 1000;
    // Not shorter than two ticks, or none of them might fall into it.
    return Math.min(warnSeconds, Math.max(whole / 5, 2));
  }

  return {
    tick() {
      const now = Date.now() / 1000;
      const lost = revocations !== null && revocations.age > sessionStaleMs;
      for (const session of sessions.values()) {
        const { deadline } = session;
        // Metadata of a provider may name another issuer from one moment to the next.
        const orphan = orphaned(session);
        if (lost) session.cutOff(storeLost);
        else if (orphan !== null) session.cutOff(orphan);
        else if (now >= deadline.at) expire(session, reasonOf(deadline.cause), now - deadline.at);
        else if (deadline.at - now <= warningOf(session, now) && warned.get(session) !== deadline.at) {
          const said = session.notice(
            `this session ends ${new Date(deadline.at * 1000).toISOString()}: ${whyOf(deadline.cause)}`,
            "Renew it with a fresh token (POST /api/sessions/ID/renew), or connect again.",
          );
          if (said) warned.set(session, deadline.at);
        }
      }
    },
    begun: judge,
    judge: judgeAll,
    end,
    async endAnywhere(id, reason) {
      if (end(id, reason)) return "ended";
      if (store === null) return "told";
      await store.insert(
        collection,
        randomUUID(),
        { v: 1, kind: "end-session", session: id, reason: reason.slice(0, 512) },
        { expires: Date.now() + commandMs },
      );
      return "told";
    },
    renew(id, principal) {
      const session = sessions.get(id);
      if (session === undefined) return { ok: false, why: "unknown", message: "there is no such session" };
      const differs = differences(session.principal, principal);
      if (differs !== null) return { ok: false, ...differs };
      session.renew(principal);
      rooms.audit.event("admin.action", {
        action: "session.renewed",
        session: id,
        principal: { subject: principal.subject, issuer: principal.issuer },
        token: { jti: principal.token.jti, sha256: principal.token.sha256 },
        expires: new Date(session.deadline.at * 1000).toISOString(),
      });
      return { ok: true, expires: session.deadline.at };
    },
    close() {
      for (const stop of stops) stop();
    },
  };
}

function reasonOf(cause: Session["deadline"]["cause"]): EndReason {
  switch (cause) {
    case "token":
      return tokenExpired;
    case "certificate":
      return certificateExpired;
    case "limit":
      return longEnough;
  }
}

function whyOf(cause: Session["deadline"]["cause"]): string {
  switch (cause) {
    case "token":
      return "its token expires";
    case "certificate":
      return "its client certificate expires";
    case "limit":
      return "no session may last longer";
  }
}
