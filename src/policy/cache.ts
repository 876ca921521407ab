/** Decisions kept for statements that come again. */
import type { CompiledPolicy, DecideInput, PolicyDecision } from "./types.ts";

/**
 * Gives a decide that remembers. `key`: the session's `policy.cacheKey(…)`, made once a session; null decides anew each time.
 * `shape`: an object that stands for the statement's facts and lives as long as they are cached (the analysis' own result);
 * facts that conditions of a policy with keys never look at (`in_transaction`, `statements`, `bytes`) may differ under one
 * shape. One instance for each policy: a reloaded policy gets its own. Frozen decisions are shared between callers.
 */
export function createDecider(
  policy: CompiledPolicy,
): (key: string | null, shape: object, input: DecideInput) => PolicyDecision {
  // Weak: entries go when the analysis forgets the statement.
  const decisions = new WeakMap<object, Map<string, PolicyDecision>>();
  return (key, shape, input) => {
    if (key === null) return policy.decide(input);
    let byKey = decisions.get(shape);
    const kept = byKey?.get(key);
    if (kept !== undefined) return kept;
    const decision = Object.freeze(policy.decide(input));
    if (byKey === undefined) {
      byKey = new Map();
      decisions.set(shape, byKey);
    }
    if (byKey.size < maxKeys) byKey.set(key, decision);
    return decision;
  };
}

/** Callers that differ in what the policy looks at, for one statement. */
const maxKeys = 1000;
