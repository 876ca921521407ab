/** Decisions as the record shows them. */
import type { DecisionContext } from "../../audit/index.ts";
import type { DecisionRecord } from "../../facts/audit.ts";
import type { PolicyDecision } from "../../policy/index.ts";
import type { Walk } from "./state.ts";

/**
 * `code`: why it does not run; null: it does. A rule is named where it decided: what a rule allowed and masking then
 * refused, no rule has denied.
 */
export function decisionOf(
  walk: Walk,
  decision: PolicyDecision | null,
  verdict: DecisionRecord["verdict"],
  code: string | null,
  masked: readonly string[],
  approval: DecisionRecord["approval"] = null,
): DecisionContext {
  const byRule = code === null || verdict === "approve" || code === decision?.code;
  const shown: Record<string, number> = {};
  for (const [name, value] of Object.entries(decision?.limits ?? {})) if (value !== null) shown[name] = value;
  return walk.audit.decision({
    verdict,
    rule: byRule ? (decision?.rule ?? null) : null,
    rules: decision?.rules ?? [],
    code,
    policy: walk.guard?.policies.current.digest ?? null,
    masked,
    limits: shown,
    ...(decision?.would == null ? {} : { would: decision.would }),
    ...(approval === null ? {} : { approval }),
  });
}
