/** Values, statements, errors, transactions. */
import type pg from "pg";
import { json, md5, outcome, part, print } from "../battery.ts";
import { several, shape, using } from "./client.ts";

const allTypes = `select 1::int2 i2, '-2147483648'::int4 i4, 9223372036854775807::int8 i8, 1.5::float4 f4, 'NaN'::float8 f8, 123.456::numeric n,
  true b, 'ü☃🐘'::text t, 'x'::varchar(5) v, 'c'::char(3) c, '\\xdead00'::bytea by, '2024-02-29'::date d, '12:34:56.789'::time tm,
  '2024-02-29 12:00:00.123'::timestamp ts, '2024-02-29 12:00:00+02'::timestamptz tz, '1 year 3 days 04:05:06.7'::interval iv,
  '{"a":[1,null]}'::json j, '{"a":[1,null]}'::jsonb jb, '{1,2,null}'::int[] ia, '{{a,b},{"c d",null}}'::text[] ta, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid u,
  '10.0.0.1/8'::inet ip, '(1,2)'::point p, '<(1,2),3>'::circle ci, int4range(1,5) r, null::int nul, ''::text empty, 12.34::money m, B'101' bits, row(1,'a') rec`;

await part("types in text", () => using(async (c) => print(shape(await c.query(allTypes)))));
await part("types in binary", () =>
  using(async (c) => {
    const raw = { getTypeParser: () => (v: string | Buffer) => (Buffer.isBuffer(v) ? v.toString("hex") : v) };
    const one = await c.query({
      text: allTypes,
      values: [],
      binary: true,
      types: raw,
      name: "all",
    } as pg.QueryConfig);
    print(shape(one));
    const two = await c.query({
      text: "select $1::int8 a, $2::bytea b, $3::text[] c, $4::timestamptz d, $5::numeric e",
      values: ["5", Buffer.from([0, 255]), ["x", null], new Date(0), "1.50"],
      binary: true,
      types: raw,
    } as pg.QueryConfig);
    print(shape(two));
  }),
);

await part("parameters of all kinds", () =>
  using(async (c) => {
    const values = [
      null,
      undefined,
      true,
      5,
      5.5,
      12345678901234567890n,
      "té xt",
      "",
      new Date(0),
      Buffer.from("buf\0fer"),
      [1, 2, [3]],
      { a: ["x"] },
      ["a", null, 'q"'],
      [Buffer.from([1])],
    ];
    for (const value of values)
      await outcome(
        json(value),
        c.query("select $1::text as v", [value]).then((r) => r.rows),
      );
    await outcome("untyped", c.query("select $1 as v, $2", ["a", "b"]).then(shape));
    await outcome("int", c.query("select $1::int + $2", [1, "2"]).then(shape));
    await outcome(
      "bytea",
      c.query("select $1::bytea as v", [Buffer.alloc(1000, 7)]).then((r) => md5(r.rows[0].v)),
    );
    await outcome(
      "array",
      c
        .query("select * from unnest($1::int[], $2::text[]) u(a,b)", [
          [1, 2],
          ["x", null],
        ])
        .then(shape),
    );
    await outcome("too few", c.query("select $1::int, $2::int", [1]));
    await outcome("too many", c.query("select $1::int", [1, 2]));
    await outcome("wrong type", c.query("select $1::int", ["x"]));
    await outcome("NUL", c.query("select $1::text", ["a\0b"]));
    await outcome("undetermined", c.query("select $1 is null", [1]));
    await outcome("still works", c.query("select 1 as one").then(shape));
  }),
);

await part("named statements", () =>
  using(async (c) => {
    const q = (values: unknown[]) => c.query({ name: "plus", text: "select $1::int + 1 as n", values });
    for (let i = 0; i < 8; i++) print((await q([i])).rows);
    await outcome("bad value", q(["x"]));
    print((await q([99])).rows);
    await outcome("syntax error", c.query({ name: "bad", text: "selct 1" }));
    await outcome("again", c.query({ name: "bad", text: "selct 1" }));
    print((await c.query("select name, statement from pg_prepared_statements order by 1")).rows);
    await c.query("create temp table t(a int); insert into t values (1)");
    const star = () => c.query({ name: "star", text: "select * from t" });
    print(shape(await star()));
    await c.query("alter table t add b text default 'new'");
    await outcome("plan changed", star());
    await c.query("deallocate plus");
    await outcome("deallocated behind the driver's back", q([1]));
    await c.query("prepare by_sql(int) as select $1 * 2 as n");
    print((await c.query("execute by_sql(21)")).rows);
    // @ts-expect-error tell the driver that it is parsed
    c.connection.parsedStatements.by_sql = "select";
    await outcome(
      "made by SQL, used by protocol",
      c.query({ name: "by_sql", text: "select", values: [4] }).then((r) => r.rows),
    );
    await c.query("discard all");
    await outcome("after discard all", star());
    await outcome(
      "long name",
      c.query({ name: "n".repeat(63), text: "select 1" }).then((r) => r.rows),
    );
    await outcome(
      "odd name",
      c.query({ name: "ä \"'%", text: "select 2" }).then((r) => r.rows),
    );
  }),
);

await part("rows as arrays, no columns, same names", () =>
  using(async (c) => {
    print(shape(await c.query({ text: "select 1 as a, 2 as a, 3", rowMode: "array" })));
    print(shape(await c.query("select")), shape(await c.query("select from generate_series(1,3)")));
    print(
      shape(
        await c.query({
          text: `select ${Array.from({ length: 1600 }, (_, i) => `${i} as c${i}`).join(",")}`,
          rowMode: "array",
        }),
      ),
    );
  }),
);

await part("errors with all fields", () =>
  using(async (c) => {
    await c.query(
      "create temp table e(id int primary key, v int constraint positive check (v > 0), n text not null, r int references e); insert into e values (1, 1, 'x', null)",
    );
    await c.query("create domain pg_temp.posint as int check (value > 0)");
    const texts = [
      "selct",
      "select 1/0",
      "select nope",
      "select * from nope",
      "insert into e values (1, 1, 'x')",
      "insert into e values (2, 0, 'x')",
      "insert into e values (2, 1)",
      "insert into e values (2, 1, 'x', 77)",
      "select 0::pg_temp.posint",
      "select 'x'::int",
      "select nope()",
      "do $$ begin raise exception 'mine' using errcode = 'ABCDE', detail = 'dét', hint = 'h'; end $$",
      "do $$ begin execute 'select 1/0'; end $$",
      "select E'\\xff'",
      "select repeat('x', 2000000000)",
      "set nope = 1",
      "select lo_get(0)",
      "commit; select 1/0",
      "vacuum e; select 1",
      "select ''''",
      "select '",
    ];
    for (const text of texts) {
      await outcome(`simple ${text.slice(0, 60)}`, c.query(text));
      await outcome(
        `extended ${text.slice(0, 60)}`,
        c.query({ text, values: [] as unknown[], queryMode: "extended" } as pg.QueryConfig),
      );
    }
    await outcome("parse", c.query("select $1::nope", [1]));
    await outcome("bind", c.query("select $1::int", ["nine"]));
    await outcome("execute", c.query("select 1 / $1::int", [0]));
    await outcome(
      "fails while rows come",
      c.query("select 1 / (50000 - g) from generate_series(1, 100000) g"),
    );
    print(shape(await c.query("select count(*)::int as n from e")));
  }),
);

await part("several statements in one query", () =>
  using(async (c) => {
    print(
      several(
        await c.query(
          "select 1 as a; select 2 as b, 3 as c; create temp table s(x int); insert into s values (1), (2) returning x; update s set x = 3; delete from s; ",
        ),
      ),
    );
    await outcome("error in the middle", c.query("insert into s values (1); select 1/0; select 3"));
    print(several(await c.query("select count(*)::int as n from s")));
    print(
      several(await c.query("")),
      several(await c.query(";")),
      several(await c.query("-- comment")),
      several(await c.query(" ; ; select 1 as one;;")),
    );
    await outcome("several, extended", c.query("select $1::int; select 2", [1]));
    print(
      several(await c.query({ text: "", values: [] as unknown[], queryMode: "extended" } as pg.QueryConfig)),
    );
    print(
      several(
        await c.query(
          "begin; insert into s values (5); savepoint a; insert into s values (6); rollback to a; commit; select x from s",
        ),
      ),
    );
  }),
);

await part("transactions", () =>
  using(async (c) => {
    await c.query("create temp table tx(x int unique deferrable initially deferred)");
    const steps = [
      "begin",
      "insert into tx values (1)",
      "select 1/0",
      "select 1",
      "rollback",
      "begin isolation level serializable read only",
      "insert into tx values (2)",
      "commit",
      "begin",
      "insert into tx values (3), (3)",
      "commit",
      "begin",
      "savepoint a",
      "selct",
      "rollback to a",
      "insert into tx values (4)",
      "release a",
      "commit and chain",
      "rollback and no chain",
      "select array_agg(x) from tx",
      "start transaction",
      "abort",
      "commit",
    ];
    for (const step of steps) {
      await outcome(`simple ${step}`, c.query(step).then(shape));
    }
    await c.query("truncate tx");
    for (const step of steps)
      await outcome(
        `extended ${step}`,
        c.query({ text: step, queryMode: "extended", values: [] as unknown[] } as pg.QueryConfig).then(shape),
      );
  }),
);
