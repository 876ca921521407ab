/** What the policy part of the REST API answers. Every string in here may be hostile. */
import type { Policy } from "../generated/api.ts";
import { api } from "../lib/api.ts";

export type {
  Explained,
  ExplainedOutput,
  Policy,
  PolicyCheck,
  PolicyFile,
  PolicyLabel,
  PolicyProblem,
  PolicyRule,
  ProtectedColumn,
  ProtectedColumnList,
  Replay as Replayed,
  RuleVerdict,
} from "../generated/api.ts";

export function loadPolicy(signal: AbortSignal): Promise<Policy> {
  return api<Policy>("/api/policy", { signal });
}
