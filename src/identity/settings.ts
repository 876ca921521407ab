import type { PrincipalKind } from "../facts/principal.ts";
import type { SecretSource } from "../facts/secret.ts";

/** Maps a token to a kind; `when` is a CEL condition over `claims`. First match wins; no match: agent. */
export interface KindRule {
  readonly kind: PrincipalKind;
  readonly when: string;
}

/** Dotted paths into the claims ("realm_access.roles"); a claim whose literal name holds dots wins over the path. */
export interface ClaimPaths {
  readonly subject: string;
  readonly groups: string;
  readonly email: string;
  readonly agent: string;
}

/** Postern as a client of the provider, for logins in the console and on the command line. */
export interface OidcClientSettings {
  readonly id: string;
  readonly secret: SecretSource | null;
  /** Public client (no secret) of the command line; null or left out: `id`, if that one has no secret. */
  readonly cli?: string | null;
  /** Scopes that the command line asks for. */
  readonly scopes?: readonly string[];
  /** RFC 8707 resource indicator, for providers that need it to make access tokens for Postern. */
  readonly resource?: string | null;
}

/** A group that follows from claims. */
export interface GroupRule {
  /** A fixed name, or a CEL expression that gives one or more. */
  readonly group: string | { readonly expression: string };
  /** CEL condition; null: always. */
  readonly when: string | null;
}

/** What every kind of provider may say of its principals. */
export interface PrincipalRules {
  readonly kinds: readonly KindRule[];
  readonly groupsFrom?: readonly GroupRule[];
  /** CEL conditions that must all be true of a token's claims. */
  readonly require?: readonly string[];
}

/**
 * "spiffe": JWT-SVIDs, which need no `iss` and no `iat`, and whose keys are marked `use: jwt-svid`; `issuer` is the trust domain's SPIFFE ID.
 * "entra": the claims of Entra Agent ID say who acts.
 */
export type TokenDialect = "spiffe" | "entra";

export interface OidcProviderSettings extends PrincipalRules {
  readonly name: string;
  readonly type: "oidc";
  readonly issuer: string;
  /** One of these must be in the token's `aud`. */
  readonly audience: readonly string[];
  /** URL or file: URL of a JWKS; null: by discovery. */
  readonly jwks: string | null;
  readonly algorithms: readonly string[];
  /** Accepted `typ` header values, compared without case and without "application/". */
  readonly tokenTypes: readonly string[];
  readonly claims: ClaimPaths;
  /** For people who log in with a browser; null: they cannot. */
  readonly client: OidcClientSettings | null;
  /** Longest accepted time since `iat`, in seconds; null: only `exp` bounds it. */
  readonly maxTokenAge: number | null;
  /** How its tokens differ from RFC 9068's; absent: not at all. */
  readonly dialect?: TokenDialect;
  /** Its ID-JAGs are taken at the token endpoint. */
  readonly idJag?: boolean;
}

export interface SamlProviderSettings extends PrincipalRules {
  readonly name: string;
  readonly type: "saml";
  /** URL, or the absolute path of a file. */
  readonly metadata: string;
  /** Which provider in the metadata; null: there is only one. */
  readonly entityId: string | null;
  /** The first is Postern's own entityID; the assertion's audience must be one of them. */
  readonly audience: readonly string[];
  /** Names of attributes; `subject` null: the NameID. */
  readonly attributes: {
    readonly subject: string | null;
    readonly groups: string;
    readonly email: string;
  };
  /** What must be signed: the assertion, or the response around it will do. */
  readonly signed: "assertion" | "response";
  /** Longest session, in seconds; SessionNotOnOrAfter may end it earlier. */
  readonly sessionSeconds: number;
  /** Where browsers deliver responses; null: /saml/acs under the public URL. */
  readonly acs: string | null;
  /** Signs the requests of logins; absent: they are not signed. */
  readonly signing?: { readonly cert: string; readonly key: SecretSource };
}

/** Certificates that a listener's `client_ca` has verified. */
export interface MtlsProviderSettings extends PrincipalRules {
  readonly name: string;
  readonly type: "mtls";
  /** The certificate's name that says who it is. */
  readonly subject: "spiffe" | "dns" | "email" | "cn";
  /** SPIFFE trust domains, or DNS or mail domains, of which the name must be; empty: any. */
  readonly domains: readonly string[];
}

export type ProviderSettings = OidcProviderSettings | SamlProviderSettings | MtlsProviderSettings;
