/** ClientKey and ServerKey of SCRAM (RFC 5802 section 3), derived off the main thread and kept for the next connection. */
import { createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { saslprep } from "./saslprep.ts";

export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly serverKey: Buffer;
}

const derive = promisify(pbkdf2);
/** Passwords are looked up by a hash under a key of this process: the map never holds them. */
const lookupKey = randomBytes(32);
const maxEntries = 64;
/** Least recently used first. Promises, so that many connections at once derive once. */
const cache = new Map<string, Promise<ScramKeys>>();

/** Gives the keys for a password, salt and iteration count. PBKDF2 runs in the thread pool; the last 64 results are kept. */
export function scramKeys(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const id = createHmac("sha256", lookupKey)
    .update(`${iterations}:${salt.toString("hex")}:`)
    .update(password, "utf8")
    .digest("hex");
  const known = cache.get(id);
  if (known !== undefined) {
    cache.delete(id);
    cache.set(id, known);
    return known;
  }
  const keys = deriveKeys(password, salt, iterations);
  cache.set(id, keys);
  if (cache.size > maxEntries) cache.delete(cache.keys().next().value ?? id);
  keys.catch(() => cache.delete(id));
  return keys;
}

async function deriveKeys(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const salted = await derive(saslprep(password), salt, iterations, 32, "sha256");
  return {
    clientKey: createHmac("sha256", salted).update("Client Key").digest(),
    serverKey: createHmac("sha256", salted).update("Server Key").digest(),
  };
}
