/** Errors of writes beside protected columns: the server's own words where they can hold nothing of them, withheld elsewhere. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { field, query } from "./messages.ts";

const policy = `
version: 1
extends: agent-safe
labels: [{ label: pii, columns: ["*.public.people.email"], mask: partial }]
`;
const schema = `
create table teams (id int primary key);
create table people (id int primary key, email text unique, team int references teams on delete cascade);
create table shops (id int primary key, number int unique deferrable initially deferred);
create table orders (id int primary key, person int references people, shop int references shops deferrable initially deferred,
  amount numeric check (amount > 0));
create table watched (id int primary key);
create function tell() returns trigger language plpgsql as $$ begin raise exception '%', (select email from people limit 1); end $$;
create trigger tell before insert on watched for each row execute function tell();
create trigger tell before delete on people for each row execute function tell();
insert into teams values (1); insert into people values (1, 'jane@private.example', 1); insert into shops values (1, 1), (2, 2);
insert into orders values (1, 1, 1, 5);
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `${schema} create role ${dbname}_app login password 'app';
     grant select, insert, update, delete on all tables in schema public to ${dbname}_app`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: `${dbname}_app`, password: "app" },
    dbname,
    policy,
    kinds: [{ kind: "service", when: '"testers" in groups' }],
  });
  client = await rawLogin(postern, await postern.token({ sub: "app" }));
});
afterAll(async () => {
  await client?.end();
  await postern?.stop();
  await cluster.dropDatabase(dbname);
  await cluster.query("postgres", `drop role ${dbname}_app`);
});

async function told(sql: string): Promise<string> {
  client.send(query(sql));
  const error = (await client.ready()).find(({ type }) => type === "E");
  return error === undefined ? "" : `${field(error, "C")} ${field(error, "M")} / ${field(error, "D") ?? ""}`;
}

test.each([
  [
    "insert into orders values (2, 99, 1, 5)",
    /^23503 insert or update on table "orders".*Key \(person\)=\(99\)/,
  ],
  [
    "insert into orders values (2, 1, 99, 5)",
    /^23503 insert or update on table "orders".*Key \(shop\)=\(99\)/,
  ],
  ["insert into orders values (1, 1, 1, 5)", /^23505 duplicate key.*Key \(id\)=\(1\)/],
  ["update orders set amount = -1 where id = 1", /^23514 new row for relation "orders"/],
  ["update orders set amount = 'many' where id = 1", /^22P02 invalid input syntax for type numeric: "many"/],
  ["delete from shops where id = 1", /^23503 update or delete on table "shops"/],
  ["update shops set number = 2 where id = 1", /^23505 duplicate key.*Key \(number\)=\(2\)/],
])("what only foreign keys look at is told: %s", async (sql, expected) => {
  expect(await told(sql)).toMatch(expected);
});

test.each([
  "insert into people values (2, 'jane@private.example', 1)",
  "update people set id = 2 where id = 1",
  "insert into watched values (1)",
  // Cascades to people, whose trigger tells.
  "delete from teams where id = 1",
])("what holds, or reaches, protected values is withheld: %s", async (sql) => {
  const error = await told(sql);
  expect(error).toMatch(/withheld/);
  expect(error).not.toContain("private");
});

test("a trigger that is made past the gateway, on a table that has triggers of foreign keys already", async () => {
  await cluster.query(
    dbname,
    "create trigger tell before insert on orders for each row execute function tell()",
  );
  const until = Date.now() + 20_000;
  let error = "";
  // Rolled back: the session's own picture is looked at anew.
  while (Date.now() < until && !error.includes("withheld")) {
    await sleep(250);
    error = await told("insert into orders values (7, 1, 1, 5)");
  }
  expect(error).toMatch(/withheld/);
});
