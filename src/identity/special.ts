/** Tokens that let nobody in by themselves and still say something: back-channel logout, and identity assertion grants (ID-JAG). */
import type { Principal } from "../facts/principal.ts";
import type { Store } from "../store/types.ts";
import { readActors, readAudience, readTime, readTokenId } from "./claims.ts";
import { type CompactToken, readCompact, sha256 } from "./compact.ts";
import { IdentityError, quote } from "./errors.ts";
import { deepFreeze, isObject } from "./json.ts";
import type { Provider } from "./provider.ts";
import { toPrincipal, verifySignature } from "./verify.ts";

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
/** A grant is handed over at once; one that lives longer is no ID-JAG as the draft means it. */
const maxGrantSeconds = 3600;

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

/** An identity assertion authorization grant: another application's word, through the user's provider, that it may act for the user. */
export interface VerifiedGrant {
  readonly principal: Principal;
  /** The application that may use the grant. */
  readonly clientId: string;
  /** Good once: remember it until it ends. */
  readonly jti: string;
  readonly scope: string | null;
  readonly resource: string | null;
}

/**
 * Verifies an identity assertion authorization grant (draft-ietf-oauth-identity-assertion-authz-grant section 4): made by the person's
 * identity provider for a client that shall act here. Gives the person as principal of kind agent, the client as its actor. Throws IdentityError.
 */
export async function verifyGrant(
  providers: readonly Provider[],
  token: string,
  audience: readonly string[],
  now: () => number,
): Promise<VerifiedGrant> {
  const compact = readCompact(token);
  if (compact.type !== "oauth-id-jag+jwt")
    throw new IdentityError("TOKEN_TYPE", `typ ${quote(compact.type)} is no identity assertion grant`);
  const { claims } = compact;
  if (readAudience(claims).length !== 1)
    throw new IdentityError("TOKEN_AUDIENCE", "an identity assertion grant has one audience");
  if (Object.hasOwn(claims, "cnf"))
    throw new IdentityError(
      "TOKEN_BOUND",
      "the grant is bound to a key and no proof of it can be shown here",
    );
  const provider = chooseBy(providers, compact, () => audience);
  await verifySignature(provider, token, compact, now, {
    audience,
    requiredClaims: ["exp", "iat", "sub", "jti", "client_id"],
  });
  const verified = toPrincipal(provider, compact, sha256(token), now());
  if (verified.token.expires - (verified.token.issued ?? 0) > maxGrantSeconds)
    throw new IdentityError("TOKEN_CLAIMS", "the grant lives longer than a grant may");
  const { client_id: clientId, scope, resource } = claims;
  const { jti } = verified.token;
  if (typeof clientId !== "string" || clientId === "" || jti === null)
    throw new IdentityError("TOKEN_CLAIMS", "the grant names no client_id or has no jti");
  const paths = { ...provider.settings.claims, agent: "client_id" };
  return {
    principal: deepFreeze<Principal>({
      ...verified,
      kind: "agent",
      actor: readActors(claims, { paths, subject: verified.subject, agent: true }),
    }),
    clientId,
    jti,
    scope: typeof scope === "string" ? scope : null,
    resource: typeof resource === "string" ? resource : null,
  };
}

/** Whether a name is seen for the first time, on any node. `until`: ms since the epoch, when nobody can show it again. Throws IdentityError. */
export async function spendOnce(store: Store, name: string, until: number, now: number): Promise<boolean> {
  try {
    return await store.insert("spent", sha256(name), { v: 1 }, { expires: Math.max(until, now + 1000) });
  } catch {
    throw new IdentityError("STORE_UNAVAILABLE", "the store of used tokens cannot be reached");
  }
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
