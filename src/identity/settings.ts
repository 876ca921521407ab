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

export interface OidcProviderSettings {
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
  readonly kinds: readonly KindRule[];
  /** For people who log in with a browser; null: they cannot. */
  readonly client: OidcClientSettings | null;
  /** Longest accepted time since `iat`, in seconds; null: only `exp` bounds it. */
  readonly maxTokenAge: number | null;
}

export type ProviderSettings = OidcProviderSettings;
