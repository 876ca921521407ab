/** Large values, many parameters, long statements. */
import type pg from "pg";
import { failure, json, md5, outcome, part, print } from "../battery.ts";
import { connected, using } from "./client.ts";

await part("parameters of 10 MB, results of 40 MB", () =>
  using(async (c) => {
    const text = "0123456789é".repeat(1_000_000);
    const back = (await c.query("select $1::text as v, md5($1::text) as m", [text])).rows[0];
    print(back.v === text, back.m === md5(text), text.length);
    const buffer = Buffer.alloc(10_000_000, Buffer.from([0, 1, 255, 92, 39]));
    const two = (await c.query("select $1::bytea as v, length($1::bytea) as l", [buffer])).rows[0];
    print(two.l, (two.v as Buffer).equals(buffer));
    const large = (await c.query("select repeat('abcdefghij', 4000000) as v")).rows[0].v as string;
    print(large.length, md5(large));
    const { rows } = await c.query({
      text: "select g, repeat(g::text, 20) from generate_series(1, 150000) g",
      rowMode: "array",
    });
    print(rows.length, md5(json(rows)));
  }),
);

await part("65,535 parameters", () =>
  using(async (c) => {
    const list = (n: number) => Array.from({ length: n }, (_, i) => `$${i + 1}::int`).join("+");
    const values = (n: number) => Array.from({ length: n }, (_, i) => i);
    const array = (n: number) => `select cardinality(array[${list(n).replaceAll("+", ",")}]) as n`;
    print((await c.query(array(65535), values(65535))).rows);
    await outcome(
      "deep expression",
      c.query(`select ${"(".repeat(20000)}1${")".repeat(20000)} as v`).then((r) => r.rows),
    );
    await outcome(
      "long list",
      c
        .query(
          `select count(*)::int from unnest(array[${Array.from({ length: 100_000 }, (_, i) => i).join()}])`,
        )
        .then((r) => r.rows),
    );
    print((await c.query("select 2 as still")).rows);
  }),
);

await part("65,536 parameters: more than Bind can count", async () => {
  const c = await connected();
  const list = Array.from({ length: 65536 }, (_, i) => `$${i + 1}::int`).join();
  await outcome(
    "65,536",
    c.query(
      `select cardinality(array[${list}])`,
      Array.from({ length: 65536 }, (_, i) => i),
    ),
  );
  await c.end();
});

await part("statement of 3 MB", () =>
  using(async (c) => {
    const { rows } = await c.query(`select length('${"é".repeat(1_500_000)}') as n, $1::int as p`, [1]);
    print(rows);
    print((await c.query(`select ${"/* comment */ ".repeat(200_000)} 1 as n`)).rows);
  }),
);

await part("rows in portions (PortalSuspended)", () =>
  using(async (c) => {
    for (const rows of [1, 7, 100, 1000]) {
      const text = "select g, md5(g::text) from generate_series(1, 1000) g";
      const result = await c.query({
        text,
        rows,
        values: [] as unknown[],
        rowMode: "array",
      } as pg.QueryArrayConfig);
      print(rows, result.rowCount, result.rows.length, md5(json(result.rows)));
    }
  }),
);

await part("a thousand queries queued on one client", () =>
  using(async (c) => {
    const results = await Promise.allSettled(
      Array.from({ length: 1000 }, (_, i) =>
        i % 10 === 9
          ? c.query("select 1 / $1::int", [0])
          : i % 3 === 0
            ? c.query(`select ${i} as n`)
            : c.query({ name: `s${i % 5}`, text: `select $1::int as n, ${i % 5}`, values: [i] }),
      ),
    );
    print(
      results.filter((r) => r.status === "fulfilled").length,
      md5(json(results.map((r) => (r.status === "fulfilled" ? r.value.rows : failure(r.reason))))),
    );
  }),
);
