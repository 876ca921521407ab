/** decide: principal × session × statement → decision, by the rules of SPEC section 3. */
import type { RuleVerdict } from "../../facts/decision.ts";
import type { StatementFacts } from "../../facts/effects.ts";
import type { Answer } from "../condition/compile.ts";
import type { DecideInput, Explanation, Judgement, PartialInput, PolicyDecision } from "../types.ts";
import { type Combined, combine } from "./combine.ts";
import { type Answers, answerAll, askAll, mayAllowAnything, type RuleAnswer } from "./evaluate.ts";
import { tell } from "./message.ts";
import {
  budgetsOf,
  demandsOf,
  durabilityOf,
  limitsOf,
  relaxedBy,
  unlimited,
  unmaskedBy,
} from "./obligations.ts";
import type { CompiledRule, RuleSet } from "./rules.ts";

const enforced = (rule: CompiledRule) => !rule.observe;
const everyRule = () => true;

/** Decides one statement. Pure but for `input.estimate`; never throws. */
export function decide(set: RuleSet, input: DecideInput): PolicyDecision {
  return conclude(set, answerAll(set.rules, input), input);
}

/** As decide, with every rule's verdict. */
export function explain(set: RuleSet, input: DecideInput): Explanation {
  const answers = answerAll(set.rules, input);
  const rules = set.rules.map((rule, i) => verdictOf(rule, answers[i]));
  return { decision: conclude(set, answers, input), rules };
}

const blank: StatementFacts = {
  kind: "",
  command: "",
  effects: [],
  reads: [],
  writes: [],
  columns: [],
  functions: [],
  labels: [],
  labelsInPredicates: [],
  unboundedWrite: false,
  hasWhere: false,
  hasLimit: false,
  statements: 1,
  inTransaction: false,
  bytes: 0,
  fingerprint: null,
};

/** Decides where facts are missing. Exact: undetermined only when the rules left open could make another verdict. */
export function judge(set: RuleSet, input: PartialInput): Judgement {
  const { effects } = input.statement;
  if (effects === undefined)
    return { determined: false, possible: ["allow", "approve", "deny"], missing: ["statement.effects"] };
  const answers = askAll(set.rules, input);
  const whole: DecideInput = {
    ...input,
    now: input.now ?? new Date(0),
    principal: { claims: {}, email: null, ...input.principal },
    statement: { ...blank, ...input.statement },
  };
  const settled = answers.map((answer): Answer => (answer.is === "unknown" ? { is: "false" } : answer));
  const decision = conclude(set, settled, whole);
  // A deny or a failed condition stands whatever the others say.
  if (decision.code === "POLICY_DENIED" || decision.code === "POLICY_ERROR")
    return { determined: true, decision };
  const open = set.rules.filter((rule, i) => !rule.observe && answers[i]?.is === "unknown");
  const possible = new Set<PolicyDecision["verdict"]>([decision.verdict]);
  for (const { then } of open) {
    if (then === "deny") possible.add("deny");
    else if (then === "approve" && effects.length > 0) possible.add("approve");
    else if (then === "allow" && decision.verdict === "deny") possible.add("allow");
  }
  if (effects.length === 0 && decision.rule === null && passing(set, input) === "unknown") {
    possible.add("allow");
    possible.add(set.observeDefault ? "allow" : set.default);
    open.push(...set.rules.filter((rule) => !rule.observe && mayAllowAnything(rule, input) === "unknown"));
  }
  if (possible.size === 1) return { determined: true, decision };
  const { statement } = input;
  const known = new Set(Object.keys(statement).filter((key) => Reflect.get(statement, key) !== undefined));
  const facts = open.flatMap((rule) => rule.condition.facts);
  const missing = facts.filter((fact) => {
    const [root, field = ""] = fact.split(".");
    if (root === "estimate" || (root === "now" && input.now === null)) return true;
    if (fact === "principal.claims") return input.principal.claims === undefined;
    if (fact === "principal.email") return input.principal.email === undefined;
    if (fact === "session.claimed.intent") return input.sealedIntent === true;
    return (
      root === "statement" &&
      !known.has(field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()))
    );
  });
  return { determined: false, possible: [...possible].sort(), missing: [...new Set(missing)].sort() };
}

/** Whether some rule allows this caller something, as far as the caller is known. */
function passing(set: RuleSet, input: PartialInput): "yes" | "no" | "unknown" {
  const answers = set.rules.filter(enforced).map((rule) => mayAllowAnything(rule, input));
  return answers.includes("yes") ? "yes" : answers.includes("unknown") ? "unknown" : "no";
}

function conclude(set: RuleSet, answers: Answers, input: DecideInput): PolicyDecision {
  const fallback = set.observeDefault ? "allow" : set.default;
  const real = combine(set, answers, input, enforced, fallback);
  const { outcome, matched } = real;
  const of = (then: CompiledRule["then"]) => matched.filter((rule) => rule.then === then);
  const held = of("approve");
  const granting = [...held, ...of("allow")].sort((a, b) => (a.name < b.name ? -1 : 1));
  const limiting = of("limit");
  const runs = outcome.verdict !== "deny";
  return {
    verdict: outcome.verdict,
    rule: outcome.by?.name ?? null,
    rules: matched.map((rule) => rule.name),
    ...tell(set, outcome, held, input),
    limits: runs ? limitsOf(granting, limiting) : unlimited,
    approvers: outcome.verdict === "approve" ? demandsOf(held) : [],
    // What is held runs only when people have agreed, and then with what they were shown.
    unmask: runs ? unmaskedBy([...of("unmask"), ...held]) : [],
    would: wouldBe(set, answers, input, real),
    durability: durabilityOf([...granting, ...limiting]),
    relax: relaxedBy(runs ? granting : [], set.uses),
    budgets: runs ? budgetsOf(granting, limiting) : [],
  };
}

/** What would have been decided were nothing merely observed; null when it is the same, or allowed. */
function wouldBe(
  set: RuleSet,
  answers: Answers,
  input: DecideInput,
  real: Combined,
): PolicyDecision["would"] {
  if (!set.observeDefault && !set.rules.some((rule) => rule.observe)) return null;
  const { outcome, matched } = combine(set, answers, input, everyRule, set.default);
  if (outcome.verdict === "allow" || outcome.verdict === real.outcome.verdict) return null;
  const held = matched.filter((rule) => rule.then === "approve");
  const { code } = tell(set, outcome, held, input);
  return { verdict: outcome.verdict, rule: outcome.by?.name ?? null, code: code ?? "POLICY_DENIED" };
}

function verdictOf(rule: CompiledRule, answer: RuleAnswer | undefined): RuleVerdict {
  // biome-ignore lint/suspicious/noThenProperty: a word of the policy language, never a function.
  const base = { rule: rule.name, then: rule.then, observe: rule.observe };
  switch (answer?.is) {
    case "true":
      return { ...base, outcome: "matched", detail: null };
    case "false":
      return { ...base, outcome: "not matched", detail: null };
    case "error":
      return { ...base, outcome: "error", detail: answer.detail };
    default:
      return { ...base, outcome: "not evaluated", detail: null };
  }
}
