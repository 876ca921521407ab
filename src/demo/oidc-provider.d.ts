/** The part of oidc-provider 9 the demo uses; the package ships no types. */
declare module "oidc-provider" {
  import type { Server } from "node:http";

  interface ResourceServer {
    readonly scope: string;
    readonly audience: string;
    readonly accessTokenFormat: "jwt";
    readonly accessTokenTTL: number;
    readonly jwt: { readonly sign: { readonly alg: string } };
  }
  interface AccessToken {
    readonly clientId: string;
  }
  interface JwtParts {
    header: Record<string, unknown>;
    payload: Record<string, unknown>;
  }
  interface Configuration {
    readonly clients: readonly Record<string, unknown>[];
    readonly jwks: { readonly keys: readonly Record<string, unknown>[] };
    readonly cookies?: { readonly keys: readonly string[] };
    readonly ttl?: Readonly<Record<string, number>>;
    readonly clientDefaults?: Record<string, unknown>;
    readonly scopes?: readonly string[];
    readonly features: {
      readonly devInteractions: { readonly enabled: boolean };
      readonly clientCredentials: { readonly enabled: boolean };
      readonly resourceIndicators: {
        readonly enabled: boolean;
        defaultResource(ctx: unknown, client: unknown, oneOf?: readonly string[]): string;
        useGrantedResource(ctx: unknown, model: unknown): boolean;
        getResourceServerInfo(ctx: unknown, resource: string, client: unknown): ResourceServer;
      };
    };
    extraTokenClaims(ctx: unknown, token: AccessToken): Record<string, unknown> | undefined;
    readonly formats: {
      readonly customizers: { jwt(ctx: unknown, token: AccessToken, parts: JwtParts): JwtParts };
    };
  }
  export default class Provider {
    constructor(issuer: string, configuration: Configuration);
    callback(): Parameters<Server["on"]>[1] & ((request: unknown, response: unknown) => Promise<void>);
    on(event: string, listener: (...values: readonly unknown[]) => void): this;
  }
}
