/** Pools, and sessions that find nothing of earlier ones. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { failure, json, md5, outcome, part, print } from "../battery.ts";
import { using } from "./client.ts";

await part("pool", async () => {
  const pool = new pg.Pool({ max: 8, idleTimeoutMillis: 500 });
  pool.on("error", () => undefined);
  await pool.query("create table if not exists pooled(n int); truncate pooled");
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, async (_, i) => {
      if (i % 11 === 0) return (await pool.query("select 1/0")).rows;
      if (i % 5 === 0) {
        const c = await pool.connect();
        try {
          await c.query("begin");
          await c.query("insert into pooled values ($1)", [i]);
          await c.query(i % 2 === 0 ? "commit" : "rollback");
        } finally {
          c.release();
        }
        return "tx";
      }
      return (await pool.query({ name: "n", text: "select $1::int as n", values: [i] })).rows[0].n;
    }),
  );
  print(md5(json(results.map((r) => (r.status === "fulfilled" ? r.value : failure(r.reason))))));
  print(
    (
      (await pool.query(
        "select count(*)::int as n, sum(n)::int as s from pooled; drop table pooled",
      )) as unknown as pg.QueryResult[]
    )[0]?.rows,
  );
  await pool.end();
  const many = new pg.Pool({ max: 30 });
  print(
    (await Promise.all(Array.from({ length: 30 }, () => many.query("select pg_sleep(0.2), 1 as one"))))
      .length,
  );
  await many.end();
});

await part("sessions are clean: nothing of the last one is left", async () => {
  for (let i = 0; i < 6; i++) {
    await using(async (c) => {
      print(
        (await c.query("select count(*)::int as n from pg_prepared_statements")).rows,
        (await c.query("select count(*)::int as n from pg_listening_channels()")).rows,
        (
          await c.query(
            "select to_regclass('pg_temp.left_over') as t, nullif(current_setting('my.setting', true), '') as s",
          )
        ).rows,
        (await c.query("show work_mem")).rows,
        ((await c.query("show search_path; show timezone")) as unknown as pg.QueryResult[]).map(
          (r) => r.rows,
        ),
        (
          await c.query(
            "select count(*)::int as n from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
          )
        ).rows,
        (await c.query("select count(*)::int as n from pg_cursors")).rows,
      );
      await outcome("lastval", c.query("select lastval()"));
      await c.query(
        "create temp table left_over(id serial); insert into left_over default values; set my.setting = 'x'; set work_mem = '9MB'; set search_path = pg_temp; set timezone = 'Asia/Tokyo'; listen something; prepare something as select 1; select pg_advisory_lock(42); declare held cursor with hold for select 1",
      );
      if (i === 3) await c.query("begin; select 1");
      if (i === 4) await c.query("set session characteristics as transaction read only; set role pg_monitor");
      if (i === 5) await c.query("begin; selct").catch(() => undefined);
    });
    await sleep(100);
  }
});

await part("a custom setting of an earlier session is null again, not empty", async () => {
  await using(async (c) => void (await c.query("set my.second = 'x'")));
  await sleep(200);
  for (let i = 0; i < 3; i++)
    await using(async (c) => print((await c.query("select current_setting('my.second', true) as s")).rows));
});
