import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";
import { parsers } from "../../src/sql/parser.ts";
import { objectAt } from "../../src/sql/tree.ts";
import { condition } from "../../src/sql/truth.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";

const reader = createSqlReader();
const facts = (sql: string) => {
  const { statements, reason } = reader.read(sql);
  expect(reason, sql).toBeNull();
  return statements[0]?.shape.facts;
};

/** Conditions on `t` that name no rows. */
const boundless = [
  "true",
  "1=1",
  "'a' = 'a'",
  "$1",
  "$1 = $1",
  "1 < 2",
  "NOT false",
  "NOT (1 = 2)",
  "'t'",
  "'yes'::boolean",
  "id = id",
  "t.id = t.id",
  "id >= id",
  "id IS NOT DISTINCT FROM id",
  "lower(name) = lower(name)",
  "id IS NULL OR id IS NOT NULL",
  "id = 5 OR 1=1",
  "id = 5 OR true",
  "id = 5 OR id <> 5",
  "id = 5 OR id != 5",
  "id < 5 OR id >= 5",
  "id = 5 OR NOT id = 5",
  "NOT (id IS NULL AND id IS NOT NULL)",
  "(id = 5) IS NOT UNKNOWN",
  "(id = id) IS TRUE",
  "true AND 1=1",
  "id IN (id, 5)",
  "id = ANY (ARRAY[id])",
  "id BETWEEN id AND id OR id = id",
  "1 IN (1, 2)",
  "name LIKE '%'",
  "name ILIKE '%%'",
  "name ~ '.*'",
  "name ~ ''",
  "EXISTS (SELECT 1)",
  "EXISTS (SELECT 1 FROM s)",
  "EXISTS (SELECT a FROM s WHERE 1=1)",
  "EXISTS (SELECT 1 FROM s WHERE s.a = 1)",
  "EXISTS (SELECT 1 FROM t WHERE t.id = 5)",
  "NOT EXISTS (SELECT 1 WHERE false)",
  "id IN (SELECT id FROM t)",
  "1 IN (SELECT 1)",
  "(SELECT true)",
  "random() < 2",
  "now() IS NOT NULL",
  "current_user = 'x'",
  "ctid IS NOT NULL",
  "t.tableoid IS NOT NULL",
  "CASE WHEN id = 1 THEN true ELSE true END",
  "5 IS NOT NULL",
  "NOT ($1 IS NOT NULL)",
  "id + random() <> id + random()",
  "id + random() < 5 AND id + random() >= 5",
  "NOT (2 < 1)",
  "NULL IS NOT FALSE",
];
/** Conditions that name rows, or none. */
const bounded = [
  "id = 5",
  "id = $1",
  "id = 5 AND 1=1",
  "id = 5 OR 1=2",
  "id = 5 OR name = 'x'",
  "id = 5 AND (id = id)",
  "NOT id = 5",
  "id IN (1, 2)",
  "id = ANY ($1)",
  "id = other",
  "name LIKE 'x%'",
  "name ~ '^a'",
  "name IS NOT NULL",
  "flag",
  "NOT flag",
  "flag IS TRUE",
  "id IN (SELECT a FROM s)",
  "id IN (SELECT id FROM t WHERE name = 'x')",
  "id IN (SELECT id FROM t ORDER BY id LIMIT 5)",
  "EXISTS (SELECT 1 FROM s WHERE s.a = t.id)",
  "t.id IN (SELECT t.id FROM t JOIN s ON s.a = t.id WHERE s.b = 5)",
  "EXISTS (SELECT 1 FROM s WHERE EXISTS (SELECT 1 FROM u WHERE u.x = t.id))",
  "EXISTS (SELECT 1 FROM s WHERE a = id)",
  "CURRENT OF c",
  "false",
  "1 = 0",
  "NULL",
  "'f'",
  "id <> id",
  "ctid = '(0,1)'",
  "CASE WHEN id = 1 THEN true ELSE false END",
];

describe("unbounded writes", () => {
  it.each(boundless)("%s names no rows", (condition) => {
    for (const sql of [
      `DELETE FROM t WHERE ${condition}`,
      `UPDATE t SET name = 'x' WHERE ${condition}`,
      `WITH x AS (DELETE FROM t WHERE ${condition} RETURNING 1) SELECT 1 FROM x WHERE true`,
      `EXPLAIN ANALYZE DELETE FROM t WHERE ${condition}`,
      `PREPARE p AS DELETE FROM t WHERE ${condition}`,
    ])
      expect(facts(sql), sql).toMatchObject({ unboundedWrite: true, hasWhere: false });
  });

  it.each(bounded)("%s names rows", (condition) => {
    for (const sql of [`DELETE FROM t WHERE ${condition}`, `UPDATE t SET name = 'x' WHERE ${condition}`])
      expect(facts(sql), sql).toMatchObject({ unboundedWrite: false, hasWhere: true });
  });

  it.each<[string, boolean]>([
    ["DELETE FROM t", true],
    ["UPDATE t SET id = 1", true],
    ["TRUNCATE t", true],
    ["INSERT INTO t SELECT * FROM s", false],
    ["INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x'", false],
    ["SELECT 1", false],
    ["EXPLAIN DELETE FROM t", false],
    ["CREATE RULE r AS ON INSERT TO s DO ALSO DELETE FROM t", false],
    ["COPY (DELETE FROM t RETURNING 1) TO STDOUT", true],
    ["WITH a AS (DELETE FROM t WHERE id = 1), b AS (DELETE FROM s) SELECT 1", true],
    ["DELETE FROM t AS x WHERE x.id = 1", false],
    ["DELETE FROM t USING s WHERE t.id = s.a", false],
    ["DELETE FROM t USING s WHERE s.a = 1", true],
    ["DELETE FROM t USING s JOIN u ON true WHERE s.a = u.b", true],
    ["DELETE FROM t USING (SELECT 1 AS a) s WHERE s.a = 1", true],
    ["DELETE FROM t USING s WHERE a = 1", false],
    ["UPDATE t SET id = 1 FROM s WHERE s.a = 1", true],
    ["UPDATE t SET id = 1 FROM s", true],
    ["DELETE FROM t AS a USING t AS b WHERE a.id = b.id", true],
    ["DELETE FROM t USING t AS b WHERE t.id = b.id AND b.name = 'x'", true],
    ["DELETE FROM t USING t AS b WHERE t.id = b.id AND t.name = 'x'", false],
    ["DELETE FROM t USING t AS b WHERE t.id < b.id", false],
    ["DELETE FROM t USING t AS b WHERE NOT t.id < b.id", false],
    ["MERGE INTO t USING s ON t.id = s.a WHEN MATCHED THEN DELETE", false],
    ["MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", true],
    ["MERGE INTO t USING s ON s.a = 1 WHEN MATCHED THEN UPDATE SET id = 1", true],
    ["MERGE INTO t USING s ON true WHEN MATCHED AND t.id = 5 THEN DELETE", false],
    [
      "MERGE INTO t USING s ON true WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (1)",
      false,
    ],
    ["MERGE INTO t USING s ON t.id = s.a WHEN NOT MATCHED BY SOURCE THEN DELETE", true],
    ["MERGE INTO t USING s ON t.id = s.a WHEN NOT MATCHED BY SOURCE AND t.id = 5 THEN DELETE", false],
    ["MERGE INTO t USING t AS s ON t.id = s.id WHEN MATCHED THEN DELETE", true],
  ])("%s: %s", (sql, unbounded) => {
    expect(facts(sql)?.unboundedWrite).toBe(unbounded);
  });

  it("are not looked for without end", () => {
    const deep = `DELETE FROM t WHERE ${"NOT (".repeat(250)}id = 5${")".repeat(250)}`;
    expect(facts(deep)?.unboundedWrite).toBe(true);
    const wide = `DELETE FROM t WHERE id = 5 OR ${"id = 6 OR ".repeat(2000)} id = 7`;
    expect(facts(wide)?.unboundedWrite).toBe(false);
  });
});

describe("conditions, against a server", () => {
  let database: Database;
  let name: string;
  beforeAll(async () => {
    database = await sharedCluster();
    name = await database.createDatabase();
    await database.query(
      name,
      `CREATE TABLE t (id int NOT NULL, name text NOT NULL, flag bool NOT NULL, other int NOT NULL, nil int);
       INSERT INTO t SELECT g, 'n' || g, g % 2 = 0, g % 3 FROM generate_series(0, 8) g`,
    );
  });
  afterAll(() => database.dropDatabase(name));

  const leaf = fc.constantFrom(
    ...[
      "true",
      "false",
      "NULL",
      "1=1",
      "1=2",
      "2<>2",
      "id = 3",
      "id = id",
      "id <> id",
      "id < 3",
      "id >= 3",
      "flag",
    ],
    ...[
      "name LIKE '%'",
      "name LIKE 'n1%'",
      "id IS NULL",
      "id IS NOT NULL",
      "3 IS NULL",
      "id IN (id, 3)",
      "id = other",
    ],
    ...[
      "EXISTS (SELECT 1)",
      "EXISTS (SELECT 1 WHERE false)",
      "id IN (SELECT id FROM t)",
      "'f'",
      "'t'",
      "id IN (3, 4)",
    ],
  );
  const tree = fc.letrec<{ condition: string }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      fc.tuple(tie("condition"), tie("condition")).map(([a, b]) => `(${a} AND ${b})`),
      fc.tuple(tie("condition"), tie("condition")).map(([a, b]) => `(${a} OR ${b})`),
      tie("condition").map((a) => `(NOT ${a})`),
      fc
        .tuple(
          tie("condition"),
          fc.constantFrom("TRUE", "FALSE", "NOT TRUE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"),
        )
        .map(([a, test]) => `((${a}) IS ${test})`),
    ),
  })).condition;

  const count = async (conditions: readonly string[]): Promise<readonly unknown[]> => {
    const columns = conditions.map((sql, i) => `(SELECT count(*) FROM t WHERE ${sql})::int AS c${i}`);
    const [row] = await database.query(name, `SELECT ${columns.join(", ")}`);
    return conditions.map((_, i) => row?.[`c${i}`]);
  };

  it("of constants alone are bounded only where they reach no row", async () => {
    const constant = fc
      .sample(tree, { numRuns: 1500, seed: 4 })
      .filter((sql) => !/\b(?:id|name|flag|other|nil)\b/.test(sql));
    const counts = await count(constant);
    let none = 0;
    for (const [i, sql] of constant.entries()) {
      if (facts(`DELETE FROM t WHERE ${sql}`)?.unboundedWrite === true) continue;
      none++;
      expect(counts[i], sql).toBe(0);
    }
    expect(none).toBeGreaterThan(50);
  });

  it("that never hold by their form do not", async () => {
    const some = fc.sample(tree, { numRuns: 1200, seed: 5 });
    const scope = { target: "t", isTarget: () => true, others: new Map<string, boolean>() };
    const never = some.filter((sql) => {
      const [raw] = parsers.parse(`SELECT 1 FROM t WHERE ${sql}`);
      return condition(objectAt(raw?.node, "SelectStmt")?.whereClause, scope).truth === "never";
    });
    expect(never.length).toBeGreaterThan(50);
    const counts = await count(never);
    for (const [i, sql] of never.entries()) expect(counts[i], sql).toBe(0);
  });
});
