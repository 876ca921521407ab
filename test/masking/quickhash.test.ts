/** Hashes byte by byte: the same as by way of text, or left to it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MaskOutput } from "../../src/masking/index.ts";
import {
  copyUuid,
  isUuid,
  writeDigits,
  writeInt64Digits,
  writeInteger,
  writePadded,
  writeUuid,
} from "../../src/masking/types/digits.ts";
import { quickHash } from "../../src/masking/types/quickhash/index.ts";
import { digestDigits } from "../../src/masking/types/quickhash/numbers.ts";
import { normalRoom } from "../../src/masking/types/quickhash/parts.ts";
import { dateOfDays, spanDays } from "../../src/masking/types/times.ts";
import { decodeParameter } from "../../src/protocol/index.ts";
import { type Kind, kinds, oddBytes, oddText, sentNumeric } from "./quickvalues.ts";

const names = Object.keys(kinds);
const typmod = fc.oneof(
  fc.constant(-1),
  fc
    .tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: -5, max: 40 }))
    .map(([p, s]) => ((p << 16) | (s & 0x7ff)) + 4),
);
const digest = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => Buffer.from(b));

function normal(name: string, format: 0 | 1, value: Buffer): string | null {
  const quick = quickHash(name, format, -1);
  const into = Buffer.alloc(normalRoom + 6, "#");
  const framed = Buffer.concat([Buffer.from("77"), value, Buffer.from("77")]);
  const end = quick === null ? -1 : quick.normal(framed, 2, 2 + value.length, into, 3);
  // In its room, whatever it holds.
  expect(into.toString("latin1", 0, 3) + into.toString("latin1", normalRoom + 3)).toBe("######");
  return end < 0 ? null : into.toString("latin1", 3, end);
}

const kindOf = (name: string): Kind => kinds[name] as Kind;

describe("the normal form", () => {
  test.each(names)("of %s as text is the same, where it is given", (name) => {
    const { type, text } = kindOf(name);
    fc.assert(
      fc.property(fc.oneof({ weight: 3, arbitrary: text }, { weight: 2, arbitrary: oddText }), (value) => {
        const bytes = Buffer.from(value);
        const given = normal(name, 0, bytes);
        if (given !== null) expect(given).toBe(type.normal(bytes.toString("latin1")));
      }),
      { numRuns: 3000 },
    );
  });

  test.each(names)("of %s in binary format is the same, where it is given", (name) => {
    const { type, binary, oid } = kindOf(name);
    fc.assert(
      fc.property(fc.oneof({ weight: 5, arbitrary: binary }, { weight: 1, arbitrary: oddBytes }), (bytes) => {
        const given = normal(name, 1, bytes);
        if (given === null) return;
        const shown = decodeParameter(oid, 1, bytes);
        expect(given).toBe(type.normal(shown as string));
      }),
      { numRuns: 3000 },
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
      ["timestamp", "9999-12-31 23:59:59.999999", "252455615999999999"],
      ["timestamp", "0001-01-01 00:00:00.000001", "-63082281599999999"],
      ["time", "24:00:00", "86400000000"],
      ["time", "00:00:00.5", "500000"],
      ["bytea", "\\x00ff", "\\x00ff"],
      ["float8", "12345.67", "12345.67"],
      ["float8", "0.30000000000000004", "0.30000000000000004"],
      ["float8", "-0", "0"],
      ["float8", "1e+20", "100000000000000000000"],
      ["float4", "0.1", "0.10000000149011612"],
      ["inet", "10.1.2.3", "10.1.2.3"],
      ["inet", "2001:db8::1/64", "2001:db8::1/64"],
      ["cidr", "10.0.0.0/8", "10.0.0.0/8"],
      ["macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:03"],
      ["macaddr8", "08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:05"],
    ];
    for (const [name, value, shown] of usual) expect(normal(name, 0, Buffer.from(value))).toBe(shown);
    const bytes = (n: bigint) => {
      const b = Buffer.alloc(8);
      b.writeBigInt64BE(n);
      return b;
    };
    expect(normal("int4", 1, bytes(-7n).subarray(4))).toBe("-7");
    expect(normal("int8", 1, bytes(2n ** 53n - 1n))).toBe("9007199254740991");
    expect(normal("int8", 1, bytes(-(2n ** 63n)))).toBe("-9223372036854775808");
    expect(normal("int8", 1, bytes(2n ** 63n - 1n))).toBe("9223372036854775807");
    expect(normal("timestamp", 1, bytes(252_455_615_999_999_999n))).toBe("252455615999999999");
    expect(normal("time", 1, bytes(86_400_000_001n))).toBe(null);
    expect(normal("numeric", 1, sentNumeric("-1234567.8900"))).toBe("-1234567.89");
    expect(normal("numeric", 1, sentNumeric("0.00"))).toBe("0");
    expect(normal("float8", 1, Buffer.from("3fd3333333333334", "hex"))).toBe("0.30000000000000004");
    expect(normal("float4", 1, Buffer.from("3dcccccd", "hex"))).toBe("0.10000000149011612");
    expect(normal("float8", 1, Buffer.from("7ff8000000000000", "hex"))).toBe("NaN");
    expect(normal("inet", 1, Buffer.from([2, 32, 0, 4, 10, 1, 2, 3]))).toBe("10.1.2.3");
    expect(normal("cidr", 1, Buffer.from([2, 8, 1, 4, 10, 0, 0, 0]))).toBe("10.0.0.0/8");
    expect(normal("macaddr", 1, Buffer.from("08002b010203", "hex"))).toBe("08:00:2b:01:02:03");
    expect(normal("bytea", 1, Buffer.from([0, 255]))).toBe("\\x00ff");
    expect(normal("timestamptz", 1, bytes(-1n))).toBe("-1");
  });
});

test("numerics of as many zeros as the server takes are read in linear time", () => {
  const { type } = kindOf("numeric");
  const long = `1${"0".repeat(131_000)}.${"0".repeat(16_000)}1`;
  for (let i = 0; i < 20; i++) {
    expect(type.normal(long)).toBe(long);
    expect(type.normal(`${long}000`)).toBe(long);
    expect(type.keep?.(long, 0, 1)).toBe(`0.${"0".repeat(16_000)}1`);
    expect(type.binary(long)?.length).toBeGreaterThan(70_000);
  }
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
          const { type } = kindOf(name);
          const shown = type.hash?.(d, modifier) ?? null;
          const out = new MaskOutput();
          out.ascii("before");
          expect(quick.append(Buffer.concat([Buffer.alloc(3, 1), d]), 3, out)).toBe(out.length - 6);
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
      expect(digestDigits(d, 0)).toBe(Number(n % 10n ** 15n));
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
    quick?.append(d, 0, out);
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
      expect(b.toString("latin1", 1, writeDigits(Math.abs(n), b, 1))).toBe(String(Math.abs(n)));
      const least = Math.abs(n) % 10 ** width;
      expect(b.toString("latin1", 1, writePadded(least, b, 1, width))).toBe(
        String(least).padStart(width, "0"),
      );
    }),
  );
  for (const edge of [0n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 10n ** 16n, 10n ** 17n, 2n ** 63n])
    for (const n of [edge - 1n, edge, edge + 1n, -edge - 1n, -edge, -edge + 1n]) {
      if (BigInt.asIntN(64, n) !== n) continue;
      const [high, low] = [Number(n >> 32n), Number(n & 0xffff_ffffn)];
      expect(b.toString("latin1", 0, writeInt64Digits(high, low, b, 0))).toBe(String(n));
    }
  for (let power = 1; power <= 1e15; power *= 10)
    for (const n of [power - 1, power, power + 1])
      expect(b.toString("latin1", 0, writeInteger(-n, b, 0))).toBe(String(-n));
  fc.assert(
    fc.property(fc.uuid(), (id) => {
      expect(isUuid(Buffer.from(`x${id}`), 1, 37)).toBe(true);
      expect(copyUuid(Buffer.from(`x${id}`), 1, 37, b, 2)).toBe(true);
      expect(b.toString("latin1", 2, 38)).toBe(id);
      expect(b.toString("latin1", 0, writeUuid(Buffer.from(id.replaceAll("-", ""), "hex"), 0, b, 0))).toBe(
        id,
      );
    }),
  );
});
