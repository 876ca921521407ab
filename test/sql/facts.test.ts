import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSqlReader, type StaticFacts, treeTexts } from "../../src/sql/index.ts";
import { Marks } from "../../src/sql/marks.ts";
import { shapeKey } from "../../src/sql/shape.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { examples } from "./statements.ts";
import { tricky } from "./tricky.ts";

const reader = createSqlReader();
const only = (sql: string) => {
  const { statements, reason } = reader.read(sql);
  expect(reason).toBeNull();
  const [statement] = statements;
  if (statement === undefined) throw new Error("no statement");
  return statement;
};
const facts = (sql: string): StaticFacts => only(sql).shape.facts;

describe("effects", () => {
  it.each<[string, readonly string[]]>([
    ["SELECT 1", []],
    ["SELECT * FROM t FOR UPDATE", ["lock"]],
    ["SELECT * FROM (SELECT * FROM t FOR KEY SHARE) x", ["lock"]],
    ["SELECT 1 AS a INTO t", ["ddl", "write"]],
    ["(SELECT 1 INTO t) UNION ALL SELECT 2", ["ddl", "write"]],
    ["INSERT INTO t VALUES (1)", ["write"]],
    ["WITH x AS (WITH y AS (DELETE FROM t RETURNING *) SELECT * FROM y) SELECT 1", ["write"]],
    ["SELECT * FROM (WITH x AS (UPDATE t SET a = 1 RETURNING *) SELECT 1) y", ["write"]],
    ["MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DO NOTHING", ["write"]],
    ["TRUNCATE t", ["write"]],
    ["COPY t FROM STDIN", ["write"]],
    ["COPY t TO STDOUT", []],
    ["COPY t TO '/x'", ["file"]],
    ["COPY t FROM '/x'", ["file", "write"]],
    ["COPY t FROM PROGRAM 'x'", ["execute", "file", "write"]],
    ["COPY (SELECT 1) TO PROGRAM 'x'", ["execute", "file"]],
    ["COPY (DELETE FROM t RETURNING *) TO STDOUT", ["write"]],
    ["CREATE TABLE x AS SELECT 1", ["ddl", "write"]],
    ["CREATE TABLE x AS EXECUTE p", ["ddl", "write"]],
    ["CREATE MATERIALIZED VIEW x AS SELECT 1", ["ddl", "write"]],
    ["REFRESH MATERIALIZED VIEW x", ["ddl", "write"]],
    ["CREATE VIEW x AS SELECT 1", ["ddl"]],
    ["CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u", ["ddl"]],
    ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM t; SELECT 1; END", ["ddl"]],
    ["CREATE SCHEMA s CREATE TABLE t (a int) GRANT SELECT ON t TO bob", ["admin", "ddl"]],
    ["DROP TABLE t", ["ddl"]],
    ["GRANT a TO b", ["admin", "ddl"]],
    ["ALTER TABLE t ADD a int, DISABLE ROW LEVEL SECURITY", ["admin", "ddl"]],
    ["ALTER TABLE t ADD a int", ["ddl"]],
    ["ALTER TABLE t OWNER TO b", ["admin", "ddl"]],
    ["ALTER SYSTEM SET work_mem = '1GB'", ["admin", "ddl"]],
    ["VACUUM FULL t", ["admin"]],
    ["ANALYZE t", ["admin"]],
    ["REINDEX TABLE t", ["admin", "lock"]],
    ["CHECKPOINT", ["admin"]],
    ["LOAD 'x'", ["admin", "execute", "file"]],
    ["LOCK TABLE t", ["lock"]],
    ["CALL p()", ["execute"]],
    ["DO 'begin end'", ["execute"]],
    ["NOTIFY a, 'b'", ["session"]],
    ["LISTEN a", ["session"]],
    ["UNLISTEN *", []],
    ["BEGIN", []],
    ["ROLLBACK TO a", []],
    ["PREPARE TRANSACTION 'x'", ["admin"]],
    ["COMMIT PREPARED 'x'", ["admin"]],
    ["DEALLOCATE ALL", ["session"]],
    ["CLOSE ALL", []],
    ["FETCH 5 FROM c", []],
    ["EXECUTE p(1)", []],
    ["SET CONSTRAINTS ALL DEFERRED", []],
    ["PREPARE p AS DELETE FROM t", ["write"]],
    ["DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE", ["lock"]],
    ["EXPLAIN DELETE FROM t", []],
    ["EXPLAIN (ANALYZE off) DELETE FROM t", []],
    ["EXPLAIN (ANALYZE false, ANALYZE 0) DELETE FROM t", []],
    ["EXPLAIN ANALYZE DELETE FROM t", ["write"]],
    ["EXPLAIN ANALYSE VERBOSE DELETE FROM t", ["write"]],
    ["EXPLAIN (analyze) DELETE FROM t", ["write"]],
    ["EXPLAIN (\"analyze\" 'TRUE') DELETE FROM t", ["write"]],
    ["EXPLAIN (analyze 1) DELETE FROM t", ["write"]],
    ["EXPLAIN (ANALYZE on, ANALYZE off) DELETE FROM t", ["write"]],
    ["EXPLAIN (ANALYSE) CREATE TABLE x AS SELECT 1", ["ddl", "write"]],
    ["EXPLAIN CREATE TABLE x AS SELECT 1", []],
    ["IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", ["ddl", "network"]],
    ["CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", ["admin", "ddl", "network"]],
  ])("of %s", (sql, expected) => {
    expect(facts(sql).effects).toEqual(expected);
  });

  it("are never empty for what the server logs as ddl or mod", () => {
    const kinds = /^(?:insert|update|delete|merge|truncate|ddl|utility|call|do|lock|notify)$/;
    for (const { sql } of examples.filter((example) => kinds.test(example.kind)))
      expect(facts(sql).effects, sql).not.toEqual([]);
  });
});

describe("facts", () => {
  it.each<[string, Partial<StaticFacts>]>([
    ["BEGIN", { transaction: "begin", readOnly: null }],
    ["START TRANSACTION READ ONLY", { transaction: "begin", readOnly: true }],
    ["BEGIN READ WRITE, READ ONLY", { transaction: "begin", readOnly: false }],
    ["END", { transaction: "commit", chain: false }],
    ["COMMIT AND CHAIN", { transaction: "commit", chain: true }],
    ["ABORT", { transaction: "rollback" }],
    ["SAVEPOINT a", { transaction: "savepoint", savepoint: "a" }],
    ["RELEASE a", { transaction: "release", savepoint: "a" }],
    ["ROLLBACK TO SAVEPOINT a", { transaction: "rollback-to", savepoint: "a" }],
    ["COMMIT PREPARED 'x'", { transaction: "prepare" }],
    ["SET TRANSACTION READ WRITE", { transaction: "set", readOnly: false }],
    ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", { transaction: "set", readOnly: true }],
    ["SET x = 1", { transaction: null, readOnly: null }],
    ["SELECT 1 WHERE a = 1", { hasWhere: true, hasLimit: false }],
    ["SELECT 1 WHERE true", { hasWhere: false }],
    ["SELECT 1 WHERE a = 1 UNION SELECT 2", { hasWhere: false }],
    ["SELECT 1 WHERE a = 1 UNION SELECT 2 WHERE a = 2", { hasWhere: true }],
    ["EXPLAIN SELECT 1 WHERE a = 1 LIMIT 5", { hasWhere: true, hasLimit: true, executes: false }],
    ["COPY (SELECT 1 WHERE a = 1 LIMIT 5) TO STDOUT", { hasWhere: true, hasLimit: true }],
    ["SELECT 1 LIMIT $1", { hasLimit: true }],
    ["SELECT 1 LIMIT ALL", { hasLimit: false }],
    ["SELECT 1 LIMIT NULL::int", { hasLimit: false }],
    ["SELECT 1 LIMIT (SELECT 5)", { hasLimit: false }],
    ["SELECT * FROM (SELECT 1 LIMIT 5) x", { hasLimit: false }],
    ["SELECT 1 FETCH FIRST ROW ONLY", { hasLimit: true }],
    ["SELECT 1 UNION SELECT 2 LIMIT 1", { hasLimit: true }],
    ["FETCH 5 c", { hasLimit: true }],
    ["FETCH ALL c", { hasLimit: false }],
    ["FETCH BACKWARD ALL c", { hasLimit: false }],
    ["MOVE FORWARD 1000000 IN c", { hasLimit: true }],
    ["EXPLAIN ANALYZE SELECT 1", { executes: true }],
    ["PREPARE p AS SELECT 1", { executes: false }],
    ["DECLARE c CURSOR FOR SELECT 1", { executes: false, cursor: { hold: false, binary: false } }],
    ["DECLARE c BINARY SCROLL CURSOR WITH HOLD FOR SELECT 1", { cursor: { hold: true, binary: true } }],
    ["CALL app.p(1)", { procedure: { schema: "app", name: "p" } }],
    ["CREATE TEMP TABLE t (a int)", { temporary: true }],
    ["CREATE TEMP VIEW t AS SELECT 1", { temporary: true }],
    ["SELECT 1 INTO TEMPORARY t", { temporary: true }],
    ["CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", { temporary: true }],
    ["SELECT * FROM pg_temp.t", { temporary: true }],
    ["CREATE TABLE t (a int)", { temporary: false }],
    [
      "LOCK TABLE a, s.b",
      {
        relations: [
          { catalog: null, schema: null, name: "a" },
          { catalog: null, schema: "s", name: "b" },
        ],
      },
    ],
    ["DROP VIEW s.v, s.v", { relations: [{ catalog: null, schema: "s", name: "v" }] }],
    ['TRUNCATE ONLY d.s."T"', { relations: [{ catalog: "d", schema: "s", name: "T" }] }],
    ["COPY (SELECT * FROM t) TO STDOUT", { relations: [] }],
    [
      "WITH a AS (DELETE FROM t RETURNING *), b AS (INSERT INTO u VALUES (1)) UPDATE v SET a = 1",
      { modifications: 3 },
    ],
    [
      "EXPLAIN (FORMAT yaml, SETTINGS, SERIALIZE text) SELECT 1",
      {
        explain: { analyze: false, verbose: false, settings: true, serialize: true, format: "yaml" },
      },
    ],
  ])("of %s", (sql, expected) => {
    expect(facts(sql)).toMatchObject(expected);
  });

  const copy = {
    direction: "out",
    target: "client",
    format: "text",
    columns: null,
    delimiter: "\t",
    null: "\\N",
    header: false,
    quote: '"',
    escape: '"',
    forceQuote: [],
    encoding: null,
  };
  it.each<[string, object]>([
    ["COPY t TO STDOUT", copy],
    [
      'COPY s.t (a, "B") TO STDOUT',
      { ...copy, relation: { catalog: null, schema: "s", name: "t" }, columns: ["a", "B"] },
    ],
    ["COPY (SELECT 1) TO STDOUT", { ...copy, relation: null }],
    ["COPY t TO STDOUT CSV", { ...copy, format: "csv", delimiter: ",", null: "" }],
    [
      "COPY t TO STDOUT WITH CSV HEADER QUOTE '''' FORCE QUOTE *",
      { format: "csv", header: true, quote: "'", escape: "'", forceQuote: "*" },
    ],
    [
      "COPY t TO STDOUT (FORMAT CSV, HEADER off, FORCE_QUOTE (a), ESCAPE 'x')",
      { header: false, forceQuote: ["a"], escape: "x" },
    ],
    [
      "COPY t TO STDOUT (DELIMITER ';', NULL 'n', ENCODING 'latin1')",
      { delimiter: ";", null: "n", encoding: "LATIN1" },
    ],
    ["COPY BINARY t TO STDOUT", { ...copy, format: "binary" }],
    ["COPY t FROM STDIN (FORMAT csv, HEADER match)", { direction: "in", header: true }],
    ["COPY t FROM '/x'", { direction: "in", target: "file" }],
    ["COPY t TO PROGRAM 'x'", { target: "program" }],
  ])("of %s, for reading its stream", (sql, expected) => {
    expect(facts(sql).copy).toMatchObject(expected);
  });

  it("refuse a COPY format that nobody knows yet", () => {
    expect(facts("COPY t TO STDOUT (FORMAT avro)").refusal?.code).toBe("STATEMENT_NOT_UNDERSTOOD");
  });
});

describe("texts to ask the server about", () => {
  it.each<[string, string, string]>([
    [
      "EXPLAIN /* a */ ANALYZE VERBOSE /* b */ DELETE /* c */ FROM t; -- d",
      "DELETE /* c */ FROM t",
      "explain",
    ],
    ["EXPLAIN (SELECT 1)", "(SELECT 1)", "explain"],
    ["EXPLAIN (ANALYZE, BUFFERS) (SELECT 1) UNION (SELECT 2)", "(SELECT 1) UNION (SELECT 2)", "explain"],
    ["EXPLAIN ANALYZE (SELECT 1)", "(SELECT 1)", "explain"],
    [
      'DECLARE c INSENSITIVE CURSOR WITH HOLD FOR SELECT a AS "for" FROM t FOR UPDATE',
      'SELECT a AS "for" FROM t FOR UPDATE',
      "declare",
    ],
    ["EXPLAIN DECLARE c CURSOR FOR TABLE t", "TABLE t", "declare"],
    [
      "CREATE TABLE x (a, b) WITH (fillfactor = 70) ON COMMIT DROP AS SELECT 1 AS a, 2 AS data WITH NO DATA",
      "SELECT 1 AS a, 2 AS data",
      "create-table",
    ],
    ["CREATE TABLE x AS SELECT 1 AS data", "SELECT 1 AS data", "create-table"],
    [
      "CREATE TABLE x AS WITH data AS (SELECT 1) TABLE data WITH DATA",
      "WITH data AS (SELECT 1) TABLE data",
      "create-table",
    ],
    ["CREATE MATERIALIZED VIEW IF NOT EXISTS x USING heap AS VALUES (1)", "VALUES (1)", "create-table"],
    ["EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1", "SELECT 1", "create-table"],
    ["SELECT a INTO t FROM b", "SELECT a FROM b", "create-table"],
    ['SELECT a INTO TEMP TABLE s."t" FROM b', "SELECT a FROM b", "create-table"],
    ["SELECT 1 AS a INTO UNLOGGED temp", "SELECT 1 AS a", "create-table"],
    ["SELECT 1 AS a INTO LOCAL TEMPORARY TABLE x WHERE 1=1", "SELECT 1 AS a WHERE 1=1", "create-table"],
    [
      "SELECT 'é日' AS a INTO d . s . U&\"t!0061\" UESCAPE '!' WHERE a",
      "SELECT 'é日' AS a WHERE a",
      "create-table",
    ],
    ["(SELECT 'into' AS a INTO t) UNION SELECT 2", "(SELECT 'into' AS a ) UNION SELECT 2", "create-table"],
    [
      "WITH x AS (INSERT INTO u VALUES (1) RETURNING *) SELECT * INTO t FROM x",
      "WITH x AS (INSERT INTO u VALUES (1) RETURNING *) SELECT * FROM x",
      "create-table",
    ],
    [
      "SELECT 1 AS a INTO t UNION SELECT 2 INTERSECT SELECT 3",
      "SELECT 1 AS a UNION SELECT 2 INTERSECT SELECT 3",
      "create-table",
    ],
    ["EXPLAIN SELECT 1 AS a INTO t", "SELECT 1 AS a", "create-table"],
    ["COPY (SELECT ')' AS \"(\") TO STDOUT", "SELECT ')' AS \"(\"", "copy"],
    [
      "COPY ((SELECT 1) UNION ALL (SELECT 2)) TO STDOUT (FORMAT csv)",
      "(SELECT 1) UNION ALL (SELECT 2)",
      "copy",
    ],
    ['COPY "T""x" (a, "B") TO STDOUT', 'SELECT "a", "B" FROM ONLY "T""x"', "copy"],
    ["COPY s.t TO STDOUT", 'SELECT * FROM ONLY "s"."t"', "copy"],
    ["COPY s.t FROM STDIN", 'INSERT INTO "s"."t" DEFAULT VALUES', "copy-in"],
    ['COPY t (b, "C") FROM STDIN', 'INSERT INTO "t" ("b", "C") VALUES (DEFAULT, DEFAULT)', "copy-in"],
    ["TRUNCATE ONLY s.t", 'DELETE FROM "s"."t"', "expressions"],
    ["PREPARE p AS SELECT $1", "SELECT $1", "prepare"],
    [
      "PREPARE p (int, s.\"T\"[], numeric(10, 2)) AS SELECT f($1, $2, $3::text, '$1')",
      'SELECT f( ($1::"pg_catalog"."int4") ,  ($2::"s"."T"[]) ,  ($3::"pg_catalog"."numeric") ::text, \'$1\')',
      "prepare",
    ],
    [
      "CREATE OR REPLACE TEMP VIEW v (a) WITH (security_barrier) AS SELECT 1 WITH CASCADED CHECK OPTION",
      "SELECT 1",
      "create-view",
    ],
    ["CREATE VIEW v AS SELECT 1 AS option", "SELECT 1 AS option", "create-view"],
    [
      'CREATE RECURSIVE VIEW s.v ("A") AS SELECT 1 UNION ALL SELECT "A" + 1 FROM v WITH CHECK OPTION'.replace(
        " WITH CHECK OPTION",
        "",
      ),
      'WITH RECURSIVE "v" ("A") AS (SELECT 1 UNION ALL SELECT "A" + 1 FROM v) SELECT "A" FROM "v"',
      "create-view",
    ],
    ["EXECUTE p(1, lower('A'), ROW(1, 2))", "SELECT 1, lower('A'), ROW(1, 2)", "expressions"],
    ["EXPLAIN ANALYZE EXECUTE p(random())", "SELECT random()", "expressions"],
    ["CREATE TABLE x AS EXECUTE p(random()) WITH NO DATA", "SELECT random()", "expressions"],
  ])("are cut out of %s", (sql, text, kind) => {
    expect(treeTexts(only(sql))).toEqual([{ text, kind }]);
  });

  it.each([
    "SELECT 1; -- x",
    " WITH x AS (DELETE FROM t RETURNING 1) TABLE x",
    "INSERT INTO t VALUES (1)",
    "VALUES (1)",
    "TABLE t",
  ])("are the statement itself for %s", (sql) => {
    expect(facts(sql).tree).toEqual([{ text: null, kind: "statement" }]);
    expect(treeTexts(only(sql))).toEqual([{ text: sql, kind: "statement" }]);
  });

  it("are none where the server has nothing to analyse", () => {
    for (const sql of [
      "EXECUTE p(1, $1, 'x')",
      "CREATE TABLE x AS EXECUTE p",
      "BEGIN",
      "FETCH c",
      "EXPLAIN REFRESH MATERIALIZED VIEW v".replace("EXPLAIN ", ""),
      "CALL p(1)",
    ])
      expect(facts(sql).tree, sql).toEqual([]);
  });

  it("of COPY FROM tell what it writes, and what its WHERE calls", () => {
    expect(treeTexts(only("COPY t (b) FROM STDIN WITH (FORMAT csv) WHERE a > f(1)"))).toEqual([
      { text: 'INSERT INTO "t" ("b") VALUES (DEFAULT)', kind: "copy-in" },
      { text: 'SELECT "b" FROM ONLY "t" WHERE a > f(1)', kind: "expressions" },
    ]);
    expect(treeTexts(only("TRUNCATE t, u CASCADE")).map(({ text }) => text)).toEqual([
      'DELETE FROM "t"',
      'DELETE FROM "u"',
    ]);
  });

  it("are found for all that the grammar knows", () => {
    for (const sql of [...examples.map((example) => example.sql), ...tricky]) {
      for (const { shape } of reader.read(sql).statements) {
        const { refusal } = shape.facts;
        // A backslash before a quote in a plain string is refused whatever the grammar says.
        if (refusal?.message.startsWith("a backslash") !== true) expect(refusal, sql).toBeNull();
      }
    }
  });

  it("are those of the statement at hand, also when its shape is known", () => {
    const fresh = createSqlReader();
    fresh.read("SELECT a FROM t WHERE b = 1");
    const again = fresh.read("SELECT a FROM t WHERE b = 2 /* x */").statements[0];
    expect(fresh.stats.shapeHits).toBe(1);
    expect(again && treeTexts(again)).toEqual([
      { text: "SELECT a FROM t WHERE b = 2 /* x */", kind: "statement" },
    ]);
    fresh.read("EXPLAIN SELECT a FROM t /* one */ WHERE b");
    const other = fresh.read("EXPLAIN SELECT a FROM t /* two */ WHERE b").statements[0];
    expect(other && treeTexts(other)[0]?.text).toContain("two");
  });
});

describe("texts to ask about, against a server", () => {
  let database: Database;
  let name: string;
  beforeAll(async () => {
    database = await sharedCluster();
    name = await database.createDatabase();
    await database.query(
      name,
      `CREATE TABLE t (a int, b text, c int GENERATED ALWAYS AS (a + 1) STORED); CREATE SCHEMA s; CREATE TABLE s."T" (a int);
       CREATE FUNCTION f(int) RETURNS text LANGUAGE sql AS 'SELECT ''int'''; CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS 'SELECT ''text'''`,
    );
  });
  afterAll(() => database.dropDatabase(name));

  it.each([
    "EXPLAIN ANALYZE SELECT * FROM t",
    "EXPLAIN (ANALYZE, COSTS off) WITH x AS MATERIALIZED (DELETE FROM t RETURNING *) SELECT * FROM x",
    "DECLARE c CURSOR FOR SELECT * FROM t WHERE b = 'x;' FOR UPDATE",
    "CREATE TABLE x AS SELECT * FROM t WITH NO DATA",
    "CREATE TEMP VIEW v AS SELECT a FROM t WHERE a > 1 WITH LOCAL CHECK OPTION",
    "CREATE RECURSIVE VIEW r (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5",
    "SELECT a, b INTO TEMP y FROM t UNION SELECT 1, 'x'",
    "COPY t TO STDOUT",
    'COPY s."T" (a) TO STDOUT CSV',
    "COPY (SELECT * FROM t ORDER BY 1) TO STDOUT",
    "COPY t FROM STDIN WHERE a > length(b)",
    "PREPARE p (int, text[], numeric(5, 2)) AS SELECT f($1), $2[1], $3 + 1, $1 FROM t WHERE a = $1 LIMIT $1",
    "EXECUTE p(length('x'), ARRAY['a'], 1)",
  ])("are whole statements: %s", async (sql) => {
    const texts = treeTexts(only(sql));
    expect(texts).toHaveLength(sql.startsWith("COPY t FROM") ? 2 : 1);
    for (const { text } of texts) await database.query(name, `PREPARE ours AS ${text}; DEALLOCATE ours`);
  });

  it("may stand for each other where their shapes are equal: literals of one class have one type", async () => {
    const numbers = [
      "0",
      "7",
      "2147483646",
      "2147483647",
      "2147483648",
      "2147483649",
      "4294967296",
      "99999999999",
    ];
    numbers.push("999999999999999999", "9223372036854775806", "9223372036854775807", "9223372036854775808");
    numbers.push(
      "9223372036854775809",
      "99999999999999999999",
      "1.5",
      "0.1",
      "1e3",
      "2e-5",
      "1.5e10",
      "1e30",
    );
    const types = new Map<string, Set<unknown>>();
    for (const number of [...numbers, ...numbers.map((n) => `-${n}`), ...numbers.map((n) => `- ${n}`)]) {
      const key = shapeKey(`SELECT ${number}`, new Marks());
      if (key === null) continue;
      const [row] = await database.query(name, `SELECT pg_typeof(${number})::text AS t`);
      types.set(key, (types.get(key) ?? new Set()).add(row?.t));
    }
    expect(types.size).toBe(9);
    for (const [key, found] of types) expect(found.size, key).toBe(1);
  });

  it("mean what PREPARE means with its parameter types", async () => {
    for (const [type, expected] of [
      ["int", "int"],
      ["text", "text"],
      ["pg_catalog.int4", "int"],
    ]) {
      const text = treeTexts(only(`PREPARE p (${type}) AS SELECT f($1) AS f`))[0]?.text;
      expect(await database.query(name, `PREPARE ours AS ${text}; EXECUTE ours(NULL)`)).toEqual([
        { f: expected },
      ]);
    }
  });
});
