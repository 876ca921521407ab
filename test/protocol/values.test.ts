import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeParameter, typeName } from "../../src/protocol/index.ts";
import { hex } from "./arbitraries.ts";

/** Facts: what PostgreSQL's send functions give for the text beside (compared with PostgreSQL 15's own output). */
const facts: [oid: number, binary: string, text: string][] = [
  [16, "01", "t"],
  [16, "00", "f"],
  [21, "fffe", "-2"],
  [23, "0000002a", "42"],
  [23, "80000000", "-2147483648"],
  [20, "7fffffffffffffff", "9223372036854775807"],
  [20, "8000000000000000", "-9223372036854775808"],
  [26, "ffffffff", "4294967295"],
  [2205, "000004eb", "1259"],
  [5069, "ffffffffffffffff", "18446744073709551615"],
  // Floats: shortest form, fixed for exponents from -4 to below 15 (float8) and 6 (float4).
  [701, "0000000000000000", "0"],
  [701, "8000000000000000", "-0"],
  [701, "3ff8000000000000", "1.5"],
  [701, "3fb999999999999a", "0.1"],
  [701, "7ff8000000000000", "NaN"],
  [701, "7ff0000000000000", "Infinity"],
  [701, "fff0000000000000", "-Infinity"],
  [701, "0000000000000001", "5e-324"],
  [701, "7fefffffffffffff", "1.7976931348623157e+308"],
  [701, "42dc12218377de40", "123456789012345"],
  [701, "430c6bf526340000", "1e+15"],
  [701, "3f1a36e2eb1c432d", "0.0001"],
  [701, "3ee4f8b588e368f1", "1e-05"],
  // Exactly between two doubles: 1e23 gives this one back only where ties go to even.
  [701, "44b52d02c7e14af6", "9.999999999999999e+22"],
  [701, "44b52d02c7e14af7", "1.0000000000000001e+23"],
  [700, "3fc00000", "1.5"],
  [700, "3dcccccd", "0.1"],
  [700, "4b800000", "1.6777216e+07"],
  [700, "47f12000", "123456"],
  [700, "49742400", "1e+06"],
  [700, "00000001", "1e-45"],
  [700, "7f7fffff", "3.4028235e+38"],
  [700, "39800000", "0.00024414062"],
  [700, "7fc00000", "NaN"],
  [700, "80000000", "-0"],
  // numeric
  [1700, "0000 0000 0000 0000", "0"],
  [1700, "0000 0000 0000 0002", "0.00"],
  [1700, "0002 0000 0000 0002 0001 1388", "1.50"],
  [1700, "0001 ffff 4000 0003 000a", "-0.001"],
  [1700, "0001 0001 0000 0000 0001", "10000"],
  [1700, "0003 0001 0000 0005 04d2 162e 2328", "12345678.90000"],
  [1700, "0001 fffe 0000 0008 0001", "0.00000001"],
  [1700, "0001 fffe 4000 0002 0001", "0.00"],
  [1700, "0000 0000 c000 0000", "NaN"],
  [1700, "0000 0000 d000 0000", "Infinity"],
  [1700, "0000 0000 f000 0000", "-Infinity"],
  // text
  [25, "c3a920", "é "],
  [1043, "", ""],
  [1042, "612020", "a  "],
  [19, "6e", "n"],
  [0, "", ""],
  [705, "78", "x"],
  [114, "7b7d", "{}"],
  [3802, "017b7d", "{}"],
  [142, "3c612f3e", "<a/>"],
  [18, "61", "a"],
  [18, "00", ""],
  [18, "e9", "\\351"],
  [2278, "", ""],
  [17, "00ff5c", "\\x00ff5c"],
  [17, "", "\\x"],
  [2950, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  [1560, "00000005b0", "10110"],
  [1562, "00000000", ""],
  // Dates: days and microseconds from 2000-01-01.
  [1082, "00000000", "2000-01-01"],
  [1082, "ffffffff", "1999-12-31"],
  [1082, "0000003b", "2000-02-29"],
  [1082, "ffffd533", "1970-01-01"],
  [1082, "fff4dbf9", "0001-01-01"],
  [1082, "fff4dbf8", "0001-12-31 BC"],
  [1082, "ffda97a7", "4714-11-24 BC"],
  [1082, "7fda970c", "5874897-12-31"],
  [1082, "7fffffff", "infinity"],
  [1082, "80000000", "-infinity"],
  [1083, "0000000000000000", "00:00:00"],
  [1083, "000000141dd76000", "24:00:00"],
  [1083, "000000141dd75fff", "23:59:59.999999"],
  [1266, "0000000000000000 ffffb2a8", "00:00:00+05:30"],
  [1266, "0000000000000000 00007080", "00:00:00-08"],
  [1266, "0000000000000000 ffffb299", "00:00:00+05:30:15"],
  [1114, "0000000000000000", "2000-01-01 00:00:00"],
  [1114, "ffffffffffffffff", "1999-12-31 23:59:59.999999"],
  [1114, "000000000007a120", "2000-01-01 00:00:00.5"],
  [1184, "fffca2fec4c82000", "1970-01-01 00:00:00+00"],
  [1184, "7fffffffffffffff", "infinity"],
  [1114, "8000000000000000", "-infinity"],
  [1186, "0000000000000000 00000000 00000000", "00:00:00"],
  [1186, "000000036c97ca88000000030000000e", "1 year 2 mons 3 days 04:05:06.789"],
  [1186, "0000000000000000 00000000 fffffff4", "-1 years"],
  [1186, "00000001b81ee600ffffffff00000000", "-1 days +02:03:04"],
  [1186, "0000000000000000 ffffffff 00000001", "1 mon -1 days"],
  [1186, "fffffffffff85ee0 00000000 00000000", "-00:00:00.5"],
  [1186, "00000053d1ac1000 00000000 00000000", "100:00:00"],
  [1186, "7fffffffffffffff 7fffffff 7fffffff", "infinity"],
  // Networks: family, bits, is_cidr, bytes, address.
  [869, "02 20 00 04 c0a80101", "192.168.1.1"],
  [869, "02 08 00 04 0a000001", "10.0.0.1/8"],
  [650, "02 08 01 04 0a000000", "10.0.0.0/8"],
  [650, "02 20 01 04 0a000001", "10.0.0.1/32"],
  [869, "03 80 00 10 00000000000000000000000000000000", "::"],
  [869, "03 80 00 10 00000000000000000000000000000001", "::1"],
  [869, "03 80 00 10 00000000000000000000000001020304", "::1.2.3.4"],
  [869, "03 80 00 10 00000000000000000000ffff01020304", "::ffff:1.2.3.4"],
  [650, "03 20 01 10 20010db8000000000000000000000000", "2001:db8::/32"],
  [869, "03 80 00 10 00010000000000020000000000000003", "1:0:0:2::3"],
  [869, "03 80 00 10 00010002000300040005000600070008", "1:2:3:4:5:6:7:8"],
  [869, "03 80 00 10 00010002000300040005000600000000", "1:2:3:4:5:6::"],
  [829, "08002b010203", "08:00:2b:01:02:03"],
  [774, "08002b0102030405", "08:00:2b:01:02:03:04:05"],
  // Arrays: dimensions, has nulls, element type, then length and lower bound of each.
  [1007, "00000000 00000000 00000017", "{}"],
  [1007, "00000001 00000000 00000017 00000002 00000001 00000004 00000001 00000004 00000002", "{1,2}"],
  [1007, "00000001 00000001 00000017 00000002 00000001 ffffffff 00000004 00000002", "{NULL,2}"],
  [
    1007,
    "00000002 00000001 00000017 00000002 00000001 00000002 00000001 00000004 00000001 00000004 00000002 00000004 00000003 ffffffff",
    "{{1,2},{3,NULL}}",
  ],
  [1005, "00000001 00000000 00000015 00000002 ffffffff 00000002 0001 00000002 0002", "[-1:0]={1,2}"],
  [
    1009,
    "00000001 00000001 00000019 00000006 00000001 00000000 00000004 4e554c4c 00000003 612062 00000003 612262 00000003 615c62 ffffffff",
    '{"","NULL","a b","a\\"b","a\\\\b",NULL}',
  ],
  [1001, "00000001 00000000 00000011 00000001 00000001 00000001 ff", '{"\\\\xff"}'],
  [1000, "00000001 00000000 00000010 00000001 00000001 00000001 01", "{t}"],
];

test.each(facts)("type %i, %s is %s", (oid, binary, text) => {
  expect(decodeParameter(oid, 1, hex(binary))).toBe(text);
});

describe("what has no text is given in base64", () => {
  test.each([
    ["an unknown type", 600_000, "0102"],
    ["a range", 3904, "01"],
    ["money, whose text depends on the locale", 790, "0000000000000001"],
    ["bool of 2 bytes", 16, "0100"],
    ["int4 of 3 bytes", 23, "000001"],
    ["int8 of nothing", 20, ""],
    ["float8 of 4 bytes", 701, "00000000"],
    ["uuid of 15 bytes", 2950, "000102030405060708090a0b0c0d0e"],
    ["text that is not UTF-8", 25, "ff"],
    ["jsonb of another version", 3802, "027b7d"],
    ["numeric with a digit of 10000", 1700, "0001 0000 0000 0000 2710"],
    ["numeric with digits missing", 1700, "0002 0000 0000 0000 0001"],
    ["numeric of an unknown sign", 1700, "0000 0000 1000 0000"],
    ["numeric of a scale out of range", 1700, "0000 0000 0000 ffff"],
    ["date out of range", 1082, "7ffffffe"],
    ["timestamp out of range", 1114, "7ffffffffffffffe"],
    ["time above 24:00", 1083, "000000141dd76001"],
    ["negative time", 1083, "ffffffffffffffff"],
    ["timetz of a zone of 16 hours", 1266, "0000000000000000 0000e100"],
    ["interval of 8 bytes", 1186, "0000000000000000"],
    ["inet of an unknown family", 869, "04 20 00 04 c0a80101"],
    ["inet of a mask too great", 869, "02 21 00 04 c0a80101"],
    ["inet of a wrong size", 869, "02 20 00 03 c0a801"],
    ["macaddr of 8 bytes", 829, "08002b0102030405"],
    ["bit longer than its bytes", 1560, "00000009b0"],
    ["bit of negative length", 1560, "ffffffff"],
    ["array of another element type", 1007, "00000000 00000000 00000019"],
    ["array of 7 dimensions", 1007, `00000007 00000000 00000017 ${"00000001 00000001".repeat(7)}`],
    ["array of -1 dimensions", 1007, "ffffffff 00000000 00000017"],
    ["array of more elements than bytes", 1007, "00000001 00000000 00000017 7fffffff 00000001"],
    ["array whose size overflows", 1007, `00000006 00000000 00000017 ${"7fffffff 00000001".repeat(6)}`],
    ["array of negative length", 1007, "00000001 00000000 00000017 ffffffff 00000001"],
    ["array with a tail", 1007, "00000000 00000000 00000017 00"],
    ["array with a malformed element", 1007, "00000001 00000000 00000017 00000001 00000001 00000001 01"],
    ["array with an element length of -2", 1007, "00000001 00000000 00000017 00000001 00000001 fffffffe"],
  ])("%s", (_, oid, binary) => {
    const bytes = hex(binary);
    expect(decodeParameter(oid, 1, bytes)).toEqual({ base64: bytes.toString("base64") });
  });

  test("an array whose text would be thousands of times its bytes", () => {
    const element = hex("0000000a 0001 7fff 0000 0000 0001");
    const array = (count: number) => {
      const head = hex("00000001 00000000 000006a4 00000000 00000001");
      head.writeInt32BE(count, 12);
      return Buffer.concat([head, ...Array.from({ length: count }, () => element)]);
    };
    const few = decodeParameter(1231, 1, array(2));
    expect(few).toHaveLength(2 * 131_069 + 3);
    expect(decodeParameter(1231, 1, array(100))).toHaveProperty("base64");
  });
});

test("text format is text, or base64 where it is not UTF-8", () => {
  expect(decodeParameter(23, 0, Buffer.from("42"))).toBe("42");
  expect(decodeParameter(0, 0, Buffer.from("é"))).toBe("é");
  expect(decodeParameter(25, 0, hex("e9"))).toEqual({ base64: "6Q==" });
});

describe("floats give back the value they show", () => {
  const bits = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const digits = (text: string) =>
    text.replace(/^-/, "").replace(/e.*/, "").replace(".", "").replace(/^0+/, "");

  test("float8: never more than 17 digits", () => {
    fc.assert(
      fc.property(bits(8), (bytes) => {
        const b = Buffer.from(bytes);
        const value = b.readDoubleBE(0);
        const text = decodeParameter(701, 1, b);
        if (typeof text !== "string") throw new Error("no text");
        expect(Object.is(Number(text), value) || Number.isNaN(value)).toBe(true);
        if (Number.isFinite(value)) expect(digits(text).length).toBeLessThanOrEqual(17);
      }),
      { numRuns: 2000 },
    );
  });

  test("float8: whole numbers beyond 2^53", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 53n, max: 10n ** 40n }), (whole) => {
        const b = Buffer.alloc(8);
        b.writeDoubleBE(Number(whole), 0);
        const text = decodeParameter(701, 1, b);
        if (typeof text !== "string") throw new Error("no text");
        expect(Number(text)).toBe(Number(whole));
        expect(digits(text).replace(/0+$/, "").length).toBeLessThanOrEqual(17);
      }),
      { numRuns: 1000 },
    );
  });

  test("float4: never more than 9 digits, and none that could be left out", () => {
    fc.assert(
      fc.property(bits(4), (bytes) => {
        const b = Buffer.from(bytes);
        const value = b.readFloatBE(0);
        const text = decodeParameter(700, 1, b);
        if (typeof text !== "string") throw new Error("no text");
        expect(Object.is(Math.fround(Number(text)), value) || Number.isNaN(value)).toBe(true);
        if (!Number.isFinite(value) || value === 0) return;
        const shown = digits(text).replace(/0+$/, "").length;
        expect(shown).toBeLessThanOrEqual(9);
        if (shown === 1) return;
        // One digit less is another value, or lies exactly on the border to one: a step outwards crosses it.
        const shorter = Number(value.toPrecision(shown - 1));
        expect(Math.fround(shorter + (shorter - value) * 2 ** -20)).not.toBe(value);
      }),
      { numRuns: 2000 },
    );
  });
});

test("dates agree with the calendar of JavaScript", () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
      (date) => {
        const millis = date.getTime() - Date.UTC(2000, 0, 1);
        const timestamp = Buffer.alloc(8);
        timestamp.writeBigInt64BE(BigInt(millis) * 1000n);
        const [day = "", time = ""] = date.toISOString().replace("Z", "").split("T");
        const clock = time.replace(/\.?0+$/, (zeros) =>
          zeros.startsWith(".") ? "" : time.includes(".") ? "" : zeros,
        );
        expect(decodeParameter(1114, 1, timestamp)).toBe(`${day} ${clock}`);
        const days = Buffer.alloc(4);
        days.writeInt32BE(Math.floor(millis / 86_400_000));
        expect(decodeParameter(1082, 1, days)).toBe(day);
      },
    ),
    { numRuns: 1000 },
  );
});

test("arbitrary bytes never throw, and base64 gives them back", () => {
  const oids = facts.map(([oid]) => oid);
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(...oids), fc.nat({ max: 10_000 })),
      fc.constantFrom<(0 | 1)[]>(0, 1),
      fc.uint8Array({ maxLength: 40 }),
      (oid, format, bytes) => {
        const value = decodeParameter(oid, format, Buffer.from(bytes));
        if (typeof value !== "string")
          expect(Buffer.from(value.base64, "base64")).toEqual(Buffer.from(bytes));
      },
    ),
    { numRuns: 5000 },
  );
});

test("typeName", () => {
  expect(
    [16, 20, 21, 23, 25, 700, 701, 1700, 2950, 1184, 3802, 1007, 1009, 2951].map((oid) => typeName(oid)),
  ).toEqual([
    "bool",
    "int8",
    "int2",
    "int4",
    "text",
    "float4",
    "float8",
    "numeric",
    "uuid",
    "timestamptz",
    "jsonb",
    "_int4",
    "_text",
    "_uuid",
  ]);
  expect(typeName(0)).toBe("unknown");
  expect(typeName(12_345)).toBe("oid:12345");
});
