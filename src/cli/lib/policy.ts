/** The active policy of a running gateway, and the key of its `hash` masks. */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../../config/index.ts";
import { patternFault } from "../../gateway/analyst/detection.ts";
import type { PolicyRooms } from "../../gateway/index.ts";
import {
  type CompiledPolicy,
  createBudgets,
  loadPolicy,
  PolicyError,
  policyFiles,
} from "../../policy/index.ts";

export interface ActivePolicy extends PolicyRooms {
  readonly policies: { current: CompiledPolicy };
}

/**
 * Loads the policy at `place` for a gateway whose keys lie in `keys`. null: none is configured.
 * Throws ConfigError, and the file system's errors for the key.
 */
export function openPolicy(place: { readonly path: string } | null, keys: string): ActivePolicy | null {
  if (place === null) return null;
  return {
    policies: { current: readPolicy(place) },
    budgets: createBudgets(),
    maskKey: maskKey(keys),
  };
}

/** Loads a policy file, a folder or a built-in policy, patterns of `detect:` checked. Throws PolicyError. */
export function policyAt(path: string): CompiledPolicy {
  return loadPolicy(policyFiles(path), { checkPattern: patternFault });
}

/** Reads the policy anew. Its mistakes are mistakes of the configuration: throws ConfigError. */
export function readPolicy(place: { readonly path: string }): CompiledPolicy {
  try {
    return policyAt(place.path);
  } catch (error) {
    throw error instanceof PolicyError ? new ConfigError(error.problems) : error;
  }
}

const keyBytes = 32;

/** Made once for a log: results that were masked at different times can be joined as long as it stays. */
function maskKey(dir: string): KeyObject {
  const file = join(dir, "mask.key");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, `${randomBytes(keyBytes).toString("base64")}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const key = Buffer.from(readFileSync(file, "utf8").trim(), "base64");
  if (key.length !== keyBytes) throw new Error(`${file}: not a key of ${keyBytes} bytes`);
  return createSecretKey(key);
}
