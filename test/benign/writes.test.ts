/** Bounded writes of everyday work, as an agent under the policy that comes with Postern: people are asked, nothing else stands in the way. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { binaries } from "../support/binaries.ts";
import { type BenignLab, send, startBenignLab } from "./support.ts";

const { major } = await binaries();

let lab: BenignLab;
beforeAll(async () => {
  lab = await startBenignLab();
  await lab.cluster.query(
    lab.dbname,
    `grant insert, update, delete on all tables in schema shop, public to ${lab.dbname}_reader`,
  );
});
afterAll(async () => {
  await lab?.stop();
});

test.each([
  "insert into orders (customer_id, amount, note) values (1, 50, 'x') returning id",
  "insert into orders (customer_id, amount) values (1, 10), (2, 20), (3, 30)",
  "insert into notes (id, body, kind) values (1, 'again', 'abc') on conflict (id) do update set body = excluded.body, kind = excluded.kind returning *",
  "insert into notes (id, body) values (2, 'x') on conflict do nothing",
  "insert into notes (id, body) values (3, 'x') on conflict (id) do update set body = excluded.body where notes.body is distinct from excluded.body",
  "insert into customers (email, name, region) values ('new@private.example', 'New', 'EU') returning id, created",
  "insert into customers (email, name) values ('p1@private.example', 'One') on conflict (id) do update set name = excluded.name returning id",
  // By the protected column itself: what upserts of Prisma, Drizzle, Knex, Kysely, TypeORM, Sequelize and Django come to.
  "insert into customers (email, name) values ('p1@private.example', 'One') on conflict (email) do update set name = excluded.name returning id, email",
  "insert into customers (email, name) values ('p1@private.example', 'One') on conflict (email) do nothing",
  "insert into leads (email, name) values ('p1@private.example', 'One') on conflict (email) do update set email = excluded.email, name = excluded.name",
  "insert into leads (id, email, name) values (default, 'p1@private.example', 'One') on conflict (email) do nothing returning id",
  "update customers set region = 'US' where id = 7",
  "update customers set email = 'changed@private.example', phone = null where id = 7 returning id, email",
  "update orders set state = 'paid', note = coalesce(note, '') || '!' where id = 1003 and state = 'open' returning id, state",
  "update orders o set note = c.name from customers c where c.id = o.customer_id and o.id = 1004",
  "update orders set (state, note) = ('sent', 'on its way') where id in (1001, 1002)",
  "delete from orders where id = 1005 returning id",
  "delete from notes where id = any ('{5,6}')",
  "delete from orders using customers c where c.id = customer_id and c.region = 'EU' and orders.id = 1006",
  "with latest as (select max(id) as id from orders where customer_id = 3) update orders set note = 'latest' from latest where orders.id = latest.id",
  // MERGE came with PostgreSQL 15.
  ...(major >= 15
    ? [
        "merge into notes n using (values (1, 'a'), (9, 'b')) v(id, body) on n.id = v.id when matched then update set body = v.body when not matched then insert (id, body) values (v.id, v.body)",
      ]
    : []),
])("%s", async (sql) => {
  const client = await lab.login("writer");
  expect(await send(client, { sql })).toMatchObject({ sqlstate: "42501", code: "NEEDS_APPROVAL" });
  expect(await send(client, { sql, types: [], values: [] })).toMatchObject({ code: "NEEDS_APPROVAL" });
  await client.end();
});

test.each([
  "insert into leads (email) values ('x') on conflict (email) do update set name = 'n' where leads.email > 'a'",
  "insert into leads (email) values ('x') on conflict (email) where email > 'a' do nothing",
  "insert into leads (email) values ('x') on conflict (lower(email)) do nothing",
  "merge into leads l using (values ('x')) v(email) on l.email = v.email when matched then update set name = 'n'",
])("a condition on a protected column stays refused: %s", async (sql) => {
  const client = await lab.login("writer");
  expect((await send(client, { sql }))?.code).toBe("PROTECTED_PREDICATE");
  await client.end();
});
