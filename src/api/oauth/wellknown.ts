/** What the gateway tells the command line before anybody has logged in (GET /.well-known/postern). Nothing in it is secret. */

/** How to log in at one provider. */
export type WellKnownProvider =
  | {
      readonly name: string;
      readonly type: "oidc";
      readonly issuer: string;
      /** Public client of the command line; null: it cannot log in here. */
      readonly client_id: string | null;
      readonly scopes: readonly string[];
      readonly resource: string | null;
      /** Audiences of which a workload's own token must name one. */
      readonly audience: readonly string[];
      /** Where a browser logs in at the gateway itself; null: it cannot. */
      readonly login: string | null;
    }
  | { readonly name: string; readonly type: "saml"; readonly login: string };

export interface WellKnown {
  readonly version: 1;
  /** Where this was meant to be asked: the gateway's one name. */
  readonly issuer: string;
  readonly providers: readonly WellKnownProvider[];
  /** Where PostgreSQL clients connect, the preferred place first. */
  readonly postgres: readonly {
    readonly host: string;
    readonly port: number;
    readonly tls: "required" | "optional" | "none";
    readonly auth: readonly string[];
  }[];
  readonly token_endpoint: string;
  readonly revocation_endpoint: string;
  readonly introspection_endpoint: string;
  readonly backchannel_logout_uri: string;
  readonly mcp: string;
  readonly console: string;
}
