/** Values of types that are masked by way of their text: as a server prints and sends them, and as it does not. */
import fc from "fast-check";
import { floatType, integerType, numericType } from "../../src/masking/types/numbers.ts";
import {
  addressType,
  byteaType,
  dateType,
  macType,
  timestampType,
  timeType,
  uuidType,
} from "../../src/masking/types/others.ts";
import type { ScalarType } from "../../src/masking/types/scalar.ts";

export interface Kind {
  readonly oid: number;
  readonly type: ScalarType;
  /** Size of its binary format; 0: of no fixed one. */
  readonly bytes: number;
  /** As a server prints it, with extra_float_digits and bytea_output as they are set by default. */
  readonly text: fc.Arbitrary<string>;
  /** As it sends it. */
  readonly binary: fc.Arbitrary<Buffer>;
}

const bytes = (size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((b) => Buffer.from(b));
const near = fc.integer({ min: -70_000, max: 70_000 }).map(BigInt);
function integers(size: 2 | 4 | 8): fc.Arbitrary<bigint> {
  const most = 2n ** BigInt(size * 8 - 1);
  const edges = fc.constantFrom(
    0n,
    most - 1n,
    -most,
    2n ** 53n,
    2n ** 53n - 1n,
    -(2n ** 53n),
    10n ** 18n,
    2n ** 32n,
  );
  return fc
    .oneof(near, fc.bigInt({ min: -most, max: most - 1n }), edges)
    .map((n) => BigInt.asIntN(size * 8, n));
}
const int64 = (n: bigint, size = 8): Buffer => {
  const b = Buffer.alloc(8);
  b.writeBigInt64BE(n);
  return b.subarray(8 - size);
};

/** Floats as in tables (amounts, measures, coordinates), and any bits at all. */
const anyFloat = fc.oneof(
  fc.tuple(fc.integer(), fc.integer({ min: 0, max: 8 })).map(([n, power]) => n / 10 ** power),
  fc.double({ min: -180, max: 180 }),
  fc.double(),
  fc.double({ min: 2 ** 52, max: 2 ** 70 }),
  fc.integer({ min: -30, max: 70 }).map((power) => 2 ** power),
  fc.constantFrom(0, -0, 1, 0.5, 0.1, 1e-4, 1e-6, 1e-7, 1e15, 1e16, 1e21, 1e22, 5e-324, Number.MAX_VALUE),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
);
/** Nearly what float8out prints: JavaScript's digits, PostgreSQL's exponent. */
function floatText(x: number): string {
  if (Object.is(x, -0)) return "-0";
  if (!Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return x.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  return String(x);
}
const digits = (min: number, max: number) => fc.stringMatching(new RegExp(`^[0-9]{${min},${max}}$`));
/** Not the shortest, as servers before 12 print them, and digits of any number. */
const longFloat = fc.oneof(
  fc.tuple(anyFloat, fc.integer({ min: 15, max: 21 })).map(([x, n]) => x.toPrecision(n)),
  fc
    .tuple(
      fc.constantFrom("", "-"),
      digits(1, 18),
      fc.constantFrom("", "."),
      digits(1, 18),
      fc.constantFrom("", "e+01", "e-09", "e+21", "e-301"),
    )
    .map((parts) => parts.join("")),
);

const number = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.oneof(
      fc.constantFrom("0", "1", "10000", "9999", "100000000"),
      fc.bigInt({ min: 0n, max: 10n ** 25n }).map(String),
    ),
    fc.oneof(
      fc.constant(""),
      digits(1, 6).map((f) => `.${f}`),
      fc.constantFrom(".00", ".0001", ".00000000012", ".10000"),
    ),
  )
  .map((parts) => parts.join("").replace(/^-(?=[0.]*$)/, ""));

/** numeric_send of a number; of NaN and the infinities by their sign. */
export function sentNumeric(text: string): Buffer {
  const special = { NaN: 0xc000, Infinity: 0xd000, "-Infinity": 0xf000 }[text];
  if (special !== undefined) return Buffer.from([0, 0, 0, 0, special >> 8, 0, 0, 0]);
  const b = numericType.binary(text.replace("-", "")) as Buffer;
  if (text.startsWith("-")) b.writeUInt16BE(0x4000, 4);
  return b;
}
/** Groups, weights and scales that no server sends. */
const oddNumeric = fc
  .tuple(
    fc.array(fc.oneof(fc.nat({ max: 9999 }), fc.constantFrom(0, 1, 9999, 10_000, 65_535)), { maxLength: 6 }),
    fc.oneof(fc.integer({ min: -5, max: 6 }), fc.constantFrom(-32_768, 32_767, 40)),
    fc.constantFrom(0, 0, 0, 0x4000, 0x4000, 0xc000, 0xd000, 0xf000, 1),
    fc.oneof(fc.nat({ max: 20 }), fc.constantFrom(0x3fff, 0x4000, 0xffff)),
  )
  .map(([groups, weight, sign, scale]) => {
    const b = Buffer.alloc(8 + groups.length * 2);
    b.writeUInt16BE(groups.length, 0);
    b.writeInt16BE(weight, 2);
    b.writeUInt16BE(sign, 4);
    b.writeUInt16BE(scale, 6);
    for (const [i, group] of groups.entries()) b.writeUInt16BE(group, 8 + i * 2);
    return b;
  });

const two = fc.nat({ max: 65 }).map((n) => String(n).padStart(2, "0"));
const pad = (n: number, width = 2): string => String(n).padStart(width, "0");
const day = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 9999 }), fc.constantFrom(1, 1714, 1999, 2000, 2286, 9999)),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 31 }),
  )
  .map(([y, m, d]) => `${pad(y, 4)}-${pad(m)}-${pad(d)}`);
const clock = fc
  .tuple(
    fc.nat({ max: 24 }),
    fc.nat({ max: 59 }),
    fc.nat({ max: 59 }),
    fc.oneof(
      fc.constant(""),
      digits(1, 6).map((f) => `.${f}`),
    ),
  )
  .map(([h, m, s, f]) => `${pad(h)}:${pad(m)}:${pad(s)}${f}`);
const zone = fc
  .tuple(fc.constantFrom("+", "-"), fc.nat({ max: 15 }), fc.constantFrom("", ":30", ":45", ":30:15"))
  .map(([sign, h, m]) => `${sign}${pad(h)}${m}`);
const moment = (suffix: fc.Arbitrary<string>) =>
  fc.oneof(
    { weight: 20, arbitrary: fc.tuple(day, clock, suffix).map(([d, c, z]) => `${d} ${c}${z}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("infinity", "-infinity", "0044-03-15 12:00:00 BC", "294276-12-31 23:59:59"),
    },
  );
const moments = fc
  .oneof(
    fc.bigInt({ min: -211_813_488_000_000_000n, max: 9_223_371_331_199_999_999n }),
    fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }),
    fc.constantFrom(
      0n,
      -1n,
      2n ** 53n,
      252_455_615_999_999_999n,
      2n ** 63n - 1n,
      -(2n ** 63n),
      2n ** 63n - 2n,
    ),
    fc.constantFrom(-211_813_488_000_000_000n, -211_813_488_000_000_001n, 9_223_371_331_200_000_000n),
  )
  .map((n) => int64(n));

const mac = (size: number) =>
  bytes(size).map((b) => Array.from(b, (byte) => byte.toString(16).padStart(2, "0")).join(":"));

const octet = fc.nat({ max: 255 });
const ipv4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join("."));
const ipv6 = fc.oneof(
  fc.ipV6(),
  fc.constantFrom("::", "::1", "::ffff:1.2.3.4", "::1.2.3.4", "2001:db8::", "fe80::1", "1:0:0:2::3", "0:1::"),
);
const bitsOf = (most: number) =>
  fc.oneof(
    fc.constant(""),
    fc.nat({ max: most }).map((n) => `/${n}`),
  );
const address = fc.oneof(
  fc.tuple(ipv4, bitsOf(32)).map((parts) => parts.join("")),
  fc.tuple(ipv6, bitsOf(128)).map((parts) => parts.join("")),
);
/** IPv6 with words of zero, so that runs of them come in all places. */
const words = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0x12, 0xabc, 0xffff, 0xfd00), { minLength: 8, maxLength: 8 })
  .map((all) => Buffer.from(all.flatMap((word) => [word >> 8, word & 255])));
const sentAddress = fc
  .tuple(fc.oneof(bytes(4), bytes(16), words), fc.option(fc.nat({ max: 130 })), fc.nat({ max: 1 }))
  .map(([b, bits, isCidr]) =>
    Buffer.concat([Buffer.from([b.length === 4 ? 2 : 3, bits ?? b.length * 8, isCidr, b.length]), b]),
  );

const long = fc.uint8Array({ maxLength: 130 }).map((b) => Buffer.from(b));
const integer = (oid: number, size: 2 | 4 | 8): Kind => ({
  oid,
  type: integerType(size),
  bytes: size,
  text: integers(size).map(String),
  binary: integers(size).map((n) => int64(n, size)),
});
const inet = (oid: number, isCidr: boolean): Kind => ({
  oid,
  type: addressType(isCidr),
  bytes: 0,
  text: address,
  binary: sentAddress,
});
const macaddr = (oid: number, size: 6 | 8): Kind => ({
  oid,
  type: macType(size),
  bytes: size,
  text: mac(size),
  binary: bytes(size),
});

export const kinds: Readonly<Record<string, Kind>> = {
  int2: integer(21, 2),
  int4: integer(23, 4),
  int8: integer(20, 8),
  numeric: {
    oid: 1700,
    type: numericType,
    bytes: 0,
    text: fc.oneof(
      { weight: 20, arbitrary: number },
      { weight: 1, arbitrary: fc.constantFrom("NaN", "Infinity", "-Infinity") },
    ),
    binary: fc.oneof(
      number.map(sentNumeric),
      oddNumeric,
      fc.constantFrom("NaN", "-Infinity").map(sentNumeric),
    ),
  },
  float4: {
    oid: 700,
    type: floatType(4),
    bytes: 4,
    text: fc.oneof(
      anyFloat.map(floatText),
      longFloat,
      anyFloat.map((x) => floatText(Number(x.toPrecision(9)))),
    ),
    binary: fc.oneof(
      bytes(4),
      anyFloat.map((x) => {
        const b = Buffer.alloc(4);
        b.writeFloatBE(x);
        return b;
      }),
    ),
  },
  float8: {
    oid: 701,
    type: floatType(8),
    bytes: 8,
    text: fc.oneof(anyFloat.map(floatText), longFloat),
    binary: fc.oneof(
      bytes(8),
      anyFloat.map((x) => {
        const b = Buffer.alloc(8);
        b.writeDoubleBE(x);
        return b;
      }),
    ),
  },
  uuid: { oid: 2950, type: uuidType, bytes: 16, text: fc.uuid(), binary: bytes(16) },
  date: {
    oid: 1082,
    type: dateType,
    bytes: 4,
    text: fc.oneof(
      { weight: 20, arbitrary: day },
      { weight: 1, arbitrary: fc.constantFrom("infinity", "0044-03-15 BC", "10000-01-01") },
    ),
    binary: fc
      .oneof(fc.integer({ min: -2_451_546, max: 3_000_000 }), fc.integer())
      .map((n) => int64(BigInt(n), 4)),
  },
  time: {
    oid: 1083,
    type: timeType,
    bytes: 8,
    text: clock,
    binary: fc
      .oneof(fc.bigInt({ min: -10n, max: 86_400_000_010n }), fc.constantFrom(0n, 86_400_000_000n, -1n))
      .map((n) => int64(n)),
  },
  timestamp: { oid: 1114, type: timestampType(""), bytes: 8, text: moment(fc.constant("")), binary: moments },
  timestamptz: { oid: 1184, type: timestampType("+00"), bytes: 8, text: moment(zone), binary: moments },
  bytea: {
    oid: 17,
    type: byteaType,
    bytes: 0,
    text: long.map((b) => `\\x${b.toString("hex")}`),
    binary: long,
  },
  inet: inet(869, false),
  cidr: inet(650, true),
  macaddr: macaddr(829, 6),
  macaddr8: macaddr(774, 8),
};

const oddDay = fc.tuple(digits(4, 4), two, two).map((parts) => parts.join("-"));
const oddClock = fc.tuple(two, two, two).map((parts) => parts.join(":"));
const alphabet = fc.constantFrom(..."0123456789abcdefABCDEF:./-+ eT\\x,\0\u00e9".split(""));
/** A value of some type, cut, or with a byte more or another one: nearly a value. */
const mutated = fc
  .tuple(
    fc.oneof(...Object.values(kinds).map((kind) => kind.text)),
    fc.nat(),
    alphabet,
    fc.constantFrom(0, 1, 2, 3),
  )
  .map(([text, n, c, how]) => {
    const at = text.length === 0 ? 0 : n % (text.length + 1);
    if (how === 0) return text.slice(0, at) + text.slice(at + 1);
    if (how === 1) return text.slice(0, at) + c + text.slice(at);
    return how === 2 ? text.slice(0, at) + c + text.slice(at + 1) : text.slice(0, at);
  });

/** What no server sends as these types, or only other types' values. */
export const oddText = fc.oneof(
  mutated,
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
    "00",
    "NaN",
    "-Infinity",
    "infinity",
    "-infinity",
    "1e5",
    "1e+5",
    "1.e+05",
    ".5",
  ),
  fc.constantFrom(
    "\\x",
    "\\x0",
    "\\xAB",
    "::/",
    ":",
    "::",
    "1.2.3.4/",
    "1.2.3.4/1234",
    "24:00:00.000001",
    "24:00:00",
    "23:99:00",
  ),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.uuid().map((id) => id.replace("-", "0")),
  oddDay,
  oddClock,
  fc.tuple(oddDay, fc.constantFrom(" BC", "0", " 10:00")).map((parts) => parts.join("")),
  fc
    .tuple(
      oddDay,
      fc.constantFrom(" ", "T"),
      oddClock,
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
  fc.string({ maxLength: 40 }),
);

/** Any bytes, of which some have the size of a type. */
export const oddBytes = fc.oneof(
  fc.uint8Array({ maxLength: 24 }).map((b) => Buffer.from(b)),
  fc.constantFrom(2, 4, 6, 8, 16, 20).chain(bytes),
);
