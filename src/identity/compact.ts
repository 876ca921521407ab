/** The outer form of a JWT: JWS Compact Serialization (RFC 7515 section 7.1), read before anything about it is trusted. */
import { createHash } from "node:crypto";
import { IdentityError, quote } from "./errors.ts";
import { type JsonObject, parseStrictObject } from "./json.ts";

/** Longest token read at all, in bytes. Entra tokens with 200 groups reach 12 kB. */
export const maxTokenBytes = 16_384;
const maxKeyIdLength = 1024;

/** An unverified token. `jku`, `jwk`, `x5u` and `x5c` are never looked at: a token does not bring its own keys. */
export interface CompactToken {
  readonly algorithm: string;
  readonly keyId: string | null;
  /** `typ`, lower case, without "application/"; "" when absent. */
  readonly type: string;
  readonly claims: JsonObject;
  /** Lower-case hex SHA-256 of what the signature covers: the same for all signatures over these claims. */
  readonly inputSha256: string;
  /** Of the token with the other signature that anybody can compute from this one; null: there is none. */
  readonly twinSha256: string | null;
}

/** Lower-case hex SHA-256 of a text's UTF-8 bytes. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** Compared as RFC 7515 section 4.1.9 says: without case, "application/" optional. */
export function normaliseType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.startsWith("application/") ? lower.slice("application/".length) : lower;
}

/**
 * Takes a token apart without verifying it.
 * Throws IdentityError TOKEN_TOO_LARGE, TOKEN_MALFORMED, TOKEN_TYPE (encrypted), TOKEN_HEADER (critical extensions, RFC 7797 `b64`, RFC
 * 7516 members, nesting) or TOKEN_ALGORITHM (no `alg`).
 */
export function readCompact(token: string): CompactToken {
  if (token.length > maxTokenBytes) {
    throw new IdentityError("TOKEN_TOO_LARGE", `the token is longer than ${maxTokenBytes} bytes`);
  }
  const parts = token.split(".", 6);
  if (parts.length === 5) throw new IdentityError("TOKEN_TYPE", "the token is encrypted (JWE)");
  const [headerPart, claimsPart, signaturePart] = parts;
  if (
    parts.length !== 3 ||
    headerPart === undefined ||
    claimsPart === undefined ||
    signaturePart === undefined
  ) {
    throw new IdentityError("TOKEN_MALFORMED", "not a JWS in compact form: three parts expected");
  }
  const header = readObject("header", headerPart);
  const { alg, kid, typ } = header;
  if (typeof alg !== "string" || alg === "")
    throw new IdentityError("TOKEN_ALGORITHM", "the header names no alg");
  if (Object.hasOwn(header, "enc")) throw new IdentityError("TOKEN_TYPE", "the token is encrypted (JWE)");
  for (const name of ["crit", "b64", "zip", "cty"]) {
    // Postern understands no extension, so RFC 7515 section 4.1.11 asks to refuse any `crit`; `cty` marks a nested JWT (RFC 7519 section 5.2).
    if (Object.hasOwn(header, name)) throw new IdentityError("TOKEN_HEADER", `the header carries ${name}`);
  }
  if (kid !== undefined && (typeof kid !== "string" || kid === "" || kid.length > maxKeyIdLength)) {
    throw new IdentityError("TOKEN_HEADER", "the header's kid is not a usable text");
  }
  if (typ !== undefined && (typeof typ !== "string" || typ === "")) {
    throw new IdentityError("TOKEN_TYPE", "the header's typ is not a text");
  }
  // The algorithm "none" has an empty signature; say so before complaining about the encoding.
  if (alg.toLowerCase() === "none")
    throw new IdentityError("TOKEN_ALGORITHM", `algorithm ${quote(alg)} is not accepted`);
  const claims = readObject("claims", claimsPart);
  const signature = decodePart("signature", signaturePart);
  return {
    algorithm: alg,
    keyId: kid ?? null,
    type: normaliseType(typ ?? ""),
    claims,
    inputSha256: sha256(`${headerPart}.${claimsPart}`),
    twinSha256: twinOf(`${headerPart}.${claimsPart}`, alg, signature),
  };
}

/** Orders of the groups of ES256, ES384 and ES512 (FIPS 186-5; SP 800-186, section 3.2.1). */
const orders: ReadonlyMap<string, bigint> = new Map([
  ["ES256", 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n],
  [
    "ES384",
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ],
  [
    "ES512",
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  ],
]);

/** With (r, s) an ECDSA signature, (r, n - s) is one, too: another text of the token, and another hash, which a revocation must meet. */
function twinOf(input: string, algorithm: string, signature: Buffer): string | null {
  const order = orders.get(algorithm);
  const half = signature.length / 2;
  if (order === undefined || !Number.isInteger(half)) return null;
  const s = BigInt(`0x${signature.toString("hex", half)}`);
  if (s <= 0n || s >= order) return null;
  const other = Buffer.from((order - s).toString(16).padStart(half * 2, "0"), "hex");
  return sha256(`${input}.${Buffer.concat([signature.subarray(0, half), other]).toString("base64url")}`);
}

function readObject(part: string, text: string): JsonObject {
  const bytes = decodePart(part, text);
  try {
    return parseStrictObject(bytes);
  } catch (error) {
    throw new IdentityError(
      "TOKEN_MALFORMED",
      `${part}: ${error instanceof Error ? error.message : "unreadable"}`,
    );
  }
}

/** Only the one canonical spelling is taken: another spelling of the same bytes would hash differently and slip past a revocation. */
function decodePart(part: string, text: string): Buffer {
  const bytes = Buffer.from(text, "base64url");
  if (text === "" || bytes.toString("base64url") !== text) {
    throw new IdentityError("TOKEN_MALFORMED", `${part}: not base64url without padding`);
  }
  return bytes;
}
