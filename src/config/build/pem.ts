/** PEM texts: seen to be what they are said to be before anything starts. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Path } from "../problem.ts";
import type { Context } from "./context.ts";

/** The first certificate of a PEM text (RFC 7468) when all in it are readable; else null and a problem. */
export function checkCertificates(context: Context, path: Path, pem: string): X509Certificate | null {
  const blocks = pem.match(
    /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g,
  );
  try {
    const certificates = (blocks ?? []).map((block) => new X509Certificate(block));
    const [first] = certificates;
    if (first !== undefined) return first;
  } catch {
    // Falls through: not readable as a certificate.
  }
  context.problem(
    path,
    "the file holds no readable certificate",
    "a PEM file with -----BEGIN CERTIFICATE-----",
  );
  return null;
}

/** Says when a certificate is outside its dates: it may be renewed in place, so it is no reason not to start. */
export function warnOfDates(context: Context, path: Path, certificate: X509Certificate): void {
  const now = Date.now();
  if (certificate.validToDate.getTime() < now)
    context.warning(
      path,
      `the certificate expired on ${day(certificate.validToDate)}`,
      "a valid certificate",
    );
  else if (certificate.validFromDate.getTime() > now)
    context.warning(
      path,
      `the certificate is valid only from ${day(certificate.validFromDate)}`,
      "a valid certificate",
    );
}

/** A problem when `key` is no readable private key, or not the one of `certificate`; gives false then. */
export function checkPrivateKey(
  context: Context,
  path: Path,
  key: string,
  certificate: X509Certificate | null,
): boolean {
  try {
    const parsed = createPrivateKey(key);
    if (certificate === null || certificate.checkPrivateKey(parsed)) return true;
    context.problem(
      path,
      "this private key does not belong to the certificate",
      "the key of that certificate",
    );
  } catch {
    context.problem(path, "holds no readable private key", "a PEM private key without a passphrase");
  }
  return false;
}

/** A problem when OpenSSL would not use a certificate, with what stands behind it in its file, and its key for TLS. */
export function checkForTls(context: Context, path: Path, cert: string, key: string): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    const [what, expected] = refused(code);
    context.problem(path, `TLS cannot use the certificate: ${what}`, expected);
  }
}

/** OpenSSL's reasons (SSL_CTX_set_security_level(3)), as Node names them. */
function refused(code: unknown): readonly [what: string, expected: string] {
  const strong = "a certificate with an RSA key of 2048 bits or more, or an EC key of 256";
  switch (code) {
    case "ERR_SSL_EE_KEY_TOO_SMALL":
      return ["its key is too short", strong];
    case "ERR_SSL_CA_KEY_TOO_SMALL":
      return ["the key of an authority in the file is too short", strong];
    case "ERR_SSL_CA_MD_TOO_WEAK":
      return ["it is signed with a hash that is too weak", "a signature with SHA-256"];
    default:
      return ["OpenSSL refuses it", "a certificate and key for TLS"];
  }
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
