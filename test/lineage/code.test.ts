/**
 * Code of the database that runs without being called: checks of domains behind parameters, literals and JSON, casts to json,
 * definitions that evaluate expressions, functions that a caller makes; and definitions that take labels away.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bind, copyData, copyDone, execute, field, parse, query, sync } from "../e2e/messages.ts";
import { binaries } from "../support/binaries.ts";
import { type RawMessage, rawLogin } from "../support/raw.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

/** What this PostgreSQL's grammar knows: SQL/JSON came with 16 and 17. */
const { major } = await binaries();
const known = (text: string): boolean =>
  (major >= 17 || !/json_(?:value|query|table)\(/.test(text)) &&
  (major >= 16 || !/json_(?:array|object)\(/.test(text));

let lab: LineageLab;
const oids: Record<string, number> = {};

beforeAll(async () => {
  lab = await startLineageLab("output");
  const tells = "raise notice '%', (select string_agg(email, ' ') from users)";
  await lab.cluster.query(
    lab.dbname,
    `create table ran (what text);
     create function tell(t text) returns boolean language plpgsql as $$ begin ${tells}; return true; end $$;
     create function keep(t text) returns boolean language plpgsql as $$ begin insert into ran values (t); return true; end $$;
     create function fail(t text) returns boolean language plpgsql as
       $$ begin raise exception '%', (select string_agg(email, ' ') from users); end $$;
     create function give(t text) returns text language plpgsql immutable as
       $$ begin return (select string_agg(email, ' ') from users); end $$;
     create function act() returns trigger language plpgsql as $$ begin return new; end $$;
     create domain tell_d as text check (tell(value));
     create domain keep_d as text check (keep(value));
     create domain fail_d as text check (fail(value));
     create domain fine_d as int check (value > 0);
     create type tell_c as (a tell_d);
     create type keep_c as (a keep_d);
     create type fail_c as (a fail_d);
     create type fine_c as (a fine_d, b int[]);
     create table wide (id int, a tell_d);
     create domain pay as int; alter table hr.emp alter salary type pay; create domain pay_too as pay;
     create domain short as text check (length(value) < 3);
     create type letter as (email text, at int); create table mails of letter;
     alter table users add column words tsvector;
     create type tell_r as range (subtype = tell_d, multirange_type_name = tell_m); create table spanned (r tell_m[]);
     create type fine_r as range (subtype = int8, multirange_type_name = fine_m);
     create domain taken_d as int check (value > 0); create table taken (id taken_d, r int4range);
     create type mood as enum ('glad');
     create function mood_json(mood) returns json language plpgsql as $$ begin ${tells}; return '1'; end $$;
     create cast (mood as json) with function mood_json(mood);
     create domain short_d as text check (length(value) < 99);
     create domain base_d as text; create domain secret_d as base_d;
     create type typed_c as (id int, secret text);
     create table domained (id int, secret secret_d); create table typed of typed_c;
     create table spans (id int4range, secret daterange); create table keyed (secret text primary key, id int unique);
     ${["secret", "upper(secret)", "id"]
       .map(
         (key, i) => `create table cut${i} (id int, secret text) partition by list ((${key}));
         create table rest${i} partition of cut${i} default; insert into cut${i} values (1, '${lab.tokens.text()}');
         alter table cut${i} owner to ${lab.role}; alter table rest${i} owner to ${lab.role};`,
       )
       .join("")}
     create table cut3 (id int, secret text) partition by range (secret); alter table cut3 owner to ${lab.role};
     grant create on schema public to ${lab.role};
     alter domain base_d owner to ${lab.role}; alter domain secret_d owner to ${lab.role};
     alter domain fine_d owner to ${lab.role}; alter type fine_c owner to ${lab.role}; alter type typed_c owner to ${lab.role};
     alter table typed owner to ${lab.role}; alter table spans owner to ${lab.role}; alter table keyed owner to ${lab.role};
     alter table orders owner to ${lab.role}; alter table ran owner to ${lab.role};
     grant all on wide, ran, spanned, taken to ${lab.role}; grant create on database ${lab.dbname} to ${lab.role};
     alter table users owner to ${lab.role}; alter table parent owner to ${lab.role};
     alter table child owner to ${lab.role}; alter table part owner to ${lab.role};
     alter table part1 owner to ${lab.role}; alter table hr.emp owner to ${lab.role};
     alter view v_users owner to ${lab.role}; alter schema hr owner to ${lab.role};
     alter domain pay owner to ${lab.role}; alter domain short owner to ${lab.role}; alter type letter owner to ${lab.role};
     alter table mails owner to ${lab.role}`,
  );
  for (const name of ["tell_d", "tell_c", "tell_d[]", "fine_d"]) {
    const [row] = await lab.cluster.query(lab.dbname, `select '${name}'::regtype::oid::int as oid`);
    oids[name] = Number(row?.oid);
  }
});
afterAll(async () => {
  await lab?.stop();
});

/** Runs what is sent in a session of its own; the codes of refusals, "" for what ran, SQLSTATEs for other errors. */
async function run(...steps: readonly (string | readonly Buffer[])[]): Promise<string[]> {
  const client = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
  const codes: string[] = [];
  for (const step of steps) {
    client.send(...(typeof step === "string" ? [query(step)] : step));
    codes.push(codeOf(await client.ready()));
  }
  await client.end();
  expect(
    lab.tokens.found(lab.recorder.take()),
    steps.filter((step) => typeof step === "string").join("; "),
  ).toEqual([]);
  return codes;
}

function codeOf(messages: readonly RawMessage[]): string {
  const error = messages.find(({ type }) => type === "E");
  if (error === undefined) return "";
  const detail = field(error, "D");
  if (detail?.startsWith("{") !== true) return field(error, "C") ?? "";
  return (JSON.parse(detail) as { code?: string }).code ?? "";
}

const bound = (text: string, values: string[], types: number[] = []) => [
  parse("", text, types),
  bind("", "", values),
  execute(""),
  sync,
];

describe("checks of a domain that nobody wrote into the statement", () => {
  const forms: readonly (readonly [string, string])[] = [
    ["a literal", "select 'x'::tell_d"],
    ["json_populate_record", `select json_populate_record(null::tell_c, '{"a":"x"}') is null`],
    ["jsonb_populate_recordset", `select * from jsonb_populate_recordset(null::tell_c, '[{"a":"x"}]')`],
    ["a table's row type", `select id from json_populate_record(null::wide, '{"a":"x"}')`],
    ["json_to_record", `select a is null from json_to_record('{"a":"x"}') as t(a tell_d)`],
    [
      "ROWS FROM",
      `select a from rows from (json_to_recordset('[{"a":"x"}]') as (a tell_d), generate_series(1, 2)) x`,
    ],
    ["JSON_VALUE", `select json_value('"x"', '$' returning tell_d)`],
    ["JSON_QUERY", `select json_query('"x"', '$' returning tell_d omit quotes)`],
    ["JSON_TABLE", `select 1 from json_table('["x"]'::jsonb, '$[*]' columns (a tell_d path '$')) t`],
    [
      "XMLTABLE",
      "select 1 from xmltable('/r/a' passing xmlparse(document '<r><a>x</a></r>') columns a tell_d path '.')",
    ],
    ["domain_in", "select domain_in('x', 'tell_d'::regtype::oid, -1) is null"],
    ["array_in", "select array_in('{x}', 'tell_d'::regtype::oid, -1) is null"],
    ["record_in", "select record_in('(x)', 'tell_c'::regtype::oid, -1) is null"],
    ["PREPARE", "prepare p(tell_d) as select $1"],
    ["PREPARE without a use of it", "prepare p(int, tell_d) as select $1"],
    ["a new column's", "alter table orders add column x tell_d default 'x'"],
  ];
  test.each(forms.filter(([, text]) => known(text)))("%s", async (_, text) => {
    expect(await run(text)).toEqual(["UNSAFE_FUNCTION"]);
  });

  test("constructors of ranges", async () => {
    expect(
      await run(
        "select fine_r(1, 2), fine_m(fine_r(1, 2), fine_r(5, 6, '[]')), fine_m(), fine_m(fine_r(id, id + 1)) from users",
        "select tell_r('a', 'b') is null",
        "select tell_m(tell_r('a', 'b')) is null",
      ),
    ).toEqual(["", "UNSAFE_FUNCTION", "UNSAFE_FUNCTION"]);
  });

  test("rows of COPY", async () => {
    expect(
      await run(
        "copy wide from stdin",
        "copy wide (a) from stdin (format csv)",
        "copy wide (id, a) from stdin (format binary)",
        "copy wide from stdin where id > 0",
        "copy spanned (r) from stdin",
      ),
    ).toEqual(Array(5).fill("UNSAFE_FUNCTION"));
  });

  test("rows of COPY that have none of its values", async () => {
    const client = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
    for (const [text, rows] of [
      ["copy wide (id) from stdin", "7\n"],
      ["copy taken from stdin", "1\t[1,2)\n"],
    ] as const) {
      client.send(query(text), copyData(rows), copyDone);
      expect((await client.ready()).map(({ type }) => type)).not.toContain("E");
    }
    await client.end();
    expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
  });

  test("parameters", async () => {
    const refused = [
      bound("select $1::tell_d is null", ["x"]),
      bound("select ($1::tell_c[]) is null", ["{(x)}"]),
      bound("select $1 is null", ["x"], [oids.tell_d ?? 0]),
      bound("select $1 is null", ["(x)"], [oids.tell_c ?? 0]),
      bound("select $1 is null", ["{x}"], [oids["tell_d[]"] ?? 0]),
      bound("select 1", ["x"], [oids.tell_d ?? 0]),
    ];
    expect(await run(...refused)).toEqual(refused.map(() => "UNSAFE_FUNCTION"));
  });

  test("what they write while the server reads a literal does not last, and what they say is not told", async () => {
    const codes = await run(
      // The trees of what a function runs may come with the statement's own.
      "select '(x)'::tell_c is null",
      "select '{(x)}'::tell_c[] is null",
      "select '(x)'::keep_c is null",
      "select '{x}'::keep_d[] is null",
      "select '(x)'::fail_c is null",
      "select '{x}'::fail_d[] is null",
    );
    expect(codes.every((code) => code !== "")).toBe(true);
    expect(await lab.cluster.query(lab.dbname, "select * from ran")).toEqual([]);
  });

  test("those that only compute a value run, and errors of plain literals are the server's own", async () => {
    const codes = await run(
      `select '(1,{2})'::fine_c, row(1, array[2])::fine_c, '{1}'::fine_d[], json_populate_record(null::fine_c, '{"a":1}')`,
      `select * from json_to_record('{"a":1}') as t(a fine_d, b int[], c int4range, d fine_c)`,
      bound("select $1::fine_c, $2::fine_d, $3::int[], $4::int4range", ["(1,)", "2", "{3}", "[1,2)"]),
      bound("select 1", ["1"], [oids.fine_d ?? 0]),
      "select array_agg(o) from orders o",
      "select typname from pg_type where typinput = 'pg_catalog.array_in'::regproc and oid < 100",
      "select '{'::json",
    );
    expect(codes).toEqual(["", "", "", "", "", "", "22P02"]);
  });
});

describe("types that PREPARE gives to parameters", () => {
  const long = `/*${"x".repeat(40_000)}*/`;
  test.each(["", long])("count at its EXECUTE, too", async (comment) => {
    expect(
      await run(
        `prepare p(int) as select $1 is null ${comment}`,
        "execute p(1)",
        "deallocate p",
        `prepare p(text[]) as select $1 is null ${comment}`,
        "explain (costs off) execute p('{}')",
        "execute p('{}')",
        `prepare q(fine_c, int) as select ($1).a, email from users where id = $2 ${comment}`,
        "execute q('(1,)', 1)",
        "create temp table made as execute p('{}')",
      ),
    ).toEqual(["", "", "", "", "", "", "", "", ""]);
  });

  test("of texts that grow long with them", async () => {
    const list = Array.from({ length: 3_000 }, () => "$1").join();
    expect(await run(`prepare p(tell_c) as select coalesce(${list}) is null`)).toEqual(["UNSAFE_FUNCTION"]);
    expect(await run(`prepare p(fine_d) as select 1 where $1 in (${list})`, "execute p(5)")).toEqual([
      "",
      "",
    ]);
  });
});

describe("casts to json", () => {
  const forms = [
    "select to_json('glad'::mood)",
    "select to_jsonb(array['glad'::mood])",
    "select json_agg('glad'::mood)",
    "select jsonb_build_object('x', 'glad'::mood)",
    "select row_to_json(r) from (select 'glad'::mood as x) r",
    "select json_array('glad'::mood)",
    "select json_object('x': 'glad'::mood)",
    "select json_agg('glad'::mood) over ()",
  ];
  test.each(forms.filter(known))("%s", async (text) => {
    expect(await run(text)).toEqual(["UNSAFE_FUNCTION"]);
  });

  test("of other types", async () => {
    expect(
      await run(
        `select to_json(1), json_build_object('a', now())${known("json_array(1)") ? ", json_array(1)" : ""}`,
        "select json_agg(id) from users",
      ),
    ).toEqual(["", ""]);
  });
});

describe("definitions", () => {
  test.each([
    ["a default", "alter table orders add column e text default get_email(1)"],
    ["USING", "alter table orders alter column note type text using get_email(id)"],
    ["a generated column", "alter table orders add column e text generated always as (give('x')) stored"],
    ["a check", "alter table orders add check (tell(note))"],
    ["attribute notation", "alter table users add column z int, add check ((users).fullname is not null)"],
    ["an index", "create index on orders (give(note))"],
    ["an index of some rows", "create index on orders (id) where tell(note)"],
    ["a new table's check", "create table made (x text check (tell(x)))"],
    ["a partition key", "create table made (x text) partition by list (give(x))"],
    ["a domain", "create domain made as text check (tell(value))"],
    ["statistics", "create statistics made on give(note), note from orders"],
    ["a trigger", "create trigger made before insert on orders for each row execute function act()"],
    ["a function", "create function made() returns int language sql as 'select 1'"],
    ["a procedure", "create procedure made() language sql as 'select 1'"],
  ])("that call code: %s", async (_, text) => {
    expect(await run(text)).toEqual(["UNSAFE_FUNCTION"]);
  });

  test.each([
    ["a check", "alter table users add check (email like 'a%')"],
    ["a check of the row", "alter table users add check (users is not null)"],
    ["a check of a field", "alter table users add check ((users).email > 'k')"],
    ["USING", "alter table users alter column name type text using email"],
    ["an index", "create index on users ((1 / (length(email) - 5)))"],
    ["an index of some rows", "create index on users (name) where email like 'a%'"],
    ["a foreign key", "alter table users add foreign key (email) references orders (note)"],
    ["a policy", "create policy made on users using (email like 'a%')"],
    [
      "a policy that looks elsewhere",
      "create policy made on orders using (exists (select from users u where u.email = note))",
    ],
    ["statistics", "create statistics made on upper(email), name from users"],
    [
      "a view made as a rule",
      'create or replace rule "_RETURN" as on select to v_users do instead select 1, email, name from users',
    ],
    ["a view's options", "alter view v_users set (security_barrier = true)"],
    ["another length", "alter table users alter column email type varchar(12)"],
    ["another precision", "alter table hr.emp alter salary type numeric(5, 0)"],
    ["a smaller type", "alter table hr.emp alter salary type smallint"],
    ["a parent's other type", "alter table parent alter email type varchar(5)"],
    ["a domain's check by its type", "alter table users alter email type short_d"],
    ["a new check of a domain", "alter domain secret_d add check (value < 'm')"],
    ["a new check of a domain below", "alter domain base_d add check (value < 'm')"],
    ["a check of a domain that is tried", "alter domain public.secret_d validate constraint later"],
    ["a type's attribute", "alter type typed_c alter attribute secret type varchar(5) cascade"],
    [
      "ranges that overlap",
      "alter table spans add exclude using gist (secret with &&) where (id in ('[1,2)'))",
    ],
    ["rows that exclude each other", "alter table users add exclude (email with =)"],
    ["a domain's check", "alter domain pay add check (value > 700000000)"],
    ["a domain's check that quotes", "alter domain pay add check (value::text::date > 'now')"],
    ["a domain's check, later", "alter domain pay validate constraint later"],
    ["another type", "alter table users alter column email type short"],
    ["a shorter type", "alter table users alter column name type text, alter email type varchar(10)"],
    ["a smaller type", "alter table hr.emp alter salary type smallint"],
    ["another type of an attribute", "alter type letter alter attribute email type short cascade"],
    [
      "a trigger of PostgreSQL's own that copies",
      "create trigger made before insert or update on users for each row execute function tsvector_update_trigger(words, 'pg_catalog.simple', name, email)",
    ],
    [
      "a trigger's condition on the row",
      "create trigger made before update on users for each row when (old::text like '%a%') execute function tsvector_update_trigger(words, 'pg_catalog.simple', name)",
    ],
    [
      "a trigger's condition on all columns",
      "create trigger made before update on users for each row when (row(new.*)::text like '%a%') execute function tsvector_update_trigger(words, 'pg_catalog.simple', name)",
    ],
    ["a key under another collation", "create unique index on users (name, email collate folded)"],
    ["another collation", "alter table users alter column email type text collate folded"],
    [
      "a trigger of PostgreSQL's own that compares",
      "create trigger made before update on users for each row execute function pg_catalog.suppress_redundant_updates_trigger()",
    ],
  ])("that look at values: %s", async (_, text) => {
    expect(await run(text)).toEqual(["PROTECTED_PREDICATE"]);
  });

  const overlaps = "alter table spans add unique (id, secret without overlaps)";
  test.runIf(major >= 18)("keys without overlaps", async () => {
    expect(await run(overlaps)).toEqual(["PROTECTED_PREDICATE"]);
  });

  test("keys that foreign keys look up", async () => {
    const refused = [
      "create table made (x text references users (email) on update cascade)",
      "create table made (x text, foreign key (x) references public.users (email) not valid)",
      "alter table orders add column x text references users (email)",
      "alter table orders add foreign key (note) references users (email)",
      "create table made (x text references keyed)",
    ];
    for (const text of refused) expect(await run(text), text).toEqual(["PROTECTED_PREDICATE"]);
  });

  test("bounds of a partition that what lies in the default one is held against", async () => {
    const refused = [
      "create table made partition of cut0 for values in ('a')",
      "create table made partition of public.cut1 for values in ('A') partition by list (id)",
      "create foreign table made partition of cut0 for values in ('a') server none",
    ];
    for (const text of refused) expect(await run(text), text).toEqual(["PROTECTED_PREDICATE"]);
    const fine = [
      "create table made partition of cut2 for values in (7)",
      "create table made partition of cut3 for values from ('a') to ('b')",
      "create table made partition of cut3 default",
    ];
    for (const text of fine) expect(await run("begin", text, "rollback"), text).toEqual(["", "", ""]);
  });

  test("of objects that the transaction has just made or renamed", async () => {
    const codes = await run(
      "begin",
      "create table made () inherits (users)",
      "insert into made select * from users",
      "alter table made rename to more",
      "alter table more no inherit users",
      "select email from more",
      "rollback",
    );
    expect(codes).toEqual(["", "", "", "", "PROTECTED_WRITE", "TRANSACTION_ABORTED", ""]);
    const tried = await run(
      "begin",
      "create table made () inherits (users)",
      "insert into made select * from users",
      "alter table made rename to more",
      "alter table more add check (email like 'a%')",
      "rollback",
    );
    expect(tried).toEqual(["", "", "", "", "PROTECTED_PREDICATE", ""]);
    const back = await run(
      "begin",
      "create table made () inherits (users)",
      "insert into made select * from users",
      "savepoint s",
      "alter table made rename to more",
      "select 1 from more",
      "rollback to s",
      "alter table made no inherit users",
      "rollback",
    );
    expect(back).toEqual(["", "", "", "", "", "", "", "PROTECTED_WRITE", ""]);
    const together = await run(
      "begin",
      "create table made () inherits (users)",
      "insert into made select * from users",
      "alter table made rename to more; alter table more no inherit users",
      "rollback",
    );
    expect(together).toEqual(["", "", "", "SEND_ALONE", ""]);
    const apart = await run(
      "create table made () inherits (users)",
      "insert into made select * from users",
      "alter table made rename to more",
      "alter table more no inherit users",
      "select name from more limit 0",
      "drop table more",
    );
    expect(apart).toEqual(["", "", "", "PROTECTED_WRITE", "", ""]);
    const fine = await run(
      "begin",
      "create table made (id int default 1 + 1)",
      "alter table made rename to more; alter table more rename id to nr; alter table more add column number int",
      "alter table more add check (number > 0)",
      "create index on more ((number + 1))",
      "alter table more rename to made; alter table made add column x int default 1",
      "rollback",
    );
    expect(fine).toEqual(["", "", "", "", "", "", ""]);
  });

  test("values that an update of a key writes elsewhere", async () => {
    const codes = await run(
      "begin",
      "create table made (x text references users (email) on update cascade)",
      "update users set email = 'mine' where id = 1",
      "insert into made values ('mine')",
      "update users set email = name where id = 1",
      "select x from made",
      "rollback",
    );
    expect(codes[1]).toBe("PROTECTED_PREDICATE");
  });

  test("an attribute that is called otherwise", async () => {
    expect(
      await run(
        "begin",
        "alter type typed_c rename attribute secret to other cascade",
        "select other from typed",
        "rollback",
      ),
    ).toEqual(["", "PROTECTED_WRITE", "TRANSACTION_ABORTED", ""]);
  });

  test("and others", async () => {
    const fine = [
      "create table made (x int references users (id))",
      "create table made (x int references users)",
      "create table made (x int references keyed (id))",
      "alter table keyed alter secret type text",
      "alter table keyed alter id type bigint",
      "alter table ran alter what type varchar(50)",
      "alter domain fine_d add check (value < 100)",
      "alter type fine_c alter attribute a type bigint",
      "alter type fine_c rename attribute b to c",
      "alter table spans add exclude using gist (id with &&)",
    ];
    for (const text of fine) expect(await run("begin", text, "rollback"), text).toEqual(["", "", ""]);
  });

  test("a schema with elements", async () => {
    expect(
      await run(
        "create schema made create view v with (security_barrier) as select note from public.orders where exists (select from public.users u where u.email like note)",
      ),
    ).toEqual(["NOT_UNDERSTOOD"]);
  });

  test.each([
    ["a column's name", "alter table users rename column email to e", "select e from users"],
    ["a table's name", "alter table users rename to people", "select email from people"],
    ["a table's schema", "alter table users set schema app", "select email from app.users"],
    ["a schema's name", "alter schema hr rename to staff", "select salary from staff.emp"],
    [
      "the name of a type's attribute",
      "alter type letter rename attribute email to e cascade",
      "select e from mails",
    ],
    ["a parent", "alter table child no inherit parent", "select email from child"],
    ["a partition's parent", "alter table part detach partition part1", "select email from part1"],
    ["a parent's column", "alter table only parent drop column email", "select email from child"],
    [
      "bounds of a partition",
      "create table bounds (id int, email text, k int) partition by list (email); alter table bounds attach partition part1 for values in ('x')",
      "select 1",
    ],
  ])("that take a label away: %s", async (_, text, look) => {
    const codes = await run(...text.split("; "), look);
    expect(codes.at(-2)).toBe("PROTECTED_WRITE");
  });

  test("that make it part of a table of which other things are", async () => {
    expect(await run("alter table users inherit orders")).toEqual(["PROTECTED_WRITE"]);
  });

  test("that do none of this run", async () => {
    const texts = [
      'create unique index made_c on users (email collate "C", id); drop index made_c',
      'alter table parent alter column email type text collate pg_catalog."C"',
      "alter table users add column k int default 1 check (k > 0)",
      "alter table users alter column name set default 'x'",
      "create index on users (name)",
      "alter table users rename column country to land",
      "create table fine (id serial primary key, at timestamptz default now(), u uuid default gen_random_uuid(), v int check (v between 1 and 5), w text default 'a' || 'b', x int references users (id))",
      "create view shown as select id, name, email from users",
      "alter view shown rename column email to contact",
      "alter view shown rename to seen",
      "select contact from seen",
      "create index on fine (lower(w))",
      "alter table fine rename to finer",
      "create table mail (email text check (email like '%@%'), fine fine_d)",
      "create policy own on finer using (w = current_user)",
      "alter domain short add constraint shorter check (length(value) < 2)",
      "alter domain pay set default 1",
      "alter table parent alter column email type varchar, alter column id type bigint",
      "alter table hr.emp alter column salary type bigint",
      "alter type letter alter attribute at type bigint cascade",
      "create trigger made before update on mails for each row execute function suppress_redundant_updates_trigger()",
      "create trigger made before update on users for each row execute function tsvector_update_trigger(words, 'pg_catalog.simple', name)",
      "alter trigger made on users rename to remade",
      "alter table users add constraint aged check (age < 1000)",
      "alter table users rename constraint aged to old",
      "create schema alone",
      "drop table finer",
    ];
    const codes = await run(...texts);
    expect(codes).toEqual(texts.map(() => ""));
  });
});
