/** Values, statements, errors, transactions. */
import { failure, json, md5, outcome, part, print } from "../battery.ts";
import { shape, using } from "./client.ts";

await part("settings at connect", () =>
  using(
    async (sql) => {
      for (const name of [
        "search_path",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "DateStyle",
        "timezone",
        "client_encoding",
        "extra_float_digits",
      ])
        print(await sql.unsafe(`show ${name}`));
      const reported = Object.entries(sql.parameters).filter(([name]) => name !== "application_name");
      print(Object.fromEntries(reported.sort(([a], [b]) => (a < b ? -1 : 1))));
    },
    {
      max: 1,
      connection: {
        search_path: "pg_catalog,public",
        statement_timeout: 30_000,
        idle_in_transaction_session_timeout: 60_000,
        DateStyle: "SQL, DMY",
        TimeZone: "Asia/Tokyo",
        extra_float_digits: 2,
      } as never,
    },
  ),
);

for (const [name, options] of [
  ["prepared", {}],
  ["unprepared", { prepare: false }],
  ["without fetching types", { fetch_types: false }],
] as const)
  await part(`types and parameters, ${name}`, () =>
    using(
      async (sql) => {
        print(
          shape(
            await sql`select 1::int2 a, 2::int8 b, 1.5::float8 c, 123.45::numeric d, true e, 'ü☃🐘' f, '\\xdead'::bytea g, '2024-02-29'::date h, '2024-02-29 12:00:00+02'::timestamptz i, '{"a":[1,null]}'::jsonb j, '{1,2,null}'::int[] k, '{{a,b},{"c d",null}}'::text[] l, null m, '' n, '1 day'::interval o, row(1,'x') p, int4range(1,5) q`,
          ),
        );
        for (const value of [
          1,
          "text é",
          true,
          null,
          "",
          12345,
          new Date(0),
          Buffer.from("a\0b"),
          5n,
        ] as never[])
          await outcome(json(value), sql`select ${value}::text as v`.then(shape));
        await outcome("json", sql`select ${sql.json({ a: ["x", { b: null }] })}::jsonb as v`.then(shape));
        await outcome(
          "arrays",
          sql`select ${sql.array([1, 2, 3])}::int[] as a, ${sql.array(["x", 'q"', null as unknown as string])}::text[] as b`.then(
            shape,
          ),
        );
        await outcome("plain array", sql`select * from unnest(${[1, 2, 3]}::int[]) as u`.then(shape));
        await outcome(
          "helpers",
          sql`select * from (values ${sql([
            [1, "a"],
            [2, "b"],
          ] as never)}) as v(x, y)`.then(shape),
        );
        await outcome(
          "in",
          sql`select g from generate_series(1, 5) g where g in ${sql([1, 3] as never)}`.then(shape),
        );
        await outcome("identifier", sql`select 1 as ${sql('odd "name"')}`.then(shape));
        await outcome("fragment", sql`select ${sql`1 + ${2}::int`} as n`.then(shape));
        await outcome(
          "values",
          sql`select 1 as a, 2 as a`.values().then((r) => [...r]),
        );
        await outcome(
          "raw",
          sql`select 'x' as a, null as b`.raw().then((r) => json([...(r as unknown as Iterable<unknown>)])),
        );
        await outcome(
          "describe",
          sql`select ${1}::int as a, 'x'::text as b`.describe().then((d) => json([d.types, d.columns])),
        );
        await outcome("wrong type", sql`select ${"x"}::int`);
        await outcome("still", sql`select 1 as one`.then(shape));
      },
      { max: 1, ...options },
    ),
  );

await part("tables: insert, update, returning", () =>
  using(async (sql) => {
    await sql`create temp table u(id int generated always as identity, name text, tags text[], doc jsonb)`;
    const rows = Array.from({ length: 500 }, (_, i) => ({ name: `n${i}`, tags: [`t${i}`, "é"], doc: { i } }));
    print(
      md5(json(shape(await sql`insert into u ${sql(rows as never, "name", "tags", "doc")} returning id`))),
    );
    print(shape(await sql`update u set ${sql({ name: "changed" })} where id = ${7} returning *`));
    print(shape(await sql`delete from u where id > ${3}`));
    print(shape(await sql`select * from u order by id`));
  }),
);

await part("errors with all fields", () =>
  using(async (sql) => {
    await sql`create temp table e(id int primary key, v int constraint positive check (v > 0), n text not null)`;
    await sql`insert into e values (1, 1, 'x')`;
    for (const text of [
      "selct",
      "select 1/0",
      "select nope",
      "insert into e values (1, 1, 'x')",
      "insert into e values (2, 0, 'x')",
      "insert into e values (2, 1)",
      "do $$ begin raise exception 'mine' using errcode = 'ABCDE', detail = 'd', hint = 'h'; end $$",
      "vacuum e; select 1",
      "select 1; select 2/0; select 3",
    ])
      await outcome(text.slice(0, 50), sql.unsafe(text));
    await outcome("prepared", sql`select 1 / ${0}::int`);
    await outcome("unsafe with parameters", sql.unsafe("select $1::int + $2::int as n", [1, 2]).then(shape));
    await outcome(
      "unsafe, prepared",
      sql.unsafe("select $1::int + 5 as n", [1], { prepare: true }).then(shape),
    );
    await outcome("too many parameters", sql.unsafe("select 1", [1]));
    await outcome(
      "several",
      sql
        .unsafe("select 1 as a; select 2 as b, 3 as c; create temp table s(x int)")
        .then((r) => (r as unknown[]).map(shape)),
    );
    await outcome(
      "simple()",
      sql`select 1 as a; select 2 as b`.simple().then((r) => (r as unknown as unknown[]).map(shape)),
    );
    await outcome("empty", sql.unsafe("").then(shape));
    await outcome("comment", sql.unsafe("-- nothing").then(shape));
    await outcome("still", sql`select count(*)::int as n from e`.then(shape));
  }),
);

await part("transactions and savepoints", () =>
  using(
    async (sql) => {
      await sql`create table if not exists tx(n int)`;
      await sql`truncate tx`;
      await outcome(
        "commit",
        sql.begin(async (t) => {
          await t`insert into tx values (1)`;
          return shape(await t`insert into tx values (2) returning n`);
        }),
      );
      await outcome(
        "rollback by an error of ours",
        sql.begin(async (t) => {
          await t`insert into tx values (3)`;
          throw new Error("ours");
        }),
      );
      await outcome(
        "rollback by an error of the server",
        sql.begin(async (t) => {
          await t`insert into tx values (4)`;
          await t`select 1/0`;
        }),
      );
      await outcome(
        "savepoints",
        sql.begin("isolation level repeatable read", async (t) => {
          await t`insert into tx values (5)`;
          await t
            .savepoint(async (s) => {
              await s`insert into tx values (6)`;
              await s`selct`;
            })
            .catch((e: unknown) => print("inner", failure(e)));
          await t.savepoint("named", async (s) => {
            await s`insert into tx values (7)`;
          });
          return shape(await t`select array_agg(n order by n) a from tx`);
        }),
      );
      await outcome(
        "read only",
        sql.begin("read only", async (t) => {
          await t`insert into tx values (8)`;
        }),
      );
      await outcome(
        "an array of queries (pipelined)",
        sql
          .begin((t) => [
            t`insert into tx values (9)`,
            t`select count(*)::int as n from tx`,
            t`select 'last' as l`,
          ])
          .then((r) => (r as unknown as unknown[]).map(shape)),
      );
      await outcome(
        "an array with an error",
        sql.begin((t) => [t`insert into tx values (10)`, t`select 1/0`, t`select 'never' as l`]),
      );
      await outcome(
        "many at once",
        Promise.all(
          Array.from({ length: 20 }, (_, i) =>
            sql
              .begin(async (t) => {
                await t`insert into tx values (${100 + i})`;
                if (i % 4 === 0) throw new Error("no");
                return i;
              })
              .catch((e: unknown) => (e as Error).message),
          ),
        ),
      );
      await outcome(
        "prepared transaction",
        sql.begin(async (t) => {
          await t`insert into tx values (50)`;
          await t.prepare("postgres_js_two_phase");
        }),
      );
      await outcome("commit prepared", sql`commit prepared 'postgres_js_two_phase'`.then(shape));
      await outcome(
        "reserve",
        (async () => {
          const r = await sql.reserve();
          await r`begin`;
          await r`insert into tx values (60)`;
          await r`rollback`;
          r.release();
        })(),
      );
      print(shape(await sql`select count(*)::int as n, sum(n)::int as s from tx`));
      await sql`drop table tx`;
    },
    { max: 5 },
  ),
);
