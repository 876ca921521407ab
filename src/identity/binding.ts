/** Tokens bound to a client certificate (RFC 8705 section 3; RFC 7800). */
import type { Principal } from "../facts/principal.ts";
import type { CallContext } from "./context.ts";
import { IdentityError } from "./errors.ts";
import { isObject } from "./json.ts";

/**
 * Whether a `cnf` claim is one that a connection can answer: the thumbprint of a certificate and nothing else. All other confirmations
 * ask for a proof that a password or a bearer header cannot carry.
 */
export function certificateThumbprint(cnf: unknown): string | null {
  if (!isObject(cnf) || Object.keys(cnf).length !== 1) return null;
  const thumbprint = cnf["x5t#S256"];
  return typeof thumbprint === "string" && /^[\w-]{43}$/.test(thumbprint) ? thumbprint : null;
}

/**
 * Compares a token's certificate with that of the connection; the session ends no later than the certificate.
 * Throws IdentityError TOKEN_BOUND.
 */
export function bindToCertificate(principal: Principal, context: CallContext): Principal {
  const { cnf } = principal.claims;
  if (cnf === undefined) return principal;
  const thumbprint = certificateThumbprint(cnf);
  if (thumbprint === null || context.certificate !== thumbprint)
    throw new IdentityError(
      "TOKEN_BOUND",
      "the token is bound to a client certificate that this connection did not show",
    );
  const end = context.certificateExpires ?? principal.token.expires;
  if (end >= principal.token.expires) return principal;
  return Object.freeze({ ...principal, token: Object.freeze({ ...principal.token, expires: end }) });
}
