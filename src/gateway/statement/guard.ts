/** What watches over one statement while it runs: its masks, its limits, and how it is cut off. */
import type { OutputColumn } from "../../facts/effects.ts";
import {
  type ContentGuard,
  type CopyMasker,
  createContentGuard,
  createCopyMasker,
  createRowMasker,
  type MaskColumn,
  passes,
  type RowMasker,
} from "../../masking/index.ts";
import type { FieldDescription } from "../../protocol/index.ts";
import type { CopyFacts } from "../../sql/index.ts";
import type { Judgement } from "./judgement.ts";
import type { Portal } from "./names.ts";
import type { Refusal } from "./refuse.ts";
import type { Reason, Walk } from "./state.ts";

/** Counts what a portal has given, and taken, over all its Executes and FETCHes. */
export interface Delivered {
  rows: number;
  bytes: number;
  /** How long the server worked on it, milliseconds. */
  ms: number;
}

export function noneDelivered(): Delivered {
  return { rows: 0, bytes: 0, ms: 0 };
}

export interface Guard {
  readonly judgement: Judgement;
  readonly copy: CopyFacts | null;
  readonly delivered: Delivered;
  /** The portal whose rows it watches; its description tells their types and formats. */
  portal: Portal | null;
  /** Something of the result was held back. */
  swallowed: boolean;
  /** What RowDescription said; null: not seen yet. */
  fields: readonly FieldDescription[] | null;
  masker: RowMasker | null;
  copyMasker: CopyMasker | null;
  /** What looks into columns without a label. */
  content: ContentGuard | null;
  /** A limit was reached: nothing more of it is delivered, and this is what the client is told. */
  cut: Refusal | null;
  /** Others' changes of the database when it was judged (changes.ts). */
  readonly since: number;
  /** The server was asked for one row more than the limit at most, and stops by itself. */
  bounded: boolean;
}

/** null: nothing has to be watched. */
export function guardOf(
  judgement: Judgement | null,
  copy: CopyFacts | null,
  delivered: Delivered | null,
  since: number,
): Guard | null {
  if (judgement === null) return null;
  const { plan, decision, outputs } = judgement;
  const limits = decision?.limits;
  const limited =
    limits !== undefined &&
    (limits.rows !== null ||
      limits.bytes !== null ||
      limits.timeoutMs !== null ||
      limits.affectedRows !== null);
  const counted = judgement.budgets.some((budget) => budget.unit === "rows");
  if (plan === null && !limited && !counted && outputs === null) return null;
  return {
    judgement,
    copy,
    delivered: delivered ?? noneDelivered(),
    portal: null,
    swallowed: false,
    fields: null,
    masker: null,
    copyMasker: null,
    content: null,
    cut: null,
    bounded: false,
    since,
  };
}

/** The rows are not what the analysis said they would be: nothing of them may be delivered. */
export class Disagreement extends Error {
  override readonly name = "Disagreement";
}

/** Compares a RowDescription with the analysis, and makes ready to mask. Throws Disagreement. */
export function describe(walk: Walk, guard: Guard, fields: readonly FieldDescription[]): void {
  const { plan } = guard.judgement;
  checkColumns(guard.judgement, fields);
  guard.fields = fields;
  if (plan === null) return;
  const columns = fields.map((field) => ({
    name: field.name,
    type: field.typeOid,
    typmod: field.typeModifier,
    format: field.format,
  }));
  guard.content = contentOf(walk, guard, columns);
  guard.masker = createRowMasker(plan, columns, walk.maskKeys, guard.content);
}

/** What looks into the columns that have no label; null: nothing does. */
function contentOf(
  walk: Walk,
  { judgement }: Guard,
  columns: readonly (MaskColumn & { readonly name: string })[],
): ContentGuard | null {
  const { watched, names } = judgement;
  const content =
    watched === null
      ? null
      : createContentGuard(
          watched.detect,
          columns.map((column, i) => ({ ...column, labelled: watched.labelled[i] === true })),
          walk.maskKeys,
        );
  if (names === null) return content;
  return {
    // What tells of the database's structure holds nobody's data: names first, the rest where there is none.
    cells: columns.map(({ type, format }, i) => {
      const other = content?.cells[i] ?? null;
      const name = names.cell(type, format);
      if (other === null) return name;
      return (b, at, end, out) => {
        const size = name(b, at, end, out);
        return size === passes ? other(b, at, end, out) : size;
      };
    }),
    findings: () => content?.findings() ?? [],
  };
}

/** Throws Disagreement when a RowDescription is not what the analysis said, and something may depend on that. */
export function checkColumns({ outputs, view }: Judgement, fields: readonly FieldDescription[]): void {
  if (outputs !== null && view?.policy.permissive !== true && !agrees(outputs, fields))
    throw new Disagreement("the result's columns");
}

function agrees(outputs: readonly OutputColumn[], fields: readonly FieldDescription[]): boolean {
  return (
    outputs.length === fields.length &&
    outputs.every((output, i) => {
      const field = fields[i];
      return (
        field !== undefined &&
        field.typeOid === output.type &&
        field.table === output.origin.relation &&
        field.column === output.origin.attribute
      );
    })
  );
}

/** The masker of rows, from what the portal's description said. Throws Disagreement when there is none. */
export function maskerOf(walk: Walk, guard: Guard): RowMasker {
  if (guard.masker === null && guard.portal?.fields != null) describe(walk, guard, guard.portal.fields);
  if (guard.masker === null) throw new Disagreement("rows that nothing describes");
  return guard.masker;
}

/** The masker of a copy's lines. Throws Disagreement where lines cannot be masked. */
export function copyMaskerOf(walk: Walk, guard: Guard): CopyMasker {
  const { plan } = guard.judgement;
  const { copy } = guard;
  if (guard.copyMasker !== null) return guard.copyMasker;
  if (plan === null || copy === null || copy.format === "binary")
    throw new Disagreement("a copy that cannot be masked");
  const outputs = guard.judgement.outputs ?? [];
  const { forceQuote } = copy;
  const columns = outputs.map(({ name, type }) => ({ name, type, typmod: -1, format: 0 as const }));
  guard.content = contentOf(walk, guard, columns);
  guard.copyMasker = createCopyMasker({
    format: copy.format,
    delimiter: copy.delimiter,
    null: copy.null,
    header: copy.header,
    quote: copy.quote,
    escape: copy.escape,
    forceQuote: forceQuote === "*" ? "all" : outputs.map(({ name }) => forceQuote.includes(name)),
    plan,
    columns,
    keys: walk.maskKeys,
    guard: guard.content,
  });
  return guard.copyMasker;
}

/** What a limit that was reached says. */
export function limitReached(what: "rows" | "bytes" | "time", guard: Pick<Guard, "judgement">): Reason {
  const limits = guard.judgement.decision?.limits;
  const rule = guard.judgement.decision?.rule ?? null;
  switch (what) {
    case "rows":
      return {
        sqlstate: "57014",
        code: "ROW_LIMIT",
        message: `policy: the result has more than the ${limits?.rows} rows that are allowed; it was cut off`,
        hint: `Add LIMIT ${limits?.rows}, narrow the WHERE clause, or aggregate.`,
        rule,
      };
    case "bytes":
      return {
        sqlstate: "57014",
        code: "BYTE_LIMIT",
        message: `policy: the result is larger than the ${limits?.bytes} bytes that are allowed; it was cut off`,
        hint: "Select fewer columns or rows.",
        rule,
      };
    case "time":
      return {
        sqlstate: "57014",
        code: "TIME_LIMIT",
        message: `policy: the statement took longer than the ${limits?.timeoutMs} ms that are allowed`,
        hint: "Narrow the statement, or ask for less at once.",
        rule,
      };
    default:
      return what satisfies never;
  }
}

/** More rows were changed than are allowed: they are rolled back. */
export function tooManyAffected(guard: Guard, rows: number): Reason {
  const limit = guard.judgement.decision?.limits.affectedRows;
  return {
    sqlstate: "42501",
    code: "AFFECTED_ROWS_LIMIT",
    message: `policy: the statement would change ${rows} rows, more than the ${limit} that are allowed; nothing was changed`,
    hint: "Narrow the WHERE clause, or work in smaller steps.",
    rule: guard.judgement.decision?.rule ?? null,
  };
}

export const notCountable: Reason = {
  sqlstate: "42501",
  code: "NOT_COUNTABLE",
  message: "policy: the rows that this statement changes are limited, and cannot be counted in this form",
  hint: "Send a plain INSERT, UPDATE, DELETE or MERGE in a message of its own.",
};

/** The state of others' changes by which the statement was judged that is sent now. */
export function judgedAt({ guard }: Walk): number {
  return guard === null ? 0 : guard.asof;
}
