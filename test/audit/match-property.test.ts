/** Copies of results, honest and changed: a changed one is never a match, an honest one never a mismatch. */
import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeRow, type Row } from "../../src/audit/capture/read.ts";
import type { CopyFormat, CopyStyle } from "../../src/audit/match/files.ts";
import { binaryOf } from "../../src/audit/match/kinds.ts";
import { type DeliveredResult, matchCopy } from "../../src/audit/match/match.ts";

type Value = string | null;
type Values = readonly (readonly Value[])[];

interface Made {
  readonly types: readonly string[];
  readonly rows: Values;
  readonly formats: readonly number[];
  readonly captured: boolean;
}

const names = (types: readonly string[]) => types.map((_, i) => (i === 2 ? "a" : `c ${i}`));

function resultOf({ types, rows, formats, captured }: Made): DeliveredResult {
  const binary = (c: number) => (formats.length === 1 ? formats[0] : formats[c]) === 1;
  const sent: Row[] = rows.map((row) =>
    row.map((value, c) => {
      if (value === null) return null;
      const text = Buffer.from(value);
      return binary(c) ? (binaryOf(types[c] ?? "", text) ?? Buffer.alloc(0)) : text;
    }),
  );
  const messages = Buffer.concat(sent.map(encodeRow));
  const salt = randomBytes(18);
  const own = names(types);
  return {
    copy: false,
    columns: types.map((type, i) => ({ name: own[i] ?? "", type })),
    formats,
    rows: rows.length,
    bytes: messages.length,
    complete: true,
    suspended: false,
    digest: createHash("sha256").update(messages).update(salt).digest("base64"),
    salt,
    captured: captured ? messages : null,
    mayBeBinary: true,
  };
}

const hostile = fc
  .oneof(
    fc.string({ maxLength: 6 }),
    fc.string({ unit: "grapheme", maxLength: 4 }),
    fc.constantFrom(
      "",
      "NULL",
      '"',
      ",",
      "\n",
      "a\nb",
      "a,b",
      "|",
      "\r",
      "\r\n",
      "x\r",
      "(1 row)",
      "null",
      "true",
    ),
    fc.constantFrom("1", "[1]", '{"a":1}', "c 0", "t", "\\N", "\u00ff", "\ufeffx", "\ufffd", "2024-01-01"),
  )
  .filter((text) => !text.includes("\0") && text.isWellFormed());
const values: Readonly<Record<string, fc.Arbitrary<string>>> = {
  text: hostile,
  varchar: hostile,
  int4: fc.oneof(fc.integer(), fc.constantFrom(825373492, 0x74747474)).map(String),
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  bool: fc.constantFrom("t", "f"),
  uuid: fc.uuid(),
  bytea: fc.uint8Array({ maxLength: 4 }).map((b) => `\\x${Buffer.from(b).toString("hex")}`),
};
const made: fc.Arbitrary<Made> = fc
  .array(fc.constantFrom(...Object.keys(values)), { minLength: 1, maxLength: 4 })
  .chain((types) =>
    fc.record({
      types: fc.constant(types),
      rows: fc.array(fc.tuple(...types.map((t) => fc.option(values[t] ?? hostile, { freq: 6 }))), {
        maxLength: 5,
      }),
      formats: fc.oneof(
        fc.constant([]),
        fc.constant([1]),
        fc.tuple(...types.map(() => fc.constantFrom(0, 1))),
      ),
      captured: fc.boolean(),
    }),
  );

interface Style extends CopyStyle {
  readonly header: boolean;
}
const styles: fc.Arbitrary<Style> = fc.record({
  header: fc.boolean(),
  null: fc.constantFrom("", "", "NULL", "∅"),
  separator: fc.constantFrom(null, null, ";", "\t"),
});

/** What psql --csv prints. */
function csv({ types, rows }: Made, style: Style): string {
  const comma = style.separator ?? ",";
  const cell = (v: Value) => {
    const text = v ?? style.null;
    return text.includes(comma) || /["\n\r]/.test(text) || text === "\\."
      ? `"${text.replaceAll('"', '""')}"`
      : text;
  };
  return [...(style.header ? [names(types)] : []), ...rows]
    .map((row) => `${row.map(cell).join(comma)}\n`)
    .join("");
}

/** What psql -A prints. */
function unaligned({ types, rows }: Made, style: Style): string {
  const lines = rows.map((row) => row.map((v) => v ?? style.null).join(style.separator ?? "|"));
  const foot = rows.length === 1 ? "(1 row)" : `(${rows.length} rows)`;
  const all = style.header ? [names(types).join(style.separator ?? "|"), ...lines, foot] : lines;
  return all.map((line) => `${line}\n`).join("");
}

/** What a program that reads the values writes: numbers as numbers. */
function json({ types, rows }: Made, form: "objects" | "arrays" | "list"): string {
  const value = (v: Value, c: number) => {
    if (v === null) return "null";
    if (types[c] === "int4" || types[c] === "int8") return v;
    return types[c] === "bool" ? String(v === "t") : JSON.stringify(v);
  };
  const own = names(types);
  const lines = rows.map((row) =>
    form === "arrays"
      ? `[${row.map(value).join(", ")}]`
      : `{${row.map((v, c) => `${JSON.stringify(own[c])}:${value(v, c)}`).join(",")}}`,
  );
  return form === "list" ? `[${lines.join(",\n")}]` : lines.map((line) => `${line}\n`).join("");
}

interface Form {
  readonly name: string;
  readonly format: CopyFormat;
  readonly print: (made: Made, style: Style) => string;
}
const forms: readonly Form[] = [
  { name: "csv", format: "csv", print: csv },
  { name: "unaligned", format: "unaligned", print: unaligned },
  { name: "objects", format: "jsonl", print: (m) => json(m, "objects") },
  { name: "arrays", format: "jsonl", print: (m) => json(m, "arrays") },
  { name: "list", format: "jsonl", print: (m) => json(m, "list") },
];

/** Another value of one cell, another order, rows more or less, a column more or less. */
const changes: fc.Arbitrary<(made: Made) => Made> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(), fc.option(hostile)).map(([r, c, v]) => (m: Made) => ({
    ...m,
    rows: m.rows.map((row, i) =>
      i === r % m.rows.length
        ? row.map((old, j) => (j === c % row.length ? otherOf(m.types[j], old, v) : old))
        : row,
    ),
  })),
  fc.nat().map((r) => (m: Made) => ({ ...m, rows: m.rows.filter((_, i) => i !== r % m.rows.length) })),
  fc.nat().map((r) => (m: Made) => ({
    ...m,
    rows: m.rows.flatMap((row, i) => (i === r % m.rows.length ? [row, row] : [row])),
  })),
  fc.constant((m: Made) => ({ ...m, rows: m.rows.toReversed() })),
  fc.constant((m: Made) => ({ ...m, rows: m.rows.map((row) => row.toReversed()) })),
);

/** A value that the type's writer could print. */
function otherOf(type: string | undefined, old: Value, text: Value): Value {
  if (text === null || type === "text" || type === "varchar") return text;
  if (old === null) return fc.sample(values[type ?? ""] ?? hostile, 1)[0] ?? null;
  if (type === "bool") return old === "t" ? "f" : "t";
  return type === "uuid"
    ? old.replace(/./, old[0] === "0" ? "1" : "0")
    : type === "bytea"
      ? `${old}00`
      : `${old.startsWith("1") ? "2" : "1"}${old.slice(1)}`;
}

const same = (a: Made, b: Made) => JSON.stringify(a.rows) === JSON.stringify(b.rows);
const runs = { numRuns: 500 };

describe.each(forms)("$name", ({ format, print }) => {
  test("an honest copy is never a mismatch, and a match where the form can tell", () => {
    fc.assert(
      fc.property(made, styles, fc.boolean(), (m, style, guess) => {
        const file = Buffer.from(print(m, style));
        const said = matchCopy(file, guess && style.separator === null ? null : format, resultOf(m), style);
        expect(said.verdict, `${said.why}\n${file}`).not.toBe("mismatch");
        const blind = format === "jsonl" ? [] : [null, style.null];
        const cells = m.rows.flat();
        const unclear = new Set(m.types).size < m.types.length && names(m.types).length > 2;
        if (format === "unaligned" && cells.some((v) => v !== null && /[\n|;\t]/.test(v))) return;
        // A header or a count may be a row as well, and a bare list is a row of its own.
        if (unclear || m.rows.length === 0 || cells.some((v) => blind.includes(v) || v === "(1 row)")) return;
        // Bytes that only a captured row shows in another form.
        if (format === "jsonl" && m.types.includes("bytea")) return;
        expect(said.verdict, `${said.why}\n${file}`).toBe("match");
      }),
      runs,
    );
  });

  test("a changed copy is never a match", () => {
    fc.assert(
      fc.property(made, changes, styles, fc.boolean(), (m, change, style, guess) => {
        const other = change(m);
        if (same(m, other)) return;
        const file = print(other, style);
        // A row that has the names is a header, too: with -t the honest copy is this file.
        if (file === print(m, { ...style, header: !style.header })) return;
        // What prints the same is no other copy: the form cannot tell, and must say so.
        const said = matchCopy(Buffer.from(file), guess ? null : format, resultOf(m), style);
        expect(said.verdict, `${said.why}\n${file}`).not.toBe("match");
      }),
      runs,
    );
  });
});

test("a single byte changed in what is compared as it is", () => {
  fc.assert(
    fc.property(made, fc.nat(), fc.integer({ min: 1, max: 255 }), (m, at, by) => {
      const result = resultOf(m);
      const file = Buffer.concat(
        m.rows.map((row) =>
          encodeRow(
            row.map((v, c) => {
              const binary = (m.formats.length === 1 ? m.formats[0] : m.formats[c]) === 1;
              return v === null
                ? null
                : binary
                  ? (binaryOf(m.types[c] ?? "", Buffer.from(v)) ?? null)
                  : Buffer.from(v);
            }),
          ),
        ),
      );
      expect(matchCopy(file, "raw", result).verdict).toBe("match");
      if (file.length === 0) return;
      const place = at % file.length;
      file[place] = (file[place] ?? 0) ^ by;
      expect(matchCopy(file, "raw", result).verdict).toBe("mismatch");
    }),
  );
});

describe("what looks like a match and is none", () => {
  const result = (types: readonly string[], rows: Values, more: Partial<DeliveredResult> = {}) => ({
    ...resultOf({ types, rows, formats: [], captured: true }),
    ...more,
  });
  const said = (file: string | Buffer, of: DeliveredResult, format: CopyFormat | null = null) =>
    matchCopy(Buffer.from(file as string), format, of).verdict;
  test.each([true, false])(
    "bytes that are digits, where nobody knows the format (captured: %s)",
    (captured) => {
      const number = resultOf({ types: ["int4"], rows: [["825373492"]], formats: [1], captured });
      const old = { ...number, formats: null };
      expect(said("c 0\n1234\n", old)).toBe("cannot tell");
      expect(said("c 0\n825373492\n", old)).toBe("cannot tell");
      expect(said("c 0\n1234\n", number)).toBe("mismatch");
      expect(said("c 0\n825373492\n", number)).toBe("match");
    },
  );
  test("JSON that readers would read differently", () => {
    const two = result(["int4", "text"], [["1", "\ufffd"]]);
    expect(said('{"c 0":1,"c 1":"\ufffd"}', two)).toBe("match");
    expect(said('{"c 0":2,"c 0":1,"c 1":"\ufffd"}', two)).toBe("mismatch");
    expect(said(Buffer.from('{"c 0":1,"c 1":"\u00ff"}', "latin1"), two)).toBe("mismatch");
    expect(said('{"c 0":true}', result(["text"], [["t"]]))).toBe("cannot tell");
    expect(said('{"c 0":"a:b\\"","c 1":":"}', result(["text", "text"], [['a:b"', ":"]]))).toBe("match");
  });
  test("JSON values in JSON", () => {
    expect(said('{"c 0":null}', result(["jsonb"], [["null"]]))).toBe("cannot tell");
    expect(said('{"c 0":"abc"}', result(["jsonb"], [['"abc"']]))).toBe("match");
    expect(said('{"c 0":"1"}', result(["jsonb"], [["1"]]))).toBe("cannot tell");
    expect(said('{"c 0":{"a": 1}}', result(["json"], [['{"a":1}']]))).toBe("cannot tell");
    expect(said('{"a":1}\n', result(["json"], [['{"a":1}']]))).toBe("match");
    expect(said("[]", result(["int4"], []))).toBe("match");
    expect(said('[[1,2],"x"]', result(["_int4", "text"], [["{1,2}", "x"]]))).toBe("cannot tell");
    expect(said('[[1,2],"x"]', result(["_int4", "text"], [["{1,2}", "y"]]))).toBe("mismatch");
  });
  test("numbers in another form", () => {
    const price = result(["numeric", "float8"], [["1.00", "1e+20"]]);
    expect(said('{"c 0":1.00,"c 1":1e+20}', price)).toBe("match");
    expect(said('{"c 0":1,"c 1":100000000000000000000}', price)).toBe("cannot tell");
    expect(said('{"c 0":2,"c 1":1e+20}', price)).toBe("mismatch");
  });
  test("marks and other encodings of text", () => {
    const text = result(["text"], [["é"]]);
    expect(said("\ufeffc 0\né\n", text)).toBe("match");
    expect(said(Buffer.from("\ufeffc 0\né\n", "utf16le"), text)).toBe("cannot tell");
    expect(said(" c 0 \n-----\n é\n(1 row)\n", text)).toBe("cannot tell");
  });
  test("rows that were asked for in parts", () => {
    const part = result(["int4"], [["1"], ["2"]], { suspended: true, complete: false });
    expect(said("c 0\n1\n2\n", part)).toBe("match");
    expect(said("c 0\n1\n2\n3\n", part)).toBe("cannot tell");
    expect(said("c 0\n1\n", part)).toBe("mismatch");
    expect(said("c 0\n1\n3\n", part)).toBe("mismatch");
  });
  test("rows that nobody described", () => {
    const bare = result(["int4", "text"], [["1", "x"]], { columns: null });
    expect(said("a,b\n1,x\n", bare)).toBe("match");
    expect(said("a,b\n1,y\n", bare)).toBe("mismatch");
  });
  test("the output of COPY, with lines inside of values", () => {
    const salt = randomBytes(18);
    const bodies = ['1,"a\nb"\n', '2,"c"\n'];
    const messages = Buffer.concat(
      bodies.map((body) => {
        const head = Buffer.from([0x64, 0, 0, 0, 0]);
        head.writeUInt32BE(4 + body.length, 1);
        return Buffer.concat([head, Buffer.from(body)]);
      }),
    );
    const digest = createHash("sha256").update(messages).update(salt).digest("base64");
    const own = { rows: 2, bytes: messages.length, digest, salt, columns: null, copy: true, formats: null };
    const copy = { ...own, complete: true, suspended: false, captured: null, mayBeBinary: false };
    const file = bodies.join("");
    expect(said(file, copy)).toBe("match");
    expect(said(file.replace("a", "x"), copy)).toBe("cannot tell");
    expect(said(file.replace("a", "xx"), copy)).toBe("mismatch");
    expect(said(file.replace("a", "x"), { ...copy, captured: messages })).toBe("mismatch");
    expect(said(file, { ...copy, captured: messages })).toBe("match");
  });
});
