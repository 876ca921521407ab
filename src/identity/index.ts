/** Who is calling: tokens of the configured identity providers become principals (docs/identity.md). */
import type { Principal, TokenFacts } from "../facts/principal.ts";
import type { Store } from "../store/types.ts";
import { bindToCertificate } from "./binding.ts";
import { createTokenCache } from "./cache.ts";
import {
  type CertificateProvider,
  type ClientCertificate,
  certificateProvider,
  principalOf,
} from "./certificate.ts";
import { maybeTruncated } from "./claims.ts";
import { maxTokenBytes, sha256 } from "./compact.ts";
import type { CallContext } from "./context.ts";
import { configurationUrl } from "./discovery.ts";
import { IdentityError } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import { principalOfLogin } from "./login.ts";
import { checkTogether, openProvider, type Provider } from "./provider.ts";
import { createRevocations } from "./revocations.ts";
import { looksLikeSaml, openSamlProvider, type SamlProvider, verifySamlToken } from "./saml/index.ts";
import type { ProviderSettings } from "./settings.ts";
import { type LogoutClaims, verifyLogoutToken } from "./special.ts";
import { tokenPrefix } from "./tokens/format.ts";
import { createGuard, type TokenGuard } from "./tokens/guard.ts";
import type { PosternTokens } from "./tokens/index.ts";
import type { Revocations } from "./tokens/revoked.ts";
import { isTrusted } from "./trust.ts";
import { type VerifiedGrant, verifyGrant, verifyToken } from "./verify.ts";

export type { ClientCertificate } from "./certificate.ts";
export type { CallContext } from "./context.ts";
export { IdentityConfigError, IdentityError, type IdentityErrorCode } from "./errors.ts";
export type { JsonObject } from "./json.ts";
export type { SamlProvider } from "./saml/index.ts";
export type { VerifiedGrant } from "./verify.ts";

export interface IdentityMetrics {
  /** Tokens whose signature was verified anew. */
  readonly verified: number;
  /** Tokens answered from the cache. */
  readonly cached: number;
  readonly refused: number;
  /** Verifications with keys that were due for a refresh their provider did not answer. */
  readonly keysStale: number;
  /** Principals with exactly 100 groups, where Okta cuts the list off silently. */
  readonly groupsMaybeTruncated: number;
}

export interface Identity {
  /** Gives the principal a token stands for. Rejects with IdentityError, and with nothing else. */
  authenticate(token: string, context?: CallContext): Promise<Principal>;
  /**
   * The principal of a person who has just logged in at a provider: `claims` as principalOfLogin takes them. Throws IdentityError; its code
   * IDENTITY_INTERNAL for a provider that is not there.
   */
  login(provider: string, claims: JsonObject, token: TokenFacts): Principal;
  /** SCRAM for Postern tokens; null when there is no store for them. */
  readonly scram: TokenGuard["scram"] | null;
  /** Gives the principal a client certificate stands for that a listener's `client_ca` has verified. Rejects with IdentityError. */
  authenticateCertificate(certificate: ClientCertificate): Promise<Principal>;
  /** The SAML providers, for logins in a browser. */
  readonly saml: readonly SamlProvider[];
  /** What SASL OAUTHBEARER tells a client without a token (RFC 7628 section 3.2.2): of the first provider that can be discovered. */
  readonly discovery: { readonly configurationUrl: string; readonly scope: string } | null;
  /**
   * Verifies an ID-JAG that was shown to the token endpoint; `audience`: the names of that endpoint's server. The caller sees to its being
   * used once. Rejects with IdentityError.
   */
  verifyGrant(token: string, audience: readonly string[]): Promise<VerifiedGrant>;
  /** Reads a back-channel logout token. Rejects with IdentityError. */
  verifyLogout(token: string): Promise<LogoutClaims>;
  /** Whether a principal of earlier comes from a provider that is still configured; what was begun with it ends otherwise. */
  trusts(principal: Pick<Principal, "provider" | "issuer">): boolean;
  /** From now on refuses the token with this SHA-256 (hex). Throws TypeError when it is none. */
  revoke(tokenSha256: string): void;
  readonly metrics: IdentityMetrics;
  /** Ends fetches under way. */
  close(): void;
}

export interface IdentityOptions {
  readonly fetch?: typeof fetch;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How long a fetch of discovery and keys may take altogether, in ms. */
  readonly fetchTimeoutMs?: number;
  /** Postern's own tokens; absent: none are accepted. */
  readonly tokens?: PosternTokens;
  /** Absent: only what `revoke` was told counts. */
  readonly revocations?: Revocations;
  /** Remembers which assertions were used, on all nodes; absent: in memory. */
  readonly store?: Store;
  /** Where users reach the HTTP listener, without a trailing slash; absent or null: not known. */
  readonly publicUrl?: () => string | null;
  /** Longest `act` chain accepted. Default 4. */
  readonly maxDelegationDepth?: number;
}

/** The cache holds at most so many tokens, and so many bytes of them. */
const cacheLimits = { maxEntries: 4096, maxWeight: 8_388_608 };
/** Below the 10 s a client has for its start-up. */
const defaultFetchTimeoutMs = 5000;
const defaultDelegationDepth = 4;
/** What fits into an authentication message (PG_MAX_AUTH_TOKEN_LENGTH). */
const maxSamlTokenLength = 65_535;

/**
 * Makes the providers of postern.yaml ready. Nothing is fetched until the first token comes, so a provider that cannot be reached
 * does not stop the gateway from starting. Throws IdentityConfigError for faults of the settings.
 */
export async function createIdentity(
  settings: readonly ProviderSettings[],
  options: IdentityOptions = {},
): Promise<Identity> {
  const now = options.now ?? Date.now;
  checkTogether(settings);
  const providers: Provider[] = [];
  const saml: SamlProvider[] = [];
  const certificates: CertificateProvider[] = [];
  const deps = {
    fetch: options.fetch ?? fetch,
    now,
    timeoutMs: options.fetchTimeoutMs ?? defaultFetchTimeoutMs,
    store: options.store ?? null,
    publicUrl: options.publicUrl ?? (() => null),
  };
  for (const provider of settings) {
    switch (provider.type) {
      case "oidc":
        providers.push(await openProvider(provider, deps));
        break;
      case "saml":
        saml.push(await openSamlProvider(provider, deps));
        break;
      case "mtls":
        certificates.push(certificateProvider(provider));
        break;
      default:
        throw new TypeError(`no such provider: ${String(provider satisfies never)}`);
    }
  }
  const rules = { now, maxDelegationDepth: options.maxDelegationDepth ?? defaultDelegationDepth };
  const cache = createTokenCache(cacheLimits);
  const revocations = createRevocations();
  const trusts: Identity["trusts"] = (principal) =>
    isTrusted(principal, settings, (name) => saml.find((one) => one.name === name)?.knownIssuer ?? null);
  const guard = createGuard(options.tokens ?? null, options.revocations ?? null, trusts);
  const metrics = { verified: 0, cached: 0, refused: 0, keysStale: 0, groupsMaybeTruncated: 0 };

  function refuseRevoked(tokenSha256: string, known: TokenFacts | null): void {
    if (revocations.has([tokenSha256, known?.input, known?.twin], now()))
      throw new IdentityError("TOKEN_REVOKED", "the token was revoked");
  }

  async function authenticate(token: string, context: CallContext): Promise<Principal> {
    if (token.startsWith(tokenPrefix)) return guard.lookup(token, context);
    const principal =
      saml.length > 0 && looksLikeSaml(token)
        ? await authenticateSaml(token)
        : await authenticateForeign(token);
    guard.refuseRevoked(principal, context);
    return principal;
  }

  async function authenticateForeign(token: string): Promise<Principal> {
    // Before anything is done with its bytes, even hashing them.
    if (token.length > maxTokenBytes) {
      throw new IdentityError("TOKEN_TOO_LARGE", `the token is longer than ${maxTokenBytes} bytes`);
    }
    const tokenSha256 = sha256(token);
    const known = cache.get(tokenSha256);
    refuseRevoked(tokenSha256, known?.principal.token ?? null);
    if (known !== null) {
      if (now() < known.until && known.stillTrusted()) {
        metrics.cached += 1;
        return known.principal;
      }
      cache.delete(tokenSha256);
    }
    const verified = await verifyToken(providers, token, tokenSha256, rules);
    // It may have been revoked while the keys were on their way.
    const { principal, provider, keyId } = verified;
    refuseRevoked(tokenSha256, principal.token);
    metrics.verified += 1;
    if (verified.staleKeys) metrics.keysStale += 1;
    if (maybeTruncated(principal.groups)) metrics.groupsMaybeTruncated += 1;
    const until = principal.token.expires * 1000;
    if (now() < until) {
      const stillTrusted = () => provider.keys.holds(keyId);
      cache.set(tokenSha256, { principal, until, weight: token.length, stillTrusted });
    }
    return principal;
  }

  /** Never from the cache: an assertion is good once. */
  async function authenticateSaml(token: string): Promise<Principal> {
    if (token.length > maxSamlTokenLength)
      throw new IdentityError("TOKEN_TOO_LARGE", `the assertion is longer than ${maxSamlTokenLength} bytes`);
    refuseRevoked(sha256(token), null);
    const principal = await verifySamlToken(saml, token);
    refuseRevoked(principal.token.sha256, null);
    metrics.verified += 1;
    return principal;
  }

  /** Counts refusals, and makes an IdentityError of every other failure. */
  async function counted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      metrics.refused += 1;
      if (error instanceof IdentityError) throw error;
      throw new IdentityError(
        "IDENTITY_INTERNAL",
        `unexpected ${error instanceof Error ? error.name : "failure"}`,
      );
    }
  }

  return {
    scram: options.tokens === undefined ? null : guard.scram,
    authenticate: (token, context = {}) =>
      counted(async () => bindToCertificate(await authenticate(token, context), context)),
    authenticateCertificate: (certificate) =>
      counted(async () => {
        const principal = principalOf(certificates, certificate, now());
        refuseRevoked(principal.token.sha256, null);
        guard.refuseRevoked(principal, { audience: "wire" });
        metrics.verified += 1;
        return principal;
      }),
    verifyGrant: (token, audience) =>
      counted(async () => {
        if (token.length > maxTokenBytes) throw new IdentityError("TOKEN_TOO_LARGE", "the grant is too long");
        refuseRevoked(sha256(token), null);
        return verifyGrant(providers, token, audience, rules);
      }),
    verifyLogout: (token) => counted(() => verifyLogoutToken(providers, token, now)),
    login(name, claims, token) {
      const provider = providers.find(({ settings: { name: own } }) => own === name);
      if (provider === undefined)
        throw new IdentityError("IDENTITY_INTERNAL", "the provider of a login is not configured any more");
      return principalOfLogin(provider, claims, token, rules);
    },
    saml,
    trusts,
    discovery: discoveryOf(settings),
    revoke(tokenSha256) {
      const known = cache.get(tokenSha256.toLowerCase());
      revocations.add(tokenSha256.toLowerCase(), known);
      cache.delete(tokenSha256.toLowerCase());
    },
    metrics,
    close() {
      for (const provider of providers) provider.keys.close();
      for (const provider of saml) provider.close();
      cache.clear();
    },
  };
}

function discoveryOf(settings: readonly ProviderSettings[]): Identity["discovery"] {
  for (const provider of settings) {
    const url = provider.type === "oidc" ? configurationUrl(provider.issuer) : null;
    if (url !== null) return { configurationUrl: url, scope: "openid" };
  }
  return null;
}
