/** What the tools need of statement analysis, which is handed to them: policy/ itself reads no SQL and asks no server. */
import type { Would } from "../../facts/decision.ts";
import type { StatementFacts } from "../../facts/effects.ts";
import type { Principal } from "../../facts/principal.ts";
import type { CompiledPolicy, DecideInput, Estimate, PolicyDecision, SessionFacts } from "../types.ts";

export interface AnalyseRequest {
  readonly database: string;
  readonly sql: string;
  readonly principal: Principal;
  readonly policy: CompiledPolicy;
}

/** One output column: where it comes from, and how it would be hidden. */
export interface OutputReport {
  readonly name: string;
  /** "schema.relation.column" of every column that may reach it. */
  readonly sources: readonly string[];
  /** It is one of its sources as it stands, not computed. */
  readonly plain: boolean;
  /** Words such as "partial"; null: shown as it is. */
  readonly mask: string | null;
  readonly label: string | null;
}

export type MaskReport =
  | {
      readonly ok: true;
      /** "schema.relation.column" of masked columns, sorted. */
      readonly masked: readonly string[];
      /** null: no rows. */
      readonly outputs: readonly OutputReport[] | null;
    }
  | ({ readonly ok: false } & StatementRefusal);

/** Why a statement is refused, whatever the rules say. */
export interface StatementRefusal {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

export interface AnalysedStatement {
  readonly sql: string;
  readonly facts: StatementFacts;
  /** The gateway refuses it before any rule is asked; null: the rules decide. */
  readonly refusal: StatementRefusal | null;
  /** Asks the server to EXPLAIN it; called only where a rule that otherwise matches needs it. null: it would not say. */
  estimate?(): Promise<Estimate | null>;
  /** What enforcing would make of it, where the policy only observes; null: the same, or it would run as well. */
  would(input: DecideInput, decision: PolicyDecision): Would | null;
  /** What masking makes of it under a decision (labels lifted, uses relaxed). */
  mask(decision: PolicyDecision): MaskReport;
}

/** The statements of a text, or why nobody can run any there (which denies it). */
export type Analysed =
  | {
      readonly ok: true;
      readonly statements: readonly AnalysedStatement[];
      /** What the session would be: the login chosen for the principal's groups, … */
      readonly session: SessionFacts;
    }
  | { readonly ok: false; readonly code: string; readonly message: string };

export type Analyse = (request: AnalyseRequest) => Promise<Analysed>;
