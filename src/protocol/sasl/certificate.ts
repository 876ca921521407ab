/** Channel binding data of type tls-server-end-point (RFC 5929 section 4.1). */
import { createHash } from "node:crypto";

/** Node's name of the hash by signature algorithm. MD5 and SHA-1 are replaced by SHA-256 (RFC 5929 section 4.1). */
const hashBySignature: Readonly<Record<string, string>> = {
  // RFC 8017 appendix A.2.4: PKCS #1 v1.5 with MD5, SHA-1, SHA-2.
  "1.2.840.113549.1.1.4": "sha256",
  "1.2.840.113549.1.1.5": "sha256",
  "1.2.840.113549.1.1.14": "sha224",
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  // RFC 3279 and RFC 5758: ECDSA and DSA.
  "1.2.840.10045.4.1": "sha256",
  "1.2.840.10045.4.3.1": "sha224",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.2.840.10040.4.3": "sha256",
  "2.16.840.1.101.3.4.3.1": "sha224",
  "2.16.840.1.101.3.4.3.2": "sha256",
};

/** The hash inside RSASSA-PSS parameters (RFC 4055 section 2.1); left out it is SHA-1. */
const pss = "1.2.840.113549.1.1.10";
const pssHash: Readonly<Record<string, string>> = {
  "1.3.14.3.2.26": "sha256",
  "2.16.840.1.101.3.4.2.4": "sha224",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};

/**
 * Gives the tls-server-end-point data of a server certificate: its hash by the hash function of its signature algorithm.
 * @param der the certificate.
 * @returns null where none is defined (Ed25519, Ed448, unknown algorithms) or the certificate cannot be read.
 */
export function certificateHash(der: Buffer): Buffer | null {
  const hash = signatureHash(der);
  return hash === null ? null : createHash(hash).update(der).digest();
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signature } (RFC 5280 4.1). */
function signatureHash(der: Buffer): string | null {
  const certificate = element(der, 0, der.length, 0x30);
  if (certificate === null || certificate.end !== der.length) return null;
  const tbs = element(der, certificate.start, certificate.end, 0x30);
  const algorithm = tbs && element(der, tbs.end, certificate.end, 0x30);
  const oid = algorithm && element(der, algorithm.start, algorithm.end, 0x06);
  if (!oid) return null;
  const name = objectIdentifier(der.subarray(oid.start, oid.end));
  if (name !== pss) return hashBySignature[name] ?? null;
  return pssParameters(der, oid.end, algorithm.end);
}

/** RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm DEFAULT sha1, … }. */
function pssParameters(der: Buffer, at: number, end: number): string | null {
  const parameters = element(der, at, end, 0x30);
  if (parameters === null) return null;
  if (parameters.start === parameters.end || der[parameters.start] !== 0xa0) return "sha256";
  const tagged = element(der, parameters.start, parameters.end, 0xa0);
  const algorithm = tagged && element(der, tagged.start, tagged.end, 0x30);
  const oid = algorithm && element(der, algorithm.start, algorithm.end, 0x06);
  return oid ? (pssHash[objectIdentifier(der.subarray(oid.start, oid.end))] ?? null) : null;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** The contents of the DER element with this tag at `at`; null when there is none or it does not fit. */
function element(der: Buffer, at: number, limit: number, tag: number): Span | null {
  const first = der[at + 1];
  if (der[at] !== tag || first === undefined || at + 2 > limit) return null;
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const bytes = first & 0x7f;
    if (bytes === 0 || bytes > 3 || start + bytes > limit) return null;
    length = der.readUIntBE(start, bytes);
    start += bytes;
  }
  return start + length > limit ? null : { start, end: start + length };
}

/** Dotted form of an encoded object identifier; "" when it is cut short. */
function objectIdentifier(bytes: Buffer): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of bytes) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const first = arcs[0];
  if (first === undefined || (bytes.at(-1) ?? 0) >= 0x80) return "";
  const top = Math.min(Math.floor(first / 40), 2);
  return [top, first - top * 40, ...arcs.slice(1)].join(".");
}
