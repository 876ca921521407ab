/** Whether what a provider said earlier still counts. Pure. */
import type { Principal } from "../facts/principal.ts";
import type { ProviderSettings } from "./settings.ts";

/**
 * Whether a principal of earlier, in an open session or behind a Postern token, comes from a provider that these settings still have: by its
 * name, and under that name the same issuer, so that a name that is given to another provider takes nothing of the old one over.
 *
 * @param entityIds of SAML providers, as their metadata say now; null: not read yet.
 */
export function isTrusted(
  { provider: name, issuer }: Pick<Principal, "provider" | "issuer">,
  providers: readonly ProviderSettings[],
  entityIds: (provider: string) => string | null,
): boolean {
  const provider = providers.find((one) => one.name === name);
  switch (provider?.type) {
    case undefined:
      return false;
    case "oidc":
      return issuer === provider.issuer;
    case "saml": {
      const wanted = provider.entityId ?? entityIds(name);
      return wanted === null || issuer === wanted;
    }
    case "mtls": {
      if (provider.subject !== "spiffe") return issuer === `mtls:${name}`;
      const domain = /^spiffe:\/\/([^/]+)$/.exec(issuer)?.[1];
      return domain !== undefined && (provider.domains.length === 0 || provider.domains.includes(domain));
    }
  }
}
