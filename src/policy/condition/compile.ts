/** A condition's text → something that can be asked, with all that is known of it before. */
import { EvaluationError } from "@marcbachmann/cel-js";
import { maxCondition, maxLoopedItems } from "../limits.ts";
import { environment } from "./environment.ts";
import { analysedFacts, passingFacts } from "./facts.ts";
import { type Fault, type Inspection, inspect } from "./inspect.ts";
import type { Facts } from "./views.ts";

/** What a condition says of one statement. `unknown`: it needs a fact that is not known at this stage. */
export type Answer =
  | { readonly is: "true" }
  | { readonly is: "false" }
  | { readonly is: "unknown" }
  | { readonly is: "error"; readonly detail: string };

export interface Condition {
  readonly text: string;
  /** Sorted names of the facts it speaks of. */
  readonly facts: readonly string[];
  readonly literals: Inspection["literals"];
  readonly needsAnalysis: boolean;
  readonly needsEstimate: boolean;
  /** It looks at what may differ between equal statements. */
  readonly passing: boolean;
  /** Never throws. */
  ask(facts: Facts): Answer;
}

/** `labels`: those that comparisons with statement.labels name, and where. */
export type CompileResult = { readonly labels: Inspection["labels"] } & (
  | { readonly ok: true; readonly condition: Condition }
  | { readonly ok: false; readonly faults: readonly Fault[] }
);

const yes: Answer = { is: "true" };
const no: Answer = { is: "false" };
const unknown: Answer = { is: "unknown" };

/** Parses, inspects and type-checks. Never throws. */
export function compileCondition(text: string): CompileResult {
  let labels: Inspection["labels"] = [];
  const refuse = (what: string, expected: string, at = 0): CompileResult => ({
    ok: false,
    labels,
    faults: [{ what, expected, at }],
  });
  if (text.length > maxCondition)
    return refuse("the condition is too long", `at most ${maxCondition} characters`);
  let evaluate: ReturnType<typeof environment.parse>;
  try {
    evaluate = environment.parse(text);
  } catch (error) {
    const { summary, at } = told(error, "the condition is nested too deeply");
    return refuse(`not a CEL condition: ${summary}`, "CEL, such as 'principal.kind == \"agent\"'", at);
  }
  const inspection = inspect(evaluate.ast);
  const { facts, literals, nested, faults } = inspection;
  labels = inspection.labels;
  if (faults.length > 0) return { ok: false, labels, faults };
  const checked = evaluate.check();
  if (!checked.valid) {
    const { summary, at } = told(checked.error, "the condition is nested too deeply");
    return refuse(summary, "operands of fitting types (docs/policy.md lists every fact's)", at);
  }
  if (checked.type !== "bool") {
    const type = checked.type ?? "dyn";
    const hint = type === "dyn" ? "a comparison, such as … == true" : "true or false";
    return refuse(`the condition is of type ${type}, not bool`, hint);
  }

  const splits = /\bsplit\b/.test(text);
  const condition: Condition = {
    text,
    facts,
    literals,
    needsAnalysis: facts.some((fact) => analysedFacts.includes(fact)),
    needsEstimate: facts.some((fact) => fact.startsWith("estimate.")),
    passing: facts.some((fact) => passingFacts.includes(fact)),
    ask(given) {
      if (nested && longest(given, facts, splits) > maxLoopedItems)
        return { is: "error", detail: "too_many_items_for_nested_loops" };
      const views = [given.principal, given.session, given.statement, given.estimate, given.clock];
      for (const view of views) view.asked = false;
      try {
        const value: unknown = evaluate(given as unknown as Record<string, unknown>);
        if (value === true) return yes;
        return value === false ? no : { is: "error", detail: "not_a_bool" };
      } catch (error) {
        // A fact that is not known yet may have hidden behind another error: what is unknown stays unknown.
        if (views.some((view) => view.asked)) return unknown;
        return { is: "error", detail: error instanceof EvaluationError ? error.code : "evaluation_error" };
      }
    },
  };
  return { ok: true, labels, condition };
}

/** Length of the longest list among the facts used; `splits`: texts may be made into lists. */
function longest(given: Facts, facts: readonly string[], splits: boolean): number {
  let most = 0;
  for (const fact of facts) {
    const path = fact.split(".");
    let value: unknown = given;
    try {
      for (const name of path) value = (value as Readonly<Record<string, unknown>>)[name];
    } catch {
      // What is not known is no list yet.
      continue;
    }
    most = Math.max(most, lengthOf(value, splits));
  }
  return most;
}

/** Of the longest list in it. Claims are bounded by the size of a token, and by the depth that they are taken to. */
function lengthOf(value: unknown, splits: boolean): number {
  if (typeof value === "string") return splits ? value.length : 0;
  if (typeof value !== "object" || value === null) return 0;
  const items = Array.isArray(value) ? value : value instanceof Map ? [...value.values()] : [];
  return items.reduce((most: number, item) => Math.max(most, lengthOf(item, splits)), items.length);
}

function told(error: unknown, otherwise: string): { summary: string; at: number } {
  if (typeof error !== "object" || error === null || !("summary" in error))
    return { summary: otherwise, at: 0 };
  const { summary } = error;
  const range = "range" in error ? (error.range as { start?: unknown } | undefined) : undefined;
  const at = typeof range?.start === "number" ? range.start : 0;
  return { summary: String(summary).split("\n", 1)[0] ?? "", at };
}
