/** A provider's public keys as last read: an immutable set, selected from by `kid` and `alg`. */
import { importJWK } from "jose";
import { keyFits, type PublicJwk, readPublicJwk } from "./algorithms.ts";
import { isObject, parseStrictObject } from "./json.ts";

const maxKeys = 100;
/** A token without `kid` is tried against no more keys than this. */
const maxCandidates = 8;

type VerificationKey = Exclude<Awaited<ReturnType<typeof importJWK>>, Uint8Array>;

/** One key, good for one algorithm. `id` is equal in two sets when the key is. */
export interface Candidate {
  readonly id: string;
  import(): Promise<VerificationKey>;
}

export interface KeySet {
  /** The keys that may have signed a token with this header; all that fit when it names no key. */
  select(algorithm: string, keyId: string | null): readonly Candidate[];
  hasKeyId(keyId: string): boolean;
  holds(id: string): boolean;
}

/**
 * Reads a JWK set (RFC 7517 section 5). Unusable keys in it are passed over, as the section asks; a text that is not a set throws
 * SyntaxError.
 */
export function readKeySet(bytes: Uint8Array, keyUse = "sig"): KeySet {
  const { keys: members } = parseStrictObject(bytes);
  if (!Array.isArray(members)) throw new SyntaxError("not a JWK set");
  if (members.length > maxKeys) throw new SyntaxError(`more than ${maxKeys} keys`);
  const keys: {
    readonly jwk: PublicJwk;
    readonly id: string;
    readonly imported: Map<string, Promise<VerificationKey>>;
  }[] = [];
  for (const member of members) {
    if (!isObject(member)) throw new SyntaxError("a key is not an object");
    const jwk = readPublicJwk(member, keyUse);
    if (jwk !== null) keys.push({ jwk, id: JSON.stringify(jwk), imported: new Map() });
  }
  const ids = new Set(keys.map((key) => key.id));
  const keyIds = new Set(keys.map((key) => key.jwk.kid));
  return {
    select(algorithm, keyId) {
      return keys
        .filter(({ jwk }) => (keyId === null || jwk.kid === keyId) && keyFits(jwk, algorithm))
        .slice(0, maxCandidates)
        .map(({ jwk, id, imported }) => ({
          id,
          import: () => {
            let key = imported.get(algorithm);
            if (key === undefined) {
              key = importPublic(jwk, algorithm);
              imported.set(algorithm, key);
            }
            return key;
          },
        }));
    },
    hasKeyId: (keyId) => keyIds.has(keyId),
    holds: (id) => ids.has(id),
  };
}

async function importPublic(jwk: PublicJwk, algorithm: string): Promise<VerificationKey> {
  const key = await importJWK({ ...jwk.members }, algorithm);
  if (key instanceof Uint8Array || key.type !== "public") throw new TypeError("not a public key");
  return key;
}
