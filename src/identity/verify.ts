/** From a token's text to a principal: every check of a login by OIDC access token (RFC 9068 section 4, RFC 8725). */
import { errors, jwtVerify } from "jose";
import type { Principal } from "../facts/principal.ts";
import {
  readActors,
  readAudience,
  readEmail,
  readGroups,
  readSubject,
  readTime,
  readTokenId,
} from "./claims.ts";
import { clockTolerance } from "./clock.ts";
import { type CompactToken, readCompact, sha256 } from "./compact.ts";
import { entraAgent, refuseEntraIdToken } from "./entra.ts";
import { IdentityError, quote } from "./errors.ts";
import { deepFreeze } from "./json.ts";
import type { Candidate } from "./keyset.ts";
import type { Provider } from "./provider.ts";
import { spiffeId } from "./spiffe.ts";
import { checkTokenType } from "./tokentype.ts";

/** A grant is handed over at once; one that lives longer is no ID-JAG as the draft means it. */
const maxGrantSeconds = 3600;

export interface Verified {
  readonly principal: Principal;
  readonly provider: Provider;
  /** The key that verified the token, as KeySource.holds takes it. */
  readonly keyId: string;
  readonly staleKeys: boolean;
}

export interface VerifyRules {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly maxDelegationDepth: number;
}

/** Verifies a token whose text has the given SHA-256. Throws IdentityError. */
export async function verifyToken(
  providers: readonly Provider[],
  token: string,
  tokenSha256: string,
  rules: VerifyRules,
): Promise<Verified> {
  const compact = readCompact(token);
  const provider = choose(providers, compact);
  checkAlgorithm(provider, compact);
  checkTokenType(compact.type, compact.claims, provider.types);
  if (provider.settings.dialect === "entra") refuseEntraIdToken(compact.claims);
  const { key, stale } = await verifySignature(provider, token, compact, rules.now);
  return {
    principal: toPrincipal(provider, compact, tokenSha256, rules),
    provider,
    keyId: key.id,
    staleKeys: stale,
  };
}

/** An identity assertion authorization grant: another application's word, through the user's provider, that it may act for the user. */
export interface VerifiedGrant {
  readonly principal: Principal;
  /** The application that may use the grant; whoever presents it must be this client. */
  readonly clientId: string;
  /** Good once: remember it until it ends. */
  readonly jti: string;
  readonly scope: string | null;
  /** Where it may be used (RFC 8707); null: it does not say. */
  readonly resource: string | readonly string[] | null;
}

/**
 * Verifies an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant). It is no login: it is shown to the token endpoint alone, whose name
 * its `aud` must be. Only providers that say `id_jag: true` may vouch so. Throws IdentityError.
 */
export async function verifyGrant(
  providers: readonly Provider[],
  token: string,
  audience: readonly string[],
  rules: VerifyRules,
): Promise<VerifiedGrant> {
  const compact = readCompact(token);
  if (compact.type !== "oauth-id-jag+jwt")
    throw new IdentityError("TOKEN_TYPE", `typ ${quote(compact.type)} is not that of an ID-JAG`);
  const { iss, client_id: clientId, scope, resource, cnf } = compact.claims;
  const provider = providers.find((one) => one.settings.issuer === iss && one.settings.idJag === true);
  if (provider === undefined)
    throw new IdentityError("TOKEN_ISSUER", "no provider with this issuer may vouch by ID-JAG");
  const named = readAudience(compact.claims);
  // One audience, and that ours: a grant for several would be good at each of them.
  if (named.length !== 1 || !audience.includes(named[0] ?? ""))
    throw new IdentityError("TOKEN_AUDIENCE", `the grant is for ${named.slice(0, 3).map(quote).join(", ")}`);
  checkAlgorithm(provider, compact);
  if (cnf !== undefined) throw new IdentityError("TOKEN_BOUND", "the grant is bound to a key");
  if (!isResource(resource) || !(scope === undefined || typeof scope === "string"))
    throw new IdentityError("TOKEN_CLAIMS", "the grant's resource or scope cannot be read");
  if (typeof clientId !== "string" || clientId === "")
    throw new IdentityError("TOKEN_CLAIMS", "the grant names no client_id");
  await verifySignature(provider, token, compact, rules.now, {
    audience,
    requiredClaims: ["exp", "iat", "sub", "jti", "client_id"],
  });
  const principal = toPrincipal(provider, compact, sha256(token), rules);
  const { jti } = principal.token;
  if (jti === null) throw new IdentityError("TOKEN_CLAIMS", "the grant has no jti");
  if (principal.token.expires - (principal.token.issued ?? 0) > maxGrantSeconds)
    throw new IdentityError("TOKEN_CLAIMS", "the grant lives longer than a grant may");
  const acting =
    principal.actor.length > 0 || clientId === principal.subject
      ? principal.actor
      : [{ subject: clientId, issuer: null }];
  return {
    principal: deepFreeze<Principal>({ ...principal, kind: "agent", actor: acting }),
    clientId,
    jti,
    scope: scope ?? null,
    resource: resource ?? null,
  };
}

function isResource(value: unknown): value is string | readonly string[] | undefined {
  return (
    value === undefined ||
    typeof value === "string" ||
    (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string"))
  );
}

function checkAlgorithm(provider: Provider, compact: CompactToken): void {
  if (!provider.algorithms.has(compact.algorithm))
    throw new IdentityError("TOKEN_ALGORITHM", `algorithm ${quote(compact.algorithm)} is not accepted`);
}

/**
 * The provider that answers for a token, by its unverified `iss` and `aud`. This comes before any key is fetched: a stranger's token makes
 * the gateway call nobody, and each provider's keys verify tokens of its own issuer only (RFC 8725 section 3.8).
 */
function choose(providers: readonly Provider[], { claims }: CompactToken): Provider {
  const { iss, sub } = claims;
  const domain = typeof sub === "string" ? (spiffeId(sub)?.trustDomain ?? null) : null;
  // A JWT-SVID is known by the trust domain of its subject; whether it also names an issuer is up to the trust domain (JWT-SVID section 3).
  const sameIssuer = providers.filter(({ settings }) =>
    settings.dialect === "spiffe"
      ? domain !== null && settings.issuer === `spiffe://${domain}`
      : settings.issuer === iss,
  );
  if (typeof iss !== "string" && sameIssuer.length === 0)
    throw new IdentityError("TOKEN_ISSUER", "the token names no issuer");
  if (sameIssuer.length === 0)
    throw new IdentityError("TOKEN_ISSUER", `issuer ${quote(String(iss))} is not configured`);
  const audience = readAudience(claims);
  const chosen = sameIssuer.find(({ settings }) =>
    settings.audience.some((expected) => audience.includes(expected)),
  );
  if (chosen === undefined) {
    throw new IdentityError(
      "TOKEN_AUDIENCE",
      `the token is for ${audience.slice(0, 3).map(quote).join(", ")}`,
    );
  }
  return chosen;
}

/** What must stand in a token besides a good signature. */
export interface Expected {
  readonly audience: readonly string[];
  readonly requiredClaims: readonly string[];
}

function expectedOf({ settings }: Provider): Expected {
  const { audience, dialect } = settings;
  return { audience, requiredClaims: dialect === "spiffe" ? ["exp", "sub"] : ["exp", "iat", "sub"] };
}

/** Verifies signature, issuer, audience and times. Throws IdentityError. */
export async function verifySignature(
  provider: Provider,
  token: string,
  compact: CompactToken,
  now: () => number,
  expected: Expected = expectedOf(provider),
): Promise<{ readonly key: Candidate; readonly stale: boolean }> {
  const found = await provider.keys.find(compact.algorithm, compact.keyId);
  const key = await tryKeys(provider, token, found.keys, now, expected);
  if (key !== null) return { key, stale: found.stale };
  // Without a key id a token of a new key looks like a forgery: ask the provider once more, no more often than for unknown ids.
  if (compact.keyId === null && (await provider.keys.renew())) {
    const renewed = await provider.keys.find(compact.algorithm, null);
    const second = await tryKeys(provider, token, renewed.keys, now, expected);
    if (second !== null) return { key: second, stale: renewed.stale };
  }
  throw new IdentityError("TOKEN_SIGNATURE", "the signature does not verify");
}

/** The key that verifies the token's signature and claims; null when none of them made the signature. */
async function tryKeys(
  { settings }: Provider,
  token: string,
  keys: readonly Candidate[],
  now: () => number,
  expected: Expected,
): Promise<Candidate | null> {
  const svid = settings.dialect === "spiffe";
  for (const key of keys) {
    try {
      await jwtVerify(token, await key.import(), {
        ...(svid ? {} : { issuer: settings.issuer }),
        audience: [...expected.audience],
        algorithms: [...settings.algorithms],
        requiredClaims: [...expected.requiredClaims],
        clockTolerance,
        currentDate: new Date(now()),
        ...(settings.maxTokenAge === null ? {} : { maxTokenAge: settings.maxTokenAge }),
      });
      return key;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== null) throw refusal;
    }
  }
  return null;
}

/** Null when this key did not make the signature, so that another may be tried. */
function refusalOf(error: unknown): IdentityError | null {
  if (error instanceof errors.JWSSignatureVerificationFailed) return null;
  if (error instanceof errors.JWTExpired) {
    const why =
      error.claim === "iat"
        ? "the token was issued longer ago than max_token_age allows"
        : "the token has expired";
    return new IdentityError("TOKEN_EXPIRED", why);
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === "check_failed") {
      if (error.claim === "nbf" || error.claim === "iat") {
        return new IdentityError("TOKEN_NOT_YET_VALID", `${error.claim} is in the future`);
      }
      if (error.claim === "aud")
        return new IdentityError("TOKEN_AUDIENCE", "the token is for another audience");
      if (error.claim === "iss") return new IdentityError("TOKEN_ISSUER", "the token is of another issuer");
    }
    return new IdentityError("TOKEN_CLAIMS", `${error.claim} is ${error.reason}`);
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new IdentityError("TOKEN_ALGORITHM", "the algorithm is not accepted");
  if (error instanceof errors.JOSEError)
    return new IdentityError("TOKEN_MALFORMED", `refused as ${error.code}`);
  // A key of the set that cannot be imported is as good as not there.
  return null;
}

/** Maps claims whose signature was verified. */
export function toPrincipal(
  provider: Provider,
  { claims, inputSha256, twinSha256 }: CompactToken,
  tokenSha256: string,
  { now, maxDelegationDepth }: VerifyRules,
): Principal {
  const { settings, derivation } = provider;
  const issued = settings.dialect === "spiffe" && claims.iat === undefined ? null : readTime(claims, "iat");
  const expires = readTime(claims, "exp");
  if (issued !== null && issued * 1000 > now() + clockTolerance * 1000)
    throw new IdentityError("TOKEN_NOT_YET_VALID", "iat is in the future");
  // RFC 7519 section 4.1.2: whatever claim is mapped to the subject, the token itself must have one.
  readSubject(claims, "sub");
  const subject = readSubject(claims, settings.claims.subject);
  const groups = derivation.groups(claims, readGroups(claims, settings.claims.groups));
  derivation.admit(claims, groups);
  const agent = settings.dialect === "entra" && entraAgent(claims);
  const kind = agent ? "agent" : provider.kindOf(claims, groups);
  return deepFreeze<Principal>({
    subject,
    issuer: settings.issuer,
    email: readEmail(claims, settings.claims.email),
    kind,
    groups,
    actor: readActors(claims, {
      paths: settings.claims,
      subject,
      agent: kind === "agent",
      maxDepth: maxDelegationDepth,
    }),
    provider: settings.name,
    claims,
    token: {
      jti: readTokenId(claims),
      sha256: tokenSha256,
      input: inputSha256,
      ...(twinSha256 === null ? {} : { twin: twinSha256 }),
      issued,
      // With max_token_age a token ends for us before its own time, and so do the sessions it opened.
      expires:
        settings.maxTokenAge === null || issued === null
          ? expires
          : Math.min(expires, Math.floor(issued + settings.maxTokenAge)),
    },
  });
}
