/** Battery for postgres.js (`postgres`); prints what a client sees, in parts. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { failure, json, outcome, part, print } from "./battery.ts";

type Sql = ReturnType<typeof postgres>;
const md5 = (data: string | Buffer) => createHash("md5").update(data).digest("hex");

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;

// The host and so on are given by name: its defaults from the environment are few.
function connect(options: postgres.Options<Record<string, postgres.PostgresType>> = {}): Sql {
  return postgres({
    host: PGHOST ?? "",
    port: Number(PGPORT),
    user: PGUSER ?? "",
    password: PGPASSWORD ?? "",
    database: PGDATABASE ?? "",
    ssl: false,
    onnotice: () => undefined,
    ...options,
  }) as Sql;
}

async function using(
  run: (sql: Sql) => Promise<void>,
  options: Parameters<typeof connect>[0] = { max: 1 },
): Promise<void> {
  const sql = connect(options);
  try {
    await run(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

interface Shown extends Array<unknown> {
  count: number;
  command: string;
  columns?: { name: string; type: number; number: number }[];
}
function shape(result: unknown): unknown {
  const r = result as Shown;
  return {
    command: r.command,
    count: r.count,
    columns: r.columns?.map((c) => [c.name, c.type, c.number]),
    rows: [...r],
  };
}

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

await part("cursors", () =>
  using(async (sql) => {
    for (const size of [1, 10, 100]) {
      const sizes: number[] = [];
      await sql`select g from generate_series(1, 105) g`.cursor(size, async (rows) => {
        sizes.push(rows.length);
        await sleep(1);
      });
      print(size, sizes.length, sizes.at(-1));
    }
    let seen = 0;
    for await (const rows of sql`select g from generate_series(1, 50) g`.cursor(7)) seen += rows.length;
    print("for await", seen);
    seen = 0;
    for await (const rows of sql`select g from generate_series(1, 1000) g`.cursor(10)) {
      seen += rows.length;
      if (seen >= 30) break;
    }
    print("left early", seen);
    await outcome(
      "ended by CLOSE",
      sql`select g from generate_series(1, 100) g`.cursor(10, () => sql.CLOSE),
    );
    await outcome(
      "error on the way",
      sql`select 1/(25-g) from generate_series(1, 100) g`.cursor(10, () => undefined),
    );
    await outcome(
      "thrown by us",
      sql`select g from generate_series(1, 100) g`.cursor(10, () => {
        throw new Error("ours");
      }),
    );
    let each = 0;
    await sql`select g from generate_series(1, 5000) g`.forEach(() => {
      each++;
    });
    print("forEach", each);
    print(shape(await sql`select 1 as after`));
  }),
);

await part("COPY streams", () =>
  using(async (sql) => {
    await sql`create temp table cp(a int, b text)`;
    const into = async () => sql`copy cp from stdin`.writable();
    await pipeline(Readable.from(["1\tone\n2\t", "two\n", "3\t\\N\n"]), await into());
    print(shape(await sql`select * from cp order by a`));
    await pipeline(
      Readable.from(Array.from({ length: 3000 }, (_, i) => `${i}\t${"y".repeat(3000)}\n`)),
      await into(),
    );
    print(shape(await sql`select count(*)::int n, sum(length(b))::int s from cp`));
    const out = async (query: postgres.PendingQuery<postgres.Row[]>) => {
      const chunks: Buffer[] = [];
      for await (const chunk of await query.readable()) chunks.push(Buffer.from(chunk));
      const all = Buffer.concat(chunks);
      return [all.length, md5(all)];
    };
    await outcome("out", out(sql`copy (select a, b from cp order by a, b) to stdout`));
    await outcome(
      "out csv",
      out(sql`copy (select g, 'é "q"' from generate_series(1, 5) g) to stdout csv header`),
    );
    await outcome("out binary", out(sql`copy (select g from generate_series(1, 100000) g) to stdout binary`));
    print(shape(await sql`select 2 as after`));
  }),
);

// The driver itself can run nothing more on this connection afterwards.
await part("COPY to a slow reader", () =>
  using(async (sql) => {
    await outcome(
      "slow reader",
      (async () => {
        let n = 0;
        for await (const chunk of await sql`copy (select repeat('z', 1000) from generate_series(1, 20000)) to stdout`.readable()) {
          n += chunk.length;
          if (n % 7 === 0) await sleep(1);
        }
        return n;
      })(),
    );
  }),
);

await part("listen and notify", () =>
  using(
    async (sql) => {
      const heard: string[] = [];
      const { unlisten } = await sql.listen(
        "js",
        (payload) => heard.push(`${payload.length} ${payload.slice(0, 10)}`),
        () => heard.push("listening"),
      );
      await sql.listen("Odd Channel", (payload) => heard.push(`odd ${payload}`));
      await sql.notify("js", "one");
      await sql.notify("js", "é".repeat(3000));
      await sql.notify("Odd Channel", "two");
      await sql`select pg_notify('js', 'three')`;
      for (let i = 0; i < 100 && heard.length < 5; i++) await sleep(50);
      await unlisten();
      await sql.notify("js", "unheard");
      await sleep(200);
      print(heard);
    },
    { max: 2 },
  ),
);

await part("pipelining: a thousand queries on one connection", async () => {
  for (const options of [{ max: 1 }, { max: 1, max_pipeline: 5 }, { max: 1, prepare: false }, { max: 4 }])
    await using(async (sql) => {
      const results = await Promise.allSettled(
        Array.from({ length: 1000 }, (_, i) =>
          i % 13 === 5
            ? sql`select 1 / ${0}::int`
            : i % 3 === 0
              ? sql.unsafe(`select ${i} as n`)
              : sql`select ${i}::int as n`,
        ),
      );
      print(
        json(options),
        results.filter((r) => r.status === "fulfilled").length,
        md5(json(results.map((r) => (r.status === "fulfilled" ? [...r.value] : failure(r.reason))))),
      );
    }, options);
});

await part("cancel", () =>
  using(
    async (sql) => {
      const slow = sql`select pg_sleep(30)`;
      const result = outcome("cancelled", slow);
      await sleep(500);
      slow.cancel();
      await result;
      await sleep(300);
      print(shape(await sql`select 1 as after`));
      await outcome(
        "in a transaction",
        sql.begin(async (t) => {
          const inside = t`select pg_sleep(30)`;
          setTimeout(() => inside.cancel(), 500);
          await inside;
        }),
      );
      await sleep(300);
      print(shape(await sql`select 2 as after`));
    },
    { max: 1 },
  ),
);

await part("large objects", () =>
  using(async (sql) => {
    const lo = await sql.largeObject();
    await lo.write(Buffer.from("hello large object"));
    await lo.seek(6);
    print(json([await lo.read(5), await lo.size(), await lo.tell()]));
    await lo.truncate(5);
    await lo.close();
    print(shape(await sql`select count(*)::int as n from pg_largeobject_metadata`));
    await sql`select lo_unlink(oid) from pg_largeobject_metadata`;
  }),
);

await part("10 MB parameter, 40 MB result, 65,534 parameters", () =>
  using(async (sql) => {
    const text = "0123456789é".repeat(1_000_000);
    const [row] =
      await sql`select ${text}::text = repeat('0123456789é', 1000000) as same, length(${text}::text) as l`;
    print(row);
    const [big] = await sql`select repeat('abcdefghij', 4000000) as v`;
    print(md5(String(big?.v)));
    const rows = Array.from({ length: 32_766 }, (_, i) => [i, `x${i}`]);
    print(
      shape(
        await sql`select count(*)::int as n, sum(a::int)::text as s from (values ${sql(rows as never)}) v(a, b)`,
      ),
    );
    await outcome(
      "too many",
      sql`select count(*) from (values ${sql(Array.from({ length: 32_769 }, (_, i) => [i, "x"]) as never)}) v(a, b)`,
    );
    print(shape(await sql`select 1 as after`));
  }),
);

await part("the server ends the session; the driver connects again", () =>
  using(async (sql) => {
    await sql`select pg_terminate_backend(pg_backend_pid())`.catch((e: { code: string }) => print(e.code));
    await outcome("the next", sql`select 1 as one`.then(shape));
  }),
);

await part("pool of ten, idle time-out, max_lifetime", () =>
  using(
    async (sql) => {
      const results = await Promise.all(
        Array.from(
          { length: 300 },
          async (_, i) => (await sql`select ${i}::int as n, pg_sleep(0.001)`)[0]?.n,
        ),
      );
      print(md5(json(results)));
      await sleep(1500);
      print(shape(await sql`select 1 as later`));
    },
    { max: 10, idle_timeout: 1, max_lifetime: 2 },
  ),
);

await part("notices", async () => {
  const seen: string[] = [];
  await using(
    async (sql) => {
      await sql`do $$ begin raise notice 'a' using detail = 'd', hint = 'h'; raise warning 'b'; end $$`;
      await sql`drop table if exists nope`;
    },
    { max: 1, onnotice: (n) => seen.push(failure(n)) },
  );
  print(seen);
});

await part("settings that change are reported", async () => {
  const seen: string[] = [];
  await using(
    async (sql) => {
      await sql`set timezone = 'Asia/Tokyo'`;
      await sql`set application_name = 'x'`;
      await sql`reset timezone`;
    },
    {
      max: 1,
      onparameter: (name, value) => {
        if (name !== "application_name" || value === "x") seen.push(`${name}=${value}`);
      },
    },
  );
  print(seen.sort());
});

await part("wrong password", () =>
  using((sql) => outcome("connect", sql`select 1`), { max: 1, password: "wrong" }),
);
await part("unknown database", () =>
  using((sql) => outcome("connect", sql`select 1`), { max: 1, database: "no_such_database" }),
);
process.on("unhandledRejection", (error) => print("unhandled", failure(error)));
await part("subscribe (replication connection)", () =>
  using(
    async (sql) => {
      await sql`drop publication if exists alltables`;
      await sql`create publication alltables for all tables`;
      await outcome(
        "subscribe",
        Promise.race([
          sql
            .subscribe("*", () => undefined)
            .then(async (h) => {
              await h.unsubscribe();
              return "subscribed";
            }),
          sleep(5000).then(() => "no answer"),
        ]),
      );
      await sql`drop publication alltables`;
    },
    { max: 2, publications: "alltables" },
  ),
);
process.exit(0);
