/** The policy room: files → compiled rules → decisions. */
export { type BudgetKeeper, type Charge, createBudgets, equalityBudget } from "./budget.ts";
export { builtinNames, builtinPolicy } from "./builtin.ts";
export { createDecider } from "./cache.ts";
export { loadPolicy, type PolicyFile } from "./compile.ts";
export { policyFiles, policyTestFiles } from "./files.ts";
export { formatPolicyProblem, PolicyError, type PolicyProblem } from "./problem.ts";
export type {
  Budget,
  CompiledPolicy,
  DecideInput,
  Estimate,
  Explanation,
  Judgement,
  Label,
  LabelMatcher,
  PartialInput,
  PolicyDecision,
  RuleSummary,
  SessionFacts,
  Use,
} from "./types.ts";
