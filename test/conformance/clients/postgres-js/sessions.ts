/** Cursors, streams, notifications, cancel, sizes, pools, the end of a session. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { failure, json, md5, outcome, part, print } from "../battery.ts";
import { shape, using } from "./client.ts";

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
    print(shape(await sql`select 2 as after`));
  }),
);

// A connection for each: the driver may leave the socket paused behind readable().
await part("COPY out", async () => {
  const out = (what: string, text: string, slowly = false) =>
    using(async (sql) => {
      await outcome(
        what,
        (async () => {
          const chunks: Buffer[] = [];
          for await (const chunk of await sql.unsafe(text).readable()) {
            chunks.push(Buffer.from(chunk));
            if (slowly && chunks.length % 7 === 0) await sleep(1);
          }
          const all = Buffer.concat(chunks);
          return [all.length, md5(all)];
        })(),
      );
    });
  await out("csv", "copy (select g, 'é \"q\"' from generate_series(1, 5) g) to stdout csv header");
  await out("binary", "copy (select g from generate_series(1, 100000) g) to stdout binary");
  await out("large", "copy (select g, repeat('y', 3000) from generate_series(1, 3000) g) to stdout");
  await out("slow reader", "copy (select repeat('z', 1000) from generate_series(1, 20000)) to stdout", true);
});

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
