/** What the policy part of the REST API answers. Every string in here may be hostile. */
import { api } from "../lib/api.ts";
import type { Kind, Verdict } from "../lib/types.ts";

export interface PolicyFile {
  readonly name: string;
  readonly text: string;
}

export interface PolicyRule {
  readonly name: string;
  readonly when: string;
  readonly then: "allow" | "deny" | "approve" | "limit" | "unmask";
  readonly description: string | null;
  readonly observe?: boolean;
  readonly file?: string;
  readonly line?: number;
  readonly message?: string | null;
  readonly hint?: string | null;
  readonly limits?: Readonly<Record<string, unknown>> | null;
  readonly approvers?: Readonly<Record<string, unknown>> | null;
  readonly labels?: readonly string[];
}

export interface PolicyLabel {
  readonly label: string;
  readonly description: string | null;
  readonly columns: readonly string[];
  readonly mask: unknown;
  readonly access: "masked" | "none";
  readonly use: "output" | "equality" | "derived" | "any";
  readonly observe: boolean;
}

export interface Policy {
  readonly digest: string;
  readonly files: readonly PolicyFile[];
  readonly rules: readonly PolicyRule[];
  readonly labels: readonly PolicyLabel[];
  readonly default: "allow" | "deny";
  readonly observe: "none" | "some" | "all";
}

/** A column of the catalog that some label covers. */
export interface ProtectedColumn {
  readonly column: string;
  readonly type?: string;
  readonly label: string;
  readonly mask?: unknown;
  readonly access?: string;
  readonly use?: string;
}

export interface RuleVerdict {
  readonly rule: string;
  readonly then: string;
  readonly outcome: "matched" | "not matched" | "error" | "not evaluated";
  readonly observe: boolean;
  readonly detail: string | null;
}

export interface ExplainedOutput {
  readonly name: string;
  readonly type?: string;
  readonly sources: readonly string[];
  readonly mask: string | null;
  readonly label?: string | null;
  readonly why?: string | null;
}

export interface Explained {
  readonly decision: {
    readonly verdict: Verdict;
    readonly rule: string | null;
    readonly code: string | null;
    readonly message: string | null;
    readonly hint: string | null;
    readonly object: string | null;
    readonly limits: Readonly<Record<string, number | null>>;
    readonly approvers: readonly {
      readonly rule: string;
      readonly groups: readonly string[];
      readonly count: number;
    }[];
  };
  readonly rules: readonly RuleVerdict[];
  readonly touches: {
    readonly effects: readonly string[];
    readonly reads: readonly string[];
    readonly writes: readonly string[];
    readonly columns: readonly string[];
    readonly functions: readonly string[];
    readonly labels: readonly string[];
  } | null;
  readonly outputs: readonly ExplainedOutput[] | null;
  readonly message: string | null;
}

export interface PolicyProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly key: string;
  readonly what: string;
  readonly expected: string;
}

/** The principal of a question; what is left out is the least. */
export interface AskedAs {
  readonly subject: string;
  readonly kind: Kind;
  readonly groups: readonly string[];
}

export interface ReplayChange {
  readonly kind: string;
  readonly count: number;
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

export interface Replayed {
  readonly total: number;
  readonly compared: number;
  readonly changes: readonly ReplayChange[];
}

/** The active policy; its lists are there whatever the answer leaves out. */
export async function loadPolicy(signal: AbortSignal): Promise<Policy> {
  const answer = await api<Partial<Policy>>("/api/policy", { signal });
  return {
    digest: answer.digest ?? "",
    files: answer.files ?? [],
    rules: (answer.rules ?? []).map((rule) => ({ ...rule, description: rule.description ?? null })),
    labels: (answer.labels ?? []).map((label) => ({
      ...label,
      description: label.description ?? null,
      columns: label.columns ?? [],
    })),
    default: answer.default ?? "deny",
    observe: answer.observe ?? "none",
  };
}
