/** Rows before and after, as an approver may see them: hidden like the walk hides them, whoever asked. */
import { planMasks } from "../../analysis/plan.ts";
import { quoteIdentifier, type Relation, relationText } from "../../catalog/index.ts";
import type { EffectPreview } from "../../facts/approval.ts";
import type { Touched } from "../../facts/effects.ts";
import { createContentGuard, createRowMasker, type MaskKeys } from "../../masking/index.ts";
import { decodeDataRow, type FieldDescription, typeName } from "../../protocol/index.ts";
import { detectionOf } from "../analyst/detection.ts";
import type { View } from "../analyst/index.ts";
import { mayWrite } from "../statement/facts.ts";

export type Sample = NonNullable<EffectPreview["sample"]>;

/** At most so many rows and columns, and characters of a value. */
export const maxRows = 10;
const maxColumns = 40;
const maxText = 200;

export interface SampleColumn {
  readonly name: string;
  readonly attnum: number;
  readonly type: number;
}

/** The table whose rows are shown, and its columns; null: there is not one table, or nothing of it may be shown. */
export function sampled(
  view: View,
  writes: readonly string[],
): { readonly relation: Relation; readonly columns: readonly SampleColumn[]; readonly cut: boolean } | null {
  const [name, more] = writes;
  if (name === undefined || more !== undefined) return null;
  let relation: Relation | null = null;
  for (const one of view.catalog.relations())
    if ((one.kind === "r" || one.kind === "p") && relationText(view.catalog, one.oid) === name)
      relation = one;
  if (relation === null) return null;
  const readable = new Set(view.protectedSet.readable(relation.oid));
  const columns = relation.columns.filter((column) => readable.has(column.name));
  if (columns.length === 0) return null;
  return { relation, columns: columns.slice(0, maxColumns), cut: columns.length > maxColumns };
}

/** `RETURNING` items of both versions of each row (PostgreSQL 18): whether it was there, then its columns. */
export function returning(columns: readonly SampleColumn[]): string {
  const of = (alias: string) => [
    `(${alias}.ctid IS NOT NULL)::pg_catalog.text`,
    ...columns.map(({ name }) => `${alias}.${quoteIdentifier(name)}`),
  ];
  const items = [...of("__postern_old"), ...of("__postern_new")];
  return `\nRETURNING WITH (OLD AS __postern_old, NEW AS __postern_new) ${items.join(", ")}`;
}

export const columnList = (columns: readonly SampleColumn[]): string =>
  columns.map(({ name }) => quoteIdentifier(name)).join(", ");

/** Hides what labels hide, for everybody, and what content tells. `rows`: bodies of DataRow messages. Throws MaskError. */
export function masked(
  view: View,
  relation: Relation,
  columns: readonly SampleColumn[],
  fields: readonly FieldDescription[],
  rows: readonly Buffer[],
  keys: MaskKeys,
): { readonly rows: (string | null)[][]; readonly hidden: readonly boolean[] } {
  const touched: Touched = {
    reads: [relationText(view.catalog, relation.oid)],
    writes: [],
    columns: [],
    functions: [],
    effects: ["read"],
    uses: columns.map(({ attnum }) => ({ relation: relation.oid, attribute: attnum, position: "output" })),
    outputs: columns.map(({ name, attnum, type }) => {
      const origin = { relation: relation.oid, attribute: attnum };
      return { name, type, origin, sources: [origin], plain: true };
    }),
    assignments: [],
    inspected: [],
    unsafe: [],
    parameterTypes: [],
    problems: [],
  };
  const outcome = planMasks(touched, view.protectedSet, {
    unmask: [],
    explain: false,
    mayWrite: (name) => mayWrite(view, name),
  });
  // A column that cannot be masked is shown to nobody.
  if (!outcome.ok) return { rows: [], hidden: columns.map(() => true) };
  const plan = outcome.plan ?? { columns: columns.map(() => null), scrub: false };
  const described = fields.map((field) => ({
    name: field.name,
    type: field.typeOid,
    typmod: field.typeModifier,
    format: 0 as const,
  }));
  const detect = detectionOf(view.policy);
  const guard =
    detect === null || detect.rules.length === 0
      ? null
      : createContentGuard(
          detect,
          described.map((column, i) => ({
            ...column,
            labelled: view.protectedSet.column(relation.oid, columns[i]?.attnum ?? 0) !== undefined,
          })),
          keys,
        );
  const masker = createRowMasker(plan, described, keys, guard);
  return {
    hidden: plan.columns.map((column) => column !== null),
    rows: rows.map((body) => {
      const header = Buffer.alloc(5);
      header[0] = 0x44;
      header.writeInt32BE(body.length + 4, 1);
      const row = masker.mask(Buffer.concat([header, body]));
      return decodeDataRow(row.subarray(5)).values.map((value) => shown(value));
    }),
  };
}

function shown(value: Buffer | null): string | null {
  if (value === null) return null;
  const text = value.toString("utf8");
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text;
}

/** A DataRow's body with only its columns [from, to). */
export function sliceRow(body: Buffer, from: number, to: number): Buffer {
  const { values } = decodeDataRow(body);
  const kept = values.slice(from, to);
  const parts: Buffer[] = [Buffer.alloc(2)];
  parts[0]?.writeInt16BE(kept.length);
  for (const value of kept) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(value === null ? -1 : value.length);
    parts.push(length);
    if (value !== null) parts.push(value);
  }
  return Buffer.concat(parts);
}

export function columnsShown(
  view: View,
  columns: readonly SampleColumn[],
  hidden: readonly boolean[],
): Sample["columns"] {
  return columns.map(({ name, type }, i) => {
    const known = view.catalog.type(type);
    return {
      name,
      type: known === undefined || known.system ? typeName(type) : `${known.schema}.${known.name}`,
      masked: hidden[i] ?? true,
    };
  });
}
