/** A READ ONLY transaction of the server as judge of effects: what it refuses there must not count as doing nothing. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { examples } from "./statements.ts";
import { tricky } from "./tricky.ts";

const more = [
  "SELECT 1 AS a INTO made",
  "(SELECT 1 AS a INTO made) UNION ALL SELECT 2",
  "EXPLAIN ANALYZE CREATE TABLE made AS SELECT 1",
  "EXPLAIN (ANALYZE) INSERT INTO t VALUES (1)",
  "EXPLAIN ANALYZE SELECT 1 AS a INTO made",
  "EXPLAIN INSERT INTO t VALUES (1)",
  "EXPLAIN CREATE TABLE made AS SELECT 1",
  "WITH x AS MATERIALIZED (DELETE FROM t RETURNING 1) SELECT 1",
  "WITH x AS (DELETE FROM t RETURNING 1) TABLE x",
  "COPY (DELETE FROM t RETURNING 1) TO STDOUT",
  "SELECT * FROM t FOR UPDATE",
  "SELECT * FROM (SELECT * FROM t FOR SHARE) x",
  "LOCK TABLE t IN ROW EXCLUSIVE MODE",
  "LOCK TABLE t IN ACCESS SHARE MODE",
  "NOTIFY a",
  "LISTEN a",
  "UNLISTEN *",
  "DISCARD PLANS",
  "COMMENT ON TABLE t IS 'x'",
  "PREPARE TRANSACTION 'x'",
  "SET TRANSACTION READ WRITE",
  "UPDATE pg_settings SET setting = setting WHERE name = 'work_mem'",
  "REFRESH MATERIALIZED VIEW mv",
  "TRUNCATE t",
  "MERGE INTO t USING t s ON false WHEN MATCHED THEN DELETE",
];

describe("effects, against a server's READ ONLY transactions", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());

  it("are never empty where the server refuses to run the statement", async () => {
    const database = await cluster.createDatabase();
    const client = new pg.Client(cluster.url(database));
    client.on("error", () => {});
    await client.connect();
    const reader = createSqlReader();
    const run = (sql: string): Promise<{ code?: string; message?: string } | null> =>
      client.query(sql).then(
        () => null,
        (error: { code?: string; message?: string }) => error,
      );
    let refused = 0;
    await client.query("CREATE TABLE t (a int); CREATE MATERIALIZED VIEW mv AS SELECT 1 AS a");
    const texts = [
      ...more,
      "DROP TABLE t; DROP MATERIALIZED VIEW mv",
      ...examples.map(({ sql }) => sql),
      ...tricky,
    ];
    for (const sql of texts) {
      const { statements } = reader.read(sql);
      const [only] = statements;
      if (statements.length === 1 && only !== undefined) {
        await run("BEGIN READ ONLY");
        const error = await run(sql);
        await run("ROLLBACK");
        const { kind, facts } = only.shape;
        // A function did it (its name is in the message), or a statement prepared before: others decide on these.
        const others = kind === "execute" || /\(\)/.test(error?.message ?? "");
        if (error?.code === "25006" && !others) {
          refused++;
          expect(facts.effects, sql).not.toEqual([]);
        }
      }
      await run(sql);
      await run("ROLLBACK");
    }
    await client.end();
    expect(refused).toBeGreaterThan(100);
  }, 60_000);
});
