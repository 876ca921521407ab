/** What a command tag does not tell of, because a rule or code changes it: a limit on changed rows holds all the same. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { rawLogin } from "../support/raw.ts";
import { bind, execute, field, parse, query, sync } from "./messages.ts";

const policy = `
version: 1
default: allow
rules:
  - { name: few, when: 'true', then: limit, limits: { affected_rows: 2 } }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table t(id int primary key, n int);
     insert into t select g, g from generate_series(1, 10) g;
     create procedure wipe() language sql as $$ delete from t $$;
     create table log(x int);
     create rule also as on insert to log do also delete from t;
     create view other as select * from t;
     create rule other as on update to other do instead delete from t;
     create view sometimes as select * from t;
     create rule never as on update to sometimes do instead nothing;
     create rule sometimes as on update to sometimes where new.n > 0 do instead delete from t;
     create view within as select * from t;
     create rule within as on update to within
       do instead with gone as (delete from t where id > 1 returning id) update t set n = 0 where id = 1;
     create view same as select * from t;
     create rule same as on update to same do instead update t set n = new.n where id = old.id;
     create view plain as select * from t;`,
  );
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({ server: { host, port, user, password }, dbname, policy });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

async function code(...messages: Buffer[]): Promise<string | null> {
  const client = await rawLogin(postern, await postern.token());
  client.send(...messages);
  const error = (await client.ready()).find(({ type }) => type === "E");
  client.send(query("select 1"));
  expect((await client.ready()).at(-2)?.type).toBe("C");
  await client.end();
  return error === undefined ? null : JSON.parse(field(error, "D") ?? "{}").code;
}

const ways: readonly (readonly [string, (sql: string) => Buffer[]])[] = [
  ["simple", (sql) => [query(sql)]],
  ["extended", (sql) => [parse("", sql), bind("", ""), execute(""), sync]],
];
const rows = async (what: string) => (await cluster.query(dbname, `select ${what} as n from t`))[0]?.n;

test.each(ways)("what the command tag does not count is refused, %s", async (_, send) => {
  for (const sql of [
    "insert into log values (1)",
    "update other set n = 1 where id = 1",
    "update sometimes set n = 1 where id = 1",
    "update within set n = 1 where id = 1",
  ])
    expect([sql, await code(...send(sql))]).toEqual([sql, "NOT_COUNTABLE"]);
  expect(await rows("count(*)::int")).toBe(10);
  const [leaf] = (await postern.records()).filter(({ type }) => type === "statement.intent").slice(-2);
  expect(leaf?.statement).toMatchObject({ clauses: ["several_writes", "where"] });
});

test.each(ways)("what it does count goes on being counted, %s", async (_, send) => {
  for (const view of ["same", "plain"]) {
    expect(await code(...send(`update ${view} set n = n where id <= 2`))).toBe(null);
    expect(await code(...send(`update ${view} set n = 0 where id <= 3`))).toBe("AFFECTED_ROWS_LIMIT");
  }
  expect(await rows("sum(n)::int")).toBe(55);
});

test.each(ways)("what code changes is not counted, and refused: %s", async (_, send) => {
  for (const sql of ["do $$ begin delete from t; end $$", "call wipe()"])
    expect([sql, await code(...send(sql))]).toEqual([sql, "NOT_COUNTABLE"]);
  expect(await rows("count(*)::int")).toBe(10);
});
