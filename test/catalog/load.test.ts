import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { catalogState } from "../../src/catalog/digest.ts";
import {
  type CatalogSnapshot,
  columnText,
  createCatalog,
  loadCatalog,
  relationText,
} from "../../src/catalog/index.ts";
import type { KeptCatalog } from "../../src/catalog/load.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Connection, connect, parse } from "./support.ts";

let cluster: Database;
let database: string;
let login: string;
let connection: Connection;
let snapshot: CatalogSnapshot;
const connections: Connection[] = [];

async function open(user: string, name = database): Promise<Connection> {
  const made = await connect({ connectionString: cluster.url(name, user, user) });
  connections.push(made);
  return made;
}

beforeAll(async () => {
  cluster = await sharedCluster();
  database = await cluster.createDatabase();
  login = `l_${database}`;
  await cluster.query("postgres", `create role ${login} login password '${login}'`);
  await cluster.query(
    database,
    `create schema app; create schema "Odd ""name"; grant usage on schema app to ${login};
     create table app.people (id int primary key, gone int, email text not null,
       email_lower text generated always as (lower(email)) stored, pair text generated always as (email || id::text) stored);
     alter table app.people drop column gone;
     alter table app.people enable row level security;
     create table app.parent (a int, b text) partition by range (a);
     create table app.part partition of app.parent for values from (0) to (10) partition by range (a);
     create table app.leaf partition of app.part for values from (0) to (5);
     create view app.seen with (security_barrier) as select email as contact from app.people;
     create view app.invoked with (security_invoker = true) as select 1 as one;
     create materialized view app.stored as select email from app.people;
     create table "Odd ""name"."select" ("Select" int);
     create domain app.small as int check (value < 10);
     grant select (email) on app.people to ${login}; grant insert on app.parent to ${login};`,
  );
  connection = await open(login);
  snapshot = await loadCatalog(connection.query, 7, { parse });
});

afterAll(async () => {
  for (const one of connections) await one.end();
  await cluster.dropDatabase(database);
  await cluster.query("postgres", `drop role ${login}`);
});

const named = (schema: string, name: string) => {
  const relation = snapshot.relationNamed(schema, name);
  if (relation === undefined) throw new Error(`no ${schema}.${name}`);
  return relation;
};

describe("a snapshot", () => {
  it("has relations by oid and by name, with columns by number", () => {
    const people = named("app", "people");
    expect(snapshot.relation(people.oid)).toBe(people);
    expect(people.columns.map((c) => [c.attnum, c.name])).toEqual([
      [1, "id"],
      [3, "email"],
      [4, "email_lower"],
      [5, "pair"],
    ]);
    expect(people.columns.map((c) => c.notNull)).toEqual([true, true, false, false]);
    expect(people.columns.map((c) => c.inPrimaryKey)).toEqual([true, false, false, false]);
    expect(snapshot.column(people.oid, 3)?.name).toBe("email");
    expect(snapshot.column(people.oid, 2)).toBeUndefined();
    expect(people.kind).toBe("r");
    expect(people.rowSecurity).toBe(true);
    expect(people.system).toBe(false);
    expect(snapshot.epoch).toBe(7);
    expect(snapshot.database).toBe(database);
  });

  it("knows what generated columns are computed from", () => {
    expect(named("app", "people").columns.map((c) => c.generatedFrom)).toEqual([[], [], [3], [1, 3]]);
  });

  it("knows parents and children of partitions", () => {
    const [parent, part, leaf] = [named("app", "parent"), named("app", "part"), named("app", "leaf")];
    expect(parent.children).toEqual([part.oid]);
    expect(part.parents).toEqual([parent.oid]);
    expect(part.children).toEqual([leaf.oid]);
    expect(leaf.parents).toEqual([part.oid]);
  });

  it("holds the trees of views, and how they are run", () => {
    expect(named("app", "seen").storedTree).toMatch(/^\(\{QUERY /);
    expect(named("app", "stored").storedTree).toContain(`:relid ${named("app", "people").oid}`);
    expect(named("app", "seen").securityBarrier).toBe(true);
    expect(named("app", "seen").securityInvoker).toBe(false);
    expect(named("app", "invoked").securityInvoker).toBe(true);
    expect(named("app", "people").storedTree).toBeNull();
  });

  it("says what the login may do, also by column grants", () => {
    expect(named("app", "people").privileges).toMatchObject({ select: true, insert: false, owns: false });
    expect(named("app", "parent").privileges).toMatchObject({ select: false, insert: true });
    expect(snapshot.login).toMatchObject({
      name: login,
      superuser: false,
      mayCreateIn: [],
      mayQuietLog: false,
    });
  });

  it("writes names as quote_identifier() does", async () => {
    const odd = named('Odd "name', "select");
    expect(relationText(snapshot, odd.oid)).toBe('"Odd ""name"."select"');
    expect(columnText(snapshot, odd.oid, 1)).toBe('"Odd ""name"."select"."Select"');
    expect(columnText(snapshot, odd.oid, -6)).toBe('"Odd ""name"."select".tableoid');
    expect(columnText(snapshot, odd.oid, 0)).toBe('"Odd ""name"."select".*');
    expect(relationText(snapshot, 1)).toBe("oid 1");
    const [row] = await cluster.query(
      database,
      "select json_object_agg(word, quote_ident(word)) as all from pg_get_keywords()",
    );
    const { quoteIdentifier } = await import("../../src/catalog/index.ts");
    for (const [word, quoted] of Object.entries(row?.all as Record<string, string>))
      expect(quoteIdentifier(word)).toBe(quoted);
  });

  it("knows types, operators and casts", async () => {
    const [small] = snapshot.typesNamed("small");
    expect(small).toMatchObject({ kind: "d", base: 23, schema: "app" });
    // int4lt
    expect(small?.constraintFunctions).toEqual([66]);
    expect(snapshot.type(25)?.name).toBe("text");
    expect(snapshot.operator(98)).toMatchObject({ name: "=", func: 67 });
    expect(snapshot.cast(23, 20)).toMatchObject({ context: "i" });
    const [people] = snapshot.typesNamed("people");
    expect(people?.relation).toBe(named("app", "people").oid);
  });

  it("refuses a catalog beyond its limits, by name", async () => {
    const load = loadCatalog(connection.query, 1, { limits: { relations: 10 } });
    await expect(load).rejects.toMatchObject({ code: "catalog-too-large" });
    await expect(loadCatalog(connection.query, 1, { limits: { treeBytes: 10 } })).rejects.toMatchObject({
      code: "catalog-too-large",
    });
  });

  it("refuses answers that do not look as they should", async () => {
    const strange = async () => [["1"]];
    await expect(loadCatalog(strange, 1)).rejects.toMatchObject({ code: "catalog-unreadable" });
    await expect(loadCatalog(async () => [], 1)).rejects.toMatchObject({ code: "catalog-unreadable" });
  });

  it("refuses a search path that lets other operators stand in for the server's", async () => {
    const other = await open(login);
    await other.query("set search_path = app, pg_catalog");
    await expect(loadCatalog(other.query, 1)).rejects.toMatchObject({ code: "catalog-unreadable" });
  });

  it("runs in a READ ONLY transaction", async () => {
    const other = await open(login);
    await other.query("begin isolation level repeatable read read only");
    await expect(loadCatalog(other.query, 1)).resolves.toMatchObject({ epoch: 1 });
    await other.query("commit");
  });
});

describe("the state of its pieces", () => {
  // Roles are the whole cluster's, and other tests make some.
  const pieces = async () => (await catalogState(connection.query)).pieces;

  it.each([
    ["a new table", "create table app.t1 (a int)"],
    ["a renamed column", "alter table app.parent rename column b to c"],
    ["a replaced view", "create or replace view app.seen as select email || '' as contact from app.people"],
    ["a new function", "create function app.f() returns int language sql as 'select 1'"],
    ["a changed function", "alter function app.f() security definer"],
    ["a grant", "grant select on app.parent to public"],
    ["a new domain check", "alter domain app.small add check (value > 0)"],
    ["a new cast", "create cast (int as app.people) with inout"],
    ["a dropped column", "alter table app.parent drop column c"],
  ])("changes with %s", async (_, ddl) => {
    const before = await pieces();
    expect(await pieces()).toEqual(before);
    await cluster.query(database, ddl);
    expect(await pieces()).not.toEqual(before);
  });

  it("stays with data, statistics and temporary objects", async () => {
    const before = await pieces();
    await connection.query("create temp table mine (a int generated always as (1) stored, b text)");
    await connection.query("create temp view my_view as select * from mine");
    await cluster.query(database, "insert into app.people (id, email) values (1, 'a@b'); analyze app.people");
    expect(await pieces()).toEqual(before);
  });
});

describe("what initdb made", () => {
  /** Everything that can be looked up, with the verdicts. */
  const plain = (of: CatalogSnapshot) =>
    JSON.parse(
      JSON.stringify({
        login: of.login,
        relations: [...of.relations()].sort((a, b) => a.oid - b.oid),
        functions: [...of.functions()].sort((a, b) => a.oid - b.oid),
        type: of.type(23),
        operator: of.operator(98),
        cast: of.cast(23, 20),
      }),
    ) as unknown;

  it("is read once, and a snapshot that uses it again is the same as one that does not", async () => {
    const kept: KeptCatalog = { own: null, other: null };
    const other = await open(login);
    await loadCatalog(other.query, 1, { parse, kept });
    await cluster.query(
      database,
      "create table app.kept (a int); create function app.kept() returns int immutable language sql return 1",
    );
    other.texts.length = 0;
    const second = await loadCatalog(other.query, 2, { parse, kept });
    expect(other.texts.filter((text) => /between 0 and/.test(text) && !/xmin/.test(text))).toEqual([]);
    expect(plain(second)).toEqual(plain(await loadCatalog(other.query, 2, { parse })));
    expect(second.functionsNamed("kept").map((one) => one.verdict)).toEqual([{ safe: true }]);
    expect(second.relationNamed("app", "kept")?.columns).toHaveLength(1);
  });

  it.each([
    ["one of them is changed", "grant select on pg_catalog.pg_authid to public"],
    ["the login's memberships are", "grant pg_read_all_data to LOGIN"],
    ["the login is", "alter role LOGIN createrole"],
    ["a function of the server gets another owner", "alter function pg_catalog.lower(text) owner to LOGIN"],
  ])("is read again when %s", async (_, sql) => {
    const kept: KeptCatalog = { own: null, other: null };
    const other = await open(login);
    await loadCatalog(other.query, 1, { parse, kept });
    await cluster.query(database, sql.replace("LOGIN", login));
    const second = await loadCatalog(other.query, 2, { parse, kept });
    expect(plain(second)).toEqual(plain(await loadCatalog(other.query, 2, { parse })));
    await cluster.query(
      database,
      `revoke select on pg_catalog.pg_authid from public; revoke pg_read_all_data from ${login};
       alter role ${login} nocreaterole; alter function pg_catalog.lower(text) owner to postgres`,
    );
  });

  it("is read again under another role", async () => {
    const kept: KeptCatalog = { own: null, other: null };
    const role = `r_${database}`;
    await cluster.query(database, `create role ${role} superuser; grant ${role} to ${login}`);
    try {
      const other = await open(login);
      const mine = await loadCatalog(other.query, 1, { parse, kept }, null, { by: "gateway", atOnce: false });
      await other.query(`set role ${role}`);
      const theirs = await loadCatalog(other.query, 2, { parse, kept });
      const authid = (of: CatalogSnapshot) => of.relationNamed("pg_catalog", "pg_authid")?.privileges.select;
      expect([authid(mine), authid(theirs)]).toEqual([false, true]);
      await other.query("reset role");
      other.texts.length = 0;
      expect(authid(await loadCatalog(other.query, 3, { parse, kept }))).toBe(false);
      expect(other.texts.filter((text) => /between 0 and/.test(text) && !/xmin/.test(text))).toEqual([]);
    } finally {
      await cluster.query(database, `revoke ${role} from ${login}; drop role ${role}`);
    }
  });
});

describe("a catalog that is kept fresh", () => {
  it("throws until it is loaded, and keeps its epoch while nothing changes", async () => {
    const catalog = createCatalog(connection.query, { intervalMs: 60_000 });
    expect(() => catalog.current).toThrow(expect.objectContaining({ code: "catalog-unavailable" }));
    const first = await catalog.ready();
    expect(catalog.current).toBe(first);
    catalog.bump();
    expect(catalog.isFresh).toBe(false);
    expect(await catalog.fresh()).toBe(first);
    expect(catalog.isFresh).toBe(true);
    catalog.close();
    expect(() => catalog.current).toThrow();
    await expect(catalog.fresh()).rejects.toMatchObject({ code: "catalog-unavailable" });
  });

  it("loads again after DDL, once for all who wait", async () => {
    const seen: number[] = [];
    const catalog = createCatalog(connection.query, {
      intervalMs: 60_000,
      onChange: (changed) => void seen.push(changed.epoch),
    });
    await catalog.ready();
    await cluster.query(database, "create table app.fresh (a int)");
    catalog.bump();
    const [one, two] = await Promise.all([catalog.fresh(), catalog.fresh()]);
    expect(one).toBe(two);
    expect(one.relationNamed("app", "fresh")?.columns).toHaveLength(1);
    expect(seen).toEqual([1, 2]);
    catalog.close();
  });

  it("finds out by itself", async () => {
    const { promise, resolve } = Promise.withResolvers<CatalogSnapshot>();
    const catalog = createCatalog(connection.query, {
      intervalMs: 20,
      onChange: (changed) => {
        if (changed.relationNamed("app", "found") !== undefined) resolve(changed);
      },
    });
    await catalog.ready();
    await cluster.query(database, "create table app.found (a int)");
    expect((await promise).epoch).toBeGreaterThan(1);
    catalog.close();
  });

  it("gives up no snapshot because a look failed, and tells of it", async () => {
    let fail = false;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const catalog = createCatalog(
      (sql) => (fail ? Promise.reject(new Error("gone")) : connection.query(sql)),
      { intervalMs: 20, onError: resolve },
    );
    const first = await catalog.ready();
    fail = true;
    expect(await promise).toMatchObject({ message: "gone" });
    expect(catalog.current).toBe(first);
    catalog.bump();
    await expect(catalog.fresh()).rejects.toThrow("gone");
    catalog.close();
  });
});
