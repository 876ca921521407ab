/** COPY TO STDOUT as a real server writes it, masked, and loaded again with COPY FROM. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Mask } from "../../src/facts/effects.ts";
import { type CopyMaskOptions, createCopyMasker, MaskError, MaskOutput } from "../../src/masking/index.ts";
import { decodeBackend } from "../../src/protocol/index.ts";
import { binaries } from "../support/binaries.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { openSession, type Session, whole } from "./server.ts";
import { keys, planOf } from "./support.ts";

let server: Database;
let database: string;
let session: Session;
beforeAll(async () => {
  server = await sharedCluster();
  database = await server.createDatabase();
  session = await openSession(server, database);
  await session.query(`create table t (id int, a text, b text[], c numeric(10,2), d text);
    create table loaded (like t);
    insert into t values
      (1, 'jane.doe@example.com', '{"secret one","two,three"}', 12345.67, 'plain'),
      (2, E'line\\nbreak\\tand\\\\backslash "quoted", \\r ''x''', '{}', null, E'\\\\N'),
      (3, '', null, -1.5, ''),
      (4, null, '{null,"NULL"}', 0, null),
      (5, E'\\\\.', '{"a\\"b"}', 99999999.99, E'\\b\\f\\v;|'),
      (6, 'Grüße aus Köln 👩‍👩‍👧‍👦 am Rhein', '{{a,b},{c,d}}', 1, 'é')`);
});
afterAll(async () => {
  await session.end();
  await server.dropDatabase(database);
});

const dialects: Record<string, Omit<CopyMaskOptions, "plan" | "columns" | "keys">> = {
  "": { format: "text" },
  "format text, delimiter '|', null 'nil'": { format: "text", delimiter: "|", null: "nil" },
  "format text, header": { format: "text", header: true },
  "format csv": { format: "csv" },
  "format csv, header, force_quote *": { format: "csv", header: true, forceQuote: "all" },
  "format csv, force_quote (a)": { format: "csv", forceQuote: [false, true, false, false, false] },
  "format csv, delimiter ';', null 'NULL', quote '''', escape '\\'": {
    format: "csv",
    delimiter: ";",
    null: "NULL",
    quote: "'",
    escape: "\\",
  },
  "format csv, quote '|', escape '|', null '***'": { format: "csv", quote: "|", escape: "|", null: "***" },
};
const types = [23, 25, 1009, 1700, 25].map((type) => ({
  type,
  // numeric(10,2): a hash must fit.
  typmod: type === 1700 ? (10 << 16) + 2 + 4 : -1,
}));

/** Cuts bytes into CopyData messages at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((x, y) => x - y);
  return places.slice(1).map((to, i) => bytes.subarray(places[i], to));
}

/** The bodies of the CopyData messages in a buffer. */
function bodies(buffer: Buffer | null): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; buffer !== null && at < buffer.length; ) {
    const next = at + 1 + buffer.readInt32BE(at + 1);
    const message = decodeBackend(buffer[at] as number, buffer.subarray(at + 5, next));
    if (message.type !== "copyData") throw new Error(`not copy data: ${message.type}`);
    found.push(message.data);
    at = next;
  }
  return found;
}

function maskAll(options: CopyMaskOptions, data: readonly Buffer[]): Buffer[] {
  const masker = createCopyMasker(options);
  const rows = data.flatMap((piece) => bodies(masker.push(Buffer.from(piece))));
  return [...rows, ...bodies(masker.end())];
}

async function copyOut(dialect: string): Promise<Buffer[]> {
  const messages = await session.query(
    `copy (select * from t order by id) to stdout (${dialect || "format text"})`,
  );
  return messages.filter((m) => m.type === "d").map((m) => m.body);
}

const masks: (Mask | null)[][] = [
  [null, null, null, null, null],
  [null, { kind: "partial" }, { kind: "partial" }, { kind: "partial" }, { kind: "redact" }],
  [null, { kind: "null" }, { kind: "hash" }, { kind: "hash" }, null],
  [null, { kind: "hash" }, null, { kind: "null" }, { kind: "keep", first: 1, last: 1 }],
];

/** Before PostgreSQL 15 only CSV has a header. */
const { major } = await binaries();
const offered = Object.entries(dialects).filter(
  ([, { format, header }]) => major >= 15 || format === "csv" || header !== true,
);

describe.each(offered)("copy (%s)", (sql, dialect) => {
  test.each(masks)("with masks %#", async (...row) => {
    const options: CopyMaskOptions = { ...dialect, plan: planOf(row), columns: types, keys: keys() };
    const original = await copyOut(sql);
    const masked = maskAll(options, original);
    expect(masked.length).toBe(original.length);
    if (row.every((mask) => mask === null)) expect(masked).toEqual(original);
    // However the server cuts its messages.
    const bytes = Buffer.concat(original);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 12 }), (cuts) => {
        expect(Buffer.concat(maskAll(options, pieces(bytes, cuts)))).toEqual(Buffer.concat(masked));
      }),
      { numRuns: 30 },
    );
    expect(
      Buffer.concat(
        maskAll(
          options,
          Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)),
        ),
      ),
    ).toEqual(Buffer.concat(masked));
    // The same from whole messages in a chunk.
    const out = new MaskOutput();
    const chunk = Buffer.concat(original.map((body) => whole({ type: "d", body })));
    createCopyMasker(options).maskInto(chunk, 0, chunk.length, out);
    expect(Buffer.concat(bodies(out.take()))).toEqual(Buffer.concat(masked));

    await session.query("truncate loaded");
    const from = sql.replace(/, force_quote.*/, "") || "format text";
    await session.copyIn(`copy loaded from stdin (${from})`, masked);
    const rows = await server.query(
      database,
      `select l.*, t.a as ta, t.b as tb, t.c as tc, t.d as td from loaded l join t using (id) order by id`,
    );
    expect(rows.length).toBe(6);
    for (const [i, mask] of row.entries()) {
      const name = "abcd"[i - 1];
      if (name === undefined) continue;
      for (const got of rows) {
        const source = got[`t${name}`];
        if (mask === null || source === null) expect(got[name]).toEqual(source);
        else if (mask.kind === "null") expect(got[name]).toBeNull();
        else if (mask.kind === "redact") expect(got[name]).toBe("[redacted]");
        // A mask that reads like the null marker is quoted, and stays a value.
        else expect(got[name]).not.toBeNull();
      }
    }
    if (row[1]?.kind === "partial") expect(rows[0]?.a).toBe("j***@***.com");
    if (row[2]?.kind === "partial")
      expect(rows[0]?.b).toEqual(["s***", "t***e"].map(() => expect.any(String)));
  });
});

describe("hostile copies", () => {
  const columns = [
    { type: 25, typmod: -1 },
    { type: 25, typmod: -1 },
  ];
  const text = (): CopyMaskOptions => ({
    format: "text",
    plan: planOf([{ kind: "partial" }, null]),
    columns,
    keys: keys(),
  });
  test.each([
    ["too few columns", "a\n"],
    ["too many columns", "a\tb\tc\n"],
    ["an end of data", "\\.\n"],
    ["an end inside an escape", "a\tb\\"],
  ])("%s", (_, data) => {
    expect(() => maskAll(text(), [Buffer.from(data)])).toThrow(MaskError);
  });
  test.each([
    ["too few columns", "a\n"],
    ["too many columns", "a,b,c\n"],
    ["an end inside quotes", 'a,"b\n'],
  ])("csv: %s", (_, data) => {
    expect(() => maskAll({ ...text(), format: "csv" }, [Buffer.from(data)])).toThrow(MaskError);
  });
  test("a row in pieces is bounded", () => {
    const masker = createCopyMasker({ ...text(), maxRow: 100 });
    expect(() => {
      for (let i = 0; i < 20; i++) masker.push(Buffer.from("0123456789"));
    }).toThrow(MaskError);
  });
  test("a plan of other columns, options of two bytes", () => {
    expect(() => createCopyMasker({ ...text(), columns: [] })).toThrow(MaskError);
    expect(() => createCopyMasker({ ...text(), delimiter: "é" })).toThrow(MaskError);
    expect(() => createCopyMasker({ ...text(), format: "csv", quote: "" })).toThrow(MaskError);
  });
  test("never throws anything else, nor lets more than its mask through", () => {
    const secret = "s3cr3t-canary";
    fc.assert(
      fc.property(
        fc.constantFrom("text", "csv"),
        fc.array(fc.constantFrom(secret, "\t", ",", "\n", "\\", '"', "\\N", "\r", "x", "\\.", "\\n"), {
          maxLength: 20,
        }),
        fc.array(fc.nat(), { maxLength: 4 }),
        (format, parts, cuts) => {
          const plan = planOf([{ kind: "redact" }, { kind: "redact" }]);
          const data = pieces(Buffer.from(parts.join("")), cuts);
          try {
            const masked = maskAll({ ...text(), format: format as "text" | "csv", plan }, data);
            expect(Buffer.concat(masked).includes(secret)).toBe(false);
          } catch (error) {
            if (!(error instanceof MaskError)) throw error;
            expect(error.message).not.toContain(secret);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
