/** How statements are masked or refused, with real trees. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MaskOptions, planMasks } from "../../src/analysis/plan.ts";
import { type ProtectedSet, resolveProtected } from "../../src/analysis/protected.ts";
import { sharedCluster } from "../support/cluster.ts";
import { type Analyst, analyst, type LabelSettings, label, lineageSchema } from "./lineage-support.ts";

let by: Analyst;
let drop: () => Promise<void>;

beforeAll(async () => {
  const cluster = await sharedCluster();
  const database = await cluster.createDatabase();
  await cluster.query(database, lineageSchema);
  await cluster.query(
    database,
    "create table vault (id int, email text, secret text); create table copies (id serial, email text, other text)",
  );
  await cluster.query(
    database,
    `create collation coarse (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
     create table folded (id int, email text collate coarse);
     create type home as (street text, zip text); create type other_home as (street text, zip int);
     create table homes (id int, email home);
     create view handled as select id, name, email from users;
     create table checked (id int primary key, email text check (email < 'm'));
     create table split (id int, email text) partition by range (email);
     create table split1 partition of split for values from ('a') to ('m');
     create table indexed (email text); create unique index on indexed (left(email, 1));
     create table root (email text); create table leaf (check (email < 'm')) inherits (root);
     create table plain (id int unique, email text); create index on plain (email);
     create table worked (id int, email text, n int generated always as (email::int) stored);
     create table counted (id int, email text); create statistics lengths on (length(email) / 0), id from counted;
     create table named (email text primary key); create table naming (n text references named on update cascade);
     create table folding (id int, email text unique); create unique index on folding (email collate coarse);
     create table words (email text, w tsvector); create trigger w before insert on words for each row
       execute function tsvector_update_trigger(w, 'pg_catalog.simple', email);
     create table seen (id int, email text); create view seeing as select id, email as e from seen;
     create materialized view shown as select id from seeing where e like 'a%';
     create table barred (id int, email text); create view bar with (security_barrier) as select id from barred where email like 'a%';
     create table kept (id int, email text); create view keeping as select * from kept where email like 'a%' with check option;
     create table above (email text); create table below () inherits (above);
     create statistics sizes on (email::int), email from above;
     create table quiet (id int primary key, email text references named, n int generated always as (id + 1) stored);
     create unique index on quiet (email); create statistics kinds on id, email from quiet;
     create materialized view told as select id, upper(email) from quiet where id > 0;
     create table ruled (a int, b text);
     create rule also as on insert to ruled do also select id, upper(email) from users;
     create rule instead as on update to ruled do instead select s from (select id, email from users) s;
     create rule fine as on delete to ruled do also select id from users where email like 'a%';
     create function handle() returns trigger language plpgsql as $$ begin return coalesce(new, old); end $$;
     create trigger handle instead of insert or update or delete on handled for each row execute function handle()`,
  );
  by = await analyst(cluster.url(database));
  drop = () => cluster.dropDatabase(database);
});

afterAll(async () => {
  await by?.end();
  await drop?.();
});

function protect(
  settings: LabelSettings = {},
  columns = "public.users.email public.copies.email public.folded.email public.homes.email",
): ProtectedSet {
  return resolveProtected(by.catalog, [label("pii", columns, settings), label("number", "*.*.ssn")], "shop");
}

/** The masks of a plan, "-" for none; or the code of a refusal and its column. */
async function told(sql: string, set: ProtectedSet, options: Partial<MaskOptions> = {}): Promise<string> {
  const outcome = await by.plan(sql, set, options);
  if (!outcome.ok) return `${outcome.code} ${outcome.column}`.trim();
  if (outcome.plan === null) return "clear";
  return `${outcome.plan.columns.map((mask) => mask?.mask.kind ?? "-").join(" ")}${outcome.plan.scrub ? " !" : ""}`;
}

describe("the strict rule", () => {
  test.each<[string, string]>([
    ["select id, name from users", "clear"],
    ["select id, email from users", "- partial !"],
    ["select * from users", "- partial - partial - - - !"],
    ["table users", "- partial - partial - - - !"],
    ["select contact from v_users", "partial !"],
    ["select id, name from v_star", "clear"],
    ["select country, n from v_agg", "clear"],
    ["select mx from v_agg", "PROTECTED_PREDICATE public.users.email"],
    ["select total from v_nested", "clear"],
    ["select c2 from v_nested", "PROTECTED_EXPRESSION public.users.email"],
    ["select email from mv_users", "partial !"],
    ["select upper(email) from users", "PROTECTED_EXPRESSION public.users.email"],
    ["select u from users u", "PROTECTED_EXPRESSION public.users.email"],
    ["select id from users where email = 'x'", "PROTECTED_PREDICATE public.users.email"],
    ["select id from users order by email", "PROTECTED_PREDICATE public.users.email"],
    ["select email from users union select 'x'", "PROTECTED_PREDICATE public.users.email"],
    ["select email from users union all select 'guess'", "null !"],
    ["select email from users union all select note from orders", "null !"],
    ["select email from users union all select email from copies", "partial !"],
    ["select email from users union all select ssn from users", "null !"],
    // Only what the rows hold is compared, not what else the queries below them list.
    ["select id from v_users union select user_id from orders", "clear"],
    ["select id from v_star except select id from (select id, email from users) s", "- !"],
    ["select name from v_nested, v_users intersect select note from orders", "clear"],
    ["select id from (select id, email from v_users join users using (id)) s union select 1", "- !"],
    [
      "select c from (select contact from v_users) s(c) union select 'x'",
      "PROTECTED_PREDICATE public.users.email",
    ],
    [
      "select x from (select s.* from (select upper(contact) from v_users) s) q(x) except select 'x'",
      "PROTECTED_PREDICATE public.users.email",
    ],
    [
      "(select email from users union all select 'x' limit 5) intersect select 'x'",
      "PROTECTED_PREDICATE public.users.email",
    ],
    [
      "with w as (select contact as c from v_users) select c from (select * from w offset 0) s union select note from orders",
      "PROTECTED_PREDICATE public.users.email",
    ],
    [
      "select (select s.c from (select contact as c from v_users) s limit 1) union select 'x'",
      "PROTECTED_PREDICATE public.users.email",
    ],
    [
      "select s from (select id, contact from v_users) s intersect all select null",
      "PROTECTED_PREDICATE public.users.email",
    ],
    ["select exists (select * from users where id = 3)", "clear"],
    ["select get_email(1)", "UNSAFE_FUNCTION public.get_email"],
    ["select histogram_bounds from pg_stats", "PROTECTED_CATALOG"],
    ["select relname from pg_class", "clear"],
  ])("%s: %s", async (sql, expected) => {
    const got = await told(sql, protect());
    if (expected === "PROTECTED_CATALOG") expect(got).toMatch(/^PROTECTED_CATALOG pg_catalog\.pg_sta/);
    else expect(got).toBe(expected);
  });

  test("says which column, where, and what to do", async () => {
    expect(await by.plan("select id from users where email like 'a%'", protect())).toEqual({
      ok: false,
      code: "PROTECTED_PREDICATE",
      column: "public.users.email",
      label: "pii",
      where: "predicate",
      message:
        "column public.users.email (pii) is protected and may not be used in a condition, join, grouping, ordering, aggregate or function call",
      hint: "Use the column only by itself in the select list, where its values come back masked; filter and sort by others.",
      labels: ["pii"],
      labelsInPredicates: ["pii"],
    });
  });

  test("what the record names", async () => {
    const outcome = await by.plan(
      "select contact, ssn, name from v_users join users using (name)",
      protect(),
    );
    expect(outcome).toMatchObject({
      ok: true,
      masked: ["public.users.email", "public.users.ssn"],
      labels: ["number", "pii"],
      labelsInPredicates: [],
    });
    if (!outcome.ok) throw new Error("refused");
    expect(outcome.plan?.columns[0]).toEqual({
      mask: { kind: "partial" },
      label: "pii",
      column: "public.users.email",
      domain: "shop/pii",
    });
  });
});

describe("relaxed uses", () => {
  test.each<[LabelSettings["use"] & string, string, string]>([
    ["equality", "select id from users where email = $1", "- !"],
    ["equality", "select id from users where id = 1 and email in ('a', $1)", "- !"],
    ["equality", "select id from users where email > 'a'", "PROTECTED_PREDICATE public.users.email"],
    ["equality", "select id from users where upper(email) = 'A'", "PROTECTED_PREDICATE public.users.email"],
    // What takes many texts for one is no plain equality; a column's own collation is.
    [
      "equality",
      "select id from users where email collate coarse = $1",
      "PROTECTED_PREDICATE public.users.email",
    ],
    [
      "equality",
      "select 1 from (select email collate coarse e from users) s where e = 'a'",
      "PROTECTED_PREDICATE public.users.email",
    ],
    ["equality", 'select id from users where email collate "C" = $1', "- !"],
    ["equality", "select id from folded where email = $1", "- !"],
    [
      "equality",
      "select id from (select f.* from folded f join orders o on o.id = f.id) s where email = $1",
      "- !",
    ],
    // Rows of other columns fail to compare where the first are equal.
    [
      "equality",
      "select id from homes where email = '(a,1)'::other_home",
      "PROTECTED_PREDICATE public.homes.email",
    ],
    ["equality", "select upper(email) from users", "PROTECTED_EXPRESSION public.users.email"],
    [
      "equality",
      "select 1 from (select left(email, 1) e from users) s where e = 'a'",
      "PROTECTED_PREDICATE public.users.email",
    ],
    ["derived", "select upper(email), name from users", "null - !"],
    ["derived", "select row_to_json(c), c from copies c", "null null !"],
    ["derived", "select id from users where email = 'x'", "PROTECTED_PREDICATE public.users.email"],
    ["derived", "select (select email from users limit 1), 1", "null - !"],
    ["derived", "select count(email) from users", "PROTECTED_PREDICATE public.users.email"],
    ["any", "select id, email from users where email like 'a%' order by email", "- partial !"],
    ["any", "select max(email), count(email), count(*) from users", "null null - !"],
    ["any", "select id from users where ssn = 'x'", "PROTECTED_PREDICATE public.users.ssn"],
    ["any", "select get_email(1)", "UNSAFE_FUNCTION public.get_email"],
  ])("%s: %s: %s", async (use, sql, expected) => {
    expect(await told(sql, protect({ use }))).toBe(expected);
  });

  test("what a rule adds to a statement is refused under any use: nobody masks it", async () => {
    const any = protect({ use: "any" });
    expect(await told("insert into ruled values (1, 'x')", any)).toBe(
      "PROTECTED_PREDICATE public.users.email",
    );
    expect(await told("update ruled set b = 'x'", any)).toBe("PROTECTED_PREDICATE public.users.email");
    expect(await told("delete from ruled", any)).toBe(" !");
    expect(await told("insert into ruled values (1, 'x')", any, { unmask: ["pii", "number"] })).toBe("clear");
  });

  test("a rule may relax a label for a principal", async () => {
    const sql = "select id from users where email = 'x'";
    expect(await told(sql, protect(), { relax: new Map([["pii", "equality"]]) })).toBe("- !");
    expect(await told(sql, protect(), { relax: new Map([["other", "any"]]) })).toMatch(
      /^PROTECTED_PREDICATE/,
    );
  });

  test("equalities are counted", async () => {
    const outcome = await by.plan("select id from users where email = 'x'", protect({ use: "equality" }));
    expect(outcome).toMatchObject({
      ok: true,
      equalities: ["public.users.email"],
      labelsInPredicates: ["pii"],
    });
  });

  test("functions with effects take no protected values", async () => {
    const set = protect({ use: "any" });
    expect(await told("select set_config('application_name', email, false) from users", set)).toBe(
      "UNSAFE_FUNCTION pg_catalog.set_config",
    );
    expect(await told("select nextval('x'::regclass) from users".replace("'x'", "'pg_class'"), set)).toBe(
      "clear",
    );
  });

  test.each([
    "select pg_notify('c', $1)",
    "select pg_notify('c', name) from users",
    "select pg_notify('c', id::text), email from users",
    "select pg_sleep(0.1)",
    "select pg_sleep_for('1 s'), pg_sleep_until(now())",
    "select pg_cancel_backend(1), pg_terminate_backend($1::int)",
  ])("signals others and waits where nothing protected has to do with it: %s", async (sql) => {
    for (const use of ["output", "equality", "derived", "any"] as const)
      expect(await told(sql, protect({ use }))).not.toMatch(/[A-Z]/);
  });

  test.each([
    "select pg_notify('c', email) from users",
    "select pg_notify(email, '') from users",
    "select pg_notify('c', u::text) from users u",
    "select pg_notify('c', s.e) from (select email as e from users) s",
    "select pg_notify('c', (select email from users limit 1))",
    "select pg_notify('c', array(select email from users)::text)",
    "select pg_notify('c', string_agg(email, ' ')) from users",
    "select pg_notify('c', (email = 'x')::text) from users",
    "select case when email = 'x' then pg_notify('c', '') end from users",
    "select 1 from users where email > 'x' and pg_notify('c', '') is null",
    "select 1 from users u, lateral (select pg_notify('c', u.email)) s",
    "select 1 from users u, lateral pg_notify('c', u.email) s",
    "with gone as (delete from users returning email) select pg_notify('c', email) from gone",
    "update users set name = 'x' returning pg_notify('c', email)",
    "insert into users (email) select 'x' returning pg_notify('c', email)",
    "values (pg_notify('c', (select email from users limit 1)))",
    "select pg_sleep(length(email)) from users",
    "select pg_terminate_backend(length(email)) from users",
  ])("never with a protected value: %s", async (sql) => {
    for (const use of ["output", "equality", "derived", "any"] as const)
      expect(await told(sql, protect({ use }))).toMatch(/^(?:UNSAFE_FUNCTION|PROTECTED_)/);
  });

  test("plans compare nothing protected", async () => {
    const set = protect({ use: "any" });
    const explain = { explain: true };
    expect(await told("select id from users where email < 'x'", set, explain)).toBe(
      "PROTECTED_EXPLAIN public.users.email",
    );
    expect(await told("select id from users where name < 'x'", set, explain)).toBe("clear");
    // With ANALYZE sorts and hashes tell how large their rows were, with SERIALIZE all rows do.
    for (const serialize of [false, true]) {
      const run = { explain: true, analyze: true, serialize };
      const whole = "select nullif(email, 'x') from users, generate_series(1, 1000)";
      expect(await told(whole, set, run)).toBe("PROTECTED_EXPLAIN public.users.email");
      expect(await told("select upper(name) from users", set, run)).toBe("clear");
      const plain = await told("select email from users", set, run);
      expect(plain.startsWith("PROTECTED_EXPLAIN")).toBe(serialize);
    }
  });

  test("sizes of protected values are not told", async () => {
    const sized = { explain: true, serialize: true };
    for (const use of ["output", "any"] as const)
      for (const sql of ["select email from users", "select * from users", "select upper(email) from users"])
        expect(await told(sql, protect({ use }), sized), sql).toMatch(/^PROTECTED_EX/);
    expect(await told("select id, name from users", protect({ use: "any" }), sized)).toBe("clear");
    expect(await told("select email from users", protect(), { explain: true })).not.toMatch(/^PROTECTED/);
  });
});

describe("access: none", () => {
  const columns = "public.vault.secret";
  test.each<[string, string]>([
    ["select id, email from vault", "clear"],
    ["select secret from vault", "PROTECTED_COLUMN public.vault.secret"],
    ["select * from vault", "PROTECTED_COLUMN public.vault.secret"],
    ["select v from vault v", "PROTECTED_COLUMN public.vault.secret"],
    ["select id from vault where secret is null", "PROTECTED_COLUMN public.vault.secret"],
    ["select count(*) from vault", "clear"],
    ["insert into vault (id, secret) values (1, 'x')", "!"],
    ["insert into copies (other) select secret from vault", "PROTECTED_COLUMN public.vault.secret"],
  ])("%s: %s", async (sql, expected) => {
    expect((await told(sql, protect({ access: "none" }, columns))).trim()).toBe(expected);
  });

  test("is never lifted, and says what can be read", async () => {
    const set = protect({ access: "none" }, columns);
    const outcome = await by.plan("select * from vault", set, { unmask: ["pii", "number"] });
    expect(outcome).toMatchObject({
      ok: false,
      code: "PROTECTED_COLUMN",
      hint: "Name the columns you need instead of *; these can be read: id, email",
    });
  });
});

describe("writing", () => {
  test.each<[string, string]>([
    ["insert into orders (id, note) select id, email from users", "PROTECTED_WRITE public.users.email"],
    ["insert into orders (id, note) select id, name from users", "clear"],
    ["insert into copies (id, email) select id, email from users", "!"],
    ["insert into copies (email) select email from users", "!"],
    ["insert into copies (id, email) select id, ssn from users", "PROTECTED_WRITE public.users.ssn"],
    [
      "update orders o set note = u.email from users u where u.id = o.id",
      "PROTECTED_WRITE public.users.email",
    ],
    ["update copies c set other = email", "PROTECTED_WRITE public.copies.email"],
    ["update copies set email = upper(email)", "PROTECTED_PREDICATE public.copies.email"],
    ["update copies set email = 'x' where id = 1", "!"],
    ["update copies set email = 'x' where id = 1 returning id, email", "- partial !"],
    ["delete from orders where id = 1", "clear"],
    ["delete from users where id = 1 returning email", "partial !"],
    [
      "merge into orders o using users u on o.id = u.id when matched then update set note = u.email",
      "PROTECTED_WRITE public.users.email",
    ],
    [
      "with m as (update orders set note = (select email from users limit 1)) select 1",
      "PROTECTED_PREDICATE public.users.email",
    ],
  ])("%s: %s", async (sql, expected) => {
    expect((await told(sql, protect())).trim()).toBe(expected);
  });

  test.each([
    ["update handled set name = 'x' where id = 1", " !"],
    ["delete from handled where id = 1", " !"],
    ["insert into handled values (1, 'x', 'y')", " !"],
    ["update handled set name = 'x' where id = 1 returning id, email", "- partial !"],
    ["update handled set name = email", "PROTECTED_WRITE public.users.email"],
    ["update handled set name = 'x' where email = 'y'", "PROTECTED_PREDICATE public.users.email"],
    ["update handled set name = 'x' returning handled", "PROTECTED_EXPRESSION public.handled.email"],
    [
      "delete from handled h using orders o where h = row(1, o.note, '')::handled",
      "PROTECTED_PREDICATE public.users.email",
    ],
  ])("what is handed to INSTEAD OF triggers is no condition: %s", async (sql, expected) => {
    expect(await told(sql, protect())).toBe(expected);
  });

  test.each([
    ["insert into checked(email) select email from users", "PROTECTED_PREDICATE public.users.email"],
    [
      "insert into split(email) select email from users where id = 1",
      "PROTECTED_PREDICATE public.users.email",
    ],
    ["insert into indexed(email) select email from users", "PROTECTED_PREDICATE public.users.email"],
    ["insert into root(email) select email from users", "PROTECTED_PREDICATE public.users.email"],
    ["update checked c set email = u.email from users u", "PROTECTED_PREDICATE public.users.email"],
    [
      "merge into checked c using users u on c.id = u.id when not matched then insert (id, email) values (u.id, u.email)",
      "PROTECTED_PREDICATE public.users.email",
    ],
    ["update checked set email = email where id = 1", " !"],
    [
      "insert into checked(email) values ('a'), ($1) on conflict (id) do update set email = excluded.email",
      " !",
    ],
    ["insert into checked(id) select id from users", " !"],
    ["insert into plain(id, email) select id, email from users", " !"],
    ...["worked", "counted", "named", "folding", "words", "seen", "below", "barred", "keeping"].map((own) => [
      `insert into ${own}(email) select email from users`,
      "PROTECTED_PREDICATE public.users.email",
    ]),
    ["insert into quiet(id, email) select id, email from users", " !"],
  ] as [string, string][])(
    "a copy is not tried by conditions of one's own table: %s",
    async (sql, expected) => {
      const own =
        "users checked split indexed root plain worked counted named folding words seen above barred kept quiet".split(
          " ",
        );
      const columns = own.map((name) => `public.${name}.email`).join(" ");
      expect(await told(sql, protect({}, columns))).toBe(expected);
      // Where conditions may look at it, these may, too.
      if (expected.startsWith("PROTECTED"))
        expect(await told(sql, protect({ use: "any" }, columns))).toBe(" !");
    },
  );

  test("rows for a new table are copies, also for those who may see them", async () => {
    const touched = await by.touched("select id, email from users", "create-table");
    const outcome = planMasks(touched, protect(), { unmask: ["pii", "number"], explain: false });
    expect(outcome).toMatchObject({ ok: false, code: "PROTECTED_WRITE", where: "assigned" });
    const harmless = await by.touched("select id, name from users", "create-table");
    expect(planMasks(harmless, protect(), { unmask: [], explain: false })).toMatchObject({ ok: true });
  });

  test("a hash that could be looked up by writing guesses becomes NULL", async () => {
    const set = protect({ mask: { kind: "hash" } });
    expect(await told("select email from users", set)).toBe("hash !");
    expect(await told("insert into users (id, email) values (1, 'guess') returning email", set)).toBe(
      "null !",
    );
    const mayWrite = (relation: string): boolean => relation === "public.users";
    expect(await told("select email from users", set, { mayWrite })).toBe("null !");
    expect(await told("select email from copies", set, { mayWrite })).toBe("hash !");
  });
});

describe("lifting", () => {
  test("only the labels named", async () => {
    const sql = "select email, ssn from users";
    expect(await told(sql, protect(), { unmask: ["pii"] })).toBe("- partial !");
    expect(await told(sql, protect(), { unmask: ["pii", "number"] })).toBe("clear");
    expect(await told("select id from users where email = 'x'", protect(), { unmask: ["pii"] })).toBe(
      "clear",
    );
    const outcome = await by.plan("select id from users where email = 'x'", protect(), { unmask: ["pii"] });
    expect(outcome).toMatchObject({ labels: ["pii"], labelsInPredicates: ["pii"] });
  });

  test("two labels on one column must both be lifted, and the stronger mask counts", async () => {
    const set = resolveProtected(
      by.catalog,
      [
        label("soft", "public.users.email", { mask: { kind: "partial" }, use: "any" }),
        label("hard", "public.users.email", { mask: { kind: "redact" } }),
      ],
      "shop",
    );
    expect(await told("select email from users", set)).toBe("redact !");
    expect(await told("select email from users", set, { unmask: ["hard"] })).toBe("partial !");
    expect(await told("select email from users where email > 'a'", set)).toMatch(/^PROTECTED_PREDICATE/);
    expect(await told("select email from users where email > 'a'", set, { unmask: ["hard"] })).toBe(
      "partial !",
    );
  });

  test("nothing protected: nothing is asked, even of what is not understood", async () => {
    const set = resolveProtected(by.catalog, [], "shop");
    const touched = await by.touched("select get_email(1)");
    expect(
      planMasks({ ...touched, problems: [{ code: "X", message: "x", object: null }] }, set, {
        unmask: [],
        explain: false,
      }),
    ).toMatchObject({ ok: true, plan: null });
    expect(
      planMasks({ ...touched, problems: [{ code: "X", message: "x", object: null }] }, protect(), {
        unmask: [],
        explain: false,
      }),
    ).toMatchObject({ ok: false, code: "X" });
  });
});
