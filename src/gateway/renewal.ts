/** Whether a fresh token may carry an open session on. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { Principal } from "../facts/principal.ts";

/** Claims that are new in every token and say nothing of who it is for. */
const passing: ReadonlySet<string> = new Set([
  "exp",
  "iat",
  "nbf",
  "jti",
  "auth_time",
  "sid",
  "uti",
  "aio",
  "rh",
  "at_hash",
  "nonce",
]);

export interface Difference {
  readonly why: "another principal" | "changed";
  readonly message: string;
}

/**
 * What speaks against it; null: nothing. The principal must be the same, and everything that rules can ask about it too: the session
 * goes on being judged by what it began with, so that somebody who lost a group must connect again.
 */
export function differences(old: Principal, fresh: Principal): Difference | null {
  if (
    old.issuer !== fresh.issuer ||
    old.subject !== fresh.subject ||
    old.provider !== fresh.provider ||
    !isDeepStrictEqual(old.actor, fresh.actor)
  )
    return { why: "another principal", message: "the token is not of the session's principal" };
  const same =
    old.kind === fresh.kind &&
    old.email === fresh.email &&
    isDeepStrictEqual([...old.groups].sort(), [...fresh.groups].sort()) &&
    isDeepStrictEqual(lasting(old.claims), lasting(fresh.claims));
  if (same) return null;
  return {
    why: "changed",
    message: "the principal's groups or claims have changed since the session began: connect again",
  };
}

function lasting(claims: Principal["claims"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !passing.has(name)));
}
