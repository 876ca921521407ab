/** Connecting, settings, notices, notifications, cancel, pools, the end of a session. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { failure, md5, outcome, part, print } from "../battery.ts";
import { client, connected, shape, using } from "./client.ts";

await part("connecting: settings and session", async () => {
  await using(
    async (c) => {
      for (const name of [
        "search_path",
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "client_encoding",
        "work_mem",
        "server_version",
        "application_name",
      ])
        print(name, (await c.query(`show ${name === "application_name" ? "bytea_output" : name}`)).rows);
      print(
        (await c.query("select current_database() d, current_user u, session_user s, pg_is_in_recovery() r"))
          .rows,
      );
    },
    {
      options: "-c search_path=pg_catalog,public -c IntervalStyle=iso_8601",
      statement_timeout: 54321,
      lock_timeout: 4321,
      idle_in_transaction_session_timeout: 65432,
      application_name: "battery",
    },
  );
  const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
  const url = `postgresql://${PGUSER}:${encodeURIComponent(PGPASSWORD ?? "")}@${PGHOST}:${PGPORT}/${PGDATABASE}?application_name=from_url&options=-c%20search_path%3Dpg_temp`;
  await using(async (c) => print((await c.query("show search_path")).rows), { connectionString: url });
});

await part("settings the server reports", async () => {
  const c = client();
  const seen: string[] = [];
  c.connection.on("parameterStatus", (m: { parameterName: string; parameterValue: string }) =>
    seen.push(`${m.parameterName}=${m.parameterValue}`),
  );
  await c.connect();
  print("at the start", seen.filter((s) => !s.startsWith("application_name")).sort());
  seen.length = 0;
  await c.query(
    "set timezone = 'Europe/Berlin'; set datestyle = 'SQL, DMY'; set application_name = 'set'; set client_encoding = 'LATIN1'; set client_encoding = 'UTF8'; set standard_conforming_strings = off; set default_transaction_read_only = on",
  );
  await c.query("begin; set local timezone = 'UTC'; rollback");
  print("later", seen);
  await c.end();
});

await part("notices", () =>
  using(async (c) => {
    const seen: string[] = [];
    c.on("notice", (n) => seen.push(failure(n)));
    await c.query(
      "do $$ begin raise notice 'a' using detail = 'd', hint = 'h'; raise warning 'b %', 1; raise info 'c'; end $$",
    );
    await c.query("drop table if exists nope");
    await c.query(
      "set client_min_messages = error; do $$ begin raise notice 'unheard'; end $$; reset client_min_messages",
    );
    await c.query(
      "do $$ begin for i in 1..5000 loop raise notice '%', repeat('x', i % 300); end loop; end $$",
    );
    print(seen.length, md5(seen.join()), seen.slice(0, 4));
  }),
);

await part("listen and notify", async () => {
  const [a, b] = [await connected(), await connected()];
  const heard: string[] = [];
  a.on("notification", (m) => heard.push(`${m.channel} ${m.payload?.length} ${m.payload?.slice(0, 20)}`));
  await a.query('listen one; listen "Two Words"');
  await b.query("notify one; notify one, 'é payload'; notify \"Two Words\", 'x'; notify deaf, 'y'");
  await b.query("select pg_notify('one', $1)", ["z".repeat(7999)]);
  await b.query(
    "begin; notify one, 'rolled back'; rollback; begin; notify one, 'twice'; notify one, 'twice'; commit",
  );
  await a.query("notify one, 'to myself'");
  for (let i = 0; i < 100 && heard.length < 7; i++) await sleep(50);
  await a.query("unlisten *");
  await b.query("notify one, 'unheard'");
  await a.query("select 1");
  print(heard);
  await Promise.all([a.end(), b.end()]);
});

await part("notification while idle, within a second", async () => {
  const [a, b] = [await connected(), await connected()];
  await a.query("listen idle");
  const heard = once(a, "notification");
  await sleep(300);
  await b.query("notify idle, 'now'");
  const [message] = await heard;
  print(message.channel, message.payload);
  await Promise.all([a.end(), b.end()]);
});

await part("a notification names the sender's process id as the sender knows it", async () => {
  const [a, b] = [await connected(), await connected()];
  await a.query("listen pids");
  const heard = once(a, "notification");
  await b.query("notify pids");
  const [message] = await heard;
  // @ts-expect-error known to the driver only
  print(message.processId === b.processID);
  await Promise.all([a.end(), b.end()]);
});

await part("the process id of the connection is pg_backend_pid()", () =>
  using(async (c) => {
    const { rows } = await c.query("select pg_backend_pid() as pid");
    // @ts-expect-error known to the driver only
    print(rows[0].pid === c.processID);
  }),
);

await part("cancel", async () => {
  const c = await connected();
  const slow = new pg.Query("select pg_sleep(30)");
  const ended = new Promise<unknown>((resolve) => {
    slow.on("error", resolve);
    slow.on("end", () => resolve("ended"));
  });
  c.query(slow);
  await sleep(500);
  // @ts-expect-error not in the types
  client().cancel(c, slow);
  print(failure(await ended));
  print(shape(await c.query("select 1 as after")));
  const queued = c.query("select pg_sleep($1)", [30]);
  await sleep(500);
  // Many cancel requests at once, all for the same statement.
  for (let i = 0; i < 5; i++) {
    // @ts-expect-error not in the types
    client().cancel(c, c.activeQuery ?? c._activeQuery ?? c._getActiveQuery());
  }
  await outcome("extended", queued);
  // A late request may hit a later statement, as it may directly: wait until all have arrived.
  await sleep(1000);
  print(shape(await c.query("select 2 as after")));
  await c.query("begin");
  const inside = c.query("select pg_sleep(30)");
  await sleep(500);
  // @ts-expect-error not in the types
  client().cancel(c, c.activeQuery ?? c._activeQuery ?? c._getActiveQuery());
  await outcome("in a transaction", inside);
  await outcome("aborted", c.query("select 1"));
  await c.query("rollback");
  await c.end();
});

await part("cancel with a wrong key does nothing", async () => {
  const c = await connected();
  const running = c.query("select pg_sleep(1), 'undisturbed' as s");
  await sleep(200);
  const other = client();
  // @ts-expect-error not in the types
  const { processID, secretKey } = c;
  // @ts-expect-error not in the types
  other.cancel(
    {
      processID,
      secretKey: (secretKey ^ 1) | 0,
      activeQuery: 1,
      _activeQuery: 1,
      host: c.host,
      port: c.port,
      _getActiveQuery: () => 1,
    },
    1,
  );
  await outcome(
    "result",
    running.then((r) => r.rows[0].s),
  );
  await c.end();
});

await part("the server ends the session", async () => {
  const c = client();
  await c.connect();
  let closed: unknown = null;
  c.on("error", (e) => {
    closed = e;
  });
  c.on("end", () => print("end"));
  await outcome("own backend", c.query("select pg_terminate_backend(pg_backend_pid())"));
  await sleep(200);
  print(closed === null ? "no error event" : failure(closed));
  await outcome("afterwards", c.query("select 1"));
  const [idle, killer] = [await connected(), await connected()];
  const pid = (await idle.query("select pg_backend_pid() as pid")).rows[0].pid;
  const error = once(idle, "error").catch((e: unknown) => [e]);
  const ended = new Promise((resolve) => idle.once("end", resolve));
  await killer.query("select pg_terminate_backend($1)", [pid]);
  const [what] = await error;
  await ended;
  print(failure(what), "and ended");
  await killer.end();
});

await part("time limits", () =>
  using(
    async (c) => {
      await outcome("statement_timeout", c.query("select pg_sleep(10)"));
      print((await c.query("select 1 as one")).rows);
      await outcome("set local", c.query("begin; set local statement_timeout = 50; select pg_sleep(10)"));
      await c.query("rollback");
      await outcome(
        "query_timeout of the driver",
        c.query({ text: "select pg_sleep(0.4)", query_timeout: 100 } as pg.QueryConfig),
      );
      await outcome(
        "the next",
        c.query("select 2 as two").then((r) => r.rows),
      );
    },
    { statement_timeout: 300 },
  ),
);

await part("ending while a query runs", async () => {
  const c = await connected();
  const running = c.query("select pg_sleep(0.3), 'done' as s").then((r) => r.rows[0].s);
  const ended = c.end();
  await outcome("query", running);
  await ended;
  print("ended");
});

await part("unknown database", () => outcome("connect", client({ database: "no_such_database" }).connect()));
await part("wrong password", () => outcome("connect", client({ password: "wrong" }).connect()));
await part("startup setting that is wrong", () =>
  outcome("connect", client({ options: "-c search_path=a -c statement_timeout=nonsense" }).connect()),
);
await part("startup setting that Postern does not pass on", () =>
  outcome(
    "connect",
    connected({ options: "-c work_mem=5MB" }).then((c) =>
      c.query("show work_mem").then((r) => c.end().then(() => r.rows)),
    ),
  ),
);
await part("replication connection", async () => {
  const c = client();
  // @ts-expect-error not in the types
  c.connectionParameters.replication = "database";
  // @ts-expect-error not in the types
  c.replication = "database";
  await outcome(
    "connect",
    c
      .connect()
      .then(() => c.query("IDENTIFY_SYSTEM"))
      .then((r) => Object.keys(r.rows[0])),
  );
  await c.end().catch(() => undefined);
});
