import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EstimateReader, type EstimateResult, encodeEstimate } from "../../src/analysis/ask-estimate.ts";
import { hasTree, probe, probeText } from "../../src/analysis/probe.ts";
import { binaries } from "../support/binaries.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Bare, bare } from "./ask-support.ts";

/** GRANT SET ON PARAMETER came with PostgreSQL 15. */
const grantable = (await binaries()).major >= 15;

let cluster: Database;
let database: string;
let session: Bare;

beforeAll(async () => {
  cluster = await sharedCluster();
  database = await cluster.createDatabase();
  await cluster.query(
    database,
    `create role l_${database} login password 'x';
     create table big (id int primary key, word text);
     insert into big select i, 'word' || i % 10 from generate_series(1, 10000) i; analyze big;
     create table seen (n int); create function note(i int) returns int language plpgsql volatile as $$ begin insert into seen values (i); return i; end $$`,
  );
});
afterAll(async () => {
  await cluster.dropDatabase(database);
  await cluster.query("postgres", `drop role l_${database}`);
});
beforeEach(async () => {
  session = await bare({ connectionString: cluster.url(database) });
});
afterEach(() => session.end());

async function estimate(
  text: string,
  parameterTypes: number[] = [],
  options: { maxBytes?: number } = {},
): Promise<EstimateResult> {
  const reader = new EstimateReader(options.maxBytes);
  session.send(encodeEstimate({ text, parameterTypes, searchPath: null, quietLog: false }));
  await session.until((message) => reader.push(message.type.charCodeAt(0), message.body));
  if (reader.result === null) reader.end();
  if (reader.result === null) throw new Error("no result");
  return reader.result;
}

describe("an estimate", () => {
  it("tells rows and cost of a query", async () => {
    expect(await estimate("select * from big")).toMatchObject({ ok: true, rows: 10_000 });
    expect(await estimate("select * from big where id = 5")).toMatchObject({ rows: 1 });
    const result = await estimate("select * from big a, big b");
    expect(result.ok && result.rows === 100_000_000 && result.cost > 100_000).toBe(true);
  });

  it("tells rows that are changed", async () => {
    expect(await estimate("delete from big")).toMatchObject({ rows: 10_000 });
    expect(await estimate("update big set word = 'x' where id < 0")).toMatchObject({ rows: 1 });
    expect(await estimate("with d as (delete from big) select 1")).toMatchObject({ rows: 10_000 });
    expect(await estimate("insert into seen select id from big")).toMatchObject({ rows: 10_000 });
    expect(await session.run("select count(*) from big")).toEqual([["10000"]]);
  });

  it("plans for unknown parameters", async () => {
    const result = await estimate("select * from big where word = $1", [25]);
    expect(result).toMatchObject({ ok: true, rows: 1000 });
    expect(await estimate("select * from nothing where a = $1", [25])).toMatchObject({
      sqlstate: "42P01",
    });
    expect(await estimate("select * from big where word = $1", [25])).toEqual(result);
    expect(await session.run("select name from pg_prepared_statements where name <> ''")).toEqual([]);
    expect(await session.run("show plan_cache_mode")).toEqual([["auto"]]);
  });

  it("runs nothing", async () => {
    expect(await estimate("select note(id) from big")).toMatchObject({ ok: true });
    expect(await session.run("select count(*) from seen")).toEqual([["0"]]);
  });

  it("fails with the server's word, within its size, and goes on", async () => {
    expect(await estimate("select * from nothing")).toMatchObject({
      ok: false,
      sqlstate: "42P01",
      broken: false,
    });
    expect(await estimate("vacuum big")).toMatchObject({ ok: false, sqlstate: "42601" });
    expect(await estimate("select * from big", [], { maxBytes: 10 })).toMatchObject({ sqlstate: "54000" });
    expect(await estimate("select 1")).toMatchObject({ ok: true, rows: 1 });
  });

  it("says so when the connection ends or speaks otherwise", () => {
    const ended = new EstimateReader();
    ended.end();
    expect(ended.result).toMatchObject({ ok: false, broken: true });
    const odd = new EstimateReader();
    expect(odd.push("G".charCodeAt(0), Buffer.alloc(3))).toBe(true);
    expect(odd.result).toMatchObject({ ok: false, broken: true });
    const empty = new EstimateReader();
    expect(empty.push("Z".charCodeAt(0), Buffer.from("I"))).toBe(true);
    expect(empty.result).toMatchObject({ ok: false, sqlstate: "XX000" });
  });
});

describe("the probe", () => {
  it.runIf(grantable)("tells what a login may do, and the one GRANT", async () => {
    expect(await probe((sql) => session.run(sql))).toMatchObject({
      trees: true,
      log: "granted",
      advice: null,
    });
    const login = `l_${database}`;
    const plain = await bare({ connectionString: cluster.url(database, login, "x") });
    const found = await probe((sql) => plain.run(sql));
    expect(found).toMatchObject({ login, trees: true, log: "grant" });
    expect(found.advice).toBe(`GRANT SET ON PARAMETER log_min_messages TO ${login};`);
    await cluster.query(database, found.advice ?? "");
    expect(await probe((sql) => plain.run(sql))).toMatchObject({ log: "granted" });
    await cluster.query(database, `revoke set on parameter log_min_messages from ${login}`);
    await plain.end();
  });

  it("names the way of PostgreSQL 14, and a server that needs none", async () => {
    const rows = (version: string, level: string) => async () => [[version, "Odd", "f", level, "4"]];
    expect(await probe(rows("140010", "warning"))).toMatchObject({
      log: "role",
      advice: `ALTER ROLE "Odd" SET log_min_messages = 'fatal';`,
    });
    expect((await probe(rows("140010", "fatal"))).log).toBe("server");
    expect((await probe(async () => [["180000", "a", "f", "warning", "3"]])).trees).toBe(false);
  });

  it("is certain once a tree has come through", async () => {
    const result = await session.ask({ text: probeText });
    expect(result.ok && hasTree(result.trees)).toBe(true);
    expect(hasTree([])).toBe(false);
  });
});
