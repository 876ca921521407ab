/** What statements touch, by the tree of a real server. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTouched } from "../../src/analysis/touched.ts";
import { binaries } from "../support/binaries.ts";
import { sharedCluster } from "../support/cluster.ts";
import { type Analyst, analyst, assignmentsOf, lineageSchema, outputsOf, usesOf } from "./lineage-support.ts";

const { major } = await binaries();
const extra = `
  create role touched_reader login password 'x';
  create collation own_order (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
  create table idt (id int generated always as identity, v int);
  create table guarded (id int, owner text, secret text);
  alter table guarded enable row level security;
  create policy own on guarded using (owner = current_user and exists (select 1 from users u where u.email = guarded.secret))
    with check (secret <> 'z');
  create table loose (id int, owner text);
  alter table loose enable row level security;
  create policy mine on loose using (owner = current_setting('app.me'));
  create table ours (id int, owner text);
  alter table ours enable row level security;
  create policy mine on ours using (owner = current_setting('postern.subject'));
  create view barrier with (security_barrier) as select id, upper(email) as e, name from users where email like '%x';
  create view computed as select id, upper(email) as e, (select max(ssn) from users) as s from users;
  create view narrow as select id, name from users where email like '%x';
  create view instead as select id, email from users;
  create function on_instead() returns trigger language plpgsql as 'begin return new; end';
  create trigger t instead of insert or update or delete on instead for each row execute function on_instead();
  create table ruled (a int, b text);
  create table rulelog (a int, b text);
  create rule also as on insert to ruled do also insert into rulelog values (new.a, 'x');
  create rule other as on update to ruled do instead update rulelog set b = old.b where rulelog.a = old.a returning rulelog.a, rulelog.b;
  create rule none as on delete to ruled do instead nothing;
  create rule told as on insert to idt do also notify someone;
  create extension file_fdw;
  create server files foreign data wrapper file_fdw;
  create foreign table remote (line text) server files options (filename '/dev/null');
  create table spread (id int, line text) partition by list (id);
  create foreign table spread1 partition of spread for values in (1) server files options (filename '/dev/null');
  create function shout(text) returns text language sql immutable as 'select upper($1)';
  create function peek() returns text language sql stable as 'select email from users limit 1';
  create operator ### (leftarg = text, rightarg = text, function = texteq);
  create operator !!! (rightarg = text, function = peek_op);
  create sequence seq;
  create table "Odd ""T" (":relid" int, "} :x {" text, "a (b" text);
  grant usage on schema public, hr, app to touched_reader;
  grant all on all tables in schema public, hr, app to touched_reader;`;

let by: Analyst;
let reader: Analyst;
let drop: () => Promise<void>;

beforeAll(async () => {
  const cluster = await sharedCluster();
  const database = await cluster.createDatabase();
  await cluster.query(database, lineageSchema);
  await cluster.query(
    database,
    extra.replace(
      "create operator !!!",
      "create function peek_op(text) returns text language sql stable as 'select peek()';\n  create operator !!!",
    ),
  );
  by = await analyst(cluster.url(database));
  reader = await analyst(cluster.url(database, "touched_reader", "x"));
  drop = async () => {
    await cluster.dropDatabase(database);
    await cluster.query("postgres", "drop role touched_reader");
  };
});

afterAll(async () => {
  await by?.end();
  await reader?.end();
  await drop?.();
});

describe("relations and effects", () => {
  test.each<[string, string[], string[], string[]]>([
    ["select 1", [], [], ["read"]],
    ["select count(*) from users", ["public.users"], [], ["read"]],
    [
      "select * from v_nested",
      ["public.orders", "public.users", "public.v_nested", "public.v_users"],
      [],
      ["read"],
    ],
    ["select * from users for update", ["public.users"], [], ["lock", "read"]],
    [
      "select * from users u, orders o where false for share of o",
      ["public.orders", "public.users"],
      [],
      ["lock", "read"],
    ],
    ["insert into orders (id) values (1)", [], ["public.orders"], ["write"]],
    ["insert into orders (id) select id from users", ["public.users"], ["public.orders"], ["read", "write"]],
    ["update orders set note = 'x'", [], ["public.orders"], ["write"]],
    ["update orders set note = 'x' where id = 1", ["public.orders"], ["public.orders"], ["read", "write"]],
    [
      "delete from orders using users where users.id = orders.id",
      ["public.orders", "public.users"],
      ["public.orders"],
      ["read", "write"],
    ],
    [
      "with d as (delete from orders returning id) select * from d",
      ["public.orders"],
      ["public.orders"],
      ["read", "write"],
    ],
    [
      "merge into orders o using users u on o.id = u.id when matched then delete",
      ["public.orders", "public.users"],
      ["public.orders"],
      ["read", "write"],
    ],
    [
      "update v_users set name = 'x' where id = 1",
      ["public.users", "public.v_users"],
      ["public.users", "public.v_users"],
      ["read", "write"],
    ],
    [
      "insert into ruled values (1, 'a')",
      ["public.ruled"],
      ["public.ruled", "public.rulelog"],
      ["read", "write"],
    ],
    ["select * from remote", ["public.remote"], [], ["network", "read"]],
    ["select id from spread", ["public.spread"], [], ["network", "read"]],
    ["select nextval('seq')", [], [], ["read", "write"]],
    ["select shout('x')", [], [], ["read"]],
    ["select peek()", [], [], ["execute", "read"]],
    ["select !!! 'x'", [], [], ["execute", "read"]],
    ["select 'a' ### 'b'", [], [], ["read"]],
    ["select pg_sleep(1)", [], [], ["admin", "read"]],
    ["select 1 order by pg_read_file('x')", [], [], ["file", "read"]],
    ["select 1 limit (select length(pg_read_file('x')))", [], [], ["file", "read"]],
    [
      "select pid from pg_stat_activity",
      ["pg_catalog.pg_authid", "pg_catalog.pg_database", "pg_catalog.pg_stat_activity"],
      [],
      ["read"],
    ],
    [
      "select query from pg_stat_activity",
      ["pg_catalog.pg_authid", "pg_catalog.pg_database", "pg_catalog.pg_stat_activity"],
      [],
      ["admin", "read"],
    ],
    ["delete from ruled", [], [], ["read"]],
  ])("%s", async (sql, reads, writes, effects) => {
    const touched = await by.touched(sql);
    expect(touched.problems).toEqual([]);
    expect({ reads: touched.reads, writes: touched.writes, effects: touched.effects }).toEqual({
      reads,
      writes,
      effects,
    });
  });

  test("a function that an operator hides is named", async () => {
    const touched = await by.touched("select !!! 'x'");
    expect(touched.unsafe).toMatchObject([{ name: "public.peek_op", effect: "execute" }]);
  });

  test("functions of PostgreSQL's own views are no functions of the statement", async () => {
    const touched = await by.touched("select pid from pg_stat_activity");
    expect(touched.unsafe).toEqual([]);
    const direct = await by.touched("select pid from pg_stat_get_activity(null)");
    expect(direct.unsafe).toMatchObject([{ name: "pg_catalog.pg_stat_get_activity" }]);
  });

  test("what lies below PostgreSQL's own views is decided with the view", async () => {
    expect((await by.touched("select rolname from pg_roles")).effects).toEqual(["read"]);
    expect((await by.touched("select rolpassword from pg_authid")).effects).toEqual(["admin", "read"]);
    expect((await by.touched("select passwd from pg_shadow")).effects).toEqual(["admin", "read"]);
    expect((await by.touched("select most_common_vals from pg_stats")).effects).toEqual(["admin", "read"]);
  });

  test("functions, columns and parameters", async () => {
    const touched = await by.touched("select lower(name) from users where age > $1 and country = any($2)");
    expect(touched.functions).toEqual(["pg_catalog.lower"]);
    expect(touched.columns).toEqual(["public.users.age", "public.users.country", "public.users.name"]);
    expect(touched.parameterTypes).toEqual([23, 1009]);
  });
});

describe("positions", () => {
  test.each<[string, string[]]>([
    ["select email from users", ["output public.users.email"]],
    ["select email::varchar from users", ["output public.users.email"]],
    ['select email collate "C" from users', ["output public.users.email"]],
    ["select (u).email from users u", ["output public.users.email"]],
    ["select upper(email) from users", ["derived public.users.email"]],
    ["select u from users u", ["derived public.users.*"]],
    ["select (home).zip from prof", ["derived public.prof.home"]],
    ["select email from users order by email", ["predicate public.users.email"]],
    ["select distinct email from users", ["predicate public.users.email"]],
    ["select max(email) from users", ["predicate public.users.email"]],
    ["select 1 from users having max(email) > 'a'", ["predicate public.users.email"]],
    ["select 1 from users group by email", ["predicate public.users.email"]],
    ["select 1 from users where email = 'x'", ["equality public.users.email"]],
    ["select 1 from users where 'x' = email and email in ('a', $1)", ["equality public.users.email"]],
    ["select 1 from users where email = any ($1)", ["equality public.users.email"]],
    ["select 1 from users where email <> 'x'", ["predicate public.users.email"]],
    ["select 1 from users where not (email = 'x')", ["predicate public.users.email"]],
    [
      "select 1 from users where email = 'x' or id = 1",
      ["predicate public.users.email", "predicate public.users.id"],
    ],
    ["select 1 from users where upper(email) = 'X'", ["predicate public.users.email"]],
    ["select 1 from users where email = 'x' || $1", ["predicate public.users.email"]],
    ["select 1 from users where email ### 'x'", ["predicate public.users.email"]],
    ["select email = 'x' from users", ["derived public.users.email"]],
    ["select 1 from users having bool_and(email = 'x')", ["predicate public.users.email"]],
    ["select unnest(array[email]) from users", ["predicate public.users.email"]],
    [
      "select x from users, lateral upper(email) x",
      ["derived public.users.email", "predicate public.users.email"],
    ],
    [
      "select (select email from users u where u.id = 1)",
      ["derived public.users.email", "predicate public.users.id"],
    ],
    ["select exists (select * from users)", []],
    ["select exists (select 1 from users where email = 'x')", ["predicate public.users.email"]],
    ["select 1 where 'x' in (select email from users)", ["predicate public.users.email"]],
    [
      "select email from users union all select note from orders",
      ["output public.orders.note", "output public.users.email"],
    ],
    [
      "select email from users union select note from orders",
      [
        "output public.orders.note",
        "output public.users.email",
        "predicate public.orders.note",
        "predicate public.users.email",
      ],
    ],
    [
      "select * from (select email from users except all select 'x') s",
      ["output public.users.email", "predicate public.users.email"],
    ],
    [
      "select email from users union all select 'x' order by 1",
      ["output public.users.email", "predicate public.users.email"],
    ],
    [
      "select e from (select upper(email) e from users) s where e = 'X'",
      ["derived public.users.email", "predicate public.users.email"],
    ],
    [
      "select e from (select email e from users) s where e = 'X'",
      ["equality public.users.email", "output public.users.email"],
    ],
    ["select id from computed", ["output public.computed.id", "output public.users.id"]],
    ["select e from computed", ["derived public.users.email", "output public.computed.e"]],
    [
      "select s from computed where id = 1",
      [
        "derived public.users.ssn",
        "equality public.computed.id",
        "equality public.users.id",
        "output public.computed.s",
        "output public.users.id",
        "predicate public.users.ssn",
      ],
    ],
    [
      "select id from (select id, upper(email) from users offset 0) s",
      ["derived public.users.email", "output public.users.id"],
    ],
    [
      "select name from barrier",
      ["output public.barrier.name", "output public.users.name", "owner public.users.email"],
    ],
    [
      "select e from barrier",
      ["derived public.users.email", "output public.barrier.e", "owner public.users.email"],
    ],
    [
      "select id from narrow",
      ["output public.narrow.id", "output public.users.id", "predicate public.users.email"],
    ],
    [
      "select * from users u join orders o using (email)",
      expect.arrayContaining([
        "predicate public.users.email",
        "predicate public.orders.email",
      ]) as unknown as string[],
    ],
    ["update users set email = 'x' where id = 1", ["equality public.users.id"]],
    [
      "update orders o set note = u.email from users u where u.id = 1",
      ["assigned public.users.email", "equality public.users.id"],
    ],
    ["update orders o set note = upper(u.email) from users u", ["predicate public.users.email"]],
    [
      "insert into orders (note) select email from users",
      ["assigned public.users.email", "output public.users.email"],
    ],
    [
      "delete from users where id = 1 returning email",
      ["equality public.users.id", "output public.users.email"],
    ],
    [
      "update users set name = 'x' returning old.email, new.ssn",
      ["output public.users.email", "output public.users.ssn"],
    ],
    [
      "insert into users (id, email) values (1, 'x') on conflict (id) do nothing",
      ["arbiter public.users.id"],
    ],
    [
      "insert into users (id, email) values (1, 'x') on conflict (id) do update set email = excluded.email where users.id > 7",
      ["arbiter public.users.id", "assigned public.users.email", "predicate public.users.id"],
    ],
    // Prisma's upsert.
    [
      "insert into users (id, email) values (1, 'x') on conflict (email) do update set name = 'n' where (users.email = $1 and 1 = 1) returning id",
      ["arbiter public.users.email", "equality public.users.email", "output public.users.id"],
    ],
    [
      "insert into users (id, email) values (1, 'x') on conflict (id) do update set name = 'n' where users.email = excluded.email",
      ["arbiter public.users.id", "predicate public.users.email"],
    ],
    [
      "merge into orders o using users u on o.id = u.id when matched and u.email > 'x' then update set note = u.name",
      expect.arrayContaining([
        "predicate public.users.email",
        "assigned public.users.name",
      ]) as unknown as string[],
    ],
    ["select count(*) over (partition by email) from users", ["predicate public.users.email"]],
    [
      "select id from users limit (select length(email) from users limit 1)",
      ["output public.users.id", "predicate public.users.email"],
    ],
    ["select case when email like 'a%' then 1 end from users", ["predicate public.users.email"]],
    ["select row(email, 1) from users", ["derived public.users.email"]],
    [
      "select id from users tablesample system ((select length(min(email)) from users))",
      ["output public.users.id", "predicate public.users.email"],
    ],
    [
      "with recursive r(a, n) as (select email, 1 from users union all select a, n + 1 from r where n < 3) select n from r",
      ["derived public.users.email", "output public.users.email"].slice(1),
    ],
  ])("%s", async (sql, uses) => {
    const touched = await by.touched(sql);
    expect(touched.problems).toEqual([]);
    expect(usesOf(touched, by)).toEqual(uses);
  });

  test("conditions of row-level security are the owner's, unless the caller's settings reach them", async () => {
    expect(usesOf(await reader.touched("select id from guarded"), reader)).toEqual([
      "output public.guarded.id",
      "owner public.guarded.owner",
      "owner public.guarded.secret",
      "owner public.users.email",
    ]);
    expect(usesOf(await reader.touched("update guarded set id = 2"), reader)).toEqual([
      "owner public.guarded.owner",
      "owner public.guarded.secret",
      "owner public.users.email",
    ]);
    expect(usesOf(await reader.touched("select id from loose"), reader)).toContain(
      "predicate public.loose.owner",
    );
    expect(usesOf(await reader.touched("select id from ours"), reader)).toContain("owner public.ours.owner");
  });
});

describe("outputs and assignments", () => {
  test.each<[string, string[]]>([
    [
      'select email as ":relid", name as "} :x {" from users',
      [":relid = public.users.email", "} :x { = public.users.name"],
    ],
    [
      'select * from "Odd ""T"',
      [':relid = public.Odd "T.:relid', '} :x { = public.Odd "T.} :x {', 'a (b = public.Odd "T.a (b'],
    ],
    ["select email from users union all select 'guess'", ["email <- public.users.email"]],
    [
      "select email from users union all select note from orders",
      ["email = public.users.email public.orders.note"],
    ],
    ["select contact from v_users", ["contact = public.users.email public.v_users.contact"]],
    [
      "select jt.* from prof, json_table(doc, '$[*]' columns (e text path '$.e')) jt",
      ["e <- public.prof.doc"],
    ],
    [
      "select g.o from users, rows from (unnest(array[email]), generate_series(1, age)) with ordinality g(a, b, o)",
      ["o <-"],
    ],
    [
      "select g.b from users, rows from (unnest(array[email]), generate_series(1, age)) with ordinality g(a, b, o)",
      ["b <- public.users.age"],
    ],
    ["update ruled set b = 'x' where a = 1 returning a, b", ["a = public.rulelog.a", "b = public.rulelog.b"]],
    [
      "merge into orders o using users u on o.id = u.id when matched then delete returning merge_action(), u.email",
      ["merge_action <-", "email = public.users.email"],
    ],
    [
      "values (1, (select email from users limit 1)), (2, 'x')",
      ["column1 <-", "column2 <- public.users.email"],
    ],
  ])("%s", async (sql, outputs) => {
    const touched = await by.touched(sql);
    expect(touched.problems).toEqual([]);
    expect(outputsOf(touched, by)).toEqual(outputs);
  });

  test.each<[string, string[]]>([
    [
      "insert into orders (id, note) select id, email from users",
      ["public.orders.id <- public.users.id", "public.orders.note <- public.users.email"],
    ],
    [
      "update orders set (note, email) = (select email, 'x' from users limit 1)",
      ["public.orders.note <- public.users.email", "public.orders.email <-"],
    ],
    ["update v_users set name = contact", ["public.users.name <- public.users.email"]],
    [
      "insert into instead (id, email) select id, ssn from users",
      ["public.instead.id <- public.users.id", "public.instead.email <- public.users.ssn"],
    ],
    [
      "insert into users (id, email) values (1, 'a') on conflict (id) do update set name = excluded.email",
      [
        "public.users.id <-",
        "public.users.email <-",
        "public.users.created <-",
        "public.users.name <- public.users.email",
      ],
    ],
    [
      "insert into orders (id) values (1) on conflict (id) do update set (note, email) = (select u.email, excluded.note from users u)",
      [
        "public.orders.id <-",
        "public.orders.note <- public.users.email",
        "public.orders.email <- public.orders.note",
      ],
    ],
    [
      "merge into orders o using users u on o.id = u.id when not matched then insert (id, note) values (u.id, u.email)",
      ["public.orders.id <- public.users.id", "public.orders.note <- public.users.email"],
    ],
    // Each action numbers its sub-selects from 1.
    [
      `merge into orders o using users u on o.id = u.id
       when matched and o.id = 1 then update set (note, email) = (select 'x', u.name)
       when matched then update set (note, email) = (select u.email, 'x')`,
      [
        "public.orders.note <- public.users.email public.users.name",
        "public.orders.email <- public.users.email public.users.name",
        "public.orders.note <- public.users.email public.users.name",
        "public.orders.email <- public.users.email public.users.name",
      ],
    ],
  ])("%s", async (sql, assignments) => {
    const touched = await by.touched(sql);
    expect(touched.problems).toEqual([]);
    expect(assignmentsOf(touched, by)).toEqual(assignments);
  });

  test("rows that go into a new table are assigned, not returned", async () => {
    const touched = await by.touched("select id, email as e from users", "create-table");
    expect(touched.outputs).toBeNull();
    expect(assignmentsOf(touched, by)).toEqual(["id <- public.users.id", "e <- public.users.email"]);
    expect(usesOf(touched, by)).toEqual(["assigned public.users.email", "assigned public.users.id"]);
  });

  test("a plan shows no rows", async () => {
    expect((await by.touched("select email from users", "explain")).outputs).toBeNull();
  });
});

describe("a setting that a row of pg_settings names", () => {
  const sets = "select set_config(name, 'off', false) from pg_settings where name = 'jit'";
  const kind = "statement";

  test.each([sets, sets.replace("pg_settings", "pg_catalog.pg_settings")])("%s", async (sql) => {
    const { trees } = await by.analyse(sql);
    expect(readTouched(trees, by.catalog, { kind, settledSettings: 1 })).toMatchObject({
      settingRow: true,
      reads: expect.arrayContaining(["pg_catalog.pg_settings"]),
      unsafe: [],
      effects: ["read"],
      problems: [],
    });
    expect(readTouched(trees, by.catalog, { kind }).unsafe).toMatchObject([
      { name: "pg_catalog.set_config" },
    ]);
  });

  test("names that are not PostgreSQL's own", async () => {
    await by.client.query(`
      create schema shadow;
      create function shadow.alike(text, text) returns bool language sql immutable as 'select true';
      create operator shadow.= (leftarg = text, rightarg = text, function = shadow.alike);
      create view shadow.pg_settings as select 'role'::text as name`);
    await by.reload();
    try {
      for (const path of ["shadow, pg_catalog", "pg_catalog, shadow"]) {
        await by.client.query(`set search_path = ${path}`);
        const { trees } = await by.analyse(sets);
        const touched = readTouched(trees, by.catalog, { kind, settledSettings: 1 });
        expect(touched.settingRow, path).toBe(path.startsWith("shadow") ? undefined : true);
        expect(touched.problems).toEqual([]);
      }
      await by.client.query("drop view shadow.pg_settings; set search_path = shadow, pg_catalog");
      const { trees } = await by.analyse(sets);
      expect(readTouched(trees, by.catalog, { kind, settledSettings: 1 }).settingRow).toBeUndefined();
    } finally {
      await by.client.query("reset search_path; drop schema shadow cascade");
      await by.reload();
    }
  });

  test.each([
    "select set_config(name, 'off', false) from pg_settings",
    "select set_config(name, 'off', false) from pg_settings where setting = 'jit'",
    "select set_config(setting, 'off', false) from pg_settings where name = 'jit'",
    "select set_config(name, 'off', false) from pg_settings where name = 'jit' or true",
    "select set_config(name, 'off', false) from pg_show_all_settings() where name = 'jit'",
    "select set_config(s.name, 'off', false) from pg_settings s, users u where s.name = 'jit'",
    "select set_config(name, set_config('jit', 'on', false), false) from pg_settings where name = 'jit'",
  ])("not: %s", async (sql) => {
    expect((await by.touched(sql)).settingRow).toBeUndefined();
  });
});

describe("expressions that tell of a value by more than their own", () => {
  const derived = ["derived public.users.email"];
  const predicate = ["predicate public.users.email"];
  test.each([
    "email || 'x'",
    "upper(left(email, 3))",
    "substr(email, 2, 3)",
    "coalesce(email, name)",
    "email::varchar(5)",
    "email = name",
    "array[email, name]",
    "row(email, 1)::text",
    "to_jsonb(email)",
    "jsonb_build_object('e', email)",
    "case when id > 1 then email end",
    "greatest(email, name)",
    "nullif(email, name)",
    "email in ('a', 'b')",
    "xmlelement(name e, email)",
    "(array[email])[1]",
    "email is null",
    "email ~ '^a'",
    "(select u.email)",
    "substr(trim(email) || name, 2, 3)",
    "split_part(coalesce(email, ''), '@', 1)",
    "string_to_array(email, '@')::varchar(3)[]",
    "(string_to_array(email, '@'))[id]",
    "row(email, id) < row('a', 1)",
    "concat_ws(', ', email, name, id::text, now())",
    "string_to_array(email, '@') && array[name]",
    "greatest(array[email], array[name])",
    "(email, name) < ('a', 'b')",
    "strpos(lower(email), 'a')",
    "to_char(length(email), '999')",
    "email collate own_order = name collate own_order",
    ...(major >= 16 ? ["email is json", "to_jsonb(email) is json object"] : []),
    "(select array[x, name]::text from (select upper(u.email) as x) s)",
    "array(select email from users)",
    "to_jsonb(email) -> 'a' ->> name",
    "xmlelement(name e, email, created)",
    "to_char(length(email), 'FM999G990D00')",
    "concat(email, $1::text, $2::text, $3::inet, '{\"a\": [1, 2]}'::jsonb)",
    "coalesce(to_jsonb(u), '{}'::jsonb)::text || email",
  ])("%s does not", async (expression) => {
    const touched = await by.touched(`select ${expression} from users u`);
    expect(touched.problems).toEqual([]);
    expect(usesOf(touched, by).filter((use) => use.endsWith("users.email"))).toEqual(derived);
  });

  test.each([
    "email::int",
    "length(email) + 1",
    "1 / (length(email) - 3)",
    "case when email = 'a' then 1 / (id - 1) end",
    "case email when 'a' then 1 end",
    "coalesce(nullif(email, 'a'), repeat('x', 1000000))",
    "email = 'a' and 1 / (id - 1) > 0",
    "email like name",
    "email like 'a\\'",
    "name ~ email",
    "substr(name, 1, length(email) - 3)",
    "repeat('x', length(email))",
    "replace(email, 'a', 'aaaaaaaaaa')",
    "format(email)",
    "email::email_d",
    "email::jsonb",
    "xmlparse(document email)",
    "jsonb_build_object(email, 1)",
    "array[string_to_array(email, 'a'), array['x']]",
    "date_trunc(email, created)",
    "to_char(age, email)",
    "mask_email(email)",
    "current_setting(email)",
    "name ~ any (select email)",
    "name like any (array[email])",
    // What makes NULL of some values, around what fails for all others.
    ...[
      "split_part(%, 'x', 0)",
      "substr(%, 1, -1)",
      "lpad(%, 2000000000)",
      "regexp_match(%, '(')",
      "encode(sha256(null), %)",
      "coalesce(%, (1 / (id - 1))::text)",
      "(string_to_array(%, ','))[1 / (id - 1)]",
    ].map((outside) => outside.replace("%", "substring(email from '^a')")),
    "substr(nullif(email, 'a'), 1, -1)",
    "substr((string_to_array(email, 'a'))[2], 1, -1)",
    // What is worked out only if the columns before are equal, or until a row decides.
    "row(email, 1 / (id - 1)) < row('a', 1)",
    "row(email, 1 / (id - 1)) is null",
    "email = any (select (1 / (id - n))::text from generate_series(1, 2) n)",
    "'a' in (select email from users)",
    "(email, 1 / (id - 1)) = (select 'a', 1)",
    // Elements are cast one by one.
    "string_to_array(email, ',')::int[]",
    "regexp_match(email, '.')::bool[]",
    // Errors that jsonpath does not hold back.
    'to_jsonb(email) @? \'$ ? (@ starts with "a" && "2020-01-01".datetime() < "2020-01-01 00:00:00+00".datetime())\'',
    // A match takes as long as the value makes it.
    "email ~ '(.*)(.*)\\1\\2'",
    "substring(email from '(.)\\1')",
    // What becomes too long for the server, for some values.
    "split_part(email, 'a', 1) || repeat('x', 1000000000)",
    "lpad(email, 900000000)",
    "quote_literal(quote_literal(quote_literal(quote_literal(quote_literal(email)))))",
    "array(select substring(email from '^a') from generate_series(1, 100000000))",
    // Rows are compared column by column: what cannot be compared is found where those before are equal.
    "row(email, 1)::record = (select row('a', 'b'))",
    "row(email, 1)::record is distinct from (select row('a', 'b'))",
    "array[row(email, 1)] = array[row('a', 'b')]",
    "array[row(email, 1)] && array[row('a', 'b')]",
    "greatest(row(email, 1), (select row('a', 'b')))",
    "nullif(row(email, 1), (select row('a', 'b')))",
    // Two deep values fail to be looked into where the parts before are equal.
    "jsonb_build_object('a', email, 'b', '[[[]]]'::jsonb) @> jsonb_build_object('a', 'x', 'b', '[[[]]]'::jsonb)",
    // A collation that is not decided fails where two texts are compared.
    ...[
      "string_to_array(email || c, 'a') = array[p]",
      "nullif(email || c, 'a') = p",
      "upper(nullif(email || c, 'a') || p)",
      "(email, c) < ('a', p)",
      "greatest(nullif(email || c, 'a'), p)",
    ].map((one) => `(select ${one} from (select name collate "C" c, name collate "POSIX" p from users) s)`),
    // Some collations do not search, others take many texts for one.
    "strpos(email collate own_order, 'aaaaaaaaaaaaaaaaaaaa')",
    "starts_with(nullif(email, 'a') collate own_order, 'b')",
    "to_char(length(email), '9V99999999')",
    // Numbers that become too large to print, or too long.
    "greatest(to_jsonb(email), '[1e131071]'::jsonb)::text",
    "greatest(array[length(email)::numeric], '{1e131071}'::numeric[])::text",
    `'[${Array(9000).fill("1e131071").join()}]'::jsonb::text || nullif(email, 'a')`,
    "$1::jsonb::text || nullif(email, 'a')",
    // What is picked by a value may fail, or be too long.
    "'{\"a\": \"\\u0000\"}'::json -> nullif(email, 'a')",
    "json_extract_path('{\"a\": \"\\u0000\"}'::json, 'a', nullif(email, 'a'))",
    "to_jsonb('{\"a\": 1e200000}'::json -> email)",
    "('{\"a\": [1e131071, 1e131071]}'::jsonb ->> email)",
    "jsonb_extract_path_text('{\"a\": [1e131071, 1e131071]}'::jsonb, email)",
    ...(major >= 16 ? ["('[' || translate(left(email, 1), 'ab', '1x') || ',[[[') is json"] : []),
    // PostgreSQL 16 cuts it short.
    ...(major >= 17 ? ["json_array(email returning varchar(5))"] : []),
    ...(major >= 17 ? ["json_value(to_jsonb(email), '$')", "json_exists(to_jsonb(email), '$.a')"] : []),
  ])("%s does", async (expression) => {
    const touched = await by.touched(`select ${expression} from users u`);
    expect(touched.problems).toEqual([]);
    expect(usesOf(touched, by).filter((use) => use.endsWith("users.email"))).toEqual(predicate);
  });
});

test("no date in XML is infinite, numbers may become too large for a format, what picks a value counts as a condition", async () => {
  expect(usesOf(await by.touched("select to_char(total, '9V999'), total::text from orders"), by)).toEqual([
    "derived public.orders.total",
    "predicate public.orders.total",
  ]);
  const dates = await by.touched(
    "select xmlelement(name e, created), xmlforest(array[created] as d) from users",
  );
  expect(usesOf(dates, by)).toEqual(["predicate public.users.created"]);
  const picked = await by.touched(
    "select ('[2:2]={1e200000}'::json[])[age], ('{}'::jsonb[])[age:age] from users",
  );
  expect(usesOf(picked, by)).toEqual(["predicate public.users.age"]);
});

test("what is worked out in a sub-select counts as written where its columns are named", async () => {
  const doubled = (levels: number, from: string): string =>
    levels === 0 ? from : `select x || x as x from (${doubled(levels - 1, from)}) s`;
  const cut = "select substring(email from '^a') as x, 1 / (id - 1) as y, id from users";
  const told = [
    `select coalesce(x, (1 / (id - 1))::text) from (${cut}) s`,
    `select substr(x, 1, -1) from (${cut}) s`,
    `select ${"x || ".repeat(16)} x from (select $1 || nullif(email, 'a') as x from users) s`,
    "select row(x, y) < row('a', 1) from (select email as x, 1 / (id - 1) as y from users) s",
    "with recursive r(x, n) as (select email, 0 from users union all select x || x, n + 1 from r where n < 30) select x from r",
    doubled(12, "select upper(email) as x from users"),
    `with c as materialized (${doubled(12, "select upper(email) as x from users")}) select x || '' from c`,
  ];
  for (const sql of told) {
    const touched = await by.touched(sql);
    expect(touched.problems, sql).toEqual([]);
    expect(usesOf(touched, by), sql).toContain("predicate public.users.email");
  }
  for (const sql of [
    "select coalesce(x, 'none') from (select email as x from users) s",
    "select x || y from (select upper(email) as x, substr(email, 1, 3) as y from users) s",
    "select coalesce(u.email, 'none') from orders o left join users u on u.id = o.user_id",
    "select substr(contact, 1, 3), contact || name from v_users",
    doubled(2, "select upper(email) as x from users"),
  ]) {
    const touched = await by.touched(sql);
    expect(touched.problems, sql).toEqual([]);
    expect(usesOf(touched, by), sql).not.toContain("predicate public.users.email");
  }
});

describe("what is not understood", () => {
  async function treeOf(sql: string): Promise<string> {
    const [tree = ""] = (await by.analyse(sql)).trees;
    return tree;
  }
  const read = (tree: string) => readTouched([tree], by.catalog, { kind: "statement" });

  test("unknown nodes, fields and kinds of tables, missing fields", async () => {
    const tree = await treeOf("select upper(email) from users where id = 1");
    expect(read(tree).problems).toEqual([]);
    const changes: [string, string, string | null][] = [
      ["{FUNCEXPR ", "{FUTUREEXPR ", "FUTUREEXPR"],
      [":funcid ", ":future 1 :funcid ", "FUNCEXPR.future"],
      [":varlevelsup 0", ":varlevelsup 7", null],
      [":varno 1", ":varno 9", null],
      [":varno 1", ":varno -4", null],
      [":rtekind 0", ":rtekind 77", null],
      [":rtekind 0", ":rtekind 7", null],
      [":canSetTag true", ":canSetTag {X :a 1}", "QUERY.canSetTag"],
      [":resjunk false", ":resjunk_ false", "TARGETENTRY.resjunk_"],
      [":utilityStmt <>", ":utilityStmt ?", null],
      [":commandType 1", ":commandType 6", null],
      [":setOperations <>", ":setOperations {VAR :varno 1 :varattno 1 :varlevelsup 0}", null],
    ];
    for (const [from, to, object] of changes) {
      expect(tree, from).toContain(from);
      const touched = read(tree.replace(from, to));
      expect(touched.problems, to).not.toEqual([]);
      expect(touched).toMatchObject({ outputs: null, uses: [], effects: ["execute"] });
      if (object !== null) expect(touched.problems[0]?.object).toBe(object);
    }
  });

  test("objects that the snapshot does not hold make it stale", async () => {
    await by.client.query("create table later (id int)");
    const touched = await by.touched("select id from later");
    expect(touched.problems).toMatchObject([{ code: "CATALOG_STALE" }]);
    await by.reload();
    expect((await by.touched("select id from later")).problems).toEqual([]);
  });

  test("no tree, several statements that answer, utility statements of rules", async () => {
    expect(readTouched([], by.catalog, { kind: "statement" }).problems).toMatchObject([
      { code: "ANALYSIS_MISSING" },
    ]);
    const tree = await treeOf("select 1");
    expect(readTouched([tree, tree], by.catalog, { kind: "statement" }).problems).not.toEqual([]);
    expect(readTouched(["({QUERY"], by.catalog, { kind: "statement" }).problems).toMatchObject([
      { code: "ANALYSIS_UNREADABLE" },
    ]);
    expect((await by.touched("insert into idt (v) values (1)")).problems).not.toEqual([]);
  });

  test("deep expressions are read or refused, never thrown", async () => {
    for (const terms of [50, 400, 1200]) {
      const { trees, error } = await by.analyse(
        `select ${Array(terms).fill("length(name)").join(" + ")} from users`,
      );
      if (error !== null) continue;
      const touched = readTouched(trees, by.catalog, { kind: "statement" });
      if (terms === 50) expect(touched.problems).toEqual([]);
      if (touched.problems.length === 0) expect(usesOf(touched, by)).toEqual(["predicate public.users.name"]);
    }
  });

  test("mutated trees never throw, and never lose a column silently", async () => {
    const tree = await treeOf(
      "select u.email, upper(name) from users u join orders o on o.id = u.id where ssn = 'x' order by age",
    );
    const tokens = tree.split(/(?<=[ \n])/);
    let seed = 7;
    const next = (below: number): number => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed % below;
    };
    for (let i = 0; i < 1500; i++) {
      const changed = [...tokens];
      for (let k = next(3) + 1; k > 0; k--) {
        const at = next(changed.length);
        if (next(3) === 0) changed.splice(at, 1);
        else changed[at] = `${["0", "1", "99", "<>", "{", "}", "(", ")", "-1", "true", ":x"][next(11)]} `;
      }
      expect(Array.isArray(read(changed.join("")).problems)).toBe(true);
    }
  });
});
