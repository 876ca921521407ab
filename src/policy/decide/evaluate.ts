/** Asking every rule about one statement. */
import type { Answer } from "../condition/compile.ts";
import {
  ClockView,
  EstimateView,
  type Facts,
  PrincipalView,
  SessionView,
  StatementView,
} from "../condition/views.ts";
import type { DecideInput, Estimate, PartialInput } from "../types.ts";
import type { CompiledRule } from "./rules.ts";

/** One rule's answer. `skipped`: it needs the estimate, and a deny has decided already. */
export type RuleAnswer = Answer | { readonly is: "skipped" };

/** Answers by the rules' places. */
export type Answers = readonly RuleAnswer[];

function factsOf(input: PartialInput, estimate: Estimate | null): Facts {
  const clock = new ClockView(input.now);
  return {
    principal: new PrincipalView(input.principal),
    session: new SessionView(input.session, input.sealedIntent === true),
    statement: new StatementView(input.statement),
    estimate: new EstimateView(estimate),
    clock,
    get now() {
      return clock.now;
    },
  };
}

/** Answers without the server's estimate: rules that depend on it, or on an absent fact, are `unknown`. */
export function askAll(rules: readonly CompiledRule[], input: PartialInput): Answer[] {
  const facts = factsOf(input, null);
  return rules.map((rule) => rule.condition.ask(facts));
}

/** Whether the answers so far leave something that only the estimate can decide. */
export function openQuestions(rules: readonly CompiledRule[], answers: readonly Answer[]): boolean {
  const denied = rules.some((rule, i) => rule.then === "deny" && !rule.observe && answers[i]?.is === "true");
  return !denied && answers.some((answer) => answer.is === "unknown");
}

/** All answers, with the estimate asked for where a rule that otherwise matches needs it. */
export function answerAll(rules: readonly CompiledRule[], input: DecideInput): Answers {
  const answers = askAll(rules, input);
  if (!answers.some((answer) => answer.is === "unknown")) return answers;
  if (!openQuestions(rules, answers))
    return answers.map((answer) => (answer.is === "unknown" ? { is: "skipped" } : answer));
  const estimate = estimateOf(input);
  if (estimate === null)
    return answers.map((answer) =>
      answer.is === "unknown" ? { is: "error", detail: "estimate_unavailable" } : answer,
    );
  const facts = factsOf(input, estimate);
  return answers.map((answer, i) =>
    answer.is === "unknown" ? (rules[i]?.condition.ask(facts) ?? answer) : answer,
  );
}

function estimateOf(input: DecideInput): Estimate | null {
  try {
    const estimate = input.estimate?.();
    const sound = estimate !== undefined && Number.isFinite(estimate.rows) && Number.isFinite(estimate.cost);
    return sound ? estimate : null;
  } catch {
    return null;
  }
}

/**
 * Whether the rule may allow this caller anything at all: its condition, with every fact of the statement unknown, is not
 * certainly false. What is asked for when a statement has no effects of its own.
 */
export function mayAllow(rule: CompiledRule, input: PartialInput): boolean {
  return mayAllowAnything(rule, input) === "yes";
}

/** As mayAllow; "unknown" where a fact of the caller that is missing would tell. */
export function mayAllowAnything(rule: CompiledRule, input: PartialInput): "yes" | "no" | "unknown" {
  if (rule.then !== "allow" && rule.then !== "approve") return "no";
  const facts = factsOf({ ...input, statement: {} }, null);
  const answer = rule.condition.ask(facts);
  const { principal, session, clock } = facts;
  if (answer.is === "unknown") return principal.asked || session.asked || clock.asked ? "unknown" : "yes";
  return answer.is === "true" ? "yes" : "no";
}
