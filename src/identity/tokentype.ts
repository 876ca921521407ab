/** Tokens that are signed by the right issuer and still are no login: ID tokens, logout tokens, proofs, grants. */
import { certificateThumbprint } from "./binding.ts";
import { normaliseType } from "./compact.ts";
import { IdentityError, quote } from "./errors.ts";
import type { JsonObject } from "./json.ts";

/**
 * `typ` values that never stand for an access token: back-channel logout, RFC 9449 proofs, RFC 8417 events, cross-application grants, RFC
 * 9101 requests, RFC 9701 introspection, RFC 7523 client assertions, and their kin.
 */
const neverLogin: ReadonlySet<string> = new Set([
  "logout+jwt",
  "dpop+jwt",
  "secevent+jwt",
  "id-jag",
  "id-jag+jwt",
  "oauth-id-jag+jwt",
  "oauth-authz-req+jwt",
  "token-introspection+jwt",
  "client-authentication+jwt",
  "statuslist+jwt",
  "kb+jwt",
  "entity-statement+jwt",
  "jwk-set+jwt",
  "wit+jwt",
  "wpt+jwt",
]);

/** Whether a configured token type can be accepted at all. */
export function mayBeLogin(type: string): boolean {
  return !neverLogin.has(normaliseType(type));
}

/** Claims only ID tokens carry (OpenID Connect Core sections 2 and 3.3.2.11; `s_hash`: FAPI 1.0). */
const idTokenClaims = ["nonce", "at_hash", "c_hash", "s_hash"];
/** The claim `typ` (Keycloak) or `token_use` (Cognito) on tokens that are no access tokens. */
const otherUses: ReadonlySet<string> = new Set(["id", "refresh", "offline", "logout"]);

/**
 * Checks what kind of token it is. `type` is normalised, "" for none, which counts as "jwt" (RFC 7519 section 5.1 makes it optional).
 * Throws IdentityError TOKEN_TYPE or TOKEN_BOUND.
 */
export function checkTokenType(type: string, claims: JsonObject, accepted: ReadonlySet<string>): void {
  const effective = type === "" ? "jwt" : type;
  if (!accepted.has(effective) || neverLogin.has(effective)) {
    throw new IdentityError(
      "TOKEN_TYPE",
      type === "" ? "the token has no typ" : `typ ${quote(type)} is not accepted`,
    );
  }
  // RFC 8417 section 2.2 and OpenID Connect Back-Channel Logout section 2.4: whatever carries `events` tells of something, it lets nobody in.
  if (Object.hasOwn(claims, "events"))
    throw new IdentityError("TOKEN_TYPE", "a security event or logout token is no login");
  const { typ, token_use: use } = claims;
  for (const said of [typ, use]) {
    if (typeof said === "string" && otherUses.has(said.toLowerCase())) {
      throw new IdentityError("TOKEN_TYPE", `the token calls itself ${quote(said)}`);
    }
  }
  const found = effective === "jwt" ? idTokenClaims.find((name) => Object.hasOwn(claims, name)) : undefined;
  if (found !== undefined)
    throw new IdentityError("TOKEN_TYPE", `an ID token is no login (it carries ${found})`);
  // RFC 7800: the token is good only together with a proof of its key, which a password cannot give (RFC 9449 section 7.2, RFC 8705 section 3).
  // A certificate's thumbprint is compared with the connection's certificate afterwards (RFC 8705).
  if (Object.hasOwn(claims, "cnf") && certificateThumbprint(claims.cnf) === null)
    throw new IdentityError(
      "TOKEN_BOUND",
      "the token is bound to a key and no proof of it can be shown here",
    );
}
