/** The policy as other rooms see it. */
import type { Decision, RuleVerdict } from "../facts/decision.ts";
import type { Mask, StatementFacts } from "../facts/effects.ts";
import type { Principal } from "../facts/principal.ts";
import type { Claimed, Via } from "../facts/session.ts";

/** How a protected column may be used (SPEC section 3). */
export type Use = "output" | "equality" | "derived" | "any";

/** One label laid over one database. Names are as in the catalog, without quotes. */
export interface LabelMatcher {
  readonly label: string;
  matches(schema: string, relation: string, column: string): boolean;
  readonly mask: Mask;
  /** `none`: the column cannot be read at all. */
  readonly access: "masked" | "none";
  readonly use: Use;
}

/** A classification of columns as the policy files give it. */
export interface Label {
  readonly label: string;
  readonly description: string | null;
  /** As written: database.schema.relation.column. */
  readonly columns: readonly string[];
  readonly mask: Mask;
  readonly access: "masked" | "none";
  readonly use: Use;
  /** Comparisons with it that one principal may make in a minute, under `use: equality`. */
  readonly equalityPerMinute: number;
  /** Only recorded (`masking: observe`). */
  readonly observe: boolean;
}

/** One thing to look for in columns that have no label. */
export interface DetectRule {
  /** A built-in kind, or the name of a pattern. */
  readonly kind: string;
  /** null: built in. */
  readonly pattern: string | null;
  readonly action: "mask" | "alert";
}

/** `detect:`, the second line behind labels (MASKING.md section 8). */
export interface DetectPolicy {
  readonly rules: readonly DetectRule[];
  /** How cells and columns that are found are masked. */
  readonly mask: Mask;
  /** Values after which a column is judged. */
  readonly rows: number;
  /** From this confidence on, above 0 and up to 1, a column is of a kind. */
  readonly confidence: number;
}

/** What conditions know of the session. */
export interface SessionFacts {
  /** The name clients ask for. */
  readonly database: string;
  /** The upstream login. */
  readonly role: string;
  readonly application: string | null;
  readonly clientIp: string;
  readonly via: Via;
  readonly tls: boolean;
  readonly claimed: Claimed;
}

/** The server's own guess: rows and cost of the plan's top node. */
export interface Estimate {
  readonly rows: number;
  readonly cost: number;
}

export interface DecideInput {
  readonly principal: Principal;
  readonly session: SessionFacts;
  /**
   * `effects` must be complete: where a statement was not analysed because `needs.analysis` is false, the static effects;
   * [] is only for what has none (transaction control, allowed settings, DEALLOCATE, closing cursors).
   */
  readonly statement: StatementFacts;
  /** Asked only when a rule cannot be decided without it (see `wantsEstimate`); absent: such a rule denies with POLICY_ERROR. */
  readonly estimate?: () => Estimate;
  readonly now: Date;
}

/** Input of which not every fact of the statement is known, as of a statement that was recorded some time ago. */
export type PartialInput = Omit<DecideInput, "principal" | "statement" | "estimate" | "now"> & {
  /** null: whenever it may be. */
  readonly now: Date | null;
  readonly principal: Omit<Principal, "claims" | "email"> & Partial<Pick<Principal, "claims" | "email">>;
  /** The claimed intent is sealed: not known. */
  readonly sealedIntent?: boolean;
  readonly statement: Partial<StatementFacts>;
};

/** A decision, as far as the known facts determine it. */
export type Judgement =
  | { readonly determined: true; readonly decision: PolicyDecision }
  | {
      readonly determined: false;
      /** What it may be, sorted. */
      readonly possible: readonly Decision["verdict"][];
      /** The facts that would tell, as conditions name them. */
      readonly missing: readonly string[];
    };

/** One rate that a statement counts against: one bucket for each principal and `rule`. */
export interface Budget {
  readonly rule: string;
  readonly unit: "statements" | "rows";
  readonly amount: number;
  readonly perSeconds: number;
  /** What a statement takes of a rate of statements. Default 1. */
  readonly weight?: number;
}

/** A Decision with what the policy says beyond it. */
export interface PolicyDecision extends Decision {
  /** Labels whose use matching rules relax, and the use that then holds (never narrower than the label's own). */
  readonly relax: ReadonlyMap<string, Use>;
  /** Rates to be charged before the statement is forwarded (statements) and as rows arrive (rows). */
  readonly budgets: readonly Budget[];
}

export interface Explanation {
  readonly decision: PolicyDecision;
  /** Every rule, sorted by name. */
  readonly rules: readonly RuleVerdict[];
}

export interface RuleSummary {
  readonly name: string;
  readonly then: RuleVerdict["then"];
  readonly when: string;
  readonly description: string | null;
  readonly observe: boolean;
  readonly file: string;
  readonly line: number;
  /** The facts that its condition speaks of, e.g. "statement.effects". */
  readonly facts: readonly string[];
  /** Texts that it compares facts with, e.g. "session.database" and "shop". */
  readonly literals: readonly { readonly fact: string; readonly text: string }[];
}

export interface CompiledPolicy {
  /** "sha256:" and hex, of the files' texts, whatever their names and order. */
  readonly digest: string;
  readonly files: readonly string[];
  readonly default: "allow" | "deny";
  readonly labels: readonly Label[];
  /** null: columns without a label are not looked at. */
  readonly detect: DetectPolicy | null;
  readonly rules: readonly RuleSummary[];
  /** Whether statements must be analysed, and estimates may be asked for. */
  readonly needs: { readonly analysis: boolean; readonly estimate: boolean };
  /** Nothing is ever denied, held, limited or hidden by it: whatever a statement is, it may run. */
  readonly permissive: boolean;
  /** No statement may run longer under any of the rules, in milliseconds; null: one has no such limit. */
  readonly timeoutCeilingMs: number | null;
  /** `all`: nothing is enforced but masking; `some`: a rule or file only observes. */
  readonly observe: "none" | "some" | "all";
  /** The same policy with nothing merely observed; null: it is this one. */
  readonly enforced: CompiledPolicy | null;
  /** Labels to be enforced on a database (name as in postern.yaml), `relax` of a decision applied. */
  labelsFor(database: string, relax?: ReadonlyMap<string, Use>): readonly LabelMatcher[];
  /** Labels of `masking: observe`: touched columns are told and recorded, nothing is hidden. */
  observedLabelsFor(database: string): readonly LabelMatcher[];
  /** Decides one statement. Never throws: what fails denies with POLICY_ERROR. */
  decide(input: DecideInput): PolicyDecision;
  /** As decide, with every rule's verdict. */
  explain(input: DecideInput): Explanation;
  /** As decide, with facts missing: tells whether they could make another verdict. The estimate is never known. */
  judge(input: PartialInput): Judgement;
  /** Whether a rule that otherwise matches asks for `estimate`, and no deny makes that needless. */
  wantsEstimate(input: DecideInput): boolean;
  /**
   * Decisions may be kept under (key, statement facts) as long as this policy is active; null: never, since a condition looks
   * at what changes between equal statements (now, estimate, in_transaction, statements, bytes).
   */
  cacheKey(principal: Principal, session: SessionFacts): string | null;
}
