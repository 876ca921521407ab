/** Principals and sessions as the API tells them. */
import type { Principal } from "../facts/principal.ts";
import type { Claimed } from "../facts/session.ts";
import type { SessionDescription } from "../gateway/index.ts";
import { at, isObject, list, text, word } from "./json.ts";
import type { Session } from "./schema/sessions.ts";

export interface ToldPrincipal {
  subject: string;
  issuer: string;
  provider: string;
  email: string | null;
  kind: Principal["kind"];
  groups: string[];
  actor: { subject: string; issuer: string | null }[];
}

export function tellPrincipal(p: Principal): ToldPrincipal {
  const { subject, issuer, provider, email, kind, groups, actor } = p;
  return {
    subject,
    issuer,
    provider,
    email,
    kind,
    groups: [...groups],
    actor: actor.map((one) => ({ subject: one.subject, issuer: one.issuer })),
  };
}

/** `principal` of a record, which never holds the mail address. */
export function recordedPrincipal(record: unknown): ToldPrincipal {
  const actors = at(record, "principal.actor");
  return {
    subject: text(record, "principal.subject") ?? "",
    issuer: text(record, "principal.issuer") ?? "",
    provider: text(record, "principal.provider") ?? "",
    email: null,
    kind: word(at(record, "principal.kind"), ["human", "service", "agent"]),
    groups: list(record, "principal.groups") ?? [],
    actor: (Array.isArray(actors) ? actors : []).filter(isObject).map((one) => ({
      subject: text(one, "subject") ?? "",
      issuer: text(one, "issuer"),
    })),
  };
}

/** What the caller claimed, as a record shows it: the prompt is sealed there. */
export function recordedClaims(record: unknown): Claimed {
  const claims: { -readonly [K in keyof Claimed]: string } = {};
  for (const name of ["agent", "model", "run", "intent", "traceparent"] as const) {
    const value = text(record, `claimed.${name}`);
    if (value !== null && !(name === "intent" && value === "(sealed)")) claims[name] = value;
  }
  return claims;
}

export function tellSession(session: SessionDescription, node: string): Session {
  const { id, claimed, client, database, login, state, statement, counters, approval } = session;
  return {
    id,
    node,
    started: iso(session.started),
    lastActive: iso(session.lastActive),
    principal: tellPrincipal(session.principal),
    claimed: { ...claimed },
    client: { ...client },
    database,
    login,
    state,
    statement: statement === null ? null : { ...statement, started: iso(statement.started) },
    counters: { ...counters },
    approval,
    expires: iso(session.expires),
  };
}

/** ISO 8601 of milliseconds since the epoch; times beyond what a Date holds are cut. */
export function iso(ms: number): string {
  return new Date(Math.min(Math.max(ms, 0), 253_402_300_799_000)).toISOString();
}
