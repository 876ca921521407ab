/** One statement, one person, every rule's verdict: for the command line and the API alike. */
import type { RuleVerdict } from "../../facts/decision.ts";
import type { StatementFacts } from "../../facts/effects.ts";
import type { CompiledPolicy, DecideInput, PolicyDecision } from "../types.ts";
import type { AnalysedStatement, MaskReport } from "./analyser.ts";

export interface Explained {
  readonly sql: string;
  readonly facts: StatementFacts;
  readonly decision: PolicyDecision;
  readonly rules: readonly RuleVerdict[];
  /** null: not analysed, so not known. */
  readonly masks: MaskReport | null;
}

/** `analysed` null: only the facts of `input` are known. */
export function explainOne(
  policy: CompiledPolicy,
  sql: string,
  input: DecideInput,
  analysed: AnalysedStatement | null,
): Explained {
  const { decision, rules } = policy.explain(input);
  const masks = analysed === null || decision.verdict === "deny" ? null : analysed.mask(decision);
  return { sql, facts: input.statement, decision, rules, masks };
}
