/** What a policy says of one statement. */
import type { Durability } from "./audit.ts";

/** Limits of a decision; null: none. Sizes in bytes, times in milliseconds. */
export interface DecisionLimits {
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly timeoutMs: number | null;
  readonly affectedRows: number | null;
  /** Statements a minute for the principal. */
  readonly perMinute: number | null;
}

/** One rule's demand for people. */
export interface ApproverDemand {
  readonly rule: string;
  readonly groups: readonly string[];
  readonly count: number;
  readonly withinMs: number;
  readonly allowDelegator: boolean;
  /** true: refused with an approval id instead of waiting. */
  readonly ticket: boolean;
  /** Who may go ahead without waiting, with a reason, and who looks at it afterwards; null: nobody. */
  readonly breakGlass: { readonly groups: readonly string[]; readonly review: readonly string[] } | null;
}

/** What each matching rule said, for explain and the record. */
export interface RuleVerdict {
  readonly rule: string;
  readonly then: "allow" | "deny" | "approve" | "limit" | "unmask";
  readonly outcome: "matched" | "not matched" | "error" | "not evaluated";
  readonly observe: boolean;
  /** For `error`: what went wrong, without values. */
  readonly detail: string | null;
}

/** What would be decided were nothing merely observed. */
export interface Would {
  readonly verdict: "deny" | "approve";
  /** null: the default, or the gateway itself. */
  readonly rule: string | null;
  /** Of docs/errors.md, as the refusal would carry it. */
  readonly code: string;
}

export interface Decision {
  readonly verdict: "allow" | "deny" | "approve";
  /** The rule that decided; null: the default, or the gateway itself. */
  readonly rule: string | null;
  /** All matching rules, sorted by name. */
  readonly rules: readonly string[];
  /** Stable code of docs/errors.md when not allowed. */
  readonly code: string | null;
  /** The rule's message for the caller, when not allowed. */
  readonly message: string | null;
  /** The next step for the caller. */
  readonly hint: string | null;
  /** What the refusal is about: a column, a function, a relation. */
  readonly object: string | null;
  readonly limits: DecisionLimits;
  readonly approvers: readonly ApproverDemand[];
  /** Labels whose masks are lifted. */
  readonly unmask: readonly string[];
  /** What would have been decided, where rules only observe; null: the same. */
  readonly would: Would | null;
  /** At least as durable as this before it is forwarded; null: as the log's setting says. */
  readonly durability: Durability | null;
}
