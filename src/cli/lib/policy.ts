/** The active policy of a running gateway, and the key of its `hash` masks. */
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
import { keyFile } from "./keyfile.ts";

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
    // Made once for a log: results that were masked at different times can be joined as long as it stays.
    maskKey: keyFile(keys, "mask.key"),
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
