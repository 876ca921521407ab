/** What masking makes of a statement that was read offline, in the words of the tools. */
import { planMasks } from "../../analysis/plan.ts";
import type { Mask, OutputColumn, StatementFacts, Touched } from "../../facts/effects.ts";
import type { PolicyDecision } from "../../policy/index.ts";
import type { MaskReport, OutputReport } from "../../policy/lab/analyser.ts";
import type { StatementText } from "../../sql/index.ts";
import { givesRows, mayWrite, unmaskable } from "../statement/facts.ts";
import { uncountable } from "../statement/limits.ts";
import type { Reason } from "../statement/state.ts";
import type { View } from "./index.ts";

/** A statement with what the server says of it. */
export interface Read {
  readonly statement: StatementText;
  /** The statement itself, and those that EXECUTE and FETCH in it name. */
  readonly used: readonly StatementText[];
  readonly touched: readonly Touched[];
  /** A transaction block is open before it, by what stands before it in the text. */
  readonly inTransaction: boolean;
  /** The texts that the server was asked about, one for each of `touched`. */
  readonly texts: readonly string[];
}

/** A statement of the message and what was decided of it; null: not this one's turn. */
export interface Decided {
  readonly statement: StatementText;
  readonly facts: StatementFacts;
  readonly decision: PolicyDecision | null;
}

/** What happens to the rows of `read` under `decision`, or why the gateway refuses it though the rules would not. */
export function reportMasks(
  read: Read,
  view: View,
  observed: boolean,
  decision: PolicyDecision,
  message: readonly Decided[],
): MaskReport {
  const { statement, touched } = read;
  const { facts } = statement.shape;
  const [problem] = touched.flatMap((one) => one.problems);
  if (problem !== undefined && !observed)
    return { ok: false, code: problem.code, message: problem.message, hint: null };
  const options = {
    unmask: decision.unmask,
    relax: decision.relax,
    explain: facts.explain !== null,
    serialize: facts.explain?.serialize === true,
    mayWrite: (relation: string) => mayWrite(view, relation),
  };
  const masked = new Set<string>();
  let outputs: OutputReport[] | null = null;
  for (const one of touched) {
    const outcome = planMasks(one, view.protectedSet, options);
    if (!outcome.ok) return { ok: false, code: outcome.code, message: outcome.message, hint: outcome.hint };
    for (const column of outcome.masked) masked.add(column);
    if (one.outputs !== null)
      outputs ??= one.outputs.map((output, i) =>
        reportOutput(output, outcome.plan?.columns[i] ?? null, view),
      );
  }
  if (masked.size > 0 && facts.copy?.direction === "out") {
    const [column = null] = [...masked].sort();
    const refusal = unmaskable(facts.copy, column);
    if (refusal !== null) return refusedBy(refusal);
  }
  const limited = uncountable(
    message.map((one) => one.statement),
    message,
  );
  if (limited !== null) return refusedBy(limited);
  const rows = givesRows(facts, statement.shape);
  return { ok: true, masked: [...masked].sort(), outputs: rows ? outputs : null };
}

function refusedBy({ code, message, hint }: Reason): MaskReport {
  return { ok: false, code, message: message.replace(/^policy: /, ""), hint };
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
