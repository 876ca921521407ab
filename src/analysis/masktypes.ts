/** What is asked of the masking plan, and what it answers. */
import type { MaskPlan, Position } from "../facts/effects.ts";
import type { LabelUse } from "./protected.ts";

export interface MaskOptions {
  /** Labels whose masks are lifted for the principal. `access: none` is never lifted. */
  readonly unmask: readonly string[];
  /** It is an EXPLAIN: estimates tell of the values that conditions compare with. */
  readonly explain: boolean;
  /** EXPLAIN (SERIALIZE): it prints how many bytes the rows are. Default false. */
  readonly serialize?: boolean;
  /** EXPLAIN ANALYZE: it prints how much memory sorts and hashes took. Default false. */
  readonly analyze?: boolean;
  /** Uses that a rule allows the principal instead of the label's own. */
  readonly relax?: ReadonlyMap<string, LabelUse>;
  /** The principal may write rows of the relation ("schema.relation"), so that a hash could be looked up by writing guesses. */
  readonly mayWrite?: (relation: string) => boolean;
}

/** Closed list; docs/errors.md. The problems of the analysis bring their own codes. */
export type MaskRefusalCode =
  | "PROTECTED_COLUMN"
  | "PROTECTED_PREDICATE"
  | "PROTECTED_EXPRESSION"
  | "PROTECTED_WRITE"
  | "PROTECTED_CATALOG"
  | "PROTECTED_EXPLAIN"
  | "UNSAFE_FUNCTION";

export interface MaskRefusal {
  readonly ok: false;
  readonly code: MaskRefusalCode | (string & {});
  /** "schema.relation.column", or the function; "" when it is about the whole statement. */
  readonly column: string;
  readonly label: string;
  readonly where: Position;
  readonly message: string;
  readonly hint: string;
  readonly labels: readonly string[];
  readonly labelsInPredicates: readonly string[];
}

export interface MaskGrant {
  readonly ok: true;
  /** null: no protected column is touched, or all its masks are lifted. */
  readonly plan: MaskPlan | null;
  /** Columns whose values are masked in the result, sorted, for the record. */
  readonly masked: readonly string[];
  /** Labels of the columns that the statement touches, lifted ones too, sorted. */
  readonly labels: readonly string[];
  /** Those among them that stand where rows are chosen, ordered or grouped. */
  readonly labelsInPredicates: readonly string[];
  /** Protected columns in plain equalities, for the budget and the record. */
  readonly equalities: readonly string[];
}

export type MaskOutcome = MaskGrant | MaskRefusal;
