/** The events of the audit trail (SPEC.md section 5) as the gateway hands them to audit/. */
import type { Would } from "./decision.ts";
import type { Principal } from "./principal.ts";
import type { Claimed, ClientFacts, DatabaseFacts } from "./session.ts";

export type Durability = "process" | "disk" | "strict";

/** Everything of a session that every one of its records repeats. */
export interface SessionRecord {
  readonly session: string;
  readonly principal: Principal;
  readonly client: ClientFacts;
  readonly claimed: Claimed;
  readonly database: DatabaseFacts;
}

/** What a statement is, without its literals: equal for all statements of one shape. */
export interface StatementRecord {
  /** SQL with literals stripped; null when the text could not be read safely and is sealed whole. */
  readonly sql: string | null;
  readonly fingerprint: string | null;
  readonly kind: string | null;
  readonly command: string | null;
  /** null: not analysed. */
  readonly effects: readonly string[] | null;
  readonly reads: readonly string[] | null;
  readonly writes: readonly string[] | null;
  readonly columns: readonly string[] | null;
  readonly functions: readonly string[] | null;
  readonly labels: readonly string[] | null;
  /** The session's search_path under which its names were looked up, folded and unquoted; null or left out: not analysed, or not known. */
  readonly searchPath?: readonly string[] | null;
  /** What it looks like, as far as conditions and masks ask; left out: nobody looked. */
  readonly form?: StatementForm;
}

export interface StatementForm {
  /** Sorted. `several_writes`: more than one part of it changes rows, or a rule does. */
  readonly clauses: readonly ("limit" | "several_writes" | "unbounded_write" | "where")[];
  /** How many statements its message holds. */
  readonly statements: number;
  /** Columns that stand elsewhere than as plain outputs, by where that is, as in `columns`; what is empty is left out. */
  readonly uses: Readonly<Partial<Record<RecordedPosition, readonly string[]>>>;
}

/** See `Position`: all but `output`, and `owner`, which nobody decides on. */
export type RecordedPosition = "arbiter" | "assigned" | "derived" | "equality" | "predicate";

/** The approval that a statement ran under, or waited for. */
export interface ApprovalRecord {
  readonly id: string;
  /** Who agreed; empty: nobody did. */
  readonly approvers: readonly { readonly subject: string; readonly issuer: string }[];
  /** It went ahead without asking; people look at it afterwards. */
  readonly breakGlass?: boolean;
}

export interface DecisionRecord {
  readonly verdict: "allow" | "deny" | "approve";
  readonly rule: string | null;
  readonly rules: readonly string[];
  readonly code: string | null;
  /** "sha256:…" of the active policy; null when no policy is loaded. */
  readonly policy: string | null;
  readonly masked: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** What people agreed to it, or was asked of them; left out: nobody was asked. */
  readonly approval?: ApprovalRecord | null;
  /** What would have been decided were nothing merely observed; left out: the same. */
  readonly would?: Would;
}

export type StatementProtocol = "simple" | "extended" | "sql-execute" | "copy" | "cursor" | "function";
export type TransactionState = "I" | "T" | "E";
export type OutcomeStatus = "ok" | "error" | "denied" | "cancelled" | "cut" | "unknown";

/** One column of a RowDescription as it was delivered. */
export interface ColumnRecord {
  readonly name: string;
  readonly type: string;
  /** "schema.relation.column" where the server said so and the catalog knows it; else null. */
  readonly origin: string | null;
  readonly masked: boolean;
}

/** What happened to an approval, or was done by way of one, as a leaf of the audit log. */
export interface ApprovalEvent {
  readonly type:
    | "approval.requested"
    | "approval.decided"
    | "approval.expired"
    | "approval.used"
    | "admin.action";
  readonly fields: Readonly<Record<string, unknown>>;
  /** What is personal, or would let a guess of the statement's text be checked: it goes under the seal. */
  readonly sealed: Readonly<Record<string, unknown>>;
}
