/** What approvers are warned of, from a real catalog: what may happen, and nothing that cannot. */
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { HeldStatement } from "../../src/facts/approval.ts";
import { databaseWarnings } from "../../src/gateway/hold/warnings.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";

let cluster: Database;
let dbname: string;
let client: pg.Client;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table people(id int primary key, tag text unique);
     create table orders(id int primary key, person int references people, "Odd, one" int references people on update cascade, status text);
     create table items(id int, orders_id int references orders);
     create table made(a int, b int generated always as (a + 1) stored references people);
     create function touch() returns trigger language plpgsql as $$ begin new.person := 1; return new; end $$;
     create table fired(person int references people, status text);
     create trigger t before update on fired for each row execute function touch();
     create view seen as select id as status, status as id from orders`,
  );
  const { host, port, superuser: user, password } = cluster;
  client = new pg.Client({ host, port, user, password, database: dbname });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await cluster?.dropDatabase(dbname);
});

async function warned(sql: string, kind: string, writes: readonly string[]): Promise<string[]> {
  const statement: HeldStatement = {
    sql,
    fingerprint: null,
    kind,
    command: kind.toUpperCase(),
    effects: ["write"],
    reads: [],
    writes,
    columns: [],
    functions: [],
    labels: [],
    masked: [],
    parameters: [],
    unboundedWrite: false,
  };
  const query = async (text: string) =>
    (await client.query<(string | null)[]>({ text, rowMode: "array" })).rows;
  return (await databaseWarnings(query, [statement])).map(({ code, object }) => `${code} ${object}`);
}

const all = ["FOREIGN_KEY public.items", "FOREIGN_KEY public.people", "FOREIGN_KEY public.people"];

it.each<[string, string, string[], string[]]>([
  ["update orders set status = 'x' where id = 1", "update", ["public.orders"], []],
  ["update orders set person = 2 where id = 1", "update", ["public.orders"], ["FOREIGN_KEY public.people"]],
  ["update orders set id = 2 where id = 1", "update", ["public.orders"], ["FOREIGN_KEY public.items"]],
  [
    "update orders set (status, \"Odd, one\") = (select 'x', 2)",
    "update",
    ["public.orders"],
    ["FOREIGN_KEY public.people"],
  ],
  ["update people set tag = 'x'", "update", ["public.people"], []],
  ["delete from orders where id = 1", "delete", ["public.orders"], ["FOREIGN_KEY public.items"]],
  ["insert into orders values (1)", "insert", ["public.orders"], all.slice(1)],
  // Where somebody else may change the key, all are told.
  ["with gone as (delete from orders) update orders set status = 'x'", "update", ["public.orders"], all],
  ["update seen set id = 'x'", "update", ["public.orders", "public.seen"], all],
  ["update seen set id = 'x'", "update", ["public.orders"], all],
  ["execute later", "update", ["public.orders"], all],
  ["update made set a = 1", "update", ["public.made"], ["FOREIGN_KEY public.people"]],
  [
    "update fired set status = 'x'",
    "update",
    ["public.fired"],
    ["FOREIGN_KEY public.people", "TRIGGER public.fired"],
  ],
])("%s", async (sql, kind, writes, wanted) => {
  expect((await warned(sql, kind, writes)).sort()).toEqual(wanted);
});
