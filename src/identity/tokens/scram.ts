/** What SCRAM-SHA-256 needs to know of a token without holding it (RFC 5802 section 3, RFC 7677). */
import { createHash, createHmac, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";

const derive = promisify(pbkdf2);
/**
 * The least RFC 7677 allows. Iterations slow down the guessing of weak passwords; a token has 256 random bits, which nobody guesses
 * at any speed.
 */
const iterations = 4096;
const saltBytes = 16;

/** All base64. Neither key gives the token away, and StoredKey alone does not let anyone log in. */
export interface ScramSecret {
  readonly salt: string;
  readonly iterations: number;
  readonly storedKey: string;
  readonly serverKey: string;
}

/**
 * Derives the keys of a token. A token is ASCII letters and digits, so SASLprep (RFC 4013) changes nothing in it.
 * @param salt of saltOf, for the id of the token.
 */
export async function scramSecret(token: string, salt: Buffer): Promise<ScramSecret> {
  const salted = await derive(token, salt, iterations, 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  return {
    salt: salt.toString("base64"),
    iterations,
    storedKey: createHash("sha256").update(clientKey).digest("base64"),
    serverKey: createHmac("sha256", salted).update("Server Key").digest("base64"),
  };
}

/**
 * The salt of a name, whether it has a token, had one or never did: each name has one of its own, and it tells nothing of the name. Ids are random
 * and used once, so no two tokens share a salt.
 * @param key a secret of the nodes that share a store, so that a stranger cannot compute the salt himself and all of them give the same.
 */
export function saltOf(name: string, key: Buffer): Buffer {
  return derived("salt", name, key).subarray(0, saltBytes);
}

/**
 * What a name without a token is answered with: a salt that is the same each time it is asked for and tells nothing (as
 * PostgreSQL's mock authentication, auth-scram.c), and keys that no proof fits.
 * @param key as for saltOf.
 */
export function mockScramSecret(name: string, key: Buffer): ScramSecret {
  return {
    salt: saltOf(name, key).toString("base64"),
    iterations,
    storedKey: derived("stored key", name, key).toString("base64"),
    serverKey: derived("server key", name, key).toString("base64"),
  };
}

function derived(label: string, name: string, key: Buffer): Buffer {
  return createHmac("sha256", key).update(`${label}\0${name}`).digest();
}
