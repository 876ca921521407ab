/** Columns with `access: none` do not show in the catalogs; tools that look around go on working. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { send, traffic } from "../benign/support.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { bind, describe_, execute, parse, query, sync } from "./messages.ts";

const schema = `
create table people(id int primary key, name text, zyx_token text, zyx_pin int check (zyx_pin > 0), note text);
create index people_token on people (lower(zyx_token)) where zyx_pin > 7;
create unique index on people (zyx_pin);
create view names as select id, name from people;
create function f() returns text language sql as 'select zyx_token from people';
create table others(id int primary key, label text, person int references people);
insert into people values (1, 'Ann', 'SECRET', 5, 'n');
analyze people;
create function note_length(people) returns int language sql immutable as 'select length($1.note)';
`;
const policy = `
version: 1
labels:
  - { label: secret, columns: ["*.*.people.zyx_*"], access: none }
rules:
  - { name: reads, when: 'statement.effects == ["read"] || statement.effects == ["execute", "read"]', then: allow }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let open: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, schema);
  const server = {
    host: cluster.host,
    port: cluster.port,
    user: cluster.superuser,
    password: cluster.password,
  };
  postern = await startTestPostern({ server, dbname, policy });
  open = await startTestPostern({
    server,
    dbname,
    policy: policy.replace(/labels:[\s\S]*?rules:/, "rules:"),
  });
});
afterAll(async () => {
  await postern?.stop();
  await open?.stop();
  await cluster?.dropDatabase(dbname);
});

const texts = (got: readonly { body: Buffer }[]) => got.map(({ body }) => body.toString("latin1")).join("\n");

async function ask(client: RawClient, sql: string): Promise<{ types: string; text: string }> {
  client.send(query(sql));
  const got = await client.ready();
  return { types: got.map(({ type }) => type).join(""), text: texts(got.filter(({ type }) => type !== "T")) };
}

/** Ways of asking which columns there are. */
const ways = [
  "select attname from pg_attribute where attrelid = 'people'::regclass and attnum > 0 order by attnum",
  "select * from information_schema.columns where table_name = 'people'",
  "select column_name, ordinal_position from information_schema.columns where table_schema = 'public'",
  "select table_name, column_name, privilege_type from information_schema.column_privileges where grantee = current_user",
  "select string_agg(attname, ',' order by attnum) from pg_attribute where attrelid = 'people'::regclass",
  "select array_agg(attname) from pg_attribute where attrelid = 'people'::regclass",
  "select json_agg(a.attname), jsonb_object_agg(a.attnum, a.attname) from pg_attribute a where attrelid = 'people'::regclass",
  "select 'x' || attname || 'y' from pg_attribute where attrelid = 'people'::regclass",
  "select format('%s_%I', attrelid, attname), concat(attname, 1), concat_ws('z', 'a', attname, 'b') from pg_attribute where attrelid = 'people'::regclass",
  "select string_agg(attname, '') from pg_attribute where attrelid = 'people'::regclass",
  "select upper(attname), lower(attname), initcap(attname) from pg_attribute where attrelid = 'people'::regclass",
  "select indexdef from pg_indexes where tablename = 'people'",
  "select pg_get_indexdef(indexrelid), pg_get_expr(indpred, indrelid) from pg_index where indrelid = 'people'::regclass",
  "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'people'::regclass",
  "select check_clause from information_schema.check_constraints",
  "select prosrc from pg_proc where proname = 'f'",
  "select attname, null_frac, avg_width from pg_stats where tablename = 'people'",
  "select row_to_json(a) from (select attname from pg_attribute where attrelid = 'people'::regclass) a",
  "select quote_ident(attname), attname::text, (attname::text)::name from pg_attribute where attrelid = 'people'::regclass",
  "select coalesce(max(attname::text), '') from pg_attribute where attrelid = 'people'::regclass and attname > 'q'",
  "copy (select attname from pg_attribute where attrelid = 'people'::regclass) to stdout",
  "copy (select attname from pg_attribute where attrelid = 'people'::regclass) to stdout csv",
  "explain verbose select count(*) from people",
  "explain (verbose, format json) select count(*) from people p",
  "select zyx_toke from people",
  "select p.zyx_pinn from people p",
  "with a as (select attname n from pg_attribute) select n from a where n like '%token' union select n from a where n like '%pin'",
];

/** Refused, since a name could not be found in what comes back. */
const disguises = [
  "select reverse(attname::text) from pg_attribute where attrelid = 'people'::regclass",
  "select md5(attname) from pg_attribute where attrelid = 'people'::regclass",
  "select substr(attname::text, 1, 3), substring(attname::text from 4) from pg_attribute",
  "select left(attname::text, 2) from pg_attribute",
  "select attname::text::bytea from pg_attribute where attrelid = 'people'::regclass",
  "select encode(convert_to(attname::text, 'UTF8'), 'hex') from pg_attribute",
  "select attname::text::char(4) from pg_attribute",
  "select regexp_replace(column_name, '(.)', '\\1-', 'g') from information_schema.columns",
  "select translate(column_name, 'z', 'q') from information_schema.columns",
  "select string_to_array(attname::text, null) from pg_attribute",
  "select array(select ascii(c) from string_to_table(attname::text, null) c) from pg_attribute",
];

describe("a column that nobody may read", () => {
  it.each(ways)("is not named by: %s", async (sql) => {
    const [client, before] = [
      await rawLogin(postern, await postern.token()),
      await rawLogin(open, await open.token()),
    ];
    // What the server itself says there holds the name, else the way is none.
    const bare = await ask(before, sql);
    expect(bare.text.toLowerCase()).toMatch(/zyx_(?:token|pin)/);
    const got = await ask(client, sql);
    expect(got.text.toLowerCase().replace(/zyx_(?:toke|pinn)(?![a-z])/g, "")).not.toMatch(/zyx/);
    if (!/zyx|definition|prosrc|view/.test(sql))
      expect(got.types.replaceAll("S", "")).toBe(bare.types.replaceAll("S", ""));
    await Promise.all([client.end(), before.end()]);
  });

  it.each(disguises)("is not given away by: %s", async (sql) => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query(sql));
    const got = await client.ready();
    expect(texts(got)).toContain("PROTECTED_CATALOG");
    await client.end();
  });

  it("is not named by rows of a cursor", async () => {
    const client = await rawLogin(postern, await postern.token());
    await ask(client, "begin");
    await ask(
      client,
      "declare c cursor for select attname from pg_attribute where attrelid = 'people'::regclass",
    );
    const got = await ask(client, "fetch all from c");
    expect(got.types).toMatch(/D{6,}/);
    expect(got.text).not.toContain("zyx");
    await client.end();
  });

  it("is not named in binary results either", async () => {
    const client = await rawLogin(postern, await postern.token());
    const sql =
      "select attname, array_agg(attname) over () from pg_attribute where attrelid = 'people'::regclass";
    client.send(parse("", sql), bind("", "", [], [1, 1]), describe_("portal", ""), execute(""), sync);
    const got = await client.ready();
    expect(got.filter(({ type }) => type === "D").length).toBeGreaterThan(5);
    expect(texts(got)).not.toContain("zyx_");
    expect(texts(got)).toContain("*********");
    await client.end();
  });

  it("leaves names of other columns and tables as they are", async () => {
    const client = await rawLogin(postern, await postern.token());
    const got = await ask(
      client,
      "select column_name from information_schema.columns where table_name in ('people', 'others')",
    );
    for (const name of ["id", "name", "note", "label", "person"]) expect(got.text).toContain(name);
    await client.end();
  });
});

describe("tools that look around go on working", () => {
  const recorded = [...traffic()].filter(([tool]) => !/tpch/.test(tool));
  it.each(recorded)("%s", async (_tool, statements) => {
    const [client, before] = [
      await rawLogin(postern, await postern.token()),
      await rawLogin(open, await open.token()),
    ];
    for (const statement of statements) {
      const [got, bare] = [await send(client, statement), await send(before, statement)];
      if (bare !== null) continue;
      // Definitions are refused wherever anything is protected: that is masking's, and older.
      if (
        /pg_get_viewdef|pg_get_ruledef|pg_get_functiondef|pg_get_function_sqlbody|views\.definition/.test(
          statement.sql,
        )
      )
        continue;
      expect(got, `${got?.message}: ${statement.sql}`).toBeNull();
    }
    await Promise.all([client.end(), before.end()]);
  });
});
