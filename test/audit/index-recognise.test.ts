/** Records recognised by their bytes say what they say when they are parsed. */
import { createHmac, createSecretKey, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ownTerms, rowFacts, sessionTerms, statementTerms } from "../../src/audit/index/document.ts";
import { idKey, idTail, readId, TimeReader } from "../../src/audit/index/ids.ts";
import { literalsOf } from "../../src/audit/index/literals.ts";
import { Recogniser } from "../../src/audit/index/recognise.ts";
import { statusCode } from "../../src/audit/index/status.ts";
import { formsOf, ValueKey, valuesOf } from "../../src/audit/index/values.ts";
import { uuidv7 } from "../../src/audit/index.ts";
import type { Json } from "../../src/audit/read/leaves.ts";
import { type Place, place, segments } from "./helpers.ts";
import { writeVaried } from "./index-helpers.ts";

let at: Place;
let lines: string[];
beforeAll(async () => {
  at = place();
  await writeVaried(at);
  lines = segments(at)
    .flatMap((name) => readFileSync(join(at.dir, "segments", name), "utf8").split("\n"))
    .filter((line) => line.startsWith("L "))
    .map((line) => line.slice(2));
});
afterAll(() => at.remove());

interface Terms {
  readonly session: string;
}
interface Body {
  readonly statement: string;
  readonly own: string;
}

function recogniser(): Recogniser<Terms, Body> {
  return new Recogniser({
    session: (members) => ({ session: sessionTerms(members) }),
    statement: (members) => ({ statement: statementTerms(members), own: ownTerms(members) }),
  });
}

/** What a recogniser finds of a leaf's bytes; they stand within others, as in a segment. */
function found(by: Recogniser<Terms, Body>, leaf: string) {
  const bytes = Buffer.from(`L ${leaf}\nL {"v":1,"id":"`, "utf8");
  const kind = by.read(bytes, 2, bytes.length - 18 + 2);
  if (kind === null) return null;
  const shared = { kind, time: by.time, id: { ...by.id }, request: { ...by.request } };
  if (kind === "outcome") return { ...shared, intent: by.intent, status: by.status };
  const { day, frame, line, digestAt } = by;
  const digest = bytes.toString("latin1", digestAt, digestAt + 44);
  return { ...shared, ...by.session, ...by.statement, sealed: { key: day, frame, at: line, digest } };
}

/** The same of the leaf when it is parsed. */
function parsed(leaf: string) {
  const json = JSON.parse(leaf) as Json;
  const { time, id, request, intent } = rowFacts(json);
  const shared = { time, id: idKey(id ?? ""), request: idKey(request ?? "") };
  if (json.type === "statement.outcome")
    return { kind: "outcome", ...shared, intent, status: statusCode(json.status) };
  const { sealed } = json.statement as { sealed: unknown };
  return {
    kind: "intent",
    ...shared,
    session: sessionTerms(json),
    statement: statementTerms(json),
    own: ownTerms(json),
    sealed,
  };
}

const isStatement = (leaf: string) => /"type":"statement\.(intent|outcome)"/.test(leaf);

describe("records that the gateway wrote", () => {
  test("all statements and outcomes of one are recognised, and nothing else is", () => {
    const by = recogniser();
    let count = 0;
    // Twice: what was learnt the first time is believed the second.
    for (const leaf of [...lines, ...lines]) {
      const is = found(by, leaf);
      // An outcome that a crash left open is written in another form, and parsed.
      if (is === null) expect(!isStatement(leaf) || leaf.includes('"status":"unknown"')).toBe(true);
      else {
        expect(is).toEqual(parsed(leaf));
        count++;
      }
    }
    expect(count).toBeGreaterThan(200);
  });

  test("bytes changed, cut, doubled or moved: it is read as JSON reads it, or not at all", () => {
    const statements = lines.filter((leaf) => isStatement(leaf) && leaf.length < 4000);
    const by = recogniser();
    for (const leaf of statements) found(by, leaf);
    const any = fc.constantFrom(...statements);
    const piece = fc.oneof(
      fc.constantFrom(
        '"',
        "\\",
        "{",
        "}",
        ",",
        '","',
        "0",
        "é",
        "\u0001",
        '"sealed":null',
        '"statement":{}',
        '"node":"x",',
      ),
      fc.constantFrom(
        '"type":"x",',
        ',"status":"error"',
        ',"request":"',
        ',"principal":{"subject":"eve"}',
        '"time":"",',
      ),
      fc.string({ maxLength: 4 }),
    );
    const changed = fc.tuple(any, fc.nat(4000), fc.nat(60), piece).map(([leaf, from, drop, put]) => {
      const start = from % leaf.length;
      return leaf.slice(0, start) + put + leaf.slice(start + (drop % 7 === 0 ? drop : drop % 3));
    });
    const crossed = fc
      .tuple(any, any, fc.nat(4000))
      .map(([one, other, cut]) => one.slice(0, cut) + other.slice(cut));
    let read = 0;
    fc.assert(
      fc.property(fc.oneof(changed, crossed), (leaf) => {
        const is = found(by, leaf);
        if (is === null) return;
        read++;
        // Of an outcome only the beginning is read: the rest may be anything.
        if (is.kind === "outcome" && !usual(leaf)) return;
        expect(is).toEqual(parsed(leaf));
      }),
      { numRuns: 4000 },
    );
    expect(read).toBeGreaterThan(100);
  });

  test("a member that takes another's place is not overlooked", () => {
    const by = recogniser();
    const intent = lines.find((leaf) => leaf.includes('"type":"statement.intent"')) ?? "";
    expect(found(by, intent)).not.toBeNull();
    for (const [from, to] of [
      [',"approval":null}', ',"approval":null,"node":"other"}'],
      [',"approval":null}', ',"approval":null,"principal":{"subject":"eve"}}'],
      [',"approval":null}', ',"approval":null,"session":"other"}'],
      [',"approval":null}', ',"approval":null,"sealed":{"key":"2026-01-01","frame":0,"at":0,"digest":""}}'],
      [',"approval":null}', ',"approval":null,"statement":{"sql":"x"}}'],
      [',"approval":null}', ',"approval":null,"type":"x"}'],
      ['"client":{', '"decision":{},"client":{'],
      ['"client":{', '"request":"other","client":{'],
      ['"client":{', '"client":{"x":1},"client":{'],
      [',"session":"', ',"node":"y","session":"'],
    ] as const) {
      const leaf = intent.replace(from, to);
      expect(leaf).not.toBe(intent);
      const is = found(by, leaf);
      if (is !== null) expect(is).toEqual(parsed(leaf));
    }
  });
});

/** Whether it is JSON as the gateway writes it: no name stands twice in an object. */
function usual(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

describe("ids and times from bytes", () => {
  test("are those of the text", () => {
    const key = { at: 0, tail: 0 };
    for (let n = 0; n < 100; n++) {
      const id = uuidv7();
      expect(readId(Buffer.from(`"${id}"`), 1, key)).toBe(true);
      expect(key).toEqual(idKey(id));
      expect(Math.abs(key.at - Date.now())).toBeLessThan(60_000);
    }
    expect(idKey("018f0000-0000-7000-8000-000000000000").tail).toBe(1);
    for (const other of [
      "",
      "x",
      uuidv7().toUpperCase().replace(/^./, "A"),
      "0198a000-0000-4000-8000-00000000000b",
    ]) {
      expect(readId(Buffer.from(other.padEnd(40)), 0, key)).toBe(false);
      expect(idKey(other).at).toBe(0);
    }
    expect(idTail(null)).toBe(0);
    fc.assert(fc.property(fc.string(), (id) => idTail(id) > 0));
  });

  test("times are what Date.parse() makes of them", () => {
    const times = new TimeReader();
    const stamp = fc.tuple(
      fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true }),
      fc.nat(999),
    );
    fc.assert(
      fc.property(stamp, ([date, micros]) => {
        const text = `${date.toISOString().slice(0, 23)}${String(micros).padStart(3, "0")}Z`;
        expect(times.read(Buffer.from(`"${text}"`), 1)).toBe(Date.parse(text));
      }),
    );
    for (const text of [
      "2026-13-01T00:00:00.000000Z",
      "2026-11-22T10:00:60.000000Z",
      "2026-11-22T10:00:00.00000xZ",
      "2026-11-22T10:00:00.000000+",
      "2026-11-22 10:00:00.000000Z",
    ])
      expect(times.read(Buffer.from(text), 0)).toBe(-1);
  });
});

describe("known values", () => {
  test("their digests are HMAC-SHA-256 under the day's derived key", () => {
    const day = createSecretKey(Buffer.alloc(32, 9));
    const derived = Buffer.from(hkdfSync("sha256", day.export(), "", "postern-search-v1", 32));
    const key = new ValueKey(day);
    const value = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom("x".repeat(5461), "é".repeat(9000), "y".repeat(100_000)),
    );
    fc.assert(
      fc.property(value, (v) => {
        key.digest(v);
        const mac = createHmac("sha256", derived).update(v).digest();
        expect([key.high, key.low]).toEqual([mac.readUInt32BE(0), mac.readUInt32BE(4)]);
      }),
    );
  });

  test("each once, of a statement the first 2,000", () => {
    const parameters = Array.from({ length: 5000 }, (_, n) => String(n % 2500));
    expect(valuesOf({ sql: "select 'a', 7, 7", parameters }).length).toBe(2000);
    expect(valuesOf({ sql: "select 'a', 7, '7', 'a'", parameters: ["7", "", null, "b"] })).toEqual([
      "7",
      "b",
      "a",
    ]);
    expect(valuesOf({ parameters: [{ base64: "AAAAKg==" }, { sha256: "ab" }] })).toEqual([
      Buffer.from([0, 0, 0, 42]),
      "sha256:ab",
    ]);
    expect(formsOf("42")).toContainEqual(Buffer.from([0, 0, 0, 42]));
  });

  test("literals are those that the pattern alone finds", () => {
    const word = fc.constantFrom(
      "select",
      "a",
      "e",
      "E",
      "u&",
      "b",
      "N",
      "from",
      "café",
      "x1",
      "_y",
      "$1",
      "$",
      "$$",
      "$t$",
    );
    const sign = fc.constantFrom(
      "'",
      "''",
      '"',
      " ",
      "-",
      "--",
      "\n",
      "/*",
      "*/",
      ".",
      "1",
      "42",
      "1e3",
      "1_0",
      "&",
      "\\",
      "(",
      "😀",
      "९",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, sign), { maxLength: 24 }), (pieces) => {
        const sql = pieces.join("");
        expect(literalsOf(sql, 1000)).toEqual(byPattern(sql));
      }),
      { numRuns: 5000 },
    );
  });
});

/** Manual, section 4.1.2.2. */
const meanings: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Literals by PostgreSQL's rules (manual, section 4.1.2) in one pattern, for comparison. */
function byPattern(sql: string): string[] {
  const token =
    /--[^\n]*|\/\*|"(?:[^"]|"")*"?|[eE]'(?:[^'\\]|''|\\[\s\S])*'?|(?:[uU]&|[bBxXnN])?'(?:[^']|'')*'?|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|\$\d+|[\p{L}_][\p{L}\p{N}_$]*|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/gu;
  const out: string[] = [];
  for (let m = token.exec(sql); m !== null; m = token.exec(sql)) {
    const [raw] = m;
    if (raw === "/*") {
      let depth = 1;
      const mark = /\/\*|\*\//g;
      mark.lastIndex = token.lastIndex;
      while (depth > 0) {
        const next = mark.exec(sql);
        if (next === null) return out;
        depth += next[0] === "/*" ? 1 : -1;
      }
      token.lastIndex = mark.lastIndex;
    } else if (raw.startsWith("$")) {
      if (!raw.endsWith("$")) continue;
      const end = sql.indexOf(raw, token.lastIndex);
      out.push(sql.slice(token.lastIndex, end < 0 ? undefined : end));
      if (end < 0) return out;
      token.lastIndex = end + raw.length;
    } else if (/^(?:[uU]&|[bBxXnNeE])?'/.test(raw)) {
      const from = raw.indexOf("'") + 1;
      const whole = raw
        .slice(from, raw.length > from && raw.endsWith("'") ? -1 : undefined)
        .replaceAll("''", "'");
      out.push(
        /^[eE]/.test(raw)
          ? whole.replace(/\\([0-7]{1,3}|[\s\S])/g, (_, c: string) =>
              /[0-7]/.test(c) ? String.fromCharCode(Number.parseInt(c, 8)) : (meanings[c] ?? c),
            )
          : whole,
      );
    } else if (/^[\d.]/.test(raw)) out.push(raw);
  }
  return out;
}
