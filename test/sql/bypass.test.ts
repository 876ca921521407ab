/** Ways in which other gateways were made to see another statement than the server: each must be read as the server reads it. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSqlReader, opaqueFacts, treeTexts } from "../../src/sql/index.ts";
import { ParserPool } from "../../src/sql/parser.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { tricky } from "./tricky.ts";

const reader = createSqlReader();
const read = (sql: string) => {
  const message = reader.read(sql);
  return {
    reason: message.reason,
    commands: message.statements.map(({ shape }) => shape.command),
    effects: message.statements.map(({ shape }) => shape.facts.effects.join()),
  };
};

describe("statements in disguise", () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ["EXPLAIN ANALYSE DELETE FROM t", ["EXPLAIN"], ["write"]],
    ["explain/**/analyse/**/verbose delete from t", ["EXPLAIN"], ["write"]],
    ["WITH x AS MATERIALIZED (DELETE FROM t RETURNING *) SELECT * FROM x", ["SELECT"], ["write"]],
    ["WITH x AS NOT MATERIALIZED (DELETE FROM t RETURNING *) SELECT * FROM x", ["SELECT"], ["write"]],
    [
      "WITH RECURSIVE x(a) AS (SELECT 1), y AS (UPDATE t SET a = 1 RETURNING 1) SELECT 1",
      ["SELECT"],
      ["write"],
    ],
    ["DO $a1$ BEGIN DELETE FROM t; END $a1$", ["DO"], ["execute"]],
    ["SELECT $a1$ ; DROP TABLE t; $a1$", ["SELECT"], [""]],
    ["SELECT $a$ $b$ ; $a$; DROP TABLE t; --$b$", ["SELECT", "DROP TABLE"], ["", "ddl"]],
    ["SELECT $é1$ ; $é1$; DELETE FROM t", ["SELECT", "DELETE"], ["", "write"]],
    ["SELECT a$b$ ; DELETE FROM t; SELECT $b$", [], []],
    ["SELECT 1 --\r; DELETE FROM t", ["SELECT", "DELETE"], ["", "write"]],
    ["SELECT 1 --\u2028; DELETE FROM t", ["SELECT"], [""]],
    ["SELECT 1 --\v; DELETE FROM t", ["SELECT"], [""]],
    ["SELECT E'\\'; --'; DELETE FROM t; --'", ["SELECT", "DELETE"], ["", "write"]],
    ["SELECT E'x'\n'\\'; DROP TABLE t; --'", ["SELECT"], [""]],
    ["SELECT E'x' -- c\n'\\'; DROP TABLE t; --'", ["SELECT"], [""]],
    ["SELECT 'x' -- c\n'\\'; DROP TABLE t; --'", ["SELECT", "DROP TABLE"], ["", "ddl"]],
    ["SELECT 'x'--\r'; DROP TABLE t; --'", ["SELECT"], [""]],
    ["SELECT 'x'\n--a\n--b\n  '; DROP TABLE t; --'", ["SELECT"], [""]],
    // A comment on the same line, or a block comment, ends the string: two in a row are no SQL.
    ["SELECT 'x' /* \n */ 'y'; DROP TABLE t", [], []],
    // To the server this goes on as well, but not to libpg_query.
    ["SELECT 'x' -- é\n'; DROP TABLE t; --'", [], []],
    ["SELECT 'x'\n'\\'; DROP TABLE t; --'", ["SELECT", "DROP TABLE"], ["", "ddl"]],
    ["SELECT 'a\\'; DELETE FROM t; --'", ["SELECT", "DELETE"], ["", "write"]],
    ["SELECT 1 /* a /* b */ ; c */; DELETE FROM t", ["SELECT", "DELETE"], ["", "write"]],
    ["SELECT 1 /*/**/; DELETE FROM t; */", ["SELECT"], [""]],
    ["SELECT 1 +/* */-1; DELETE FROM t", ["SELECT", "DELETE"], ["", "write"]],
    ["DELETE FROM ONLY (t)", ["DELETE"], ["write"]],
    ["SELECT * FROM ONLY (t) FOR UPDATE", ["SELECT"], ["lock"]],
    ['DELETE FROM U&"\\0074"', ["DELETE"], ["write"]],
    ["DELETE FROM U&\"!0074\" UESCAPE '!'", ["DELETE"], ["write"]],
    ["SELECT 1;;;DELETE FROM t;;", ["SELECT", "DELETE"], ["", "write"]],
    ["TABLE t; COMMIT; TRUNCATE t", ["SELECT", "COMMIT", "TRUNCATE TABLE"], ["", "", "write"]],
    ["COPY (WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d) TO STDOUT", ["COPY"], ["write"]],
    ["INSERT INTO t SELECT 1 WHERE EXISTS (SELECT 1 FROM u FOR UPDATE)", ["INSERT"], ["lock,write"]],
    ["SELECT 1 FROM (VALUES (1)) x, LATERAL (SELECT 1 FROM u FOR SHARE) y", ["SELECT"], ["lock"]],
    ["CREATE TABLE x AS TABLE t", ["CREATE TABLE AS"], ["ddl,write"]],
    ["SELECT*INTO x FROM t", ["SELECT"], ["ddl,write"]],
    ["PREPARE p AS WITH x AS (DELETE FROM t RETURNING 1) TABLE x", ["PREPARE"], ["write"]],
  ])("%j", (sql, commands, effects) => {
    if (commands.length === 0) expect(read(sql).reason).toBe("syntax");
    else expect(read(sql)).toEqual({ reason: null, commands, effects });
  });

  it("is told from the text alone where a function runs what a text says, and left to the function list", () => {
    const sql = "SELECT query_to_xml('DELETE FROM t', true, false, '')";
    const message = reader.read(sql);
    expect(message.statements[0]?.shape.facts).toMatchObject({
      effects: [],
      literalSensitive: true,
      refusal: null,
    });
    expect(message.statements.flatMap(treeTexts)).toEqual([{ text: sql, kind: "statement" }]);
  });

  it("is not looked for in a comment of 9 MiB: the text is refused", async () => {
    const sql = `SELECT 1 /*${"x".repeat(9 * 1024 * 1024)}*/; DELETE FROM t`;
    for (const message of [reader.read(sql), await reader.readLarge(sql)]) {
      expect(message).toMatchObject({ parsed: false, reason: "too-large", poisoned: false });
      expect(message.statements[0]?.shape.facts).toEqual(opaqueFacts);
    }
    const long = `SELECT 1 /*${"x".repeat(1024 * 1024)}*/; DELETE FROM t`;
    const { statements } = await reader.readLarge(long);
    expect(statements.map(({ shape }) => shape.facts.effects)).toEqual([[], ["write"]]);
    await reader.close();
  });

  it.each<[string, string]>([
    [`SELECT 1 ${"/*".repeat(100_000)}`, "comments"],
    [`SELECT 1 ${"/*".repeat(17)}${"*/".repeat(17)}`, "comments"],
    [`SELECT 1 ${"+".repeat(64)} 1`, "operators"],
    ["SELECT 1\0; DELETE FROM t", "nul"],
    ["SELECT '\udc00'", "encoding"],
  ])("nor in case %#", (sql, reason) => {
    expect(reader.read(sql).reason).toBe(reason);
    expect(reader.read(sql).statements[0]?.shape.facts.refusal).not.toBeNull();
  });

  it("nor in too many tokens", async () => {
    const small = createSqlReader({ limits: { tokens: 100 } });
    expect(small.read(`SELECT ${"1,".repeat(100)}1`).reason).toBe("tokens");
    expect((await small.readLarge(`SELECT ${"1,".repeat(60_000)}1`)).reason).toBe("tokens");
    expect(small.read(`SELECT ${"1,".repeat(40)}1`).reason).toBeNull();
    await small.close();
  });
});

describe("a backslash before a quote", () => {
  const refusal = (sql: string) => reader.read(sql).statements[0]?.shape.facts.refusal ?? null;

  it.each([
    "SELECT '\\'||'; DELETE FROM app.orders; --'",
    "SELECT '\\', ' FROM t; DELETE FROM t --'",
    "SELECT 'a\\\\\\', '||secret--'",
  ])("is refused where the text is another whole one if it escapes: %s", (sql) => {
    expect(refusal(sql)).toMatchObject({ code: "STATEMENT_NOT_UNDERSTOOD" });
  });

  it.each([
    "SELECT * FROM t WHERE a LIKE 'x\\_%' ESCAPE '\\'",
    "SELECT * FROM t WHERE a LIKE 'x' ESCAPE '\\' AND b LIKE 'y' ESCAPE '\\' AND c = 'z'",
    "SELECT 'C:\\'",
    "SELECT * FROM t WHERE path = 'C:\\temp\\' AND name = 'x'",
    "SELECT 'a\\\\', 'b'",
    "SELECT E'\\'; --'",
  ])("is not, where it would leave a string open: %s", (sql) => {
    expect(refusal(sql)).toBeNull();
  });
});

describe("a text that breaks a parser", () => {
  it("says so each time it is sent, so that its senders can be counted", async () => {
    const parsers = await ParserPool.create();
    const breakable = createSqlReader({ parsers, limits: { depth: Number.POSITIVE_INFINITY } });
    const deep = `SELECT ${"1+".repeat(20_000)}1`;
    for (let i = 0; i < 2; i++)
      expect(breakable.read(deep)).toMatchObject({ parsed: false, reason: "parser-failed", poisoned: true });
    expect(parsers.poisoned).toBe(1);
    expect(breakable.read("SELECT 1").poisoned).toBe(false);
    expect(breakable.read("SELEC 1").poisoned).toBe(false);
  });
});

describe("where statements end, against a server", () => {
  let database: Database;
  let name: string;
  let client: pg.Client;
  beforeAll(async () => {
    database = await sharedCluster();
    name = await database.createDatabase();
    client = new pg.Client(database.url(name));
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.dropDatabase(name);
  });

  /** In an aborted transaction the server parses a message and runs nothing: 25P02 where it is grammatical. */
  async function grammatical(sql: string): Promise<boolean> {
    await client.query("BEGIN");
    await client.query("SELECT 1/0").catch(() => {});
    const code = await client.query(sql).then(
      () => "none",
      (error: { code?: string }) => error.code,
    );
    await client.query("ROLLBACK");
    return code !== "42601";
  }

  it("is where the reader cuts: each part alone is as grammatical as the whole", async () => {
    const texts = [
      "SELECT 1 --\r; SELECT 2",
      "SELECT 1 --\u2028; SELECT 2",
      "SELECT E'\\'; --'; SELECT 2; --'",
      "SELECT E'x'\n'\\'; SELECT 2; --'",
      "SELECT 'x'\n'\\'; SELECT 2; --'",
      "SELECT 'x'\f'y'",
      "SELECT 'x'--\r'y'",
      "SELECT 'x' -- a\n -- b\n 'y'; SELECT 2 -- 'z'",
      "SELECT 'x' -- a",
      "SELECT 'x' -- a\n",
      "SELECT 'x' /* \n */ 'y'",
      "SELECT $é1$ ; $é1$; SELECT 2",
      "SELECT a$b$ ; SELECT 2; SELECT $b$",
      "SELECT 1 /* /* */ ; */; SELECT 2",
      "SELECT 1 /*/**/; SELECT 2; */",
      "SELECT U&'\\' ; SELECT 2; --'",
      "SELECT U&\"a!\" UESCAPE '!'",
      "SELECT N'a\\'; SELECT 2; --'",
      "SELECT B'1'\n'0'; SELECT X'f' 'f'",
      "SELECT 1\u00a0; SELECT 2",
      "SELECT 1\v; SELECT 2",
      ...tricky,
    ];
    for (const text of texts) {
      const message = reader.read(text);
      expect(message.parsed, text).toBe(await grammatical(text));
      for (const statement of message.statements)
        if (message.parsed) expect(await grammatical(statement.text), statement.text).toBe(true);
    }
  });

  it("gives as many results as the server has", async () => {
    for (const text of [
      "SELECT 1 AS a --\r; SELECT 2 AS a",
      "SELECT 1 AS a --\u2028; SELECT 2 AS a",
      "SELECT 1 AS a --\v; SELECT 2 AS a",
      "SELECT E'\\'; --' AS a; SELECT 2 AS a; --'",
      "SELECT E'x'\n'\\'; SELECT 2; --' AS a",
      "SELECT 'x'\n'\\' AS a; SELECT 2 AS a; --'",
      "SELECT $a1$ ; SELECT 2; $a1$ AS a",
      "SELECT E'x' -- c\n'\\'; SELECT 2; --' AS a",
      "SELECT 'x' -- c\n'\\' AS a; SELECT 2 AS a; --'",
      "SELECT 'x'--\r'; SELECT 2; --' AS a",
      "SELECT $a$ $b$ ; $a$ AS a; SELECT 2 AS a; --$b$",
      "SELECT 1 /* a /* b */ ; c */ AS a; SELECT 2 AS a",
      "SELECT 1 /*/**/; SELECT 2; */ AS a",
      ";; SELECT 1 AS a;; ; SELECT 2 AS a",
    ]) {
      const result: unknown = await client.query(text);
      expect(reader.read(text).statements.length, text).toBe(Array.isArray(result) ? result.length : 1);
    }
  });
});
