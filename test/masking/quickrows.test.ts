/** Rows of types that are masked by way of their text: as the general way says, in both formats, alone and in arrays. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Mask } from "../../src/facts/effects.ts";
import { createRowMasker, MaskOutput } from "../../src/masking/index.ts";
import type { ScalarType } from "../../src/masking/types/scalar.ts";
import { decodeParameter } from "../../src/protocol/index.ts";
import { elementType, typeName } from "../../src/protocol/values/types.ts";
import { type Kind, kinds, oddBytes, oddText } from "./quickvalues.ts";
import { dataRow, keys, planOf, valuesOf } from "./support.ts";

const names = Object.keys(kinds);
const kindOf = (name: string): Kind => kinds[name] as Kind;
const domain = "test";

/** What the type says of a value's text: the general way. */
function general(mask: Mask, { oid, type }: Kind, format: 0 | 1, value: Buffer): Buffer | null {
  const shown = generalText(mask, oid, type, () => {
    const text = format === 0 ? value.toString("latin1") : decodeParameter(oid, 1, value);
    return typeof text === "string" ? text : null;
  });
  if (shown === null) return null;
  return format === 0 ? Buffer.from(shown, "latin1") : type.binary(shown);
}

function generalText(mask: Mask, oid: number, type: ScalarType, read: () => string | null): string | null {
  const { partial, keep, date, hash } = type;
  // What has no such mask always says the same, whatever the value is.
  if (mask.kind === "partial" && partial === undefined) return type.redact(-1);
  if (mask.kind === "keep" && keep === undefined) return type.redact(-1);
  if (mask.kind === "date" && date === undefined) return type.redact(-1);
  const text = read();
  if (text === null) return null;
  if (mask.kind === "date") return date?.(text, mask.unit) ?? null;
  const normal = type.normal(text);
  if (normal === null) return null;
  if (mask.kind === "partial") return partial?.(text) ?? null;
  if (mask.kind === "keep") return keep?.(text, mask.first, mask.last) ?? null;
  const bytes = Buffer.from(normal, "latin1");
  const digest = keys().hmac(domain, typeName(oid)).digest(bytes, 0, bytes.length);
  return hash?.(Buffer.from(digest), -1) ?? null;
}

const anyValue = ({ text, binary }: Kind, format: 0 | 1): fc.Arbitrary<Buffer> =>
  format === 0
    ? fc.oneof(
        { weight: 9, arbitrary: text.map((one) => Buffer.from(one)) },
        { weight: 1, arbitrary: oddText.map((one) => Buffer.from(one)) },
      )
    : fc.oneof({ weight: 9, arbitrary: binary }, { weight: 1, arbitrary: oddBytes });

const anyMask = fc.oneof(
  fc.constantFrom<Mask[]>({ kind: "hash" }, { kind: "partial" }),
  fc
    .tuple(fc.nat({ max: 9 }), fc.nat({ max: 9 }))
    .map(([first, last]): Mask => ({ kind: "keep", first, last })),
  fc
    .constantFrom("year" as const, "month" as const, "day" as const)
    .map((unit): Mask => ({ kind: "date", unit })),
);
const formats = fc.constantFrom<0 | 1>(0, 1);

/** Masks rows in one chunk. */
function rowsOf(
  mask: Mask,
  type: number,
  format: 0 | 1,
  values: readonly (Buffer | null)[],
): (Buffer | null)[] {
  const masker = createRowMasker(planOf([mask], domain), [{ type, format, typmod: -1 }], keys());
  const chunk = Buffer.concat(values.map((value) => dataRow([value])));
  const out = new MaskOutput();
  masker.maskInto(chunk, 0, chunk.length, out);
  const all = out.take();
  const shown: (Buffer | null)[] = [];
  for (let at = 0; at < all.length; ) {
    const end = at + 1 + all.readInt32BE(at + 1);
    shown.push(...valuesOf(all.subarray(at, end)));
    at = end;
  }
  return shown;
}

describe("rows come out as the general way says", () => {
  test.each(names)("of %s", (name) => {
    const kind = kindOf(name);
    fc.assert(
      fc.property(
        formats.chain((format) =>
          fc.tuple(
            fc.constant(format),
            fc.array(fc.option(anyValue(kind, format)), { minLength: 1, maxLength: 12 }),
          ),
        ),
        anyMask,
        ([format, values], mask) => {
          expect(rowsOf(mask, kind.oid, format, values)).toEqual(
            values.map((value) => (value === null ? null : general(mask, kind, format, value))),
          );
        },
      ),
      { numRuns: 400, endOnFailure: true },
    );
  });
});

const quoted = (text: string): string =>
  /^[\w.:/+-]+$/.test(text) && !/^null$/i.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;

function int32(...values: number[]): Buffer {
  const b = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) b.writeInt32BE(value, i * 4);
  return b;
}

/** array_send of one dimension. */
function arrayBinary(oid: number, items: readonly (Buffer | null)[]): Buffer {
  const head = [items.length === 0 ? 0 : 1, items.includes(null) ? 1 : 0, oid];
  const bounds = items.length === 0 ? [] : [items.length, 1];
  return Buffer.concat([
    int32(...head, ...bounds),
    ...items.map((item) => Buffer.concat([int32(item?.length ?? -1), item ?? Buffer.alloc(0)])),
  ]);
}

describe("arrays come out as their elements", () => {
  test.each(names)("of %s", (name) => {
    const kind = kindOf(name);
    const array =
      Array.from({ length: 7000 }, (_, oid) => oid).find((oid) => elementType(oid) === kind.oid) ?? 0;
    expect(array).toBeGreaterThan(0);
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.option(kind.text), { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.array(fc.option(kind.binary), { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
        anyMask,
        (texts, binaries, mask) => {
          const shownText = (items: readonly (string | null)[], format: 0 | 1): string =>
            `{${items
              .map((item) => {
                if (item === null) return "NULL";
                const one = format === 1 ? Buffer.from(item) : general(mask, kind, 0, Buffer.from(item));
                return one === null ? "NULL" : quoted(one.toString());
              })
              .join(",")}}`;
          expect(
            rowsOf(
              mask,
              array,
              0,
              texts.map((items) => Buffer.from(shownText(items, 1))),
            ).map(String),
          ).toEqual(texts.map((items) => shownText(items, 0)));
          expect(
            rowsOf(
              mask,
              array,
              1,
              binaries.map((items) => arrayBinary(kind.oid, items)),
            ),
          ).toEqual(
            binaries.map((items) =>
              arrayBinary(
                kind.oid,
                items.map((item) => (item === null ? null : general(mask, kind, 1, item))),
              ),
            ),
          );
        },
      ),
      { numRuns: 200, endOnFailure: true },
    );
  });
});
