/** What SCRAM-SHA-256 needs to know of a token without holding it (RFC 5802 section 3, RFC 7677). */
import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
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

/** Derives the keys of a token. A token is ASCII letters and digits, so SASLprep (RFC 4013) changes nothing in it. */
export async function scramSecret(token: string): Promise<ScramSecret> {
  const salt = randomBytes(saltBytes);
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
 * What a name without a token is answered with: a salt that is the same each time it is asked for and tells nothing (as
 * PostgreSQL's mock authentication, auth-scram.c), and keys that no proof fits.
 * @param key a secret of this process (or cluster), so that a stranger cannot compute the salt himself.
 */
export function mockScramSecret(name: string, key: Buffer): ScramSecret {
  const part = (label: string) => createHmac("sha256", key).update(`${label}\0${name}`).digest();
  return {
    salt: part("salt").subarray(0, saltBytes).toString("base64"),
    iterations,
    storedKey: part("stored key").toString("base64"),
    serverKey: part("server key").toString("base64"),
  };
}
