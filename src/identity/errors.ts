/** Typed errors of the identity room. Codes are stable and end up in the audit log (docs/identity.md lists them). */

export type IdentityErrorCode =
  | "TOKEN_MALFORMED"
  | "TOKEN_TOO_LARGE"
  | "TOKEN_HEADER"
  | "TOKEN_ALGORITHM"
  | "TOKEN_TYPE"
  | "TOKEN_ISSUER"
  | "TOKEN_AUDIENCE"
  | "TOKEN_SIGNATURE"
  | "TOKEN_EXPIRED"
  | "TOKEN_NOT_YET_VALID"
  | "TOKEN_CLAIMS"
  | "TOKEN_BOUND"
  | "TOKEN_REVOKED"
  | "TOKEN_UNKNOWN"
  | "TOKEN_DATABASE"
  | "TOKEN_PROOF"
  | "TOKEN_NOT_ADMITTED"
  | "TOKEN_DELEGATION"
  | "TOKEN_RECIPIENT"
  | "TOKEN_REQUEST"
  | "TOKEN_REPLAYED"
  | "CERTIFICATE_REFUSED"
  | "GROUPS_OVERAGE"
  | "KEYS_UNAVAILABLE"
  | "STORE_UNAVAILABLE"
  | "IDENTITY_INTERNAL";

/**
 * A token that was refused. `message` is the same for every refusal of a code and safe anywhere; `cause` says more and is
 * meant for the audit log alone. Neither holds the token, a key or a signature.
 */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
  readonly code: IdentityErrorCode;
  override readonly cause: string;

  constructor(code: IdentityErrorCode, cause: string) {
    super(`token refused: ${code}`);
    this.code = code;
    this.cause = cause;
  }
}

/** A fault in a provider's settings. `key` is the place below the provider, e.g. "kinds[1].when". */
export class IdentityConfigError extends Error {
  override readonly name = "IdentityConfigError";
  readonly code = "IDENTITY_CONFIG";
  readonly provider: string;
  readonly key: string;

  constructor(provider: string, key: string, what: string) {
    super(`identity provider ${quote(provider)}: ${key}: ${what}`);
    this.provider = provider;
    this.key = key;
  }
}

/** Shows text that a stranger wrote: one line, quoted, at most 120 characters, well-formed. */
export function quote(text: string): string {
  const cut = text.length > 120 ? `${text.slice(0, 120)}…` : text;
  return JSON.stringify(cut.toWellFormed().replaceAll(/[\u007f-\u009f\u2028\u2029]/g, " "));
}
