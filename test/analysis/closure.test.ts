/** Labels over a catalog that shares what did not change with the one before: the same as over one that was read anew. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LabelMatcher, resolveProtected } from "../../src/analysis/protected.ts";
import { type CatalogSnapshot, loadCatalog } from "../../src/catalog/index.ts";
import type { KeptCatalog } from "../../src/catalog/load.ts";
import { type Connection, connect } from "../catalog/support.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { label } from "./lineage-support.ts";

let cluster: Database;
let database: string;
let connection: Connection;
const kept: KeptCatalog = { own: null, other: null };
const gateway = { by: "gateway", atOnce: false } as const;

beforeAll(async () => {
  cluster = await sharedCluster();
  database = await cluster.createDatabase();
  await cluster.query(
    database,
    `create table people (id int, email text, note text); create table plain (id int, a text);
     create view v1 as select id, email as contact from people; create view v2 as select upper(contact) as c from v1;
     create materialized view stored as select c, 1 as one from v2;
     create table parent (id int, email text); create table child (extra text) inherits (parent);`,
  );
  connection = await connect({ connectionString: cluster.url(database) });
});

afterAll(async () => {
  await connection?.end();
  await cluster.dropDatabase(database);
});

// One list each, as a policy has them.
const emails = [label("pii", "*.*.email")];
const more: readonly LabelMatcher[] = [label("pii", "*.*.email"), label("notes", "public.people.note")];
const none: readonly LabelMatcher[] = [label("nobody", "*.*.nothing_is_called_so")];

function told(catalog: CatalogSnapshot, labels: readonly LabelMatcher[]) {
  const set = resolveProtected(catalog, labels, "shop");
  const names = ["public.people", "public.v1", "public.child", "public.plain"];
  return {
    empty: set.empty,
    columns: set.columns,
    byName: names.map((name) => set.ofName(name)),
    byRelation: [...catalog.relations()]
      .map((one) => [one.oid, set.ofRelation(one.oid), set.readable(one.oid), set.isView(one.oid)] as const)
      .sort(([a], [b]) => a - b),
    refused: [...set.refused].sort((a, b) => a.relation - b.relation),
  };
}

test.each<[string, string]>([
  ["nothing", "select 1"],
  ["a table that no label names", "create table other (id int)"],
  ["a table that a label names", "create table mails (email text, a text)"],
  ["a view over it", "create view mails_seen as select email || a as both, a from mails"],
  ["a view over two groups", "create view two as select p.email, m.a from people p, mails m"],
  ["a column that takes a label's name", "alter table plain rename column a to email"],
  ["a view over that", "create view plain_seen as select email as shown from plain"],
  ["a column that loses it", "alter table plain rename column email to a"],
  [
    "a view that reads another column",
    "create or replace view plain_seen as select id::text as shown from plain",
  ],
  ["a child", "create table grandchild (more text) inherits (child)"],
  ["a child of two", "create table mixed () inherits (child, plain)"],
  ["a child that leaves", "alter table mixed no inherit child"],
  ["a generated column", "alter table people add column low text generated always as (lower(email)) stored"],
  ["a materialized view", "create materialized view low as select low from people"],
  ["a dropped view between", "drop view v1 cascade"],
  ["a dropped group", "drop table people cascade"],
  ["one that comes back", "create table people (note text, id int, email text)"],
  ["all that labels name dropped", "drop table people, parent, mails cascade"],
  ["one again", "create table people (email text)"],
])("after %s", async (_, ddl) => {
  await cluster.query(database, ddl);
  const shared = await loadCatalog(connection.query, 1, { kept }, null, gateway);
  for (const labels of [emails, more, none]) {
    const anew = await loadCatalog(connection.query, 1, {}, null, gateway);
    expect(told(shared, labels)).toEqual(told(anew, [...labels]));
    // Twice, and by turns with another database's catalog.
    expect(told(shared, labels)).toEqual(told(anew, labels));
  }
});

test("what did not change is not worked out again", async () => {
  // Objects lie in one piece with those that were made at the same time.
  await cluster.query(
    database,
    "do $$ begin for i in 1 .. 60 loop execute format('create table filler_%s (id serial primary key, a text)', i); end loop; end $$",
  );
  const before = resolveProtected(
    await loadCatalog(connection.query, 1, { kept }, null, gateway),
    emails,
    "shop",
  );
  await cluster.query(database, "create table if not exists far (email text)");
  const after = resolveProtected(
    await loadCatalog(connection.query, 2, { kept }, null, gateway),
    emails,
    "shop",
  );
  expect(after.columns).toHaveLength(before.columns.length + 1);
  expect(before.columns.length).toBeGreaterThan(0);
  for (const column of before.columns) expect(after.columns).toContain(column);
});
