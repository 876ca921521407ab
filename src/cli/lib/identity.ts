/** An identity room that can be exchanged while the gateway runs. */
import type { Settings } from "../../config/index.ts";
import { providerError } from "../../config/locate.ts";
import {
  createIdentity,
  type Identity,
  IdentityConfigError,
  type IdentityOptions,
} from "../../identity/index.ts";
import type { ProviderSettings } from "../../identity/settings.ts";

export interface ReplaceableIdentity extends Identity {
  /** From now on other providers judge tokens; revocations stay. Rejects with IdentityConfigError, and keeps the old ones. */
  replace(providers: readonly ProviderSettings[]): Promise<void>;
}

/** Throws IdentityConfigError for faults of the settings. */
export async function openIdentity(
  providers: readonly ProviderSettings[],
  options: IdentityOptions = {},
): Promise<ReplaceableIdentity> {
  let current = await createIdentity(providers, options);
  const revoked = new Set<string>();
  /** Counters of those that were replaced: a counter never goes back. */
  let past = { verified: 0, cached: 0, refused: 0, keysStale: 0, groupsMaybeTruncated: 0 };
  const total = () => ({
    verified: past.verified + current.metrics.verified,
    cached: past.cached + current.metrics.cached,
    refused: past.refused + current.metrics.refused,
    keysStale: past.keysStale + current.metrics.keysStale,
    groupsMaybeTruncated: past.groupsMaybeTruncated + current.metrics.groupsMaybeTruncated,
  });
  return {
    authenticate: (token, context) => current.authenticate(token, context),
    verifyGrant: (token, audience) => current.verifyGrant(token, audience),
    verifyLogout: (token) => current.verifyLogout(token),
    get scram() {
      return current.scram;
    },
    login: (provider, claims, token) => current.login(provider, claims, token),
    authenticateCertificate: (certificate) => current.authenticateCertificate(certificate),
    get saml() {
      return current.saml;
    },
    get discovery() {
      return current.discovery;
    },
    trusts: (principal) => current.trusts(principal),
    revoke(tokenSha256) {
      current.revoke(tokenSha256);
      revoked.add(tokenSha256);
    },
    get metrics() {
      return total();
    },
    close: () => current.close(),
    async replace(next) {
      const opened = await createIdentity(next, options);
      for (const token of revoked) opened.revoke(token);
      past = total();
      const old = current;
      current = opened;
      old.close();
    },
  };
}

/** createIdentity for a command: a fault of the settings becomes a ConfigError that says where in `file` it stands. */
export async function openProviders(settings: Settings, file: string): Promise<Identity> {
  try {
    return await createIdentity(settings.providers);
  } catch (error) {
    if (error instanceof IdentityConfigError) throw await asConfigError(error, file);
    throw error;
  }
}

/** The error with its place in the file. */
export function asConfigError(error: IdentityConfigError, file: string) {
  const start = error.message.indexOf(`${error.key}: `);
  const what = start < 0 ? error.message : error.message.slice(start + error.key.length + 2);
  return providerError(file, error.provider, error.key, what);
}
