/** Second line: what is personal data by its form, what only looks like it, and what is done about it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDetector } from "../../src/masking/detect/cell.ts";
import {
  builtinKinds,
  compilePattern,
  createContentGuard,
  createRowMasker,
  type DetectionRule,
  PatternError,
} from "../../src/masking/index.ts";
import { dataRow, keys, planOf, valuesOf } from "./support.ts";

const detector = createDetector(builtinKinds.map((name) => ({ name, pattern: null })));

function kindsOf(text: string): string[] {
  const b = Buffer.from(`..${text}..`);
  const found = detector.detect(b, 2, b.length - 2);
  return detector.kinds.filter((_, i) => (found & (1 << i)) !== 0);
}

const jwt = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url")}.${Buffer.from('{"sub":"1"}').toString("base64url")}.c2ln`;

describe("found", () => {
  test.each([
    ["email", "jane.doe@example.com"],
    ["email", "Please write to <jane+shop@mail.example.co.uk>, thanks."],
    ["email", "Ask jane@example.com."],
    ["email", "grüße@münchen.example.de"],
    ["email", '{"contact":"a.b@c.io"}'],
    ["card", "4111111111111111"],
    ["card", "card 5500-0000-0000-0004 on file"],
    ["card", "3782 822463 10005"],
    ["card", "2 x 4111 1111 1111 1111"],
    ["iban", "DE89370400440532013000"],
    ["iban", "GB29 NWBK 6016 1331 9268 19"],
    ["iban", "transfer to GB29 NWBK 6016 1331 9268 19 TODAY please"],
    ["ssn", "078-05-1120"],
    ["ssn", "SSN: 219 09 9999."],
    ["phone", "+49 151 23456789"],
    ["phone", "(212) 555-0123"],
    ["phone", "call 212-555-0123 now"],
    ["phone", "+14155550123"],
    ["ipv4", "from 192.168.17.4 at noon"],
    ["jwt", jwt],
    ["jwt", `Authorization: Bearer ${jwt}`],
    ["cloud_key", "AKIAIOSFODNN7EXAMPLE"],
    ["cloud_key", `AIza${"a1-_B".repeat(7)}`],
    ["cloud_key", `token=ghp_${"aB3".repeat(12)}`],
    ["cloud_key", "xoxb-123456789012-abcdefghijkl"],
    ["cloud_key", `sk_live_${"a1B2".repeat(6)}`],
    ["cloud_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"],
  ])("%s in %s", (kind, text) => {
    expect(kindsOf(text)).toContain(kind);
  });
});

describe("not found", () => {
  test.each([
    "",
    "An ordinary sentence about nothing in particular.",
    "user@localhost",
    "@handle and @other.",
    "a@b.1",
    "4111111111111112",
    "0000000000000000",
    "12345678901234567890123",
    "DE89370400440532013001",
    "666-05-1120",
    "000-12-3456",
    "2024-01-02",
    "2024-01-02 03:04:05.123456+00",
    "256.1.1.1",
    "1.2.3",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "eyJub3QiOiJqc29u.eyJub3QiOiJqc29u.x",
    "AKIAIOSFODNN7EXAMPLEX",
    "order 1234567",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "$1,234,567.89",
  ])("%s", (text) => {
    expect(kindsOf(text)).toEqual([]);
  });
});

test("digits of a card are told by their checksum", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^4[0-9]{14}$/), (start) => {
      const valid = Array.from({ length: 10 }, (_, last) => `${start}${last}`).filter((n) =>
        kindsOf(n).includes("card"),
      );
      expect(valid.length).toBe(1);
    }),
    { numRuns: 100 },
  );
});

test("a long cell is looked at in its head and tail, in bounded time", () => {
  const far = "x ".repeat(10_000);
  expect(kindsOf(`jane@example.com ${far}`)).toEqual(["email"]);
  expect(kindsOf(`${far} jane@example.com`)).toEqual(["email"]);
  expect(kindsOf(`${far} jane@example.com ${far}`)).toEqual([]);
});

test("no bytes make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      detector.detect(Buffer.from(bytes), 0, bytes.length);
    }),
  );
  const parts = ["@", ".", "+", "(", "1", "23", " ", "-", "eyJ", "AKIA", "DE89", "a", "é"];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 60 }), (list) => {
      kindsOf(list.join(""));
    }),
  );
});

describe("patterns of users", () => {
  const matches = (pattern: string, text: string): boolean => {
    const b = Buffer.from(text);
    return compilePattern(pattern)(b, 0, b.length);
  };
  test.each([
    ["EMP-\\d{6}", "id EMP-004711.", true],
    ["EMP-\\d{6}", "EMP-04711", false],
    ["^[A-Z]{2}\\d+$", "AB12", true],
    ["^[A-Z]{2}\\d+$", "xAB12", false],
    ["(?:cat|dog)s?", "a dog", true],
    ["a{2,3}b", "aab", true],
    ["^a{2,3}b$", "aaaab", false],
    ["Müller", "Herr Müller", true],
    ["[^a-z]", "abc", false],
    ["\\.x\\$", "a.x$", true],
    ["(a|b)*c", "ababc", true],
    ["^$", "", true],
    ["[]a]x", "]x", true],
    ["[a\\-z]x", "-x", true],
    ["x\\s+y", "x \t y", true],
  ])("%s on %s", (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  test.each([
    "(?=a)b",
    "(?<!a)b",
    "(?<name>a)",
    "(?i)a",
    "(a)\\1",
    "a*?",
    "a++",
    "\\bword\\b",
    "\\p{L}",
    "a{3,2}",
    "a{1000}",
    "a**",
    "(a",
    "a)",
    "[a",
    "a\\",
    "*a",
    "a^b",
    "x$y",
    "[[:alpha:]]",
    "[é]",
    "a*",
    "((a{200}){200})",
    "a{,3}",
    "\\u0041",
  ])("refused: %s", (pattern) => {
    expect(() => compilePattern(pattern)).toThrow(PatternError);
  });

  test("agrees with JavaScript's own engine", () => {
    const atom = fc.constantFrom("a", "b", "[ab]", "[^a]", ".", "\\d", "(?:ab|c)", "(a|)b");
    const quantified = fc
      .tuple(atom, fc.constantFrom("", "", "?", "*", "+", "{2}", "{1,3}", "{2,}"))
      .map((p) => p.join(""));
    const pattern = fc
      .array(
        fc.array(quantified, { minLength: 1, maxLength: 4 }).map((p) => p.join("")),
        { minLength: 1, maxLength: 2 },
      )
      .map((p) => p.join("|"));
    fc.assert(
      fc.property(
        pattern,
        fc.boolean(),
        fc.string({ unit: fc.constantFrom("a", "b", "c", "1"), maxLength: 12 }),
        (body, whole, text) => {
          const source = whole ? `^(?:${body})$` : body;
          let matcher: ReturnType<typeof compilePattern>;
          try {
            matcher = compilePattern(source);
          } catch (error) {
            // The only reason here: it matches everything.
            expect(error).toBeInstanceOf(PatternError);
            expect(new RegExp(source).test("")).toBe(true);
            return;
          }
          expect(matcher(Buffer.from(text), 0, text.length)).toBe(new RegExp(source).test(text));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("takes linear work where backtracking does not end", () => {
    const b = Buffer.from(`${"a".repeat(200_000)}!`);
    expect(compilePattern("^(a+)+$")(b, 0, b.length)).toBe(false);
    expect(compilePattern("(a|a)*(a|a)*b")(b, 0, b.length)).toBe(false);
  });
});

describe("a guard of a result", () => {
  const rule = (kind: string, action: "mask" | "alert"): DetectionRule => ({ kind, pattern: null, action });
  const columns = [
    { name: "id", type: 23, typmod: -1, format: 0 as const, labelled: false },
    { name: "note", type: 25, typmod: -1, format: 0 as const, labelled: false },
    { name: "customer_email", type: 25, typmod: -1, format: 0 as const, labelled: false },
    { name: "known", type: 25, typmod: -1, format: 0 as const, labelled: true },
  ];
  function masked(rules: DetectionRule[], rows: (string | null)[][]) {
    const guard = createContentGuard({ rules, mask: { kind: "redact" }, sampleRows: 50 }, columns, keys());
    const masker = createRowMasker(planOf([null, null, null, null]), columns, keys(), guard);
    const shown = rows.map((row) => valuesOf(masker.mask(dataRow(row))).map((v) => v?.toString() ?? null));
    return { shown, guard, masker };
  }

  test("single cells are masked, a column of a kind is masked whole", () => {
    const rows = Array.from({ length: 100 }, (_, i) => [
      "4111111111111111",
      i === 3 ? "mail jane@example.com" : `note ${i}`,
      i === 80 ? "no address" : `u${i}@example.com`,
      "known@example.com",
    ]);
    const { shown, guard, masker } = masked([rule("email", "mask"), rule("card", "mask")], rows);
    expect(shown[3]?.[1]).toBe("[redacted]");
    expect(shown.filter((row, i) => row[1] !== rows[i]?.[1]).length).toBe(1);
    expect(shown.every((row) => row[2] === "[redacted]")).toBe(true);
    expect(shown.every((row, i) => row[0] === rows[i]?.[0] && row[3] === rows[i]?.[3])).toBe(true);
    expect(masker.counts).toEqual([0, 1, 100, 0]);
    expect(guard.findings()).toMatchObject([
      { column: 1, name: "note", kind: "email", action: "mask", hits: 1, decided: false },
      { column: 2, name: "customer_email", kind: "email", hits: 50, seen: 50, confidence: 1, decided: true },
    ]);
  });

  test("an alert changes nothing", () => {
    const rows = Array.from({ length: 60 }, () => ["1", "call +49 151 23456789", null, "x"]);
    const { shown, guard } = masked([rule("phone", "alert")], rows);
    expect(shown).toEqual(rows);
    expect(guard.findings()).toMatchObject([{ kind: "phone", action: "alert", column: 1 }]);
    expect(JSON.stringify(guard.findings())).not.toContain("23456789");
  });

  test("a column without hits is no longer looked at; a pattern of a user is", () => {
    const rows = Array.from({ length: 80 }, (_, i) => [
      "1",
      i === 70 ? "late@example.com" : "-",
      "EMP-123456",
      "x",
    ]);
    const rules: DetectionRule[] = [
      rule("email", "mask"),
      { kind: "employee", pattern: compilePattern("EMP-\\d{6}"), action: "mask" },
    ];
    const { shown } = masked(rules, rows);
    expect(shown[70]?.[1]).toBe("late@example.com");
    expect(shown.every((row) => row[2] === "[redacted]")).toBe(true);
  });
});
