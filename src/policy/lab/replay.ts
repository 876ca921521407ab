/** Recorded statements run through another policy. */
import type { StatementFacts } from "../../facts/effects.ts";
import { splitName } from "../schema/columns.ts";
import type { CompiledPolicy, LabelMatcher, PartialInput, PolicyDecision, SessionFacts } from "../types.ts";

type Verdict = PolicyDecision["verdict"];

/** A statement as the audit trail has it. Facts that the record does not hold, or that were not analysed, are absent. */
export interface RecordedStatement {
  readonly request: string;
  readonly time: Date;
  readonly principal: PartialInput["principal"];
  readonly session: SessionFacts;
  readonly sealedIntent: boolean;
  /** With literals stripped; null: sealed whole. */
  readonly sql: string | null;
  readonly facts: Partial<Omit<StatementFacts, "labels" | "labelsInPredicates">>;
  readonly verdict: Verdict;
  readonly rule: string | null;
  readonly code: string | null;
  /** "schema.relation.column" of columns that were masked. */
  readonly masked: readonly string[];
  /** Origins of the result's columns, null where one has none; null: no result is recorded. */
  readonly outputs: readonly (string | null)[] | null;
}

export type ReplayKind =
  | "newly denied"
  | "newly allowed"
  | "newly held"
  | "newly masked"
  | "newly shown"
  | "unchanged"
  | "undetermined"
  | "outside policy";

export interface Replayed {
  readonly statement: RecordedStatement;
  readonly kind: ReplayKind;
  readonly now: {
    readonly verdict: Verdict;
    readonly rule: string | null;
    readonly code: string | null;
  } | null;
  /** Columns newly masked or shown. */
  readonly columns: readonly string[];
  /** Why it is undetermined, or refused; else null. */
  readonly why: string | null;
}

export const changes: readonly ReplayKind[] = [
  "newly denied",
  "newly allowed",
  "newly held",
  "newly masked",
  "newly shown",
];

const policyCodes: readonly (string | null)[] = [
  null,
  "POLICY_DENIED",
  "NO_RULE",
  "POLICY_ERROR",
  "NEEDS_APPROVAL",
  "APPROVAL_DENIED",
  "APPROVAL_EXPIRED",
];

/** What the policy makes of one recorded statement. Pure. */
export function replay(policy: CompiledPolicy, statement: RecordedStatement): Replayed {
  const result = (
    kind: ReplayKind,
    now: Replayed["now"],
    why: string | null = null,
    columns: readonly string[] = [],
  ) => ({
    statement,
    kind,
    now,
    columns,
    why,
  });
  const undetermined = (why: string) => result("undetermined", null, why);
  if (statement.verdict === "deny" && !policyCodes.includes(statement.code))
    return result("outside policy", null, `refused by the gateway itself (${statement.code})`);

  const { database } = statement.session;
  const { columns } = statement.facts;
  const matchers = policy.labelsFor(database);
  const touched = columns === undefined ? null : labelled(columns, matchers);
  const observed = columns === undefined ? null : labelled(columns, policy.observedLabelsFor(database));
  const judgement = policy.judge({
    principal: statement.principal,
    session: statement.session,
    sealedIntent: statement.sealedIntent,
    statement: { ...statement.facts, ...labelFacts(touched, observed) },
    now: statement.time,
  });
  if (!judgement.determined) {
    const unanalysed =
      statement.facts.effects === undefined ? "it was not analysed" : "the record does not hold";
    const facts = statement.facts.effects === undefined ? "" : ` ${judgement.missing.join(", ")}`;
    return undetermined(`${unanalysed}${facts}: ${judgement.possible.join(" or ")}`);
  }
  const { decision } = judgement;
  const now = { verdict: decision.verdict, rule: decision.rule, code: decision.code };
  if (decision.verdict !== "deny") {
    if (touched === null) {
      if (matchers.length > 0)
        return undetermined("its columns were not analysed, and the policy protects some");
    } else {
      const closed = touched.find(({ matcher }) => matcher.access === "none");
      if (closed !== undefined) {
        const refused = { verdict: "deny" as const, rule: null, code: "PROTECTED_COLUMN" };
        return result(
          statement.verdict === "deny" ? "unchanged" : "newly denied",
          refused,
          `reads ${closed.column} (${closed.matcher.label})`,
        );
      }
    }
  }
  if (decision.verdict !== statement.verdict) return result(kindOf(decision.verdict), now, decision.message);
  if (decision.verdict === "deny" || touched === null) return result("unchanged", now);
  return masks(touched, decision, statement, result, undetermined, now);
}

function masks(
  touched: readonly Touched[],
  decision: PolicyDecision,
  statement: RecordedStatement,
  result: (
    kind: ReplayKind,
    now: Replayed["now"],
    why?: string | null,
    columns?: readonly string[],
  ) => Replayed,
  undetermined: (why: string) => Replayed,
  now: Replayed["now"],
): Replayed {
  const hidden = touched
    .filter(({ matcher }) => !decision.unmask.includes(matcher.label))
    .map(({ column }) => column);
  const before = new Set(statement.masked);
  const unknown = hidden.find((column) => !before.has(column) && !(statement.outputs ?? []).includes(column));
  if (unknown !== undefined)
    return undetermined(`the record does not say how it uses ${unknown}: masked or denied`);
  const shown = statement.masked.filter((column) => !hidden.includes(column));
  if (shown.length > 0) return result("newly shown", now, null, shown);
  const masked = hidden.filter((column) => !before.has(column));
  return masked.length > 0 ? result("newly masked", now, null, masked) : result("unchanged", now);
}

function kindOf(verdict: Verdict): ReplayKind {
  switch (verdict) {
    case "allow":
      return "newly allowed";
    case "approve":
      return "newly held";
    case "deny":
      return "newly denied";
  }
}

interface Touched {
  readonly column: string;
  readonly matcher: LabelMatcher;
}

function labelled(columns: readonly string[], matchers: readonly LabelMatcher[]): Touched[] {
  return columns.flatMap((column) => {
    const [schema, relation, name] = splitName(column) ?? [];
    if (schema === undefined || relation === undefined || name === undefined) return [];
    return matchers
      .filter((matcher) => matcher.matches(schema, relation, name))
      .map((matcher) => ({ column, matcher }));
  });
}

/** What a policy's conditions see of its own labels. Where they stand in the statement is not on the record. */
function labelFacts(
  enforced: readonly Touched[] | null,
  observed: readonly Touched[] | null,
): Partial<StatementFacts> {
  if (enforced === null || observed === null) return {};
  const labels = [...new Set([...enforced, ...observed].map(({ matcher }) => matcher.label))].sort();
  return labels.length === 0 ? { labels, labelsInPredicates: [] } : { labels };
}
