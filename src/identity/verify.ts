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
import { type CompactToken, readCompact } from "./compact.ts";
import { IdentityError, quote } from "./errors.ts";
import { deepFreeze } from "./json.ts";
import type { Candidate } from "./keyset.ts";
import type { Provider } from "./provider.ts";
import { checkTokenType } from "./tokentype.ts";

/** Seconds by which the clocks of issuer and gateway may differ. */
const clockTolerance = 30;

export interface Verified {
  readonly principal: Principal;
  readonly provider: Provider;
  /** The key that verified the token, as KeySource.holds takes it. */
  readonly keyId: string;
  readonly inputSha256: string;
  readonly staleKeys: boolean;
}

/** Verifies a token whose text has the given SHA-256, at a time in ms since the epoch. Throws IdentityError. */
export async function verifyToken(
  providers: readonly Provider[],
  token: string,
  tokenSha256: string,
  now: () => number,
): Promise<Verified> {
  const compact = readCompact(token);
  const provider = choose(providers, compact);
  if (!provider.algorithms.has(compact.algorithm)) {
    throw new IdentityError("TOKEN_ALGORITHM", `algorithm ${quote(compact.algorithm)} is not accepted`);
  }
  checkTokenType(compact.type, compact.claims, provider.types);
  const { key, stale } = await verifySignature(provider, token, compact, now);
  return {
    principal: toPrincipal(provider, compact, tokenSha256, now()),
    provider,
    keyId: key.id,
    inputSha256: compact.inputSha256,
    staleKeys: stale,
  };
}

/**
 * The provider that answers for a token, by its unverified `iss` and `aud`. This comes before any key is fetched: a stranger's token makes
 * the gateway call nobody, and each provider's keys verify tokens of its own issuer only (RFC 8725 section 3.8).
 */
function choose(providers: readonly Provider[], { claims }: CompactToken): Provider {
  const { iss } = claims;
  if (typeof iss !== "string") throw new IdentityError("TOKEN_ISSUER", "the token names no issuer");
  const sameIssuer = providers.filter((provider) => provider.settings.issuer === iss);
  if (sameIssuer.length === 0)
    throw new IdentityError("TOKEN_ISSUER", `issuer ${quote(iss)} is not configured`);
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

/** Verifies signature, issuer, audience and times. Throws IdentityError. */
export async function verifySignature(
  provider: Provider,
  token: string,
  compact: CompactToken,
  now: () => number,
  expected: Expected = { audience: provider.settings.audience, requiredClaims: ["exp", "iat", "sub"] },
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
  for (const key of keys) {
    try {
      await jwtVerify(token, await key.import(), {
        issuer: settings.issuer,
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
  { claims }: CompactToken,
  tokenSha256: string,
  now: number,
): Principal {
  const { settings } = provider;
  const issued = readTime(claims, "iat");
  const expires = readTime(claims, "exp");
  if (issued * 1000 > now + clockTolerance * 1000)
    throw new IdentityError("TOKEN_NOT_YET_VALID", "iat is in the future");
  // RFC 7519 section 4.1.2: whatever claim is mapped to the subject, the token itself must have one.
  readSubject(claims, "sub");
  const subject = readSubject(claims, settings.claims.subject);
  const groups = readGroups(claims, settings.claims.groups);
  const kind = provider.kindOf(claims, groups);
  return deepFreeze<Principal>({
    subject,
    issuer: settings.issuer,
    email: readEmail(claims, settings.claims.email),
    kind,
    groups,
    actor: readActors(claims, { paths: settings.claims, subject, agent: kind === "agent" }),
    provider: settings.name,
    claims,
    token: {
      jti: readTokenId(claims),
      sha256: tokenSha256,
      issued,
      // With max_token_age a token ends for us before its own time, and so do the sessions it opened.
      expires:
        settings.maxTokenAge === null
          ? expires
          : Math.min(expires, Math.floor(issued + settings.maxTokenAge)),
    },
  });
}
