/** Plans of a real server, over a short value and a long one: with sizes hidden they are the same. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNameMask, createPlanMask } from "../../src/masking/index.ts";
import { sharedCluster } from "../support/cluster.ts";

let client: pg.Client;
let drop: () => Promise<void>;
beforeAll(async () => {
  const cluster = await sharedCluster();
  const database = await cluster.createDatabase();
  client = new pg.Client(cluster.url(database));
  await client.connect();
  for (const [schema, value] of [
    ["short", "k"],
    ["long", "k".repeat(90)],
  ])
    await client.query(`create schema ${schema}; create table ${schema}.t (a text) with (autovacuum_enabled = off);
      insert into ${schema}.t values ('${value}')`);
  await client.query("set work_mem = '64kB'; set jit = off; set max_parallel_workers_per_gather = 0");
  drop = async () => {
    await client.end();
    await cluster.dropDatabase(database);
  };
});
afterAll(() => drop?.());

const rows = (n: number) => `select a, g from t, generate_series(1, ${n}) g`;
const statements: Readonly<Record<string, string>> = {
  "a sort in memory": `select a from (${rows(200)}) s order by g`,
  "a sort on disk": `select a from (${rows(20_000)}) s order by g`,
  "a sort of groups": `select a from (${rows(500)} order by g) s order by g, g % 7`,
  "a WITH query": `with c as materialized (${rows(1000)}) select a from c`,
  "a hash": `select s.a from generate_series(1, 3000) h join (${rows(800)}) s on s.g = h`,
  "a hashed aggregate": `select s.g, min(s.a) from (${rows(900)}) s group by s.g`,
  "a window": `select a, count(*) over (partition by g % 2) from (${rows(500)}) s`,
};
const formats = ["text", "json", "yaml", "xml"] as const;

async function plan(
  schema: "short" | "long",
  sql: string,
  format: string,
  buffers = "buffers off",
): Promise<string> {
  await client.query(`set search_path = ${schema}`);
  const options = `analyze, ${buffers}, costs off, timing off, summary off, format ${format}`;
  const { rows: lines } = await client.query<string[]>({
    text: `explain (${options}) ${sql}`,
    rowMode: "array",
    types: { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig,
  });
  return lines.map(([line = ""]) => line).join("\n");
}

describe.each(formats)("%s", (format) => {
  const mask = createPlanMask(null);
  test.each(Object.entries(statements))("%s", async (_, statement) => {
    const short = mask.text(await plan("short", statement, format));
    expect(mask.text(await plan("long", statement, format))).toBe(short);
    if (format === "json") expect(() => JSON.parse(short)).not.toThrow();
  });

  test("an update by what the row holds, and by something else", async () => {
    const plans: string[] = [];
    for (const value of ["k".repeat(90), "k".repeat(45) + "z".repeat(45), "z".repeat(90)]) {
      await client.query("begin; create index on long.t (a); update long.t set a = a");
      plans.push(await plan("long", `update t set a = '${value}'`, format, "wal, buffers"));
      await client.query("rollback");
    }
    expect(new Set(plans).size).toBe(3);
    const hidden = new Set(plans.map((text) => createPlanMask(null, true).text(text)));
    expect(hidden.size).toBe(1);
    if (format === "json") for (const text of hidden) expect(() => JSON.parse(text)).not.toThrow();
  });

  test("there is something to hide", async () => {
    let told = 0;
    for (const one of Object.values(statements))
      if ((await plan("short", one, format)) !== (await plan("long", one, format))) told++;
    expect(told).toBeGreaterThan(2);
  });
});

test("names are hidden as well, and lines without sizes stay", () => {
  const mask = createPlanMask(createNameMask(["salary"], false));
  expect(mask.text("  Sort Key: e.salary")).toBe("  Sort Key: e.********");
  expect(mask.text("Sort Method: quicksort  Memory: 25kB")).toBe("Sort Method: ***");
  expect(mask.text("  Buffers: shared hit=3, temp read=10 written=11")).toBe("  Buffers: shared hit=3");
  expect(mask.text("Serialization: time=0.1 ms  output=90kB  format=text")).toBe("Serialization: ***");
  expect(mask.text("Filter: (id = 1)")).toBe("Filter: (id = 1)");
});
