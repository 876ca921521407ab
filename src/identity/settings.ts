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

/** Postern as a client of the provider (RFC 6749 section 2). */
export interface ClientSettings {
  readonly id: string;
  /** null: a public client, held by PKCE alone. */
  readonly secret: SecretSource | null;
  /** Asked for at login; `openid` is among them. Left out: openid, profile, email. */
  readonly scopes?: readonly string[];
  /** Public client (no secret) of the command line; null or left out: `id`, if that one has no secret. */
  readonly cli?: string | null;
  /** RFC 8707: which resource the access token is to be for; null or left out: the provider's default. */
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
  readonly client: ClientSettings | null;
  /** Longest accepted time since `iat`, in seconds; null: only `exp` bounds it. */
  readonly maxTokenAge: number | null;
}

export type ProviderSettings = OidcProviderSettings;
