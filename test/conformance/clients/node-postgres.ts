/** Battery for node-postgres (`pg`); prints what a client sees, in parts. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { failure, json, outcome, part, print } from "./battery.ts";

/** Parts of the driver that @types/pg does not know. */
interface Wire {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
  parse(query: { text: string; name?: string; types?: number[] }, more?: boolean): void;
  bind(config: object, more?: boolean): void;
  describe(target: { type: "S" | "P"; name?: string }, more?: boolean): void;
  execute(config: { portal?: string; rows?: number }, more?: boolean): void;
  close(target: { type: "S" | "P"; name?: string }, more?: boolean): void;
  flush(): void;
  sync(): void;
}

function client(more: pg.ClientConfig = {}): pg.Client {
  const made = new pg.Client(more);
  made.on("error", () => undefined);
  return made;
}

async function connected(more: pg.ClientConfig = {}): Promise<pg.Client> {
  const made = client(more);
  await made.connect();
  return made;
}

async function using(run: (c: pg.Client) => Promise<void>, more: pg.ClientConfig = {}): Promise<void> {
  const c = await connected(more);
  try {
    await run(c);
  } finally {
    await c.end();
  }
}

function shape(result: pg.QueryResult): unknown {
  const columns = result.fields.map((f) => [
    f.name,
    f.dataTypeID,
    f.dataTypeSize,
    f.dataTypeModifier,
    f.format,
    f.columnID,
  ]);
  return { command: result.command, rowCount: result.rowCount, columns, rows: result.rows };
}

const several = (result: unknown) =>
  (Array.isArray(result) ? result : [result]).map((r) => shape(r as pg.QueryResult));
const md5 = (data: string | Buffer) => createHash("md5").update(data).digest("hex");

const allTypes = `select 1::int2 i2, '-2147483648'::int4 i4, 9223372036854775807::int8 i8, 1.5::float4 f4, 'NaN'::float8 f8, 123.456::numeric n,
  true b, 'ü☃🐘'::text t, 'x'::varchar(5) v, 'c'::char(3) c, '\\xdead00'::bytea by, '2024-02-29'::date d, '12:34:56.789'::time tm,
  '2024-02-29 12:00:00.123'::timestamp ts, '2024-02-29 12:00:00+02'::timestamptz tz, '1 year 3 days 04:05:06.7'::interval iv,
  '{"a":[1,null]}'::json j, '{"a":[1,null]}'::jsonb jb, '{1,2,null}'::int[] ia, '{{a,b},{"c d",null}}'::text[] ta, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid u,
  '10.0.0.1/8'::inet ip, '(1,2)'::point p, '<(1,2),3>'::circle ci, int4range(1,5) r, null::int nul, ''::text empty, 12.34::money m, B'101' bits, row(1,'a') rec`;

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

/** COPY by the driver's hooks for query objects. */
class Copy {
  readonly out: Buffer[] = [];
  readonly done: Promise<string>;
  text: string;
  chunks: readonly Buffer[];
  ending: "done" | "fail" | "nothing";
  resolve: (tag: string) => void = () => {};
  reject: (error: unknown) => void = () => {};
  tag = "";
  constructor(text: string, chunks: readonly Buffer[] = [], ending: "done" | "fail" | "nothing" = "done") {
    this.text = text;
    this.chunks = chunks;
    this.ending = ending;
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
  submit(connection: Wire): void {
    connection.query(this.text);
  }
  handleCopyInResponse(connection: Wire): void {
    for (const chunk of this.chunks) connection.sendCopyFromChunk(chunk);
    if (this.ending === "done") connection.endCopyFrom();
    if (this.ending === "fail") connection.sendCopyFail("the client changed its mind");
  }
  handleCopyData(message: { chunk: Buffer }): void {
    this.out.push(Buffer.from(message.chunk));
  }
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handleCommandComplete(message: { text: string }): void {
    this.tag += `${message.text};`;
  }
  handleReadyForQuery(): void {
    this.resolve(this.tag);
  }
  handleError(error: unknown): void {
    this.reject(error);
  }
}

await part("COPY in and out", () =>
  using(async (c) => {
    const copy = async (what: string, ...args: ConstructorParameters<typeof Copy>) => {
      const one = new Copy(...args);
      c.query(one as unknown as pg.Submittable);
      await outcome(what, one.done);
      print(one.out.length, md5(Buffer.concat(one.out)));
    };
    await c.query("create temp table cp(a int, b text)");
    await copy("in", "copy cp from stdin", [Buffer.from("1\tone\n2\t\\N\n")]);
    await copy(
      "rows cut anywhere",
      "copy cp from stdin",
      [..."3\tthree\n44\tfo\\tur\n"].map((x) => Buffer.from(x)),
    );
    await copy("nothing", "copy cp from stdin", []);
    await copy("failed by the client", "copy cp from stdin", [Buffer.from("5\tx\n")], "fail");
    await copy("bad row", "copy cp from stdin", [
      Buffer.from("x\tx\n"),
      Buffer.from("6\tx\n"),
      Buffer.alloc(300_000, "7\tx\n"),
    ]);
    await copy(
      "large",
      "copy cp from stdin",
      Array.from({ length: 200 }, (_, i) => Buffer.from(`${i}\t${"y".repeat(50_000)}\n`)),
    );
    await copy("out", "copy (select a, length(b) from cp order by 1, 2) to stdout csv header");
    await copy("large out", "copy (select a, b from cp order by 1, 2) to stdout");
    await copy("binary out", "copy (select g, g::text from generate_series(1, 1000) g) to stdout binary");
    await copy(
      "between statements",
      "select 1; copy cp from stdin; select 2; copy (select 3) to stdout; select 4",
      [Buffer.from("70\tx\n")],
    );
    await copy("error behind", "copy cp from stdin; select 1/0", [Buffer.from("71\tx\n")]);
    await copy(
      "out fails on the way",
      "copy (select 1 / (5000 - g) from generate_series(1, 9000) g) to stdout",
    );
    print(
      (
        await c.query(
          "select count(*)::int as n, sum(a)::int as s, count(*) filter (where a in (70, 71))::int as m from cp",
        )
      ).rows,
    );
  }),
);

/** The extended protocol by hand. */
class Steps {
  readonly seen: string[] = [];
  send: (connection: Wire) => void;
  constructor(send: (connection: Wire) => void) {
    this.send = send;
  }
  submit(connection: Wire): void {
    this.send(connection);
  }
  handleRowDescription(m: { fields: { name: string }[] }): void {
    this.seen.push(`T ${m.fields.map((f) => f.name).join()}`);
  }
  handleDataRow(m: { fields: unknown[] }): void {
    this.seen.push(`D ${json(m.fields)}`);
  }
  handlePortalSuspended(): void {
    this.seen.push("s");
  }
  handleCommandComplete(m: { text: string }): void {
    this.seen.push(`C ${m.text}`);
  }
  handleEmptyQuery(): void {
    this.seen.push("I");
  }
  handleError(error: unknown): void {
    this.seen.push(`E ${failure(error)}`);
  }
  handleReadyForQuery(): void {}
}

/** Sends steps and collects everything up to the given number of ReadyForQuery. */
async function batches(c: pg.Client, count: number, send: (w: Wire) => void): Promise<string[]> {
  const one = new Steps(send);
  // The driver lets go of a query at its first error or ReadyForQuery: it is given back, as long as more must come.
  const driver = c as unknown as {
    connection: NodeJS.EventEmitter;
    activeQuery: unknown;
    _activeQuery: unknown;
  };
  let left = count;
  const keep = () => {
    if (left > 0) driver._activeQuery = one;
  };
  await new Promise<void>((resolve) => {
    const ready = () => {
      one.seen.push("Z");
      left--;
      keep();
      if (left > 0) return;
      driver.connection.removeListener("readyForQuery", ready);
      driver.connection.removeListener("errorMessage", keep);
      resolve();
    };
    driver.connection.on("readyForQuery", ready);
    driver.connection.on("errorMessage", keep);
    c.query(one as unknown as pg.Submittable);
  });
  return one.seen;
}

await part("extended protocol by hand: portals, suspension, Flush, batches", () =>
  using(async (c) => {
    const steps = async (what: string, send: (w: Wire) => void, count = 1) =>
      print(what, await batches(c, count, send));
    await steps("two portals in turn", (w) => {
      w.parse({ text: "select g from generate_series(1, 6) g", name: "g" });
      w.bind({ statement: "g", portal: "a" });
      w.bind({ statement: "g", portal: "b" });
      w.describe({ type: "P", name: "a" });
      for (const portal of ["a", "b", "a", "b", "a"]) w.execute({ portal, rows: 2 });
      w.flush();
      w.close({ type: "P", name: "b" });
      w.execute({ portal: "a", rows: 100 });
      w.sync();
    });
    await steps("an error skips to Sync", (w) => {
      w.parse({ text: "select 1 as one" });
      w.bind({});
      w.execute({});
      w.parse({ text: "select 1/0" });
      w.bind({});
      w.execute({});
      w.parse({ text: "select 3" });
      w.bind({});
      w.execute({});
      w.sync();
    });
    await steps("missing names", (w) => {
      w.bind({ statement: "nope" });
      w.execute({});
      w.sync();
    });
    await steps("missing portal", (w) => {
      w.execute({ portal: "nope" });
      w.sync();
    });
    await steps("describe what is missing", (w) => {
      w.describe({ type: "S", name: "nope" });
      w.sync();
    });
    await steps("close what is missing, and twice the same name", (w) => {
      w.close({ type: "S", name: "nope" });
      w.parse({ text: "select 2", name: "twice" });
      w.parse({ text: "select 3", name: "twice" });
      w.sync();
    });
    await steps("describe a statement", (w) => {
      w.parse({ text: "select $1::int as x, $2::text as y", name: "d" });
      w.describe({ type: "S", name: "d" });
      w.parse({ text: "set work_mem = '5MB'", name: "n" });
      w.describe({ type: "S", name: "n" });
      w.sync();
    });
    await steps("empty, utility, begin and commit in one batch", (w) => {
      for (const text of [
        "",
        "begin",
        "create temp table ext(x int)",
        "insert into ext values (1) returning x",
        "commit",
        "select count(*) from ext",
      ]) {
        w.parse({ text });
        w.bind({});
        w.execute({});
      }
      w.sync();
    });
    await steps("nothing but Sync", (w) => w.sync());
    await steps("cursor by SQL, fetched by protocol", (w) => {
      for (const text of [
        "begin",
        "declare cur cursor for select g from generate_series(1, 5) g",
        "fetch 2 from cur",
        "move 1 in cur",
        "fetch all from cur",
        "close cur",
        "commit",
      ]) {
        w.parse({ text });
        w.bind({});
        w.execute({});
      }
      w.sync();
    });
    await steps("the portal of a SQL cursor", (w) => {
      for (const text of ["begin", "declare named cursor for select g from generate_series(1, 5) g"]) {
        w.parse({ text });
        w.bind({});
        w.execute({});
      }
      w.describe({ type: "P", name: "named" });
      w.execute({ portal: "named", rows: 2 });
      w.execute({ portal: "named" });
      w.sync();
    });
    await steps("roll back", (w) => w.query("rollback"));
    await steps("simple query inside an extended batch", (w) => {
      w.parse({ text: "select 'unsynced'" });
      w.bind({});
      w.execute({});
      w.query("select 'simple'");
    });
    await steps(
      "many batches, errors among them",
      (w) => {
        for (const text of [
          "select 1",
          "select 1/0",
          "begin",
          "select 2",
          "selct",
          "select 3",
          "rollback",
          "select 4",
        ]) {
          w.parse({ text });
          w.bind({});
          w.execute({});
          w.sync();
        }
      },
      8,
    );
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

await part("real pipelining: 300 batches sent without waiting", () =>
  using(async (c) => {
    const seen = await batches(c, 300, (w) => {
      for (let i = 0; i < 300; i++) {
        w.parse({
          text: i % 7 === 3 ? "select 1 / ($1::int - $1::int)" : "select $1::int as n, repeat('x', 500)",
          name: i % 2 === 0 ? `p${i}` : "",
        });
        w.bind({
          statement: i % 2 === 0 ? `p${i}` : "",
          values: [i],
          valueMapper: (v: unknown) => String(v),
        });
        w.describe({ type: "P" });
        w.execute({});
        w.sync();
      }
    });
    print(seen.length, seen.filter((s) => s === "Z").length, md5(json(seen)));
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

process.exit(0);
