import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadPolicy, PolicyError, policyFiles, policyTestFiles } from "../../src/policy/index.ts";
import { input, policy, problems } from "./support.ts";

/** A policy with marks ‸ where its problems are to be told, in the order of the file. */
function expectProblems(marked: string, whats: readonly string[]): void {
  const places: string[] = [];
  let text = "";
  for (const [i, piece] of marked.split("‸").entries()) {
    const lines = text.split("\n");
    if (i > 0) places.push(`${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`);
    text += piece;
  }
  const found = problems(text);
  expect(found.map((problem) => /^\d+:\d+/.exec(problem)?.[0])).toEqual(places);
  for (const [i, what] of whats.entries()) expect(found[i]).toContain(what);
  expect(found.length).toBe(whats.length);
}

test("YAML that breaks off is told once, where it breaks", () => {
  const text =
    "version: 1\nrules:\n  - name: a\n    when: true\n    then: allow\n - name: b\n   when: true\n   then: deny\n";
  expect(problems(text)).toEqual([
    expect.stringMatching(/^6:\d+: not valid YAML: .*; expected valid YAML 1\.2/),
  ]);
  expect(problems("version: 1\n  default: deny\nrules: []\n")).toHaveLength(1);
});

const rule = (keys: string) => `version: 1\nrules:\n  - { ${keys} }\n`;
const label = (keys: string) => `version: 1\nlabels:\n  - { ${keys} }\n`;

describe("every mistake has its place, its key, what it is and what is expected", () => {
  const cases: readonly [name: string, marked: string, whats: readonly string[]][] = [
    ["an unknown key", "version: 1\n‸ruels: []\n", ["ruels: unknown key; expected rules"]],
    ["no version", "‸default: deny\n", ["has no version; expected version: 1"]],
    ["another version", "version: ‸2\n", ["version: is 2; expected 1"]],
    ["a wrong default", "version: 1\ndefault: ‸ask\n", ['default: is "ask"; expected deny, allow']],
    ["a wrong mode", "version: 1\nmode: ‸off\nmasking: ‸1\n", ['mode: is "off"', "masking: is 1"]],
    ["rules that are no list", "version: 1\nrules: ‸{}\n", ["rules: is a mapping; expected a list of rules"]],
    ["rules without a value", "version: 1\n‸rules:\n", ["rules: has no value"]],
    ["a rule that is no mapping", "version: 1\nrules: [‸5]\n", ["rules[0]: is 5; expected a rule"]],
    [
      "an unknown built-in",
      "version: 1\nextends: ‸agent-save\n",
      ['extends: is "agent-save"; expected agent-safe'],
    ],
    [
      "an empty rule",
      "version: 1\nrules: [‸{}]\n",
      ["rules[0]: has no name", "has no then", "has no when"].slice(0, 1).concat(["then", "when"]),
    ],
    [
      "an unknown key of a rule",
      rule("name: a, when: true, then: allow, ‸limit: {}"),
      ["rules[0].limit: unknown key; expected limits"],
    ],
    ["a bad name", rule("name: ‸a b, when: true, then: allow"), ['rules[0].name: "a b" is not a name']],
    [
      "a wrong verb",
      rule("name: a, when: true, then: ‸permit"),
      ['rules[0].then: is "permit"; expected allow, deny, approve, limit, unmask'],
    ],
    ["a condition of another type", rule("name: a, when: ‸[1], then: allow"), ["rules[0].when: is a list"]],
    ["an empty condition", rule('name: a, when: ‸" ", then: allow'), ["rules[0].when: is empty"]],
    [
      "approve without people",
      "version: 1\nrules:\n  - ‸{ name: a, when: true, then: approve }\n",
      ["has no approvers"],
    ],
    [
      "unmask without labels",
      "version: 1\nrules:\n  - ‸{ name: a, when: true, then: unmask }\n",
      ["has no labels"],
    ],
    [
      "limit without limits",
      "version: 1\nrules:\n  - ‸{ name: a, when: true, then: limit }\n",
      ["has no limits"],
    ],
    [
      "keys that would be without effect",
      rule("name: a, when: true, then: deny, limits: ‸{ rows: 1 }, durability: ‸disk"),
      ["limits: has no meaning with then: deny", "durability: has no meaning"],
    ],
    [
      "a message nobody would see",
      rule("name: a, when: true, then: allow, message: ‸x, hint: ‸y"),
      ["message: has no meaning", "hint: has no meaning"],
    ],
    [
      "approvers nobody would ask",
      rule("name: a, when: true, then: allow, approvers: ‸{ groups: [a] }"),
      ["approvers: has no meaning"],
    ],
    [
      "bad approvers",
      rule(
        "name: a, when: true, then: approve, approvers: { groups: ‸[], count: ‸0, within: ‸5, ticket: ‸yes, ‸who: 1 }",
      ),
      [
        "groups: this list has 0 items",
        "count: is 0",
        "within: is 5",
        'ticket: is "yes"; expected true or false',
        "who: unknown key",
      ],
    ],
    [
      "bad break-glass",
      rule(
        "name: a, when: true, then: approve, approvers: { groups: [x], break_glass: ‸{ review: ‸[], ‸who: 1 } }",
      ),
      ["break_glass: has no groups", "review: this list has 0 items", "who: unknown key"],
    ],
    [
      "a group twice",
      rule("name: a, when: true, then: approve, approvers: { groups: [x, ‸x] }"),
      ['"x" is listed twice'],
    ],
    [
      "bad durations",
      rule("name: a, when: true, then: allow, limits: { timeout: ‸30 }"),
      ["limits.timeout: is 30; expected a time from 1ms to 1d"],
    ],
    [
      "too long a duration",
      rule("name: a, when: true, then: allow, limits: { timeout: ‸2d }"),
      ['limits.timeout: is "2d"'],
    ],
    [
      "bad sizes",
      rule(
        "name: a, when: true, then: allow, limits: { bytes: ‸10MB, rows: ‸-1, affected_rows: ‸1.5, per_minute: ‸0 }",
      ),
      ['bytes: is "10MB"; expected a size', "rows: is -1", "affected_rows: is 1.5", "per_minute: is 0"],
    ],
    [
      "an unknown label",
      "version: 1\nlabels: [{ label: pii, columns: [a.b.c.d] }]\nrules:\n  - { name: a, when: true, then: unmask, labels: [‸pi] }\n",
      ['labels[0]: unknown label "pi"; expected pii'],
    ],
    [
      "an unknown label relaxed",
      rule("name: a, when: true, then: allow, use: { pii: ‸equality }"),
      ['use.pii: unknown label "pii"'],
    ],
    [
      "a bad use",
      "version: 1\nlabels: [{ label: pii, columns: [a.b.c.d] }]\nrules:\n  - { name: a, when: true, then: allow, use: { pii: ‸all } }\n",
      ['use.pii: is "all"; expected output, equality, derived, any'],
    ],
    [
      "lifting what cannot be lifted",
      "version: 1\nlabels: [{ label: s, columns: [a.b.c.d], access: none }]\nrules:\n  - ‸{ name: a, when: true, then: unmask, labels: [s] }\n",
      ["s is of access: none"],
    ],
    ["a label without columns", "version: 1\nlabels: [‸{ label: a }]\n", ["labels[0]: has no columns"]],
    [
      "a label without a name",
      "version: 1\nlabels: [‸{ columns: [a.b.c.d] }]\n",
      ["labels[0]: has no label"],
    ],
    [
      "bad masks",
      label("label: a, columns: [a.b.c.d], mask: ‸hide"),
      ['mask: is "hide"; expected null, redact'],
    ],
    [
      "a mask of two kinds",
      label("label: a, columns: [a.b.c.d], mask: ‸{ keep: { first: 1 }, date: year }"),
      ["has both keep and date"],
    ],
    ["a mask of no kind", label("label: a, columns: [a.b.c.d], mask: ‸{}"), ["is empty"]],
    [
      "a bad keep",
      label("label: a, columns: [a.b.c.d], mask: { keep: { first: ‸-1, ‸middle: 2 } }"),
      ["keep.first: is -1", "keep.middle: unknown key"],
    ],
    ["an empty keep", label("label: a, columns: [a.b.c.d], mask: { keep: ‸{} }"), ["keeps nothing"]],
    ["a bad date", label("label: a, columns: [a.b.c.d], mask: { date: ‸week }"), ['date: is "week"']],
    [
      "bad access and use",
      label("label: a, columns: [a.b.c.d], access: ‸no, use: ‸some"),
      ['access: is "no"', 'use: is "some"'],
    ],
    [
      "what access: none makes void",
      label("label: a, columns: [a.b.c.d], access: none, mask: ‸hash, use: ‸any"),
      ["has no mask", "is never used"],
    ],
    [
      "a budget without its use",
      label("label: a, columns: [a.b.c.d], equality_per_minute: ‸5"),
      ["counts only under use: equality"],
    ],
    [
      "bad patterns",
      label("label: a, columns: [‸a.b.c, ‸a.b.c.d.e, a.‸B.c.d, 'a.b.‸.d', 'a.b.c d.e', 'a.b.c.‸']").replace(
        "c d.e",
        "c‸ d.e",
      ),
      [
        "has 3 parts",
        "has 5 parts",
        "B is not how PostgreSQL writes this name",
        "a part is not readable",
        "a dot or the end is missing",
        "a part is missing",
      ],
    ],
    [
      "two rules of one name",
      "version: 1\nrules:\n  - { name: a, when: true, then: allow }\n  - { name: ‸a, when: true, then: deny }\n",
      ["another rule has this name (p.yaml:3)"],
    ],
    [
      "two labels of one name",
      "version: 1\nlabels:\n  - { label: a, columns: [a.b.c.d] }\n  - { label: ‸a, columns: [a.b.c.e] }\n",
      ["another label has this name (p.yaml:3)"],
    ],
    ["a key twice", "version: 1\ndefault: deny\n‸default: allow\n", ["this key is given twice"]],
    ["a tag", "version: 1\ndefault: ‸!x deny\n", ["tags are not accepted"]],
    [
      "several at once",
      "version: ‸1.5\n‸lables: []\nrules:\n  - { name: a, when: ‸nope, then: ‸x }\n",
      ["version", "lables", "nope", "then"],
    ],
  ];
  test.each(cases)("%s", (_name, marked, whats) => {
    if (marked.includes("[‸{}]")) {
      // Three problems at one place.
      expect(problems(marked.replace("‸", ""))).toHaveLength(3);
      return;
    }
    expectProblems(marked, whats);
  });

  test("conditions in every style of YAML have exact places", () => {
    expectProblems("version: 1\nrules:\n  - name: a\n    then: allow\n    when: true && ‸nope\n", [
      'unknown fact "nope"',
    ]);
    expectProblems("version: 1\nrules:\n  - name: a\n    then: allow\n    when: '''x'' == ‸nope'\n", [
      'unknown fact "nope"',
    ]);
    expectProblems('version: 1\nrules:\n  - name: a\n    then: allow\n    when: "true && ‸nope"\n', [
      'unknown fact "nope"',
    ]);
    expectProblems(
      "version: 1\nrules:\n  - name: a\n    then: allow\n    when: |\n      true\n        && ‸nope\n",
      ['unknown fact "nope"'],
    );
    // Folded: only where it begins can be said.
    expectProblems(
      "version: 1\nrules:\n  - name: a\n    then: allow\n    when: ‸>-\n      true\n      && nope\n",
      ['unknown fact "nope"'],
    );
  });
});

describe("YAML itself", () => {
  test.each([
    ["", "the file is empty"],
    ["# only a comment\n", "the file is empty"],
    ["[1]\n", "is a list; expected a policy"],
    ["a: [\n", "not valid YAML"],
    ["version: 1\n---\nversion: 1\n", "more than one YAML document"],
    ["? [a]\n: b\n", "not a plain text"],
    [`${"[".repeat(20_000)}`, ""],
    ["version: 1\nrules: &r [*r, *r]\n", "rules[0]"],
    ["version: 1\nrules: *nowhere\n", ""],
  ])("%j", (text, what) => {
    const found = problems(text);
    expect(found.length).toBeGreaterThan(0);
    expect(found.join("\n")).toContain(what);
  });

  test("anchors may name what several rules share", () => {
    const p = policy(`version: 1
rules:
  - { name: a, when: true, then: approve, approvers: &people { groups: [stewards] } }
  - { name: b, when: true, then: approve, approvers: *people }
`);
    expect(p.decide(input()).approvers.map(({ groups }) => groups)).toEqual([["stewards"], ["stewards"]]);
  });

  test("a hostile key cannot forge a line of output", () => {
    expect(problems('version: 1\n"a\\nb\\e[2J": 1\n')).toHaveLength(1);
    expect(problems("version: 1\n__proto__: { rules: [] }\nconstructor: 1\n")).toHaveLength(2);
  });

  test("tens of thousands of keys, known and not, are read in linear time", () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1\n`).join("");
    expect(problems(`version: 1\n${keys}`)).toHaveLength(200);
    expect(problems(`version: 1\n${"default: deny\n".repeat(20_000)}`)).toHaveLength(200);
  });

  test("too much of anything", () => {
    expect(problems(`version: 1\n# ${"x".repeat(1024 * 1024)}`)).toEqual([
      "1:1: the file is too large; expected at most 524288 bytes",
    ]);
    const many = Array.from(
      { length: 1001 },
      (_, i) => `  - { name: r${i}, when: true, then: allow }\n`,
    ).join("");
    expect(problems(`version: 1\nrules:\n${many}`)).toEqual([
      expect.stringContaining("this list has 1001 items"),
    ]);
    const wrong = Array.from({ length: 900 }, () => "  - 1\n").join("");
    expect(problems(`version: 1\nrules:\n${wrong}`).length).toBe(200);
  });
});

describe("several files", () => {
  const file = (name: string, text: string) => ({ file: name, text });
  const load = (...files: { file: string; text: string }[]) => {
    try {
      return loadPolicy(files);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      return error.message.split("\n");
    }
  };

  test("names and labels are common to all", () => {
    const found = load(
      file("b.yaml", "version: 1\nrules: [{ name: a, when: true, then: unmask, labels: [l] }]\n"),
      file(
        "a.yaml",
        "version: 1\nlabels: [{ label: l, columns: [a.b.c.d] }]\nrules: [{ name: a, when: true, then: allow }]\n",
      ),
    );
    expect(found).toEqual([
      "a.yaml:3:17 rules[0].name: another rule has this name (b.yaml:2); expected a name of its own",
    ]);
  });
  test("one default", () => {
    const found = load(
      file("a.yaml", "version: 1\ndefault: deny\n"),
      file("b.yaml", "version: 1\ndefault: allow\n"),
    );
    expect(found).toEqual([
      "b.yaml:2:10 default: another file says default: deny (a.yaml); expected one default for all files",
    ]);
  });
  test("a file that observes beside one that does not", () => {
    const p = load(
      file("a.yaml", "version: 1\nrules: [{ name: a, when: true, then: allow }]\n"),
      file("b.yaml", "version: 1\nmode: observe\nrules: [{ name: b, when: true, then: deny }]\n"),
    );
    if (Array.isArray(p)) throw new Error(p.join());
    expect(p.decide(input())).toMatchObject({ verdict: "allow", would: { verdict: "deny", rule: "b" } });
    expect(p.observe).toBe("some");
  });
  test("none", () => {
    expect(load()).toEqual([":1:1: there is no policy file; expected 1 to 200"]);
  });
  test("the digest is of the texts, not of their names", () => {
    const [a, b] = ["version: 1\n", "version: 1\ndefault: deny\n"] as const;
    const digest = (...files: { file: string; text: string }[]) => loadPolicy(files).digest;
    expect(digest(file("x", a), file("y", b))).toBe(digest(file("q", b), file("r", a)));
    expect(digest(file("x", a))).not.toBe(digest(file("x", b)));
    expect(digest(file("x", a))).toMatch(/^sha256:[0-9a-f]{64}$/);
  });
});

describe("files on disk", () => {
  test("a folder, a file, what is not one, and tests beside it", () => {
    const folder = mkdtempSync(join(tmpdir(), "postern-policy-"));
    try {
      for (const name of ["b.yaml", "a.yml", "c.test.yaml", "notes.md", ".hidden.yaml"])
        writeFileSync(join(folder, name), "version: 1\n");
      mkdirSync(join(folder, "empty"));
      writeFileSync(join(folder, "latin"), Buffer.from([0xff, 0xfe]));
      expect(policyFiles(folder).map(({ file }) => file)).toEqual([
        join(folder, "a.yml"),
        join(folder, "b.yaml"),
      ]);
      expect(policyTestFiles(folder).map(({ file }) => file)).toEqual([join(folder, "c.test.yaml")]);
      expect(policyFiles(join(folder, "b.yaml"))).toHaveLength(1);
      expect(policyTestFiles(join(folder, "empty"))).toEqual([]);
      const refused = (path: string) => {
        try {
          policyFiles(path);
        } catch (error) {
          return error instanceof PolicyError ? error.message : error;
        }
        return null;
      };
      expect(refused(join(folder, "empty"))).toContain("holds no policy file");
      expect(refused(join(folder, "nowhere"))).toContain("cannot be read");
      expect(refused(join(folder, "latin"))).toContain("is not UTF-8");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("any text ends in a policy or in PolicyError, never anything else", () => {
  const outcome = (text: string): "loaded" | "refused" => {
    try {
      const loaded = loadPolicy([{ file: "p.yaml", text }]);
      loaded.decide(input());
      return "loaded";
    } catch (error) {
      if (error instanceof PolicyError && error.problems.length > 0) {
        for (const { line, column, what } of error.problems)
          expect(line >= 1 && column >= 1 && what !== "").toBe(true);
        return "refused";
      }
      throw error;
    }
  };
  const words = [
    "version",
    "rules",
    "labels",
    "name",
    "when",
    "then",
    "columns",
    "mask",
    "keep",
    "limits",
    "approvers",
    "use",
    "mode",
    "__proto__",
    "label",
  ];
  const values = [
    "1",
    "allow",
    "deny",
    "unmask",
    "true",
    "null",
    "''",
    "a.b.c.d",
    "statement.effects == ['read']",
    "*x",
    "&x y",
    "'1 +'",
    "30s",
    "-5",
    ".inf",
  ];
  const yaml = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom(...values),
      fc.array(tie("node"), { maxLength: 3 }).map((items) => `[${items.join(", ")}]`),
      fc
        .array(fc.tuple(fc.constantFrom(...words), tie("node")), { maxLength: 5 })
        .map((pairs) => `{${pairs.map(([key, value]) => `${key}: ${value}`).join(", ")}}`),
    ),
  }));

  test("arbitrary text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => void outcome(text)),
      { numRuns: 200 },
    );
  });
  test("YAML of the language's own words", () => {
    const file = fc.array(fc.tuple(fc.constantFrom(...words), yaml.node), { maxLength: 5 });
    fc.assert(
      fc.property(file, (pairs) => void outcome(pairs.map(([key, value]) => `${key}: ${value}\n`).join(""))),
      { numRuns: 250 },
    );
  });
  test("arbitrary conditions", () => {
    const token = fc.constantFrom(
      "principal",
      ".",
      "groups",
      "statement",
      "effects",
      "==",
      "&&",
      "||",
      "!",
      "(",
      ")",
      "[",
      "]",
      "'read'",
      "1",
      "in",
      "all",
      "e",
      ",",
      "has",
      "?",
      ":",
      "claims",
      "size",
      "now",
      "-",
      "{",
      "}",
      "map",
      "estimate.rows",
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
        const when = JSON.stringify(tokens.join(" "));
        outcome(`version: 1\nrules:\n  - { name: a, then: allow, when: ${when} }\n`);
      }),
      { numRuns: 700 },
    );
  });
  test("one character of the built-in policy changed", () => {
    const [builtin] = policyFiles("agent-safe");
    const { text } = builtin ?? { text: "" };
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ unit: "binary", maxLength: 1 }), (at, other) => {
        outcome(text.slice(0, at) + other + text.slice(at + 1));
      }),
      { numRuns: 120 },
    );
  });
});
