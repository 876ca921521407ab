/** Recorded statements run through another policy. */
import type { RecordedPosition } from "../../facts/audit.ts";
import type { Effect, StatementFacts } from "../../facts/effects.ts";
import { splitName } from "../schema/columns.ts";
import type {
  CompiledPolicy,
  LabelMatcher,
  PartialInput,
  PolicyDecision,
  SessionFacts,
  Use,
} from "../types.ts";

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
  /** Code of what would have been decided then, had nothing been merely observed; null: the same. */
  readonly wouldCode: string | null;
  /** PostgreSQL itself refused a text that the gateway could not read. */
  readonly syntaxError: boolean;
  /** Columns that stand elsewhere than as plain outputs, by where that is; null: the record does not say. */
  readonly uses: Readonly<Partial<Record<RecordedPosition, readonly string[]>>> | null;
  /** More than one part of it changes rows; null: the record does not say. */
  readonly severalWrites: boolean | null;
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
  "NOT_COUNTABLE",
  "APPROVAL_DENIED",
  "APPROVAL_EXPIRED",
];

/** Codes of what nobody can decide on, whatever the rules are. */
const notRead: ReadonlySet<string> = new Set([
  "STATEMENT_NOT_UNDERSTOOD",
  "ANALYSIS_NOT_UNDERSTOOD",
  "ANALYSIS_TOO_DEEP",
  "ANALYSIS_UNREADABLE",
  "ANALYSIS_MISSING",
  "NOT_ANALYSED",
]);

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
  const { syntaxError, wouldCode } = statement;
  // Refused by the labels of the policy of that time, for how it used a column.
  const byMasking = statement.verdict === "deny" && statement.code?.startsWith("PROTECTED_") === true;
  if (statement.verdict === "deny" && !byMasking && !policyCodes.includes(statement.code))
    return result("outside policy", null, `refused by the gateway itself (${statement.code})`);

  if (syntaxError) return result("outside policy", null, "PostgreSQL itself refused it");
  const enforces = !policy.permissive && policy.observe !== "all";
  if (enforces && wouldCode !== null && notRead.has(wouldCode)) {
    const now = { verdict: "deny" as const, rule: null, code: wouldCode };
    return result("newly denied", now, "the gateway cannot read it exactly");
  }

  const { database } = statement.session;
  const { columns } = statement.facts;
  const matchers = policy.labelsFor(database);
  const touched = columns === undefined ? null : labelled(columns, matchers);
  const observed = columns === undefined ? null : labelled(columns, policy.observedLabelsFor(database));
  const judgement = policy.judge({
    principal: statement.principal,
    session: statement.session,
    sealedIntent: statement.sealedIntent,
    statement: { ...statement.facts, ...labelFacts(touched, observed, statement.uses) },
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
  if (decision.verdict === "deny")
    return statement.verdict === "deny"
      ? result("unchanged", now)
      : result("newly denied", now, decision.message);
  // What the gateway refuses though the rules allow it.
  const hiding = touched === null ? unread(matchers) : hide(policy, decision, statement, touched);
  if ("open" in hiding) return undetermined(hiding.open);
  const refusal = "refused" in hiding ? hiding.refused : uncountable(decision, statement);
  if (refusal !== null) {
    const refused = { verdict: "deny" as const, rule: null, code: refusal.code };
    return statement.verdict === "deny"
      ? result("unchanged", refused)
      : result("newly denied", refused, refusal.why);
  }
  if (decision.verdict !== statement.verdict) return result(kindOf(decision.verdict), now, decision.message);
  const masked = "refused" in hiding ? [] : hiding.masked;
  const shown = statement.masked.filter((column) => !masked.includes(column));
  if (shown.length > 0) return result("newly shown", now, null, shown);
  const hidden = masked.filter((column) => !statement.masked.includes(column));
  return hidden.length > 0 ? result("newly masked", now, null, hidden) : result("unchanged", now);
}

/** What protected columns make of a statement that the rules allow. */
type Hiding =
  | { readonly masked: readonly string[] }
  | { readonly refused: Refusal }
  /** Why it cannot be told. */
  | { readonly open: string };

interface Refusal {
  readonly code: string;
  readonly why: string;
}

function unread(matchers: readonly LabelMatcher[]): Hiding {
  return matchers.length === 0
    ? { masked: [] }
    : { open: "its columns were not analysed, and the policy protects some" };
}

/** Kinds whose code or expressions the record does not show. */
const unseen: readonly (string | undefined)[] = ["ddl", "do", "call"];
/** Effects of functions that do not run where columns are protected. */
const opaque: readonly Effect[] = ["admin", "execute", "file", "network"];

/** Where a protected column may stand beside plain outputs, by its use (docs/policy.md, "Labels and masks"). */
const permitted: Readonly<Record<Use, readonly RecordedPosition[]>> = {
  output: [],
  equality: ["equality"],
  derived: ["derived"],
  any: ["derived", "equality", "predicate"],
};

/** Positions that no use of a label forbids. */
const free: readonly RecordedPosition[] = ["arbiter", "assigned"];

function hide(
  policy: CompiledPolicy,
  decision: PolicyDecision,
  statement: RecordedStatement,
  touched: readonly Touched[],
): Hiding {
  const { uses, facts, outputs, code, wouldCode, session } = statement;
  const closed = touched.find(({ matcher }) => matcher.access === "none");
  const isWritten = (facts.writes ?? []).length > 0;
  if (closed !== undefined && (uses === null || !isWritten || placesOf(uses, closed.column).length > 0))
    return {
      refused: {
        code: "PROTECTED_COLUMN",
        why: `reads ${closed.column} (${closed.matcher.label})`,
      },
    };
  const relaxed = policy.labelsFor(session.database, decision.relax);
  const held = touched.filter(
    ({ matcher }) => matcher.access === "none" || !decision.unmask.includes(matcher.label),
  );
  for (const { column, matcher } of held) {
    const { use } = relaxed.find(({ label }) => label === matcher.label) ?? matcher;
    const place = placesOf(uses, column).find((one) => !free.includes(one) && !permitted[use].includes(one));
    if (place !== undefined) {
      const code =
        place === "derived"
          ? "PROTECTED_EXPRESSION"
          : facts.kind === "explain"
            ? "PROTECTED_EXPLAIN"
            : "PROTECTED_PREDICATE";
      return { refused: { code, why: `uses ${column} (${matcher.label}) otherwise than as an output` } };
    }
  }
  const [first] = relaxed;
  const refused = statement.verdict === "deny" ? code : wouldCode;
  if (first !== undefined && refused !== null && /^(?:PROTECTED_|UNSAFE_FUNCTION$)/.test(refused))
    return { open: `masking refuses it (${refused}) where the record does not say how it uses its columns` };
  if (first !== undefined && unseen.includes(facts.kind))
    return { open: "what it holds beside queries is not on the record, and the policy protects columns" };
  if (
    first !== undefined &&
    statement.masked.length === 0 &&
    facts.effects?.some((one) => opaque.includes(one))
  )
    return { open: "it calls functions that are refused where columns are protected" };
  const masked: string[] = [];
  for (const { column } of held) {
    const places = placesOf(uses, column);
    const shown = uses !== null && (outputs ?? []).includes(column);
    if (statement.masked.includes(column) || shown || places.includes("derived")) masked.push(column);
    else if (places.length === 0 || places.includes("assigned"))
      return { open: `the record does not say how it uses ${column}: masked or denied` };
  }
  return { masked };
}

function placesOf(uses: RecordedStatement["uses"], column: string): RecordedPosition[] {
  const places = ["predicate", "equality", "derived", "assigned", "arbiter"] as const;
  return places.filter((place) => uses?.[place]?.includes(column) === true);
}

/** Changed rows are limited, and cannot be counted in this form. */
function uncountable(
  { limits }: PolicyDecision,
  { facts, severalWrites }: RecordedStatement,
): Refusal | null {
  const runs = facts.kind === "do" || facts.kind === "call";
  if (limits.affectedRows === null || (!runs && facts.effects?.includes("write") !== true)) return null;
  const counted = ["insert", "update", "delete", "merge"].includes(facts.kind ?? "");
  if (counted && severalWrites !== true && (facts.statements ?? 1) === 1) return null;
  return { code: "NOT_COUNTABLE", why: "its changed rows are limited and cannot be counted" };
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

/** What a policy's conditions see of its own labels. */
function labelFacts(
  enforced: readonly Touched[] | null,
  observed: readonly Touched[] | null,
  uses: RecordedStatement["uses"],
): Partial<StatementFacts> {
  if (enforced === null || observed === null) return {};
  const all = [...enforced, ...observed];
  const names = (some: readonly Touched[]) => [...new Set(some.map(({ matcher }) => matcher.label))].sort();
  const labels = names(all);
  // Where they stand in the statement older records do not say.
  if (uses === null && labels.length > 0) return { labels };
  const inside = all.filter(({ column }) => {
    const places = placesOf(uses, column);
    return places.includes("predicate") || places.includes("equality");
  });
  return { labels, labelsInPredicates: names(inside) };
}
