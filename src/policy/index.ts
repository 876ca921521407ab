/** The policy room: files → compiled rules → decisions. */
export { type BudgetKeeper, createBudgets, equalityBudget, withComparisons } from "./budget.ts";
export { builtinNames, builtinPolicy } from "./builtin.ts";
export { loadPolicy } from "./compile.ts";
export { policyFiles, policyTestFiles } from "./files.ts";
export { formatPolicyProblem, PolicyError } from "./problem.ts";
export { detectKinds } from "./schema/detect.ts";
export type {
  Budget,
  CompiledPolicy,
  DecideInput,
  Estimate,
  LabelMatcher,
  PolicyDecision,
  SessionFacts,
} from "./types.ts";
