/** What a refused or held caller is told: what happened, and what to do next. Holds no values of the statement. */
import type { DecideInput } from "../types.ts";
import type { Outcome } from "./combine.ts";
import { mayAllow } from "./evaluate.ts";
import type { CompiledRule, RuleSet } from "./rules.ts";

export interface Told {
  readonly code: string | null;
  readonly message: string | null;
  readonly hint: string | null;
  readonly object: string | null;
}

const nothing: Told = { code: null, message: null, hint: null, object: null };

export function tell(
  set: RuleSet,
  outcome: Outcome,
  held: readonly CompiledRule[],
  input: DecideInput,
): Told {
  switch (outcome.verdict) {
    case "allow":
      return nothing;
    case "approve":
      return {
        code: "NEEDS_APPROVAL",
        message: outcome.by.message ?? `this statement needs approval (rule ${outcome.by.name})`,
        hint: outcome.by.hint ?? approvalHint(held),
        object: objectOf(outcome.by, input),
      };
    case "deny":
      switch (outcome.why) {
        case "rule":
          return {
            code: "POLICY_DENIED",
            message: outcome.by.message ?? `denied by the rule ${outcome.by.name}`,
            hint: outcome.by.hint ?? deniedHint(outcome.by),
            object: objectOf(outcome.by, input),
          };
        case "error":
          return {
            code: "POLICY_ERROR",
            message: `the rule ${outcome.by.name} could not be evaluated, so the statement is denied`,
            hint: "This is a fault in the policy, not in the statement: tell the policy's owner the rule's name and the request id.",
            object: null,
          };
        case "default":
          return {
            code: "NO_RULE",
            message: `no rule allows this: ${describe(input)}`,
            hint: `${resetHint(input)}${allowedHint(set, input)}`,
            object: single(input.statement.writes) ?? single(input.statement.reads),
          };
      }
  }
}

function approvalHint(held: readonly CompiledRule[]): string {
  const demands = held.flatMap((rule) => (rule.approvers === null ? [] : [rule.approvers]));
  const people = demands.map(
    ({ count, groups }) => `${count === 1 ? "one person" : `${count} people`} of ${groups.join(" or ")}`,
  );
  const who = people.join(", and ");
  return demands.some(({ ticket }) => ticket)
    ? `Ask ${who} to approve it, then send the same statement again.`
    : `Keep the session open: the statement runs as soon as ${who} approved it. Do not send it again.`;
}

function deniedHint(rule: CompiledRule): string {
  const uses = (fact: string) => rule.condition.facts.includes(fact);
  if (uses("statement.unbounded_write") || uses("statement.has_where"))
    return "Add a WHERE clause that names the rows, then send it again.";
  if (uses("statement.has_limit")) return "Add a LIMIT, then send it again.";
  if (uses("estimate.rows") || uses("estimate.cost"))
    return "Ask for less: a narrower WHERE, fewer joins or a LIMIT.";
  if (uses("now")) return "Try again at another time, or ask the policy's owner.";
  return "The same statement will be denied again. Change it, or ask the policy's owner.";
}

/** "it would write (public.orders)" */
function describe(input: DecideInput): string {
  const { statement } = input;
  const touched = [...new Set([...statement.writes, ...statement.reads])];
  const what = statement.effects.join(" and ");
  if (what === "" || (what === "read" && touched.length === 0))
    return `${statement.command || "the statement"} for this caller`;
  const names = touched.slice(0, 3).join(", ") + (touched.length > 3 ? ", …" : "");
  return `it would ${what}${names === "" ? "" : ` (${names})`}`;
}

const resets: ReadonlySet<string> = new Set([
  "DEALLOCATE ALL",
  "DISCARD ALL",
  "DISCARD SEQUENCES",
  "DISCARD TEMP",
  "RESET",
]);

/** Pools and drivers send these by themselves when a connection comes back to them, or when their cache of statements is full. */
function resetHint({ statement: { command, effects, functions } }: DecideInput): string {
  const releases = functions.length === 1 && functions[0] === "pg_catalog.pg_advisory_unlock_all";
  return releases || (effects.length === 1 && effects[0] === "session" && resets.has(command))
    ? "Postern resets a connection itself when its session ends: have the driver or pool leave this out (docs/policy.md, Pools of agents). "
    : "";
}

function allowedHint(set: RuleSet, input: DecideInput): string {
  const open = set.rules.filter((rule) => !rule.observe && mayAllow(rule, input));
  if (open.length === 0) return "No rule allows you anything here: ask the policy's owner for access.";
  const names = open
    .slice(0, 5)
    .map((rule) => (rule.description === null ? rule.name : `${rule.name} (${rule.description})`));
  const more = open.length > 5 ? " and others" : "";
  return `Rules that may allow you something: ${names.join(", ")}${more}. Keep to these, or ask the policy's owner.`;
}

/** What the refusal is about, where that is one thing. */
function objectOf(rule: CompiledRule, { statement }: DecideInput): string | null {
  const lists: readonly [string, readonly string[]][] = [
    ["statement.columns", statement.columns],
    ["statement.functions", statement.functions],
    ["statement.writes", statement.writes],
    ["statement.reads", statement.reads],
  ];
  for (const [fact, list] of lists) if (rule.condition.facts.includes(fact)) return single(list);
  return statement.effects.includes("write") ? single(statement.writes) : null;
}

function single(list: readonly string[]): string | null {
  return list.length === 1 ? (list[0] ?? null) : null;
}
