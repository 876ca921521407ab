import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  boolOf,
  intOf,
  itemsOf,
  nodeOf,
  nodesOf,
  numbersOf,
  readServerTree,
  textOf,
} from "../../src/sql/servertree/index.ts";
import { defaultLimits, readServerTree as readWithin } from "../../src/sql/servertree/read.ts";
import type { ServerNode } from "../../src/sql/servertree/types.ts";

function query(fields: string): ServerNode {
  const tree = readServerTree(`({QUERY ${fields}})`);
  if (!tree.ok) throw new Error(tree.reason);
  const [first] = tree.queries;
  if (first === undefined) throw new Error("no query");
  return first;
}

/** outToken() of src/backend/nodes/outfuncs.c. */
function outToken(text: string): string {
  if (text === "") return '""';
  const start = /^[<"0-9]|^[+-][0-9.]/.test(text) ? "\\" : "";
  return start + text.replace(/[ \n\t(){}\\]/g, (c) => `\\${c}`);
}

/** format_node_dump() of src/backend/nodes/print.c: lines of at most 78 bytes. */
function wrap(dump: string): string {
  const bytes = Buffer.from(dump);
  const lines: Buffer[] = [];
  for (let i = 0; ; i++) {
    const end = i + 78;
    if (end >= bytes.length) {
      lines.push(bytes.subarray(i));
      break;
    }
    if (bytes[end] === 0x20) {
      lines.push(bytes.subarray(i, end));
      i = end;
      continue;
    }
    let k = 77;
    while (k > 0 && bytes[i + k] !== 0x20) k--;
    if (k > 0) {
      lines.push(bytes.subarray(i, i + k));
      i += k;
    } else {
      lines.push(bytes.subarray(i, end));
      i = end - 1;
    }
  }
  return lines.map((line) => line.toString()).join("\n");
}

describe("values", () => {
  test("scalars, NULL, the empty string", () => {
    const node = query(':a 12 :b -1 :c true :d <> :e "" :f r :g abc\\ def :h \\<> :i \\"x');
    expect(intOf(node, "a")).toBe(12);
    expect(intOf(node, "b")).toBe(-1);
    expect(boolOf(node, "c")).toBe(true);
    expect(node.fields.get("d")).toBeNull();
    expect(node.fields.get("e")).toBe("");
    expect(textOf(node, "g")).toBe("abc def");
    expect(node.fields.get("h")).toBe("<>");
    expect(node.fields.get("i")).toBe('"x');
    expect(intOf(node, "f", 7)).toBe(7);
    expect(intOf(node, "missing", 8)).toBe(8);
  });

  test("nodes and lists inside each other", () => {
    const node = query(':a {X :b ({Y :c 1} {Y :c 2} <> ("s" "t\\ u" "") ())}');
    const x = nodeOf(node, "a");
    expect(x?.tag).toBe("X");
    if (x === null) return;
    expect(nodesOf(x, "b").map((y) => intOf(y, "c"))).toEqual([1, 2]);
    expect(itemsOf(x, "b")[2]).toBeNull();
    // A blank inside quotation marks ends the word: the server escapes those that belong to a string.
    expect(readServerTree('({QUERY :a ("t u")})').ok).toBe(false);
  });

  test("lists of numbers and sets", () => {
    const node = query(":a (i 1 -2) :b (o 4294967295) :c (b 8 9) :d (b) :e (x 3)");
    expect(numbersOf(node, "a")).toEqual([1, -2]);
    expect(numbersOf(node, "b")).toEqual([4294967295]);
    expect(numbersOf(node, "c")).toEqual([8, 9]);
    expect(numbersOf(node, "d")).toEqual([]);
    expect(numbersOf(node, "e")).toEqual([3]);
    expect(readServerTree("({QUERY :a (i 1 x)})").ok).toBe(false);
    expect(readServerTree("({QUERY :a (b 1 {X})})").ok).toBe(false);
  });

  test("values in memory format", () => {
    const node = query(":a 4 [ 1 0 0 0 0 0 0 0 ] :b 5 [ 20 0 0 0 -97 ] :c 4");
    expect(node.fields.get("a")).toMatchObject({ kind: "datum", length: 4, text: " 1 0 0 0 0 0 0 0 " });
    expect(node.fields.get("b")).toMatchObject({ kind: "datum", length: 5 });
    expect(intOf(node, "c")).toBe(4);
    expect(readServerTree("({QUERY :a 4 [ 1 } ]})").ok).toBe(false);
    expect(readServerTree("({QUERY :a 4 [ 1 0").ok).toBe(false);
  });

  test("a statement that runs nothing, and a single query", () => {
    expect(readServerTree("<>")).toEqual({ ok: true, queries: [] });
    expect(readServerTree("{QUERY :a 1}")).toMatchObject({ ok: true, queries: [{ tag: "QUERY" }] });
    expect(readServerTree("({QUERY :a 1} {QUERY :a 2})")).toMatchObject({ ok: true, queries: [{}, {}] });
  });
});

describe("names that look like something else", () => {
  const hostile = [
    ":relid",
    ":relid 1",
    "} :x {",
    "a b",
    "(",
    ")",
    '"',
    '""',
    "<>",
    "\\",
    "a\\",
    "12",
    "-1",
    "+.5",
    "é ü",
    "名前 (x)",
    "😀 \\ {",
    "a\nb",
    "a\tb",
    "[",
    "4 [ 1 ]",
    "b",
    "x",
    "",
    "true",
  ];
  test.each(hostile)("%j", (name) => {
    const dump = `({QUERY :name ${outToken(name)} :list ("${name === "" ? "" : outToken(name)}" "z") :end 1})`;
    for (const text of [dump, wrap(dump)]) {
      const tree = readServerTree(text);
      expect(tree.ok).toBe(true);
      const [node] = tree.ok ? tree.queries : [];
      if (node === undefined) throw new Error("no query");
      expect(textOf(node, "name")).toBe(name);
      expect(itemsOf(node, "list")).toEqual([name, "z"]);
      expect(intOf(node, "end")).toBe(1);
    }
  });

  test("any name comes back wherever the server cuts its lines, or the tree is refused", () => {
    const character = fc.constantFrom(...('abcdefgh01 (){}\\"<>:\n\té名😀'.match(/./gsu) ?? []));
    const name = fc
      .array(character, { maxLength: 63 })
      .map((list) => list.join(""))
      .filter((text) => Buffer.byteLength(text) <= 63);
    let refused = 0;
    let read = 0;
    fc.assert(
      fc.property(name, name, fc.nat(90), (one, other, shift) => {
        const before = "x".repeat(shift % 40);
        const text = wrap(
          `({QUERY :${before}a ${outToken(one)} :b ("${other === "" ? "" : outToken(other)}" "y") :c 7})`,
        );
        const tree = readServerTree(text);
        if (!tree.ok) {
          refused++;
          // Only what has no blank in 78 bytes can be torn.
          expect(
            text.split("\n").some((line) => Buffer.byteLength(line) >= 78 && !line.slice(1).includes(" ")),
          ).toBe(true);
          return;
        }
        read++;
        const [node] = tree.queries;
        if (node === undefined) throw new Error("no query");
        // A line feed of the name's own may be read as a blank where another one follows closely.
        const blank = (value: unknown): unknown => String(value).replaceAll("\n", " ");
        expect(blank(textOf(node, `${before}a`))).toBe(blank(one));
        expect(itemsOf(node, "b").map(blank)).toEqual([blank(other), "y"]);
        expect(intOf(node, "c")).toBe(7);
      }),
      { numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(refused * 5);
  });

  test("a name that was cut in two is refused", () => {
    const name = "(".repeat(60);
    expect(readServerTree(wrap(`({QUERY :a ${outToken(name)} :b 1})`))).toMatchObject({ ok: false });
  });
});

describe("anything else is refused, never thrown", () => {
  test.each([
    "",
    "(",
    ")",
    "{",
    "}",
    "{}",
    "{QUERY",
    "{QUERY :a}",
    "{QUERY a 1}",
    "{QUERY :a 1 :a 2}",
    "{QUERY :a 1 2}",
    "{QUERY : 1}",
    "({QUERY :a 1)}",
    "({QUERY :a 1}) x",
    "({QUERY :a 1}",
    "(QUERY)",
    "({SELECT :a 1})",
    "x",
    '("QUERY")',
    "(i 1)",
    "\\",
    "({QUERY :a \\",
    '({QUERY :a (")})',
  ])("%j", (text) => {
    expect(readServerTree(text).ok).toBe(false);
  });

  test("arbitrary texts", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        expect(typeof readServerTree(text).ok).toBe("boolean");
      }),
      { numRuns: 1000 },
    );
  });

  test("mutated trees", () => {
    const tree = '({QUERY :a 1 :b ({X :c "" :d (i 1 2) :e 4 [ 1 0 0 ]} ("a" "b\\ c")) :f <> :g (b 1)})';
    const piece = fc.constantFrom(
      "{",
      "}",
      "(",
      ")",
      ":",
      "\\",
      "<>",
      '"',
      "[",
      "]",
      " ",
      "\n",
      "i",
      "9",
      "\0",
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(tree.length), fc.nat(6), piece), { maxLength: 6 }), (edits) => {
        let text = tree;
        for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut);
        expect(typeof readServerTree(text).ok).toBe("boolean");
      }),
      { numRuns: 3000 },
    );
  });

  test("limits on depth, parts and length", () => {
    const deep = `${"(".repeat(50_000)}${")".repeat(50_000)}`;
    expect(readServerTree(deep)).toEqual({ ok: false, reason: "the tree is too deep" });
    expect(readServerTree("(".repeat(5_000_000)).ok).toBe(false);
    const wide = `({QUERY :a (${"1 ".repeat(1000)})})`;
    expect(readWithin(wide, { ...defaultLimits, values: 500 })).toMatchObject({ ok: false });
    expect(readWithin(wide, { ...defaultLimits, length: 100 })).toMatchObject({ ok: false });
    expect(readWithin(wide).ok).toBe(true);
  });

  test("reasons hold nothing of the text", () => {
    for (const text of ["({QUERY :secret 1 2})", "({QUERY :a (i secret)})", "({QUERY :a 4 [ secret ]})"]) {
      const tree = readServerTree(text);
      expect(tree.ok).toBe(false);
      expect(tree.ok ? "" : tree.reason).not.toContain("secret");
    }
  });
});
