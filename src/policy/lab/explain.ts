/** One statement, one person, every rule's verdict: for the command line and the API alike. */
import type { RuleVerdict } from "../../facts/decision.ts";
import type { StatementFacts } from "../../facts/effects.ts";
import { unlimited } from "../decide/obligations.ts";
import type { CompiledPolicy, DecideInput, PolicyDecision } from "../types.ts";
import type { AnalysedStatement, MaskReport, StatementRefusal } from "./analyser.ts";

export interface Explained {
  readonly sql: string;
  readonly facts: StatementFacts;
  readonly decision: PolicyDecision;
  readonly rules: readonly RuleVerdict[];
  /** The gateway refuses it before any rule is asked: `decision` says so, and `rules` is empty. null: the rules decide. */
  readonly refusal: StatementRefusal | null;
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
  const facts = input.statement;
  const refusal = analysed?.refusal ?? null;
  if (refusal !== null)
    return { sql, facts, refusal, decision: refusedDecision(refusal), rules: [], masks: null };
  const { decision: decided, rules } = policy.explain(input);
  // Of facts alone only the rules' own part is known.
  const would = analysed === null ? decided.would : analysed.would(input, decided);
  const decision = { ...decided, would };
  const masks = analysed === null || decision.verdict === "deny" ? null : analysed.mask(decision);
  return { sql, facts, refusal, decision, rules, masks };
}

/** A refusal that no rule is behind, as a decision. */
export function refusedDecision({ code, message, hint }: StatementRefusal): PolicyDecision {
  return {
    verdict: "deny",
    rule: null,
    rules: [],
    code,
    message,
    hint,
    object: null,
    limits: unlimited,
    approvers: [],
    unmask: [],
    would: null,
    durability: null,
    relax: new Map(),
    budgets: [],
  };
}
