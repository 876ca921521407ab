import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readStatic } from "../../src/analysis/fallback/index.ts";
import { type CatalogSnapshot, columnText, loadCatalog } from "../../src/catalog/index.ts";
import type { Touched } from "../../src/facts/effects.ts";
import { parsers } from "../../src/sql/parser.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Bare, bare } from "./ask-support.ts";

let cluster: Database;
let database: string;
let session: Bare;
let snapshot: CatalogSnapshot;

beforeAll(async () => {
  cluster = await sharedCluster();
  database = await cluster.createDatabase();
  await cluster.query(
    database,
    `create schema app; create schema other;
     create domain app.mail as text;
     create table app.people (id int primary key, email text, name text, mail app.mail);
     create table app.orders (id int, person int, amount numeric);
     create table other.orders (id int, email text);
     create table app.parts (id int, email text) partition by range (id);
     create table app.part partition of app.parts for values from (0) to (9);
     create view app.seen as select * from app.people;
     create materialized view app.stored as select * from app.people;
     create table app.guarded (id int); alter table app.guarded enable row level security;
     create function app.lower(app.people) returns text language sql as 'select $1.email';
     create function app.own(text) returns text language sql immutable as 'select $1';
     create function app.gt(text, int) returns boolean language sql volatile as 'select true';
     create operator app.>> (leftarg = text, rightarg = int, function = app.gt);
     create type app.date as enum ('x');`,
  );
  session = await bare({ connectionString: cluster.url(database) });
  const query = (sql: string) => session.run(sql);
  snapshot = await loadCatalog(query, 1);
});
afterAll(async () => {
  await session.end();
  await cluster.dropDatabase(database);
});

async function touched(
  text: string,
  searchPath: readonly string[] = ["pg_catalog", "app"],
): Promise<Touched> {
  const path = searchPath.filter((schema) => schema !== "pg_catalog").join(", ");
  const answer = await session.ask({ text, searchPath: path === "" ? "''" : path });
  if (!answer.ok) throw new Error(`${answer.sqlstate} ${answer.message}`);
  return readStatic(parsers.parse(text)[0]?.node, snapshot, {
    searchPath,
    temporaryObjects: false,
    described: answer,
  });
}
const uses = (result: Touched) =>
  result.uses.map((use) => `${columnText(snapshot, use.relation, use.attribute)} ${use.position}`).sort();

describe("the closed subset", () => {
  it.each<[string, string[]]>([
    ["select email from people", ["app.people.email output"]],
    ["select p.email as e, p.id from app.people p", ["app.people.email output", "app.people.id output"]],
    ["select app.people.email from app.people", ["app.people.email output"]],
    ["select email from people where id = $1", ["app.people.email output", "app.people.id equality"]],
    [
      "select id from people where email in ('a', $1) and name like 'b%' and 3 = id",
      [
        "app.people.email equality",
        "app.people.id equality",
        "app.people.id output",
        "app.people.name predicate",
      ],
    ],
    [
      "select id from people where email = 'a' or id = 1",
      ["app.people.email predicate", "app.people.id output", "app.people.id predicate"],
    ],
    ["select id from people where not email = 'a'", ["app.people.email predicate", "app.people.id output"]],
    [
      "select id from people where email = name",
      ["app.people.email predicate", "app.people.id output", "app.people.name predicate"],
    ],
    [
      "select email || 'x', coalesce(name, email) from people",
      ["app.people.email derived", "app.people.name derived"],
    ],
    ["select substr(email, 1) from people", ["app.people.email predicate"]],
    [
      "select count(email), max(name) from people",
      ["app.people.email predicate", "app.people.name predicate"],
    ],
    ["select case when email > 'a' then 1 end from people", ["app.people.email predicate"]],
    ["select email from people order by email", ["app.people.email output", "app.people.email predicate"]],
    ["select email as e from people order by e", ["app.people.email output", "app.people.email predicate"]],
    [
      "select id, email as name from people order by name",
      [
        "app.people.email output",
        "app.people.email predicate",
        "app.people.id output",
        "app.people.name predicate",
      ],
    ],
    [
      "select id, email from people order by 2 desc limit 3 offset $1",
      ["app.people.email output", "app.people.email predicate", "app.people.id output"],
    ],
    ["select distinct email from people", ["app.people.email output", "app.people.email predicate"]],
    ["select distinct on (name) email from people", ["app.people.email output", "app.people.name predicate"]],
    [
      "select email, count(*) from people group by 1 having min(name) > 'a'",
      ["app.people.email output", "app.people.email predicate", "app.people.name predicate"],
    ],
    [
      "select o.amount, email from people p left join orders o on o.person = p.id",
      [
        "app.orders.amount output",
        "app.orders.person predicate",
        "app.people.email output",
        "app.people.id predicate",
      ],
    ],
    ["select 1, $1::int, current_date", []],
    ["select email from parts", ["app.parts.email output"]],
    ["select email from only stored", ["app.stored.email output"]],
    [
      "select oid, relname from pg_class where relkind = 'r'",
      [
        "pg_catalog.pg_class.oid output",
        "pg_catalog.pg_class.relkind equality",
        "pg_catalog.pg_class.relname output",
      ],
    ],
  ])("is read: %s", async (text, expected) => {
    const result = await touched(text);
    expect(result.problems).toEqual([]);
    expect(uses(result)).toEqual(expected);
    expect(result.unsafe).toEqual([]);
  });

  it("gives outputs as Describe does, with their sources", async () => {
    const result = await touched("select o.*, email || name as both, p.mail from people p, orders o");
    expect(result.problems).toEqual([]);
    expect(result.outputs?.map((o) => [o.name, o.plain, o.sources.length])).toEqual([
      ["id", true, 1],
      ["person", true, 1],
      ["amount", true, 1],
      ["both", false, 2],
      ["mail", true, 1],
    ]);
    expect(result.outputs?.map((o) => o.type)).toEqual([23, 23, 1700, 25, 25]);
    expect(result.reads).toEqual(["app.orders", "app.people"]);
    expect(result.effects).toEqual(["read"]);
    expect(result.parameterTypes).toEqual([]);
  });

  it.each([
    "select * from seen",
    "select p from people p",
    "select people from people",
    "select people.*::text from people",
    "select row(email) from people",
    "select (p).email from people p",
    "select p.lower from people p",
    "select lower(email) from people",
    "select own(email) from people",
    "select now() from people",
    "select pg_sleep(1)",
    "select nextval('x')",
    "select random() from people",
    "select email >> 1 from people",
    "select email operator(pg_catalog.||) 'x', 1 operator(app.>>) 2 from people",
    "select 'x'::date",
    "select 'people'::regclass",
    "select email::app.mail from people",
    "select email from people union all select email from people",
    "with people as (select 'x' as email) select email from people",
    "select (select email from people)",
    "select id from people where exists (select 1 from orders)",
    "select e.x from (select email from people) e (x)",
    "select a from people t (a)",
    "select id from people natural join parts",
    "select id from people join orders using (id)",
    "select people.id from people right join orders on true",
    "select people.id from people full join orders on people.id = orders.id",
    "select j.email from (people join orders on true) as j",
    "select g from generate_series(1, 2) g",
    "select email from people for update",
    "select row_number() over (order by email) from people",
    "select count(*) filter (where email > 'a') from people",
    "select array_agg(email order by name) from people",
    "select string_agg(distinct email, ',') from people",
    "select id from people group by grouping sets ((id), ())",
    "select id from people order by email using <",
    "select id from people order by id fetch first 1 row with ties",
    "select id from people limit (1 + 1)",
    "select ctid from people",
    "select tableoid from people",
    "select email from people tablesample system (1)",
    "values (1)",
    "table seen",
    "insert into people values (1)",
    "update people set email = 'x'",
    "select id from guarded",
    "select * from pg_catalog.pg_stats",
    "select * from pg_catalog.pg_statistic",
    "select xmlforest(email) from people",
    "select json_object('a': email) from people",
    "select (array['a'])[1]",
    'select email collate "C" from people',
    "select unnest(array[1, 2])",
  ])("is not left: %s", async (text) => {
    const answer = await session.ask({ text, searchPath: "app" });
    // What the server itself refuses needs no reading, but must not be read either.
    const described = answer.ok ? answer : { parameterTypes: [], columns: null };
    const result = readStatic(parsers.parse(text)[0]?.node, snapshot, {
      searchPath: ["pg_catalog", "app"],
      temporaryObjects: false,
      described,
    });
    expect(result.problems).toMatchObject([{ code: "NOT_ANALYSED" }]);
    expect(result.uses).toEqual([]);
  });

  it("finds tables by the search path only where it cannot be wrong", async () => {
    expect((await touched("select person from orders")).reads).toEqual(["app.orders"]);
    const both = ["pg_catalog", "app", "other"];
    expect((await touched("select id from orders", both)).problems).toHaveLength(1);
    expect((await touched("select id from other.orders", both)).reads).toEqual(["other.orders"]);
    expect((await touched("select email from people", both)).problems).toEqual([]);
  });

  it("reads nothing where temporary objects may hide tables", () => {
    const result = readStatic(parsers.parse("select 1")[0]?.node, snapshot, {
      searchPath: ["pg_catalog"],
      temporaryObjects: true,
      described: { parameterTypes: [], columns: [] },
    });
    expect(result.problems).toHaveLength(1);
  });

  it("trusts itself only where the server's description agrees", async () => {
    const text = "select email, id from people";
    const answer = await session.ask({ text, searchPath: "app" });
    if (!answer.ok || answer.columns === null) throw new Error("no answer");
    const [first, second] = answer.columns;
    if (first === undefined || second === undefined) throw new Error("no columns");
    const read = (columns: typeof answer.columns | null) =>
      readStatic(parsers.parse(text)[0]?.node, snapshot, {
        searchPath: ["app"],
        temporaryObjects: false,
        described: { parameterTypes: [], columns },
      }).problems.length;
    expect(read(answer.columns)).toBe(0);
    expect(read([second, first])).toBe(1);
    expect(read([first])).toBe(1);
    expect(read(null)).toBe(1);
    expect(read([{ ...first, table: 1 }, second])).toBe(1);
    expect(read([{ ...first, column: 0 }, second])).toBe(1);
    expect(read([{ ...first, typeOid: 1 }, second])).toBe(1);
    expect(read([{ ...first, name: "x" }, second])).toBe(1);
  });

  it("never throws on damaged trees", () => {
    const texts = [
      "select p.email as e, coalesce(name, 'x') from people p left join orders o on o.id = p.id where email in ('a', $1) group by 1 order by 2 limit 3",
      "select distinct case when id between 1 and 2 then lower(name) end, * from parts where not id is null",
    ];
    const options = {
      searchPath: ["pg_catalog", "app"],
      temporaryObjects: false,
      // A description that fits nothing: whatever is read of a damaged tree must not count.
      described: { parameterTypes: [], columns: null },
    };
    const junk = fc.oneof(
      fc.constant(null),
      fc.constant({}),
      fc.constant([]),
      fc.constant("x"),
      fc.constant(7),
      fc.constant([{}]),
      fc.constant({ String: { sval: "x" } }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.nat(), junk, (text, place, value) => {
        const tree = structuredClone(parsers.parse(text)[0]?.node);
        const places: (() => void)[] = [];
        const walk = (node: unknown): void => {
          if (typeof node !== "object" || node === null) return;
          for (const key of Object.keys(node)) {
            const holder = node as Record<string, unknown>;
            places.push(() => {
              holder[key] = value;
            });
            walk(holder[key]);
          }
        };
        walk(tree);
        places[place % places.length]?.();
        const result = readStatic(tree, snapshot, options);
        expect(result.problems).toHaveLength(1);
        expect(result.uses).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("never throws, whatever it is given", () => {
    const options = {
      searchPath: [],
      temporaryObjects: false,
      described: { parameterTypes: [], columns: [] },
    };
    for (const odd of [
      null,
      1,
      "x",
      [],
      {},
      { SelectStmt: null },
      { SelectStmt: { targetList: 3 } },
      { SelectStmt: { targetList: [{}] } },
    ])
      expect(readStatic(odd, snapshot, options).problems).toHaveLength(1);
  });
});
