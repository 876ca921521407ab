/** Hashes byte by byte: the same as by way of text, or left to it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MaskOutput } from "../../src/masking/index.ts";
import { isUuid, writeDigits, writeInteger, writeUuid } from "../../src/masking/types/digits.ts";
import { integerType, numericType } from "../../src/masking/types/numbers.ts";
import { byteaType, dateType, timestampType, uuidType } from "../../src/masking/types/others.ts";
import { digestDigits, quickHash } from "../../src/masking/types/quickhash.ts";
import type { ScalarType } from "../../src/masking/types/scalar.ts";
import { dateOfDays, spanDays } from "../../src/masking/types/times.ts";
import { decodeParameter } from "../../src/protocol/index.ts";

const types: Readonly<Record<string, { oid: number; type: ScalarType; bytes: number }>> = {
  int2: { oid: 21, type: integerType(2), bytes: 2 },
  int4: { oid: 23, type: integerType(4), bytes: 4 },
  int8: { oid: 20, type: integerType(8), bytes: 8 },
  numeric: { oid: 1700, type: numericType, bytes: 0 },
  uuid: { oid: 2950, type: uuidType, bytes: 16 },
  date: { oid: 1082, type: dateType, bytes: 4 },
  timestamp: { oid: 1114, type: timestampType(""), bytes: 8 },
  timestamptz: { oid: 1184, type: timestampType("+00"), bytes: 8 },
  bytea: { oid: 17, type: byteaType, bytes: 0 },
};
const names = Object.keys(types);

const digits = (min: number, max: number) => fc.stringMatching(new RegExp(`^[0-9]{${min},${max}}$`));
const two = fc.nat({ max: 65 }).map((n) => String(n).padStart(2, "0"));
const day = fc.tuple(digits(4, 4), two, two).map((parts) => parts.join("-"));
const clock = fc.tuple(two, two, two).map((parts) => parts.join(":"));
/** What values look like, and what they do not. */
const text = fc.oneof(
  fc.tuple(fc.constantFrom("", "-"), digits(0, 21)).map((parts) => parts.join("")),
  fc
    .tuple(
      fc.constantFrom("", "-"),
      digits(0, 3),
      fc.constantFrom(".", ""),
      digits(0, 4),
      fc.constantFrom("", "00"),
    )
    .map((parts) => parts.join("")),
  fc.constantFrom(
    "",
    "-",
    "0",
    "-0",
    "-0.00",
    "NaN",
    "-Infinity",
    "infinity",
    "-infinity",
    "1e5",
    "\\x",
    "\\x0",
  ),
  fc.uuid(),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.uuid().map((id) => id.replace("-", "0")),
  day,
  fc.tuple(day, fc.constantFrom(" BC", "0", " 10:00")).map((parts) => parts.join("")),
  fc
    .tuple(
      fc.oneof(day, fc.constantFrom("0001-01-01", "9999-12-31", "1714-12-31", "2286-01-01")),
      fc.constantFrom(" ", "T"),
      clock,
      fc.oneof(
        fc.constantFrom("", "."),
        digits(1, 7).map((f) => `.${f}`),
      ),
      fc.oneof(
        fc.constantFrom("", "Z", " BC", "+"),
        fc
          .tuple(fc.constantFrom("+", "-"), two, fc.constantFrom("", ":30", "30", ":30:15"))
          .map((z) => z.join("")),
      ),
    )
    .map((parts) => parts.join("")),
  fc.uint8Array({ maxLength: 40 }).map((b) => `\\x${Buffer.from(b).toString("hex")}`),
  fc.string({ maxLength: 40 }),
);
const typmod = fc.oneof(
  fc.constant(-1),
  fc
    .tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: -5, max: 40 }))
    .map(([p, s]) => ((p << 16) | (s & 0x7ff)) + 4),
);
const digest = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => Buffer.from(b));

function normal(name: string, format: 0 | 1, value: Buffer): string | null {
  const quick = quickHash(name, format, -1);
  const into = Buffer.alloc(64);
  const framed = Buffer.concat([Buffer.from("77"), value, Buffer.from("77")]);
  const size = quick === null ? -1 : quick.normal(framed, 2, 2 + value.length, into);
  return size < 0 ? null : into.toString("latin1", 0, size);
}

describe("the normal form", () => {
  test("of text is the same, where it is given", () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), text, (name, value) => {
        const bytes = Buffer.from(value);
        const given = normal(name, 0, bytes);
        if (given !== null) expect(given).toBe(types[name]?.type.normal(bytes.toString("latin1")));
      }),
      { numRuns: 20_000 },
    );
  });

  test("of binary values is the same, where it is given", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.constantFrom(0, 0, 0, 1, 7),
        fc.boolean(),
        (name, random, small, negative) => {
          const size = types[name]?.bytes ?? 0;
          const bytes = Buffer.from(random.subarray(0, size));
          // Values near zero, as those in tables are.
          if (size < 16 && small > 0) bytes.fill(negative ? 0xff : 0, 0, Math.max(0, size - small));
          const given = normal(name, 1, bytes);
          if (given === null) return;
          const shown = decodeParameter(types[name]?.oid ?? 0, 1, bytes);
          expect(given).toBe(types[name]?.type.normal(shown as string));
        },
      ),
      { numRuns: 10_000 },
    );
  });

  test("is given for what tables hold", () => {
    const usual: [string, string, string][] = [
      ["int2", "-12", "-12"],
      ["int4", "2147483647", "2147483647"],
      ["int8", "-9223372036854775808", "-9223372036854775808"],
      ["numeric", "1234.50", "1234.5"],
      ["uuid", "0b5d3f5e-8d3c-4d0a-9a3b-0123456789ab", "0b5d3f5e-8d3c-4d0a-9a3b-0123456789ab"],
      ["date", "1999-12-31", "-1"],
      ["timestamp", "2000-01-01 00:00:01.5", "1500000"],
      ["timestamptz", "2000-01-01 01:30:00+01:30", "0"],
      ["bytea", "\\x00ff", "\\x00ff"],
    ];
    for (const [name, value, shown] of usual) expect(normal(name, 0, Buffer.from(value))).toBe(shown);
    const bytes = (n: bigint) => {
      const b = Buffer.alloc(8);
      b.writeBigInt64BE(n);
      return b;
    };
    expect(normal("int4", 1, bytes(-7n).subarray(4))).toBe("-7");
    expect(normal("int8", 1, bytes(2n ** 53n - 1n))).toBe("9007199254740991");
    expect(normal("int8", 1, bytes(2n ** 53n))).toBe(null);
    expect(normal("timestamptz", 1, bytes(-1n))).toBe("-1");
  });
});

describe("a value made of a digest", () => {
  test("is the same in both formats", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        digest,
        fc.constantFrom<0 | 1>(0, 1),
        typmod,
        (name, d, format, mod) => {
          const modifier = name === "numeric" ? mod : -1;
          const quick = quickHash(name, format, modifier);
          if (quick === null) return;
          const { type } = types[name] as { type: ScalarType };
          const shown = type.hash?.(d, modifier) ?? null;
          const out = new MaskOutput();
          out.ascii("before");
          expect(quick.append(d, out)).toBe(out.length - 6);
          const given = out.take().subarray(6);
          if (format === 0) expect(given.toString("latin1")).toBe(shown);
          else expect(given).toEqual(type.binary(shown ?? ""));
        },
      ),
      { numRuns: 20_000 },
    );
  });

  test("of extreme digests, too", () => {
    const edges = [0n, 1n, 10n ** 15n - 1n, 10n ** 15n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
    const around = edges.flatMap((n) => [n - 1n, n, n + 1n]).filter((n) => n >= 0n && n < 2n ** 64n);
    const multiples = Array.from({ length: 18_446 }, (_, i) => BigInt(i) * 10n ** 15n).flatMap((n) => [
      n,
      n + 1n,
      n + 10n ** 15n - 1n,
    ]);
    for (const n of [...around, ...multiples]) {
      const d = Buffer.alloc(16);
      d.writeBigUInt64BE(n);
      expect(digestDigits(d)).toBe(Number(n % 10n ** 15n));
    }
  });
});

test("every day of 800 years, the first and the last", () => {
  const quick = quickHash("date", 0, -1);
  const out = new MaskOutput();
  const d = Buffer.alloc(16);
  const days = [
    ...Array.from({ length: 292_195 }, (_, i) => i + 580_000),
    0,
    1,
    58,
    59,
    60,
    364,
    365,
    spanDays - 1,
  ];
  for (const n of days) {
    d.writeUInt32BE(n);
    quick?.append(d, out);
    const shown = out.view().toString("latin1");
    if (shown !== dateOfDays(n)) expect(shown).toBe(dateOfDays(n));
    out.truncate(0);
  }
});

test("digits", () => {
  const b = Buffer.alloc(40);
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.integer({ min: 1, max: 8 }), (n, width) => {
      expect(b.toString("latin1", 0, writeInteger(n, b, 0))).toBe(String(n));
      expect(b.toString("latin1", 1, writeDigits(Math.abs(n), b, 1, width))).toBe(
        String(Math.abs(n)).padStart(width, "0"),
      );
    }),
  );
  for (let power = 1; power <= 1e15; power *= 10)
    for (const n of [power - 1, power, power + 1])
      expect(b.toString("latin1", 0, writeInteger(-n, b, 0))).toBe(String(-n));
  fc.assert(
    fc.property(fc.uuid(), (id) => {
      expect(isUuid(Buffer.from(`x${id}`), 1, 37)).toBe(true);
      expect(b.toString("latin1", 0, writeUuid(Buffer.from(id.replaceAll("-", ""), "hex"), 0, b, 0))).toBe(
        id,
      );
    }),
  );
});
