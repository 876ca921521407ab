/** Signature algorithms (RFC 7518 section 3.1, RFC 8037, RFC 9864) and the keys that fit them. Symmetric ones and "none" do not exist here. */
import type { JsonObject } from "./json.ts";

interface AlgorithmFacts {
  readonly kty: "RSA" | "EC" | "OKP";
  readonly crv: string | null;
}

const rsa: AlgorithmFacts = { kty: "RSA", crv: null };
const algorithms: ReadonlyMap<string, AlgorithmFacts> = new Map([
  ["RS256", rsa],
  ["RS384", rsa],
  ["RS512", rsa],
  ["PS256", rsa],
  ["PS384", rsa],
  ["PS512", rsa],
  ["ES256", { kty: "EC", crv: "P-256" }],
  ["ES384", { kty: "EC", crv: "P-384" }],
  ["ES512", { kty: "EC", crv: "P-521" }],
  ["EdDSA", { kty: "OKP", crv: "Ed25519" }],
  ["Ed25519", { kty: "OKP", crv: "Ed25519" }],
]);

/** Every algorithm a provider may list. */
export const knownAlgorithms: readonly string[] = [...algorithms.keys()];

/** RFC 7518 section 3.3 asks for 2048 bits; longer than 8192 only costs time. */
const minRsaBits = 2048;
const maxRsaBits = 8192;
const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/** A public signature key of a key set, not yet imported. */
export interface PublicJwk {
  readonly kid: string | null;
  readonly alg: string | null;
  readonly kty: string;
  readonly crv: string | null;
  /** Only the members the key consists of. */
  readonly members: Readonly<Record<string, string>>;
}

/**
 * Reads one member of a JWK set (RFC 7517 section 5). Gives null for every key Postern must not or cannot use: meant for encryption, of an
 * unknown type, weak, or published together with its private part. `keyUse`: another `use` that stands for signatures.
 */
export function readPublicJwk(jwk: JsonObject, keyUse = "sig"): PublicJwk | null {
  const { kty, use, key_ops: operations, alg, kid, crv } = jwk;
  if (use !== undefined && use !== "sig" && use !== keyUse) return null;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) return null;
  if (alg !== undefined && typeof alg !== "string") return null;
  if (kid !== undefined && typeof kid !== "string") return null;
  if (secretMembers.some((name) => Object.hasOwn(jwk, name))) return null;
  const head = { kid: kid ?? null, alg: alg ?? null };
  switch (kty) {
    case "RSA": {
      const { n, e } = jwk;
      if (typeof n !== "string" || typeof e !== "string") return null;
      const bits = bitLength(n);
      if (bits < minRsaBits || bits > maxRsaBits || !soundExponent(e)) return null;
      return { ...head, kty, crv: null, members: { kty, n, e } };
    }
    case "EC": {
      const { x, y } = jwk;
      if (typeof crv !== "string" || typeof x !== "string" || typeof y !== "string") return null;
      return { ...head, kty, crv, members: { kty, crv, x, y } };
    }
    case "OKP": {
      const { x } = jwk;
      if (typeof crv !== "string" || typeof x !== "string") return null;
      return { ...head, kty, crv, members: { kty, crv, x } };
    }
    default:
      return null;
  }
}

/** Whether a key can verify a signature of this algorithm. */
export function keyFits(key: PublicJwk, algorithm: string): boolean {
  const facts = algorithms.get(algorithm);
  if (facts === undefined) return false;
  return key.kty === facts.kty && key.crv === facts.crv && (key.alg === null || key.alg === algorithm);
}

/** Odd, 3 or more, and no longer than what OpenSSL takes: with 1 everybody can sign (FIPS 186-5 section 5.1; RFC 8017 section 3.1). */
function soundExponent(base64url: string): boolean {
  const bits = bitLength(base64url);
  return bits >= 2 && bits <= 64 && ((Buffer.from(base64url, "base64url").at(-1) ?? 0) & 1) === 1;
}

function bitLength(base64url: string): number {
  const bytes = Buffer.from(base64url, "base64url");
  const first = bytes.findIndex((byte) => byte !== 0);
  if (first < 0) return 0;
  return (bytes.length - first) * 8 - (Math.clz32(bytes[first] ?? 0) - 24);
}
