/** Tokens that let nobody in by themselves and still say something: back-channel logout, and identity assertion grants (ID-JAG). */
import { readAudience, readTime, readTokenId } from "./claims.ts";
import { type CompactToken, readCompact } from "./compact.ts";
import { IdentityError, quote } from "./errors.ts";
import { isObject } from "./json.ts";
import type { Provider } from "./provider.ts";
import { verifySignature } from "./verify.ts";

/** What an identity provider says has ended. Times are seconds since the epoch. */
export interface LogoutClaims {
  readonly issuer: string;
  readonly provider: string;
  readonly jti: string;
  /** At least one of the two is there. */
  readonly subject: string | null;
  readonly sid: string | null;
  readonly issued: number;
  readonly expires: number;
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout";
/** OpenID Connect Back-Channel Logout 1.0 section 2.6: `iat` shall not be far in the past. */
const maxLogoutAge = 300;

/**
 * Verifies a logout token (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6). It is for our client id there, or for one of the
 * audiences. Whether its jti was seen before is the caller's to find out. Throws IdentityError.
 */
export async function verifyLogoutToken(
  providers: readonly Provider[],
  token: string,
  now: () => number,
): Promise<LogoutClaims> {
  const compact = readCompact(token);
  if (!["logout+jwt", "jwt", ""].includes(compact.type))
    throw new IdentityError("TOKEN_TYPE", `typ ${quote(compact.type)} is no logout token`);
  const { claims } = compact;
  const { events, nonce, sub, sid } = claims;
  if (!isObject(events) || !isObject(events[logoutEvent]))
    throw new IdentityError("TOKEN_TYPE", "the token holds no logout event");
  if (nonce !== undefined) throw new IdentityError("TOKEN_TYPE", "a logout token has no nonce");
  const provider = chooseBy(providers, compact, (one) => audiencesOf(one));
  await verifySignature(provider, token, compact, now, {
    audience: audiencesOf(provider),
    requiredClaims: ["iat", "exp", "jti"],
  });
  const issued = readTime(claims, "iat");
  if (issued < now() / 1000 - maxLogoutAge)
    throw new IdentityError("TOKEN_EXPIRED", "the logout token is old");
  const jti = readTokenId(claims);
  const subject = textOf(sub, "sub");
  const session = textOf(sid, "sid");
  if (jti === null || (subject === null && session === null))
    throw new IdentityError("TOKEN_CLAIMS", "the logout token names neither sub nor sid");
  return {
    issuer: provider.settings.issuer,
    provider: provider.settings.name,
    jti,
    subject,
    sid: session,
    issued,
    expires: readTime(claims, "exp"),
  };
}

function audiencesOf({ settings }: Provider): string[] {
  const { client, audience } = settings;
  const own = client === null ? [] : [client.id, ...(client.cli == null ? [] : [client.cli])];
  return [...own, ...audience];
}

function chooseBy(
  providers: readonly Provider[],
  { claims, algorithm }: CompactToken,
  audienceOf: (provider: Provider) => readonly string[],
): Provider {
  const { iss } = claims;
  const sameIssuer = providers.filter((provider) => provider.settings.issuer === iss);
  if (typeof iss !== "string" || sameIssuer.length === 0)
    throw new IdentityError("TOKEN_ISSUER", "the token's issuer is not configured");
  const audience = readAudience(claims);
  const chosen = sameIssuer.find((one) => audienceOf(one).some((expected) => audience.includes(expected)));
  if (chosen === undefined)
    throw new IdentityError(
      "TOKEN_AUDIENCE",
      `the token is for ${audience.slice(0, 3).map(quote).join(", ")}`,
    );
  if (!chosen.algorithms.has(algorithm))
    throw new IdentityError("TOKEN_ALGORITHM", `algorithm ${quote(algorithm)} is not accepted`);
  return chosen;
}

function textOf(value: unknown, name: string): string | null {
  if (value === undefined) return null;
  if (typeof value !== "string" || value === "" || value.length > 1024)
    throw new IdentityError("TOKEN_CLAIMS", `${name} is not a text`);
  return value;
}
