/** Rows and keys for the tests of masks. */
import { createSecretKey } from "node:crypto";
import type { Mask, MaskPlan } from "../../src/facts/effects.ts";
import { createMaskKeys, createRowMasker, type MaskColumn } from "../../src/masking/index.ts";
import { decodeBackend } from "../../src/protocol/index.ts";

export const secret = createSecretKey(Buffer.alloc(32, 7));

export function keys() {
  return createMaskKeys(secret);
}

export function planOf(masks: readonly (Mask | null)[], domain = "test"): MaskPlan {
  return {
    columns: masks.map((mask) =>
      mask === null ? null : { mask, label: "pii", column: "public.t.c", domain },
    ),
    scrub: true,
  };
}

/** A DataRow message. */
export function dataRow(values: readonly (Buffer | string | null)[]): Buffer {
  const parts: Buffer[] = [];
  for (const value of values) {
    const length = Buffer.alloc(4);
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    length.writeInt32BE(bytes === null ? -1 : bytes.length);
    parts.push(length);
    if (bytes !== null) parts.push(bytes);
  }
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(7);
  head[0] = 0x44;
  head.writeInt32BE(body.length + 6, 1);
  head.writeUInt16BE(values.length, 5);
  return Buffer.concat([head, body]);
}

/** The values of a DataRow message. Throws when it is malformed. */
export function valuesOf(row: Buffer): (Buffer | null)[] {
  if (row.readInt32BE(1) !== row.length - 1) throw new Error("length does not fit");
  const message = decodeBackend(row[0] as number, row.subarray(5));
  if (message.type !== "dataRow") throw new Error(`not a row: ${message.type}`);
  return message.values.map((value) => (value === null ? null : Buffer.from(value)));
}

/** Masks one value of a column. */
export function maskOne(
  mask: Mask,
  column: Partial<MaskColumn> & { readonly type: number },
  value: Buffer | string | null,
  domain = "test",
): Buffer | null {
  const masker = createRowMasker(planOf([mask], domain), [{ typmod: -1, format: 0, ...column }], keys());
  const masked = valuesOf(masker.mask(dataRow([value])))[0];
  return masked ?? null;
}

/** The same as text. */
export function maskOneText(mask: Mask, type: number, value: string, typmod = -1): string | null {
  return maskOne(mask, { type, typmod }, value)?.toString() ?? null;
}
