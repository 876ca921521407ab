/** What is kept of a catalog from one load to the next: always the same as reading all of it anew. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { catalogState } from "../../src/catalog/digest.ts";
import { type CatalogSnapshot, createCatalog, loadCatalog } from "../../src/catalog/index.ts";
import type { KeptCatalog } from "../../src/catalog/load.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Connection, connect, parse } from "./support.ts";

let cluster: Database;
let database: string;
let login: string;
let extensions: boolean;
const connections: Connection[] = [];

async function open(): Promise<Connection> {
  const made = await connect({ connectionString: cluster.url(database, login, login) });
  connections.push(made);
  return made;
}

beforeAll(async () => {
  cluster = await sharedCluster();
  database = await cluster.createDatabase();
  login = `p_${database}`;
  await cluster.query("postgres", `create role ${login} login password '${login}'`);
  const [row] = await cluster.query(
    database,
    "select count(*)::int as n from pg_available_extensions where name = 'hstore'",
  );
  extensions = row?.n === 1;
  await cluster.query(
    database,
    `create schema app; create schema other; grant all on schema app to ${login}; grant all on database ${database} to ${login};
     create table app.base (id int primary key, email text, note text);
     create view app.base_view as select email from app.base;
     create function app.plus(int) returns int immutable language sql return $1 + 1;
     create domain app.small as int check (value < 10);`,
  );
  // Objects lie in several pieces.
  for (let i = 0; i < 20; i++)
    await cluster.query(
      database,
      Array.from(
        { length: 5 },
        (_, k) => `create table app.filler_${i}_${k} (id bigserial primary key, email text)`,
      ).join(";"),
    );
});

afterAll(async () => {
  for (const one of connections) await one.end();
  await cluster.dropDatabase(database);
  await cluster.query("postgres", `drop role ${login}`);
});

const byOid = (a: { readonly oid: number }, b: { readonly oid: number }) => a.oid - b.oid;

/** Everything that can be looked up, with the verdicts. */
function plain(of: CatalogSnapshot): unknown {
  const relations = [...of.relations()].sort(byOid);
  const functions = [...of.functions()].sort(byOid);
  return JSON.parse(
    JSON.stringify({
      login: of.login,
      relations,
      named: relations.map((one) => of.relationNamed(one.schema, one.name)?.oid),
      functions,
      types: relations.flatMap((one) => of.typesNamed(one.name)).sort(byOid),
      own: ["small", "mood", "span", "spans", "pair"].map((name) => of.typesNamed(name)),
      operators: ["=", "+", "###"].map((name) => [...of.operatorsNamed(name)].sort(byOid)),
      casts: [of.cast(23, 20), of.jsonCasts],
      schemas: ["app", "other", "renamed", "made"].map((name) => of.hasSchema(name)),
      owners: [...new Set(relations.map((one) => one.owner))].map((oid) => of.role(oid)),
    }),
  ) as unknown;
}

const gateway = { by: "gateway", atOnce: false } as const;

describe("a catalog that is read in pieces", () => {
  it.each<[string, string | (() => string)]>([
    [
      "a table",
      "create table app.made (id serial primary key, email text unique, n int generated always as (1) stored)",
    ],
    ["a column", "alter table app.made add column more text default 'x'"],
    ["a renamed column of an old table", "alter table app.base rename column note to remark"],
    ["a dropped column", "alter table app.made drop column more"],
    ["a table that moves to another schema", "alter table app.made set schema other"],
    ["a child", "create table app.child (extra int) inherits (app.base)"],
    [
      "a partition",
      "create table app.parts (a int) partition by range (a); create table app.one partition of app.parts default",
    ],
    ["a child that leaves", "alter table app.child no inherit app.base"],
    ["a partition that is dropped", "drop table app.one"],
    ["a replaced view", "create or replace view app.base_view as select email || '' as email from app.base"],
    ["a rule", "create rule nothing as on delete to app.base do instead nothing"],
    [
      "a replaced function",
      "create or replace function app.plus(int) returns int immutable language sql return $1 + 2",
    ],
    ["an overloaded function", "create function app.plus(text) returns text volatile language sql return $1"],
    ["an aggregate", "create aggregate app.total(int) (sfunc = int4pl, stype = int)"],
    [
      "an operator",
      "create function app.hash3(int, int) returns int language sql return $1; create operator app.### (leftarg = int, rightarg = int, function = app.hash3)",
    ],
    ["a check", "alter table app.base add constraint few check (app.plus(id) > 0) not valid"],
    ["a check that goes", "alter table app.base drop constraint few"],
    ["an index", "create index plain on app.base (id)"],
    ["another with a function", "create index called on app.base (app.plus(id))"],
    ["its end", "drop index app.called"],
    ["a part of an index", "create index part on app.base (id) where app.plus(id) > 0; drop index app.plain"],
    ["the end of that", "drop index app.part"],
    ["a primary key that goes", "alter table other.made drop constraint made_pkey"],
    ["another one", "alter table other.made alter email set not null, add primary key (email)"],
    ["a foreign key", "create table app.refers (email text references other.made)"],
    [
      "one that writes",
      "alter table app.refers add foreign key (email) references other.made on delete cascade",
    ],
    ["a row filter", "create policy own on app.base using (id > 0)"],
    ["its end", "drop policy own on app.base"],
    [
      "a trigger",
      "create trigger kept before update on app.base for each row execute function suppress_redundant_updates_trigger()",
    ],
    ["a trigger that goes", "drop trigger kept on app.base"],
    ["a partition key's function", "create table app.split (a int) partition by list (app.plus(a))"],
    [
      "a generated column's",
      "alter table app.base add column worked int generated always as (app.plus(id)) stored",
    ],
    [
      "no exclusion",
      "alter table app.base drop column worked; alter table app.base add constraint apart exclude (id with =)",
    ],
    ["a domain's check", "alter domain app.small add constraint more check (app.plus(value) > 0)"],
    ["a domain's check that goes", "alter domain app.small drop constraint more"],
    ["an enum", "create type app.mood as enum ('a', 'b')"],
    ["a range", "create type app.span as range (subtype = float8, multirange_type_name = app.spans)"],
    ["a composite type", "create type app.pair as (a int, b app.small)"],
    [
      "a cast",
      "create function app.to_json(app.pair) returns json language sql return '{}'::json; create cast (app.pair as json) with function app.to_json(app.pair)",
    ],
    ["a grant", () => `grant select on app.base to ${login}`],
    ["a grant on a column", () => `grant update (email) on app.base to ${login}`],
    ["a grant on what initdb made", () => `grant select on pg_catalog.pg_authid to ${login}`],
    ["a revoke", () => `revoke select on pg_catalog.pg_authid from ${login}`],
    ["a membership", () => `grant pg_read_all_data to ${login}`],
    ["a membership that ends", () => `revoke pg_read_all_data from ${login}`],
    ["another role", () => `create role other_${login}; alter table app.base owner to other_${login}`],
    ["a role that becomes a superuser", () => `alter role other_${login} superuser`],
    ["a role that is gone", () => `alter table app.base owner to postgres; drop role other_${login}`],
    [
      "a key that is written elsewhere",
      "create table app.cites (n text unique, m text references app.cites (n) on update cascade)",
    ],
    [
      "one under another order",
      "create collation app.coarse (provider = icu, locale = 'und-u-ks-level1', deterministic = false); create unique index on app.cites (m collate app.coarse)",
    ],
    ["statistics", "create statistics app.lengths on (length(m)), n from app.cites"],
    ["their end", "drop statistics app.lengths"],
    [
      "a body that calls another function",
      "create function app.bad() returns int volatile language sql return 1; create function app.good() returns int immutable language sql return 1",
    ],
    [
      "objects between them",
      "do $$ begin for i in 1 .. 140 loop execute format('create type other.e_%s as enum ()', i); end loop; end $$",
    ],
    [
      "a body that is kept as a tree",
      "create function app.calls() returns int stable language sql return app.bad()",
    ],
    [
      "more objects between them",
      "do $$ begin for i in 1 .. 140 loop execute format('drop type other.e_%s', i); end loop; end $$",
    ],
    [
      "another function of that name",
      "alter function app.bad rename to worse; alter function app.good rename to bad",
    ],
    ["the end of that body", "drop function app.calls()"],
    ["a new schema", "create schema made; create table made.t (a int)"],
    ["a renamed schema", "alter schema app rename to renamed"],
    ["its old name", "alter schema renamed rename to app"],
    ["a dropped schema", "drop schema made cascade"],
    ["an extension", "create extension if not exists hstore"],
    ["a function that leaves its extension", "alter extension hstore drop function public.akeys(hstore)"],
    ["a function that joins it", "alter extension hstore add function public.akeys(hstore)"],
    ["an extension that goes", "drop extension hstore"],
    [
      "many at once",
      "do $$ begin for i in 1 .. 40 loop execute format('create table other.many_%s (a int, b text)', i); end loop; end $$",
    ],
    [
      "all of them gone",
      "do $$ begin for i in 1 .. 40 loop execute format('drop table other.many_%s', i); end loop; end $$",
    ],
    ["nothing", "select 1"],
  ])("is what it is when read anew, after %s", async (_, ddl) => {
    const sql = typeof ddl === "string" ? ddl : ddl();
    if (sql.includes("extension") && !extensions) return;
    const one = shared ?? (await open());
    shared = one;
    await cluster.query(database, sql);
    const next = await loadCatalog(one.query, 1, { parse, kept }, null, gateway);
    expect(plain(next)).toEqual(plain(await loadCatalog(one.query, 1, { parse }, null, gateway)));
  });
  const kept: KeptCatalog = { own: null, other: null };
  let shared: Connection | null = null;

  it("is read anew when a role that the login may act as becomes a superuser", async () => {
    const one = await open();
    const helper = `helper_${login}`;
    await cluster.query(database, `create role ${helper}; grant ${helper} to ${login}`);
    try {
      const before = await catalogState(one.query);
      await cluster.query(database, `alter role ${helper} superuser`);
      expect((await catalogState(one.query)).login).not.toBe(before.login);
    } finally {
      await cluster.query(database, `drop role ${helper}`);
    }
  });

  it("reads what is near the change, and shares all else with the snapshot before", async () => {
    const one = await open();
    const kept: KeptCatalog = { own: null, other: null };
    const before = await loadCatalog(one.query, 1, { parse, kept }, null, gateway);
    await cluster.query(database, "create table app.near (id int, email text)");
    one.texts.length = 0;
    const after = await loadCatalog(one.query, 2, { parse, kept }, null, gateway);
    const read = one.texts.filter((text) => /\bbetween\b/.test(text) && !/count\(/.test(text));
    const from =
      /\nfrom pg_catalog\.(\w+)|^select oid.* from pg_catalog\.(\w+)|\n\) (k)\(relation, attribute\)/;
    const conditions = "k";
    expect(read.map((text) => from.exec(text)?.slice(1).find(Boolean) ?? text).sort()).toEqual([
      conditions,
      "pg_attribute",
      "pg_class",
      "pg_type",
    ]);
    for (const text of read) expect(text).not.toMatch(/between 0 and/);
    const filler = before.relationNamed("app", "filler_0_0");
    expect(filler).toBeDefined();
    expect(after.relationNamed("app", "filler_0_0")).toBe(filler);
    expect(after.relationNamed("app", "near")?.columns).toHaveLength(2);
    expect(before.relationNamed("app", "near")).toBeUndefined();
    await cluster.query(database, "drop table app.near");
  });

  it("has all of a database whose changes lie far apart", async () => {
    const one = await open();
    const kept: KeptCatalog = { own: null, other: null };
    await loadCatalog(one.query, 1, { parse, kept }, null, gateway);
    await cluster.query(
      database,
      Array.from(
        { length: 20 },
        (_, i) => `alter table app.filler_${i}_${i % 5} rename column email to mail`,
      ).join(";"),
    );
    const next = await loadCatalog(one.query, 2, { parse, kept }, null, gateway);
    expect(plain(next)).toEqual(plain(await loadCatalog(one.query, 2, { parse }, null, gateway)));
    expect(next.relationNamed("app", "filler_7_2")?.columns[1]?.name).toBe("mail");
  });

  it("still refuses what grows beyond its limits", async () => {
    const one = await open();
    const kept: KeptCatalog = { own: null, other: null };
    const first = await loadCatalog(one.query, 1, { kept }, null, gateway);
    const limits = { relations: [...first.relations()].length };
    await loadCatalog(one.query, 1, { kept, limits }, null, gateway);
    await cluster.query(database, "create table app.one_more ()");
    await expect(loadCatalog(one.query, 1, { kept, limits }, null, gateway)).rejects.toMatchObject({
      code: "catalog-too-large",
    });
    await cluster.query(database, "drop table app.one_more");
  });
});

describe("a session's own catalog", () => {
  const columns = (of: CatalogSnapshot, name: string) =>
    of.relationNamed("app", name)?.columns.map((column) => column.name);

  it("has what it has not committed, each time it changes it, and none of that is kept", async () => {
    const reader = await open();
    const writer = await open();
    const kept: KeptCatalog = { own: null, other: null };
    await loadCatalog(reader.query, 1, { parse, kept }, null, gateway);
    const local = () => loadCatalog(writer.query, -1, { parse, kept });
    await writer.query("begin");
    await writer.query("create table app.mine (a int)");
    expect(columns(await local(), "mine")).toEqual(["a"]);
    // The same row is written twice by one transaction.
    await writer.query("alter table app.mine rename column a to b");
    const { pieces: once } = await catalogState(writer.query);
    expect(columns(await local(), "mine")).toEqual(["b"]);
    await writer.query("alter table app.mine rename column b to c");
    expect((await catalogState(writer.query)).pieces).toEqual(once);
    expect(columns(await local(), "mine")).toEqual(["c"]);
    await writer.query("savepoint s");
    await writer.query("alter table app.mine rename column c to d");
    expect(columns(await local(), "mine")).toEqual(["d"]);
    await writer.query("rollback to s");
    expect(columns(await local(), "mine")).toEqual(["c"]);
    expect(
      columns(await loadCatalog(reader.query, 2, { parse, kept }, null, gateway), "mine"),
    ).toBeUndefined();
    await writer.query("commit");
    const committed = await loadCatalog(reader.query, 3, { parse, kept }, null, gateway);
    expect(columns(committed, "mine")).toEqual(["c"]);
    expect(plain(committed)).toEqual(plain(await loadCatalog(reader.query, 3, { parse }, null, gateway)));
    await writer.query("drop table app.mine");
  });

  it("keeps nothing of what initdb made from a transaction that changes it, and then takes it back", async () => {
    const admin = await connect({ connectionString: cluster.url(database) });
    connections.push(admin);
    const kept: KeptCatalog = { own: null, other: null };
    const may = async () => {
      const role = await loadCatalog(admin.query, -1, { parse, kept });
      return role.relationNamed("pg_catalog", "pg_authid")?.privileges.select;
    };
    await admin.query("begin");
    await admin.query(`grant select on pg_authid to ${login}`);
    await admin.query(`set local role ${login}`);
    expect(await may()).toBe(true);
    await admin.query("set local role postgres");
    await admin.query(`revoke select on pg_authid from ${login}`);
    await admin.query(`set local role ${login}`);
    expect(await may()).toBe(false);
    await admin.query("rollback");
  });

  it("has its temporary objects, and the gateway's has those of nobody", async () => {
    const one = await open();
    const kept: KeptCatalog = { own: null, other: null };
    await loadCatalog(one.query, 1, { parse, kept }, null, gateway);
    await one.query("create temp table passing (a int, b app.small)");
    await one.query("create temp view seen as select a from passing");
    const local = await loadCatalog(one.query, -1, { parse, kept });
    const passing = [...local.relations()].find((relation) => relation.name === "passing");
    expect(passing).toMatchObject({ temporary: true, kind: "r" });
    expect(passing?.columns.map((column) => column.name)).toEqual(["a", "b"]);
    expect([...local.relations()].find((relation) => relation.name === "seen")?.storedTree).toMatch(/QUERY/);
    expect(local.typesNamed("passing").map((type) => type.relation)).toEqual([passing?.oid]);
    const other = await loadCatalog(one.query, 2, { parse, kept }, null, gateway);
    expect([...other.relations()].filter((relation) => relation.temporary)).toEqual([]);
    expect(other.typesNamed("passing")).toEqual([]);
  });
});

describe("a catalog that is read at once", () => {
  it("asks for the state once for each look, in a transaction of its own", async () => {
    const one = await open();
    let inside = 0;
    const catalog = createCatalog(() => Promise.reject(new Error("outside of the transaction")), {
      intervalMs: 60_000,
      async atOnce(use) {
        inside++;
        await one.query("begin isolation level repeatable read, read only");
        try {
          return await use(one.query);
        } finally {
          await one.query("rollback");
        }
      },
    });
    const first = await catalog.ready();
    expect(one.texts.filter((text) => /xmin/.test(text))).toHaveLength(1);
    catalog.bump();
    expect(await catalog.fresh()).toBe(first);
    await cluster.query(database, "create table app.at_once (a int)");
    catalog.bump();
    const second = await catalog.fresh();
    expect(second.relationNamed("app", "at_once")?.columns).toHaveLength(1);
    expect(one.texts.filter((text) => /xmin/.test(text))).toHaveLength(3);
    expect(inside).toBe(3);
    await cluster.query(database, "drop table app.at_once");
    catalog.close();
  });
});
