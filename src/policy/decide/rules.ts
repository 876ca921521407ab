/** Rules as they are decided on. */
import type { Durability } from "../../facts/audit.ts";
import type { ApproverDemand } from "../../facts/decision.ts";
import type { Condition } from "../condition/compile.ts";
import type { RuleLimits } from "../schema/limits.ts";
import type { Then } from "../schema/rule.ts";
import type { Use } from "../types.ts";

export interface CompiledRule {
  readonly name: string;
  readonly description: string | null;
  readonly then: Then;
  readonly condition: Condition;
  readonly observe: boolean;
  readonly message: string | null;
  readonly hint: string | null;
  readonly limits: RuleLimits;
  readonly durability: Durability | null;
  readonly approvers: ApproverDemand | null;
  readonly unmask: readonly string[];
  readonly use: readonly { readonly label: string; readonly use: Use }[];
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A set of rules with its default; rules are sorted by name, so that their order in the files cannot matter. */
export interface RuleSet {
  readonly rules: readonly CompiledRule[];
  readonly default: "allow" | "deny";
  /** The default is only observed: what no rule decides passes. */
  readonly observeDefault: boolean;
}
