import { expect } from "vitest";
import { IdentityError, type IdentityErrorCode } from "../../src/identity/index.ts";
import type { OidcProviderSettings } from "../../src/identity/settings.ts";

/** Settings of a provider as config/ makes them from a minimal postern.yaml. */
export function provider(issuer: string, changes: Partial<OidcProviderSettings> = {}): OidcProviderSettings {
  return {
    name: "corp",
    type: "oidc",
    issuer,
    audience: ["postern"],
    jwks: null,
    algorithms: ["RS256", "ES256", "EdDSA"],
    tokenTypes: ["at+jwt", "JWT"],
    claims: { subject: "sub", groups: "groups", email: "email", agent: "client_id" },
    kinds: [],
    client: null,
    maxTokenAge: null,
    ...changes,
  };
}

/** Expects a refusal with this code, and gives it. */
export async function refused(attempt: Promise<unknown>, code: IdentityErrorCode): Promise<IdentityError> {
  const error: unknown = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(IdentityError);
  if (!(error instanceof IdentityError)) throw new Error("unreachable");
  expect({ code: error.code, cause: error.cause }).toMatchObject({ code });
  return error;
}

/** A clock that stands still until it is moved. */
export function clock(start = Date.now()): { now: () => number; advance(ms: number): void } {
  let time = start;
  return {
    now: () => time,
    advance(ms) {
      time += ms;
    },
  };
}
