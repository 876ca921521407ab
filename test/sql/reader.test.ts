import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { createSqlReader, opaqueFacts } from "../../src/sql/index.ts";
import { defaultLimits, UnreadableSql } from "../../src/sql/limits.ts";
import { ParserPool } from "../../src/sql/parser.ts";
import { scan } from "../../src/sql/scan.ts";
import { tricky } from "./tricky.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const deep = `SELECT ${"1+".repeat(20_000)}1`;

describe("reading messages", () => {
  it("splits by the parser's byte places, whatever the text's width", () => {
    const parts = ["SELECT 'é'", "SELECT '日本;' AS \"ü;\"", "/* 𝒳; */ SELECT $ä$;$ä$", "SELECT 1 -- ;é"];
    const { statements, parsed } = createSqlReader().read(`  ${parts.join(" ;;\n")}\n`);
    expect(parsed).toBe(true);
    expect(statements.map(({ text }) => text)).toEqual(parts);
  });

  it("keeps a single statement's text as it was sent", () => {
    for (const text of [" SELECT 1 ; ", "/* x */SELECT 1;--", "SELECT 1"]) {
      expect(
        createSqlReader()
          .read(text)
          .statements.map((s) => s.text),
      ).toEqual([text]);
    }
  });

  it("splits statements that hold statements", () => {
    const { statements } = createSqlReader().read(
      "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
    );
    expect(statements.map(({ shape }) => shape.command)).toEqual([
      "CREATE RULE",
      "CREATE FUNCTION",
      "SELECT",
    ]);
  });

  it("finds no statement where there is none", () => {
    for (const text of ["", " ", ";", " ;; \n", "-- x", "/* x */ ; /* y */"]) {
      expect(createSqlReader().read(text)).toEqual({
        statements: [],
        parsed: true,
        reason: null,
        poisoned: false,
      });
    }
  });

  it.each<[string, string]>([
    ["SELECT 1\0; DROP TABLE t", "nul"],
    ["SELECT '\ud800'", "encoding"],
    ["SELECT FROM FROM", "syntax"],
    ["SELECT 1; SELEC 2", "syntax"],
    ["SELECT 'abc", "syntax"],
    ["SELECT 1; 'x", "syntax"],
    [`SELECT 1 ${"/*".repeat(17)}${"*/".repeat(17)}`, "comments"],
    [`SELECT 1 ${"+".repeat(64)} 2`, "operators"],
    [`SELECT ${"(".repeat(600)}1${")".repeat(600)}`, "nesting"],
    [`SELECT ${"(SELECT ".repeat(600)}1${")".repeat(600)}`, "nesting"],
    [deep, "nesting"],
    [`SELECT ${"NOT ".repeat(3000)}true`, "nesting"],
    [`SELECT 1${"::int".repeat(3000)}`, "nesting"],
    [`SELECT 1${" UNION SELECT 1".repeat(3000)}`, "nesting"],
    [`SELECT 1 FROM t${" JOIN t ON true".repeat(3000)}`, "nesting"],
    [`SELECT '${"x".repeat(70_000)}'`, "large"],
    [`SELECT '${"é".repeat(40_000)}'`, "large"],
    [`SELECT '${"é".repeat(2_200_000)}'`, "too-large"],
    [`SELECT '${"x".repeat(4_200_000)}'`, "too-large"],
  ])("refuses case %#", (text, reason) => {
    const reader = createSqlReader();
    const expected = {
      statements: [
        {
          text,
          start: 0,
          comment: null,
          shape: {
            stripped: "",
            fingerprint: null,
            kind: "unknown",
            command: "",
            secret: false,
            names: [],
            copy: null,
            facts: opaqueFacts,
          },
        },
      ],
      parsed: false,
      reason,
      poisoned: false,
    };
    expect(reader.read(text)).toEqual(expected);
    expect(reader.read(text)).toEqual(expected);
    expect(reader.read("SELECT 1").parsed).toBe(true);
  });

  it("takes what is long, not deep", () => {
    const reader = createSqlReader({ limits: { inlineBytes: 1 << 20 } });
    const texts = [
      `SELECT ${"1+1, ".repeat(5000)}1`,
      `SELECT 1 FROM t WHERE ${"a = 1 AND ".repeat(5000)}true`,
      `SELECT 1 FROM t WHERE a IN (${"1, ".repeat(20_000)}1)`,
      `INSERT INTO t VALUES ${"(1, f(2) + 3, 'x' || 'y'), ".repeat(3000)}(1, 2, 3)`,
      `SELECT 1 ${"-- ----------------------------------------------------------------------- /* /* /*\n".repeat(500)}`,
      `SELECT ${"a".repeat(60)} ${"/**/".repeat(5000)}`,
      "SELECT 1;".repeat(3000),
      `SELECT 1 FROM ${"t JOIN ".repeat(500)}t ${"ON true ".repeat(500)}`,
    ];
    for (const text of texts) expect(reader.read(text).reason, text.slice(0, 60)).toBeNull();
  });

  it("scans hostile texts in linear time", () => {
    // Work, not time: the scan stops at the limit, long before the text's end.
    for (const text of ["/*".repeat(100_000), `SELECT 1 ${"/*/".repeat(70_000)}`]) {
      expect(() => scan(text, defaultLimits)).toThrow(new UnreadableSql("comments"));
      expect(createSqlReader().read(text).reason).toBe("comments");
    }
    expect(createSqlReader().read(`SELECT 1 ${"+".repeat(200_000)}`).reason).toBe("operators");
  });

  it("never throws, and gives back the text it was given", () => {
    const reader = createSqlReader();
    const piece = fc.oneof(
      fc.constantFrom(...tricky),
      fc.constantFrom(" ; ", "'", '"', "$$", "/*", "*/", "--", "\\", "(", ")"),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
        const text = pieces.join("");
        const message = reader.read(text);
        expect(message.parsed).toBe(message.reason === null);
        if (!message.parsed) expect(message.statements.map((s) => s.text)).toEqual([text]);
        for (const statement of message.statements) expect(text).toContain(statement.text);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("caches", () => {
  it("answer equal texts with the same objects", () => {
    const reader = createSqlReader();
    const first = reader.read("SELECT a FROM t WHERE b = 1");
    expect(reader.read("SELECT a FROM t WHERE b = 1")).toBe(first);
    expect(reader.read("SELECT a FROM t WHERE b = 2").statements[0]?.shape).toBe(first.statements[0]?.shape);
    expect(reader.stats).toMatchObject({ exactHits: 1, shapeHits: 1, misses: 1, unread: 0, poisoned: 0 });
  });

  it("know long texts by their hash, and by their shape", () => {
    const reader = createSqlReader();
    const text = (n: number) => `INSERT INTO t VALUES ${`(${n}, 'x'), `.repeat(2000)}(1, 'y')`;
    const first = reader.read(text(1));
    expect(reader.read(text(1))).toEqual(first);
    expect(reader.read(text(2)).statements[0]?.shape).toBe(first.statements[0]?.shape);
    expect(reader.stats).toMatchObject({ exactHits: 1, shapeHits: 1, misses: 1 });
  });

  it("do not take a hash for a text", () => {
    const reader = createSqlReader();
    const long = `SELECT ${"a, ".repeat(10_000)} b`;
    reader.read(long);
    const hash = createHash("sha256").update(long).digest("base64url");
    for (const text of [hash, `\0${hash}`])
      expect(reader.read(text).statements[0]?.shape.kind).not.toBe("select");
  });

  it("stay within their bytes", () => {
    const cacheBytes = 64 * 1024;
    const reader = createSqlReader({ cacheBytes });
    for (let i = 0; i < 500; i++) {
      reader.read(`SELECT column_${i} FROM t WHERE a = ${i}`);
      expect(reader.stats.cacheBytes).toBeLessThanOrEqual(cacheBytes);
    }
    expect(reader.stats.cacheBytes).toBeGreaterThan(0);
  });
});

describe("a parser that breaks", () => {
  it("is replaced, a hundred times over", async () => {
    const parsers = await ParserPool.create();
    const reader = createSqlReader({ parsers, limits: { depth: Number.POSITIVE_INFINITY } });
    for (let i = 0; i < 100; i++) {
      expect(reader.read(`${deep}+${i}`).reason).toBe("parser-failed");
      await turn();
    }
    expect(reader.stats.poisoned).toBe(100);
    expect(parsers.poisoned).toBe(100);
    expect(process.exitCode).toBeUndefined();
    expect(reader.read("SELECT 1; DROP TABLE t").statements.map(({ shape }) => shape.command)).toEqual([
      "SELECT",
      "DROP TABLE",
    ]);
  }, 120_000);

  it("refuses, and recovers, when one turn breaks more than are ready", async () => {
    const parsers = await ParserPool.create(2);
    const reader = createSqlReader({ parsers, limits: { depth: Number.POSITIVE_INFINITY } });
    const reasons = [1, 2, 3].map((i) => reader.read(`${deep}+${i}`).reason);
    expect(reasons).toEqual(["parser-failed", "parser-failed", "parser-busy"]);
    await turn();
    expect(reader.read("SELECT 1").parsed).toBe(true);
    // The same text is not tried again.
    expect(reader.read(`${deep}+1`).reason).toBe("parser-failed");
    expect(parsers.poisoned).toBe(2);
  });

  it("is not reached by deep statements under the usual limits", () => {
    const reader = createSqlReader();
    for (let i = 0; i < 100; i++) expect(reader.read(`${deep}+${i}`).reason).toBe("nesting");
    expect(reader.read("SELECT 1").parsed).toBe(true);
    expect(reader.stats.poisoned).toBe(0);
  });
});

describe("large texts", () => {
  const reader = createSqlReader();
  afterAll(() => reader.close());
  const rows = (n: number) => `INSERT INTO t VALUES ${`(${n}, 'é'), `.repeat(15_000)}(1, 'x') /*a='b'*/`;

  it("are read in a worker, then known", async () => {
    expect(reader.read(rows(1)).reason).toBe("large");
    const [first, other, broken] = await Promise.all([
      reader.readLarge(rows(1)),
      reader.readLarge(`SELECT 'é${"x".repeat(100_000)}'; EXECUTE p`),
      reader.readLarge(`${rows(1)} FROM`),
    ]);
    expect(first.statements[0]).toMatchObject({
      text: rows(1),
      comment: "/*a='b'*/",
      shape: { command: "INSERT" },
    });
    expect(other.statements.map(({ shape }) => shape.stripped)).toEqual(["SELECT ?", "EXECUTE p"]);
    expect(broken.reason).toBe("syntax");
    expect(reader.read(rows(1))).toEqual(first);
    expect(reader.read(rows(2)).statements[0]?.shape).toBe(first.statements[0]?.shape);
    expect(reader.stats).toMatchObject({ large: 3, largeFailed: 0, exactHits: 1, shapeHits: 1 });
  });

  it("are checked before, and small ones read at once", async () => {
    expect((await reader.readLarge(`SELECT '${"x".repeat(5_000_000)}'`)).reason).toBe("too-large");
    expect((await reader.readLarge(`${rows(1)}\0`)).reason).toBe("nul");
    expect((await reader.readLarge("SELECT 1")).parsed).toBe(true);
    expect(reader.stats.large).toBe(3);
  });

  it("have a time limit, and do not wait without bound", async () => {
    const hasty = createSqlReader({ largeTimeoutMs: 1 });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => hasty.readLarge(rows(i))));
    expect(answers.map(({ reason }) => reason)).toEqual([
      ...Array(16).fill("timeout"),
      ...Array(4).fill("parser-busy"),
    ]);
    expect(hasty.stats.largeFailed).toBe(16);
    await hasty.close();
  });

  it("are refused when the reader is closed", async () => {
    const closing = createSqlReader();
    const waiting = closing.readLarge(rows(1));
    await closing.close();
    expect((await waiting).reason).toBe("timeout");
  });
});
