/** What masking makes of a statement that was read offline, in the words of the tools. */
import { type MaskOutcome, planMasks } from "../../analysis/plan.ts";
import type { Mask, OutputColumn, StatementFacts, Touched } from "../../facts/effects.ts";
import type { PolicyDecision } from "../../policy/index.ts";
import type { MaskReport, OutputReport, StatementRefusal } from "../../policy/lab/analyser.ts";
import type { StatementText } from "../../sql/index.ts";
import { givesRows, mayWrite } from "../statement/facts.ts";
import { refusalWithoutNames } from "../statement/hidden.ts";
import { hide } from "../statement/judge/hide.ts";
import { uncountable } from "../statement/limits.ts";
import type { Reason } from "../statement/state.ts";
import type { View } from "./index.ts";

/** A statement with what the server says of it. */
export interface Read {
  readonly statement: StatementText;
  /** The statement itself, and those that EXECUTE and FETCH in it name. */
  readonly used: readonly StatementText[];
  readonly touched: readonly Touched[];
  /** false: nobody asked the server, and nothing depends on it. */
  readonly analysed: boolean;
  /** A transaction block is open before it, by what stands before it in the text. */
  readonly inTransaction: boolean;
  /** Why it is refused before any rule is asked; null: it is not. */
  readonly refusal: Reason | null;
}

/** A statement of the message and what was decided of it; null: not this one's turn. */
export interface Decided {
  readonly statement: StatementText;
  readonly facts: StatementFacts;
  readonly decision: PolicyDecision | null;
  readonly touched: readonly Touched[];
}

/** Why the gateway refuses `read` by itself though the rules would not, and the masks of each of its parts. */
export function refusalOf(
  { statement, used, touched }: Read,
  view: View,
  { unmask, relax }: PolicyDecision,
): {
  readonly refusal: Reason | null;
  readonly masked: readonly string[];
  readonly outcomes: readonly MaskOutcome[];
} {
  const options = {
    unmask,
    relax,
    explain: statement.shape.facts.explain !== null,
    serialize: statement.shape.facts.explain?.serialize === true,
    analyze: statement.shape.facts.explain?.analyze === true,
    mayWrite: (relation: string) => mayWrite(view, relation),
  };
  const outcomes = touched.map((one) => planMasks(one, view.protectedSet, options));
  const { masks, reason, texts } = hide(view, statement, used, touched, outcomes, unmask);
  return { refusal: refusalWithoutNames(view, reason, texts), masked: masks.masked, outcomes };
}

/** What happens to the rows of `read` under `decision`, or why the gateway refuses it though the rules would not. `at`: its place in `message`. */
export function reportMasks(
  read: Read,
  view: View,
  decision: PolicyDecision,
  message: readonly Decided[],
  at: number,
): MaskReport {
  const { statement, touched } = read;
  const { masked, outcomes, ...hidden } = refusalOf(read, view, decision);
  const own = message[at];
  const refusal =
    hidden.refusal ??
    uncountable([statement], own === undefined ? [] : [own]) ??
    uncountable(
      message.map((one) => one.statement),
      message,
    );
  if (refusal !== null) return { ok: false, ...told(refusal) };
  let outputs: OutputReport[] | null = null;
  for (const [i, one] of touched.entries()) {
    const outcome = outcomes[i];
    const columns = outcome?.ok === true ? (outcome.plan?.columns ?? []) : [];
    outputs ??= one.outputs?.map((output, nth) => reportOutput(output, columns[nth] ?? null, view)) ?? null;
  }
  const rows = givesRows(statement.shape.facts, statement.shape);
  return { ok: true, masked: [...masked], outputs: rows ? outputs : null };
}

/** A refusal in the words of the tools. */
export function told({ code, message, hint }: Reason): StatementRefusal {
  return { code, message: message.replace(/^policy: /, ""), hint: hint === "" ? null : hint };
}

function reportOutput(
  output: OutputColumn,
  mask: { readonly mask: Mask; readonly label: string } | null,
  { protectedSet }: View,
): OutputReport {
  return {
    name: output.name,
    sources: [...new Set(output.sources.map((source) => protectedSet.nameOf(source)))].sort(),
    plain: output.plain,
    mask: mask === null ? null : maskText(mask.mask),
    label: mask?.label ?? null,
  };
}

function maskText(mask: Mask): string {
  switch (mask.kind) {
    case "keep":
      return `keep ${mask.first} and ${mask.last}`;
    case "date":
      return `date ${mask.unit}`;
    default:
      return mask.kind;
  }
}
