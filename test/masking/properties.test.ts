/** What must hold of every mask and any value. */
import { createHmac, createSecretKey } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Mask } from "../../src/facts/effects.ts";
import {
  createMaskKeys,
  createRowMasker,
  type MaskColumn,
  MaskError,
  MaskOutput,
  maskText,
} from "../../src/masking/index.ts";
import { hmacSha256 } from "../../src/masking/sha256.ts";
import { integerType, numericType } from "../../src/masking/types/numbers.ts";
import { uuidType } from "../../src/masking/types/others.ts";
import { dateDays, timestampMicros, truncateIso } from "../../src/masking/types/times.ts";
import { decodeParameter } from "../../src/protocol/index.ts";
import { dataRow, keys, maskOne, maskOneText, planOf, valuesOf } from "./support.ts";

const mask: fc.Arbitrary<Mask> = fc.oneof(
  fc.constantFrom<Mask[]>({ kind: "null" }, { kind: "redact" }, { kind: "partial" }, { kind: "hash" }),
  fc.record({ kind: fc.constant("keep" as const), first: fc.nat({ max: 12 }), last: fc.nat({ max: 12 }) }),
  fc.record({ kind: fc.constant("date" as const), unit: fc.constantFrom("year", "month", "day") }),
);
const knownTypes = [
  16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 142, 600, 650, 700, 701, 774, 790, 829, 869, 1042, 1043, 1082,
  1083, 1114, 1184, 1186, 1266, 1560, 1700, 2249, 2950, 3802, 3904, 199, 1000, 1001, 1005, 1007, 1009, 1014,
  1015, 1016, 1021, 1022, 1041, 1115, 1182, 1183, 1185, 1231, 2951, 3807, 16_384, 0,
];
const column: fc.Arbitrary<MaskColumn> = fc.record({
  type: fc.constantFrom(...knownTypes),
  typmod: fc.oneof(fc.constant(-1), fc.nat({ max: 60 }), fc.integer()),
  format: fc.constantFrom(0, 1),
});
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b)),
  fc.string({ unit: "grapheme", maxLength: 60 }).map((s) => Buffer.from(s)),
  fc
    .array(
      fc.constantFrom(
        "{",
        "}",
        ",",
        '"',
        "\\",
        "NULL",
        "a",
        "-",
        "1",
        "2",
        ".",
        ":",
        "e",
        "@",
        "[0:1]=",
        " ",
        "é",
      ),
      {
        maxLength: 20,
      },
    )
    .map((parts) => Buffer.from(parts.join(""))),
);

/** Windows of five bytes of a value that its mask holds. */
function windowsIn(value: Buffer, masked: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let i = 0; i + 5 <= value.length; i++)
    if (masked.includes(value.subarray(i, i + 5))) found.push(value.subarray(i, i + 5));
  return found;
}

describe("any bytes in any type", () => {
  test("never throws, and gives a row that can be read", () => {
    fc.assert(
      fc.property(
        mask,
        column,
        fc.array(fc.option(bytes), { minLength: 1, maxLength: 6 }),
        (m, c, values) => {
          const masker = createRowMasker(planOf([m, null, m]), [c, c, c], keys());
          for (const value of values) {
            const got = valuesOf(masker.mask(dataRow([value, value, value])));
            expect(got.length).toBe(3);
            expect(got[1]).toEqual(value);
            expect(got[0]).toEqual(got[2]);
            if (value === null) expect(got[0]).toBeNull();
          }
          expect(masker.counts).toEqual(
            [0, 2].map(() => values.filter((v) => v !== null).length).toSpliced(1, 0, 0),
          );
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("types without a mask become NULL", () => {
    for (const type of [26, 142, 600, 790, 1186, 1266, 1560, 2249, 3904, 16_384, 0])
      for (const kind of ["redact", "partial", "hash"] as const) {
        expect(maskOne({ kind }, { type, format: 0 }, "value")).toBeNull();
        expect(maskOne({ kind }, { type, format: 1 }, "value")).toBeNull();
      }
  });
});

describe("what is shown", () => {
  const secretText = fc.string({
    unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789@.-_ éüß界"),
    minLength: 1,
    maxLength: 80,
  });

  test("of text: no five bytes in a row by redact, hash and null; by partial at most a third", () => {
    fc.assert(
      fc.property(secretText, (text) => {
        const value = Buffer.from(text);
        for (const kind of ["null", "redact", "hash"] as const) {
          const masked = maskOne({ kind }, { type: 25 }, value);
          if (masked !== null && text !== "[redacted]") expect(windowsIn(value, masked)).toEqual([]);
        }
        const partial = maskOne({ kind: "partial" }, { type: 25 }, value) as Buffer;
        // Five bytes may be two characters; what is shown is told in characters that are not the mask's own.
        const shown = partial.toString().replace(/[*@. -]/g, "");
        expect(Array.from(shown).length * 3).toBeLessThanOrEqual(Math.max(3, Array.from(text).length));
        if (Array.from(text).length < 6) expect(partial.toString()).toBe("***");
      }),
      { numRuns: 2000 },
    );
  });

  test("of e-mail addresses, cards and phones", () => {
    const email = fc.tuple(
      fc.stringMatching(/^[a-z0-9]{1,20}$/),
      fc.stringMatching(/^[a-z0-9]{1,20}$/),
      fc.constantFrom("com", "org", "example", "de", "io"),
    );
    fc.assert(
      fc.property(email, ([local, host, top]) => {
        const masked = maskOneText({ kind: "partial" }, 25, `${local}@${host}.${top}`) ?? "";
        if (local.length + host.length + top.length + 2 < 6) expect(masked).toBe("***");
        else expect(masked).toMatch(/^[a-z0-9]?\*\*\*@\*\*\*(\.[a-z]{2,4})?$/);
      }),
    );
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9]{13,19}$/), fc.constantFrom("", " ", "-"), (digits, separator) => {
        const text = digits.match(/.{1,4}/g)?.join(separator) ?? "";
        const masked = maskOneText({ kind: "partial" }, 25, text) ?? "";
        expect(masked.length).toBe(text.length);
        expect(masked.replace(/\D/g, "")).toBe(digits.slice(-4));
      }),
    );
    expect(maskOneText({ kind: "partial" }, 25, "+49 (151) 2345-678")).toBe("+** (***) ***5-678");
  });

  test("by keep: the ends asked for, and nothing where too little would be hidden", () => {
    fc.assert(
      fc.property(secretText, fc.nat({ max: 8 }), fc.nat({ max: 8 }), (text, first, last) => {
        const characters = Array.from(text);
        const hidden = characters.length - first - last;
        const masked = maskOneText({ kind: "keep", first, last }, 25, text);
        if (hidden < 2 || hidden * 3 < characters.length) expect(masked).toBe("***");
        else {
          const tail = last === 0 ? "" : characters.slice(-last).join("");
          expect(masked).toBe(
            `${characters.slice(0, first).join("")}${"*".repeat(Math.min(3, hidden))}${tail}`,
          );
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("no half characters: whole graphemes or none", () => {
    const family = "👩‍👩‍👧‍👦";
    for (const text of [`${family}${"x".repeat(10)}${family}`, `é${"x".repeat(12)}é`, "🇩🇪🇫🇷🇮🇹🇪🇸🇵🇹🇬🇷🇸🇪"]) {
      const masked = maskOneText({ kind: "keep", first: 1, last: 1 }, 25, text) ?? "";
      const characters = Array.from(new Intl.Segmenter().segment(text), (s) => s.segment);
      expect(masked).toBe(`${characters[0]}***${characters.at(-1)}`);
    }
    // A letter under a heap of marks may hold everything.
    const heap = `e${"\u0301".repeat(40)}`;
    expect(maskOneText({ kind: "keep", first: 1, last: 0 }, 25, `${heap}abcdefgh`)).toBe("***");
    expect(
      maskOne(
        { kind: "keep", first: 1, last: 1 },
        { type: 25 },
        Buffer.from([0xff, ...Buffer.from("abcdefgh"), 0xc3]),
      )?.toString(),
    ).toBe("***");
    const long = `é${"x".repeat(20_000)}é`;
    expect(maskOneText({ kind: "keep", first: 1, last: 1 }, 25, long)).toBe("é***é");
    expect(maskOneText({ kind: "partial" }, 25, long)).toBe("éx***xé");
  });

  test("of numbers: digits at the ends, the others 0", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => {
        const partial = BigInt(maskOneText({ kind: "partial" }, 20, String(n)) ?? "x");
        const digits = String(n).replace("-", "");
        const shown = digits.length < 6 ? 0 : Math.min(4, Math.floor(digits.length / 3));
        expect(partial).toBe(BigInt(digits.slice(digits.length - shown) || "0"));
      }),
    );
    expect(maskOneText({ kind: "keep", first: 3, last: 0 }, 23, "12345")).toBe("12300");
    expect(maskOneText({ kind: "keep", first: 1, last: 2 }, 1700, "-12345.67")).toBe("10000.67");
  });

  test("of dates: the parts asked for", () => {
    const at = (unit: "year" | "month" | "day", type: number, text: string) =>
      maskOneText({ kind: "date", unit }, type, text);
    expect(at("year", 1082, "1985-03-04")).toBe("1985-01-01");
    expect(at("month", 1082, "0044-03-15 BC")).toBe("0044-03-01 BC");
    expect(at("day", 1114, "1985-03-04 05:06:07.89")).toBe("1985-03-04 00:00:00");
    expect(at("month", 1184, "1985-03-04 05:06:07.89+05:30")).toBe("1985-03-01 00:00:00+05:30");
    expect(at("month", 25, "1985-03-04")).toBe("1985-03-01");
    expect(at("month", 25, "1985-03-04T05:06:07Z")).toBe("1985-03-01T00:00:00Z");
    expect(at("month", 25, "in March 1985")).toBe("[redacted]");
    // Other DateStyles are not read.
    for (const text of [
      "03/04/1985",
      "04.03.1985",
      "Mon Mar 04 05:06:07 1985",
      "1985-13-01",
      "1985-03-04 05:06:07",
    ])
      expect(at("year", 1082, text)).toBeNull();
    expect(maskOneText({ kind: "hash" }, 1082, "03/04/1985")).toBeNull();
  });
});

test("a canary in any type does not come through, nor a piece of it", () => {
  const shapes: [type: number, wrap: (token: string) => string][] = [
    [25, (t) => t],
    [25, (t) => `${t}@${t}.example`],
    [1043, (t) => t],
    [1042, (t) => `${t}   `],
    [19, (t) => t],
    [1009, (t) => `{${t},"${t} ${t}",{${t}}}`],
    [1009, (t) => `{${t},NULL,"x\\"${t}"}`],
    [1015, (t) => `[2:3]={${t},"${t}"}`],
    [114, (t) => `{"k": "${t}"}`],
    [3802, (t) => `["${t}"]`],
    [17, (t) => `\\x${Buffer.from(t).toString("hex")}`],
    [142, (t) => `<a>${t}</a>`],
    [16_384, (t) => t],
  ];
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9]{24}$/),
      fc.constantFrom(...shapes),
      mask,
      (token, [type, wrap], m) => {
        fc.pre(m.kind !== "keep");
        const masked = maskOne(m, { type }, wrap(token));
        if (masked === null) return;
        expect(windowsIn(Buffer.from(token), masked)).toEqual([]);
      },
    ),
    { numRuns: 1000 },
  );
});

describe("the quick way gives what the general one gives", () => {
  const digits = fc.tuple(
    fc.constantFrom("", "-"),
    fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String),
    fc.constantFrom("", ".0", ".50", ".123456", ".00"),
  );
  test("numbers", () => {
    fc.assert(
      fc.property(digits, fc.nat({ max: 9 }), fc.nat({ max: 9 }), (parts, first, last) => {
        const text = parts.join("");
        expect(maskOneText({ kind: "partial" }, 1700, text)).toBe(numericType.partial?.(text));
        expect(maskOneText({ kind: "keep", first, last }, 1700, text)).toBe(
          numericType.keep?.(text, first, last),
        );
      }),
      { numRuns: 1000 },
    );
  });
  test("integers in binary format", () => {
    const near = fc.integer({ min: -70_000, max: 70_000 }).map(BigInt);
    fc.assert(
      fc.property(
        fc.constantFrom(2, 4, 8),
        fc.oneof(near, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
        fc.nat({ max: 9 }),
        fc.nat({ max: 9 }),
        (size, n, first, last) => {
          const b = Buffer.alloc(8);
          b.writeBigInt64BE(BigInt.asIntN(size * 8, n));
          const value = b.subarray(8 - size);
          const type = integerType(size as 2 | 4 | 8);
          const oid = size === 2 ? 21 : size === 4 ? 23 : 20;
          const text = decodeParameter(oid, 1, value) as string;
          for (const [m, shown] of [
            [{ kind: "partial" }, type.partial?.(text)],
            [{ kind: "keep", first, last }, type.keep?.(text, first, last)],
          ] as const)
            expect(maskOne(m, { type: oid, format: 1 }, value)).toEqual(type.binary(shown ?? ""));
        },
      ),
      { numRuns: 2000 },
    );
    // What was no value of the type stays none.
    for (const type of [20, 21, 23])
      expect(maskOne({ kind: "partial" }, { type, format: 1 }, Buffer.alloc(3))).toBe(null);
    for (const text of ["", "-"]) expect(maskOneText({ kind: "partial" }, 23, text)).toBe(null);
  });
  test("uuids in both formats", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.nat({ max: 33 }), fc.nat({ max: 33 }), (id, first, last) => {
        const b = Buffer.from(id.replaceAll("-", ""), "hex");
        for (const [m, shown] of [
          [{ kind: "partial" }, uuidType.partial?.(id)],
          [{ kind: "keep", first, last }, uuidType.keep?.(id, first, last)],
        ] as const) {
          expect(maskOneText(m, 2950, id)).toBe(shown);
          expect(maskOne(m, { type: 2950, format: 1 }, b)).toEqual(uuidType.binary(shown ?? ""));
        }
      }),
      { numRuns: 1000 },
    );
    for (const text of ["", "0b5d3f5e", "0B5D3F5E-8d3c-4d0a-9a3b-0123456789ab"])
      expect(maskOneText({ kind: "partial" }, 2950, text)).toBe(null);
  });
  test("dates in both formats", () => {
    const unit = fc.constantFrom("year" as const, "month" as const, "day" as const);
    const micros = fc.bigInt({ min: -211_813_488_000_000_000n, max: 9_223_371_331_199_999_999n });
    const near = fc.bigInt({ min: -(2n ** 53n) - 100_000n, max: 2n ** 53n + 100_000n });
    fc.assert(
      fc.property(fc.oneof(near, micros), unit, (n, u) => {
        const b = Buffer.alloc(8);
        b.writeBigInt64BE(n);
        const text = decodeParameter(1114, 1, b) as string;
        const shown = timestampMicros(truncateIso(text, u) ?? "");
        expect(maskOneText({ kind: "date", unit: u }, 1114, text)).toBe(
          shown === null ? null : truncateIso(text, u),
        );
        const binary = maskOne({ kind: "date", unit: u }, { type: 1114, format: 1 }, b);
        expect(binary?.readBigInt64BE(0) ?? null).toBe(shown);
      }),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(fc.integer({ min: -2_451_545, max: 3_000_000 }), unit, (n, u) => {
        const b = Buffer.alloc(4);
        b.writeInt32BE(n);
        const text = decodeParameter(1082, 1, b) as string;
        const shown = dateDays(truncateIso(text, u) ?? "");
        expect(maskOneText({ kind: "date", unit: u }, 1082, text)).toBe(
          shown === null ? null : truncateIso(text, u),
        );
        expect(maskOne({ kind: "date", unit: u }, { type: 1082, format: 1 }, b)?.readInt32BE(0) ?? null).toBe(
          shown,
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe("hash", () => {
  const hash: Mask = { kind: "hash" };

  test("equal values are equal within a domain and a key, and in both formats; others are not", () => {
    const int = (n: number) => {
      const b = Buffer.alloc(4);
      b.writeInt32BE(n);
      return b;
    };
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (x, y) => {
        const text = maskOneText(hash, 23, String(x));
        const binary = maskOne(hash, { type: 23, format: 1 }, int(x)) as Buffer;
        expect(decodeParameter(23, 1, binary)).toBe(text);
        if (x !== y) expect(maskOneText(hash, 23, String(y))).not.toBe(text);
      }),
    );
    const tokens = ["text", "varchar", "char"].map((_, i) =>
      maskOneText(hash, [25, 1043, 1042][i] as number, "jane"),
    );
    expect(new Set(tokens).size).toBe(1);
    expect(maskOne(hash, { type: 1042, typmod: 24 }, "jane                ")?.toString()).toBe(
      `${tokens[0]}    `,
    );
    expect(maskOne(hash, { type: 25 }, "jane", "other")?.toString()).not.toBe(tokens[0]);
    const other = createMaskKeys(createSecretKey(Buffer.alloc(32, 8)));
    const masker = createRowMasker(planOf([hash]), [{ type: 25, typmod: -1, format: 0 }], other);
    expect(valuesOf(masker.mask(dataRow(["jane"])))[0]?.toString()).not.toBe(tokens[0]);
  });

  test("equal numbers are written in more ways than one", () => {
    const numeric = (text: string) => maskOneText(hash, 1700, text);
    expect(new Set(["1.5", "1.50", "1.500000"].map(numeric)).size).toBe(1);
    expect(new Set(["0", "-0.00", "0.0"].map(numeric)).size).toBe(1);
    expect(new Set(["100", "1", "10"].map(numeric)).size).toBe(3);
    expect(maskOneText(hash, 701, "-0")).toBe(maskOneText(hash, 701, "0"));
    expect(maskOneText(hash, 1184, "2024-07-01 12:00:00+02")).toBe(
      maskOneText(hash, 1184, "2024-07-01 10:00:00+00"),
    );
    expect(maskOneText(hash, 17, "\\x6162")).toBe(maskOneText(hash, 17, "ab"));
    expect(maskOneText(hash, 17, "\\\\\\001")).toBe(maskOneText(hash, 17, "\\x5c01"));
  });

  test("the memory changes nothing, whatever is asked for in which order", () => {
    const shared = keys();
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-d]{0,3}$/), { maxLength: 400 }), (values) => {
        const masker = createRowMasker(planOf([hash]), [{ type: 25, typmod: -1, format: 0 }], shared);
        for (const value of values)
          expect(valuesOf(masker.mask(dataRow([value])))[0]?.toString()).toBe(maskOneText(hash, 25, value));
      }),
      { numRuns: 10 },
    );
    const masker = createRowMasker(planOf([hash]), [{ type: 25, typmod: -1, format: 0 }], shared);
    const seen = new Set<string>();
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 9000; i++) seen.add(valuesOf(masker.mask(dataRow([`v${i}`])))[0]?.toString() ?? "");
    expect(seen.size).toBe(9000);
  });

  test("is HMAC-SHA-256 of every length", () => {
    for (const size of [0, 1, 16, 32, 63, 64]) {
      const key = Buffer.alloc(size, 0xa5);
      const hmac = hmacSha256(key);
      for (let n = 0; n < 200; n++) {
        const b = Buffer.alloc(n + 3, n);
        expect(hmac.digest(b, 3, n + 3).toString("hex")).toBe(
          createHmac("sha256", key).update(b.subarray(3)).digest("hex"),
        );
      }
    }
    expect(() => hmacSha256(Buffer.alloc(65))).toThrow(RangeError);
  });

  test("needs a key that is one", () => {
    expect(() => createMaskKeys(createSecretKey(Buffer.alloc(8)))).toThrow(TypeError);
  });
});

test("a single text is masked as in a row; digests of sources need the key", () => {
  for (const m of [{ kind: "partial" }, { kind: "hash" }, { kind: "null" }] as const)
    for (const [type, text] of [
      [25, "jane@example.com"],
      [23, "123456789"],
      [1009, "{a,NULL}"],
      [600, "(1,2)"],
    ] as const)
      expect(maskText(m, type, text, keys(), "test")).toBe(maskOneText(m, type, text));
  const digest = (k: ReturnType<typeof keys>) => {
    const d = k.sourceDigest();
    d.update(Buffer.from("xabcx"), 1, 3);
    d.update(Buffer.from("c"), 0, 1);
    return d.hex();
  };
  expect(digest(keys())).toMatch(/^[0-9a-f]{64}$/);
  expect(digest(keys())).toBe(digest(keys()));
  expect(digest(createMaskKeys(createSecretKey(Buffer.alloc(32, 8))))).not.toBe(digest(keys()));
});

describe("rows", () => {
  const columns: MaskColumn[] = [25, 23, 25].map((type) => ({ type, typmod: -1, format: 0 }));
  const masker = () => createRowMasker(planOf([{ kind: "redact" }, null, { kind: "null" }]), columns, keys());

  test("many in a chunk come out one behind the other, also when they outgrow a buffer", () => {
    const rows = Array.from({ length: 5000 }, (_, i) =>
      dataRow([`value ${i}`, String(i), i % 3 === 0 ? null : "x".repeat(i % 300)]),
    );
    const chunk = Buffer.concat([Buffer.from("junk"), ...rows, Buffer.from("junk")]);
    const out = new MaskOutput();
    const batch = masker();
    batch.maskInto(chunk, 4, chunk.length - 4, out);
    const single = masker();
    expect(out.take()).toEqual(Buffer.concat(rows.map((row) => single.mask(row))));
    expect(batch.counts).toEqual([5000, 0, 3333]);
    expect(out.take().length).toBe(0);
  });

  test("what was given out does not change", () => {
    const out = new MaskOutput();
    const given: Buffer[] = [];
    const copies: Buffer[] = [];
    const m = masker();
    for (let i = 0; i < 300; i++) {
      const row = dataRow(["a", "1".repeat(i * 40), "b"]);
      m.maskInto(row, 0, row.length, out);
      const taken = out.take();
      given.push(taken, m.mask(row));
      copies.push(Buffer.from(taken), Buffer.from(taken));
    }
    expect(given).toEqual(copies);
  });

  test("that do not fit end it, and nothing of them is written", () => {
    const good = dataRow(["secret", "1", "x"]);
    const bad: Buffer[] = [
      dataRow(["secret", "1"]),
      dataRow(["secret", "1", "x", "y"]),
      good.subarray(0, good.length - 1),
      Buffer.concat([good, Buffer.from("D")]),
      Buffer.from("Z0000005I"),
      ...[-2, 0x7fffffff, 100].map((length) => {
        const row = Buffer.from(good);
        row.writeInt32BE(length, 7);
        return row;
      }),
      ...[0, 5, 7, -1].map((length) => {
        const row = Buffer.from(good);
        row.writeInt32BE(length, 1);
        return row;
      }),
      (() => {
        const row = Buffer.concat([good, Buffer.from("extra")]);
        row.writeInt32BE(row.length - 1, 1);
        return row;
      })(),
    ];
    for (const row of bad) {
      const out = new MaskOutput();
      const chunk = Buffer.concat([good, row]);
      expect(() => masker().maskInto(chunk, 0, chunk.length, out)).toThrow(MaskError);
      const written = out.take();
      expect(written.subarray(0, good.length + 1).includes("secret")).toBe(false);
      expect(written.length % masker().mask(good).length).toBe(0);
    }
  });

  test("any bytes: only MaskError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (junk, framed) => {
        const body = Buffer.from(junk);
        const head = Buffer.from("D\0\0\0\0\0\x03", "latin1");
        head.writeInt32BE(body.length + 6, 1);
        try {
          masker().mask(framed ? Buffer.concat([head, body]) : body);
        } catch (error) {
          expect(error).toBeInstanceOf(MaskError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("a plan of another width is refused", () => {
    expect(() => createRowMasker(planOf([null]), columns, keys())).toThrow(MaskError);
  });
});
