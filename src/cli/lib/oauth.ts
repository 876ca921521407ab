/** The OAuth endpoints of a running gateway, and what it tells the command line. */
import { oauthRoutes, rolesOf, type WellKnown, type WellKnownProvider } from "../../api/index.ts";
import type { AuditLog } from "../../audit/index.ts";
import type { Settings } from "../../config/index.ts";
import type { Gateway } from "../../gateway/index.ts";
import { chooseLogin } from "../../gateway/logins.ts";
import type { Identity } from "../../identity/index.ts";
import type { Protection } from "../../identity/protection.ts";
import type { ProviderSettings } from "../../identity/settings.ts";
import type { PosternTokens } from "../../identity/tokens/index.ts";
import type { Revocations } from "../../identity/tokens/revoked.ts";
import type { Store } from "../../store/index.ts";

export interface OauthRooms {
  /** The settings in force. */
  settings(): Settings;
  readonly identity: Identity;
  readonly protection: Protection;
  readonly tokens: PosternTokens;
  readonly revocations: Revocations;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly gateway: Gateway;
  publicUrl(): string;
}

/** The routes, to be mounted on the http listener. */
export function openOauth(rooms: OauthRooms): ReturnType<typeof oauthRoutes> {
  const { settings, identity, protection, tokens, revocations, store, audit, publicUrl } = rooms;
  return oauthRoutes({
    identity,
    protection,
    tokens,
    revocations,
    store,
    audit,
    publicUrl,
    mayUse(principal, name) {
      const database = settings().gateway.databases.find((one) => one.name === name);
      return database !== undefined && chooseLogin(database, principal) !== null;
    },
    isAdmin: (principal) => rolesOf(principal, settings().admin).has("admin"),
    wellKnown: () => wellKnown(rooms),
  });
}

function wellKnown({ settings, gateway, publicUrl }: OauthRooms): WellKnown {
  const url = publicUrl();
  const { listeners, tls } = settings().gateway;
  return {
    version: 1,
    issuer: url,
    providers: settings().providers.flatMap((provider) => describeProvider(provider, url)),
    postgres: gateway.addresses.flatMap((address, index) => {
      const listener = listeners[index];
      if (!("port" in address) || listener === undefined) return [];
      // An address that stands for all of the machine's is reached by the name that everything else is.
      const any = address.host === "0.0.0.0" || address.host === "::";
      return [
        {
          host: any ? new URL(url).hostname.replace(/^\[|\]$/g, "") : address.host,
          port: address.port,
          tls: tls === null ? ("none" as const) : listener.tls,
          auth: listener.auth,
        },
      ];
    }),
    token_endpoint: `${url}/oauth/token`,
    revocation_endpoint: `${url}/oauth/revoke`,
    introspection_endpoint: `${url}/oauth/introspect`,
    backchannel_logout_uri: `${url}/oauth/backchannel-logout`,
    mcp: `${url}/mcp`,
    console: `${url}/`,
  };
}

function describeProvider(provider: ProviderSettings, url: string): WellKnownProvider[] {
  switch (provider.type) {
    case "oidc":
      return [
        {
          name: provider.name,
          type: "oidc",
          issuer: provider.issuer,
          client_id: provider.client?.cli ?? null,
          scopes: provider.client?.scopes ?? ["openid"],
          resource: provider.client?.resource ?? null,
          audience: provider.audience,
          login:
            provider.client === null ? null : `${url}/login?provider=${encodeURIComponent(provider.name)}`,
        },
      ];
    case "saml":
      return [
        {
          name: provider.name,
          type: "saml",
          login: `${url}/login?provider=${encodeURIComponent(provider.name)}`,
        },
      ];
    case "mtls":
      return [];
  }
}
