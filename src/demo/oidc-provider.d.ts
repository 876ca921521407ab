/** The part of oidc-provider 9 the demo uses; the package ships no types. */
declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http";

  export interface ResourceServer {
    readonly scope: string;
    readonly audience: string;
    readonly accessTokenFormat: "jwt";
    readonly accessTokenTTL: number;
    readonly jwt: { readonly sign: { readonly alg: string } };
  }
  export interface AccessToken {
    readonly clientId: string;
    readonly accountId?: string;
  }
  export interface JwtParts {
    header: Record<string, unknown>;
    payload: Record<string, unknown>;
  }
  export interface Client {
    readonly clientId: string;
    readonly clientName?: string;
    grantTypeAllowed(type: string): boolean;
  }
  export interface Grant {
    readonly jti: string;
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }
  interface GrantClass {
    new (properties: { clientId: string; accountId: string | undefined }): Grant;
    find(id: string): Promise<Grant | undefined>;
  }
  /** What a token is given for. */
  export interface Source {
    readonly authTime?: number;
  }
  /** Koa's context with the provider's own part. */
  export interface Context {
    type: string;
    body: unknown;
    readonly oidc: {
      readonly client: Client;
      readonly provider: { readonly Grant: GrantClass };
      readonly result?: { readonly consent?: { readonly grantId?: string } };
      readonly session?: {
        readonly accountId: string | undefined;
        grantIdFor(clientId: string): string | undefined;
      };
      readonly entities: {
        readonly AuthorizationCode?: Source;
        readonly DeviceCode?: Source;
        readonly RefreshToken?: Source;
      };
    };
  }
  interface Account {
    readonly accountId: string;
    claims(): Promise<Record<string, unknown>>;
  }
  export interface Configuration {
    readonly clients: readonly Record<string, unknown>[];
    readonly jwks: { readonly keys: readonly Record<string, unknown>[] };
    readonly cookies?: { readonly keys: readonly string[] };
    readonly ttl?: Readonly<
      Record<string, number | ((ctx: unknown, token: unknown, client: Client) => number)>
    >;
    readonly clientDefaults?: Record<string, unknown>;
    readonly scopes?: readonly string[];
    readonly claims?: Readonly<Record<string, readonly string[]>>;
    readonly conformIdTokenClaims?: boolean;
    readonly pkce?: { required(ctx: unknown, client: Client): boolean };
    readonly interactions?: { url(ctx: unknown, interaction: { readonly uid: string }): string };
    readonly features: {
      readonly devInteractions: { readonly enabled: boolean };
      readonly clientCredentials: { readonly enabled: boolean };
      readonly revocation?: { readonly enabled: boolean };
      readonly rpInitiatedLogout?: {
        readonly enabled: boolean;
        logoutSource(ctx: Context, form: string): Promise<void>;
        postLogoutSuccessSource(ctx: Context): Promise<void>;
      };
      readonly deviceFlow?: {
        readonly enabled: boolean;
        userCodeInputSource(ctx: Context, form: string, out: unknown, error: unknown): Promise<void>;
        userCodeConfirmSource(
          ctx: Context,
          form: string,
          client: Client,
          device: unknown,
          code: string,
        ): Promise<void>;
        successSource(ctx: Context): Promise<void>;
      };
      readonly resourceIndicators: {
        readonly enabled: boolean;
        defaultResource(ctx: unknown, client: unknown, oneOf?: readonly string[]): string;
        useGrantedResource(ctx: unknown, model: unknown): boolean;
        getResourceServerInfo(ctx: unknown, resource: string, client: Client): ResourceServer;
      };
    };
    issueRefreshToken?(ctx: unknown, client: Client, source: unknown): Promise<boolean>;
    findAccount?(ctx: unknown, id: string): Promise<Account | undefined>;
    loadExistingGrant?(ctx: Context): Promise<Grant | undefined>;
    extraTokenClaims(ctx: Context, token: AccessToken): Record<string, unknown> | undefined;
    readonly formats: {
      readonly customizers: { jwt(ctx: unknown, token: AccessToken, parts: JwtParts): JwtParts };
    };
    renderError?(ctx: Context, out: Readonly<Record<string, unknown>>, error: Error): Promise<void>;
  }
  interface Interaction {
    readonly uid: string;
    readonly params: Readonly<Record<string, unknown>>;
    readonly prompt: { readonly name: string };
    readonly session?: { readonly accountId: string };
  }
  export default class Provider {
    constructor(issuer: string, configuration: Configuration);
    readonly Grant: GrantClass;
    readonly Client: { find(id: string): Promise<Client | undefined> };
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    on(event: string, listener: (...values: readonly unknown[]) => void): this;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Record<string, unknown>,
      options?: { readonly mergeWithLastSubmission?: boolean },
    ): Promise<void>;
  }
}
