/** Sessions as they begin, are cancelled, break and end; and what the record says of it. */
import net from "node:net";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { encodeCancelRequest } from "../../src/protocol/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Leaf, startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";
import { rawLogin } from "../support/raw.ts";
import { bind, execute, field, flush, parse, query, sync, types } from "./messages.ts";

let cluster: Database;
let dbname: string;
let options: TestOptions;
let postern: TestPostern;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  options = {
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
  };
  postern = await startTestPostern(options);
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

/** Polls until the test holds; a gateway learns of some things only after the client does. */
async function eventually(test: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect.fail("did not come true within 5 seconds");
}

async function sessionRecords(p: TestPostern): Promise<{ session: string; leaves: Leaf[] }> {
  const records = await p.records();
  const session = String(records.filter((r) => r.type === "session.start").at(-1)?.session);
  return { session, leaves: records.filter((r) => r.session === session) };
}

async function ended(p: TestPostern, reason: RegExp): Promise<void> {
  await eventually(async () => {
    const { leaves } = await sessionRecords(p);
    return reason.test(String(leaves.find((r) => r.type === "session.end")?.reason));
  });
}

const connect = async (p: TestPostern, claims = {}): Promise<pg.Client> => {
  const client = new pg.Client({
    host: p.host,
    port: p.port,
    user: "anyone",
    database: "shop",
    password: await p.token(claims),
  });
  client.on("error", () => {});
  await client.connect();
  return client;
};

describe("drivers", () => {
  it("node-postgres: parameters, types, prepared statements, errors, transactions", async () => {
    const client = await connect(postern);
    const { rows } = await client.query(
      "select $1::int as n, $2::text as t, $3::jsonb as j, now() is not null as b",
      [7, "té'xt", { a: [1] }],
    );
    expect(rows).toEqual([{ n: 7, t: "té'xt", j: { a: [1] }, b: true }]);
    for (let i = 0; i < 3; i++) {
      const again = await client.query({ name: "again", text: "select $1::int * 2 as n", values: [i] });
      expect(again.rows).toEqual([{ n: i * 2 }]);
    }
    await expect(client.query("select 1/0")).rejects.toMatchObject({ code: "22012" });
    await client.query("begin");
    await client.query("create temp table x(a int)");
    await client.query("rollback");
    await expect(client.query("select * from x")).rejects.toMatchObject({ code: "42P01" });
    await client.end();
    const { leaves } = await sessionRecords(postern);
    const intent = leaves.find((r) => r.type === "statement.intent");
    expect(intent).toMatchObject({
      principal: { subject: "agent-7", kind: "agent", groups: ["testers"], provider: "corp" },
      database: { name: "shop", login: "postgres" },
      statement: { protocol: "extended", kind: "select", command: "SELECT", transaction: { state: "I" } },
      decision: { verdict: "allow" },
    });
    expect(JSON.stringify(leaves)).not.toContain("xt'");
  });

  it("postgres.js: pipelined queries on one connection, cursors, listen, large results", async () => {
    const sql = postgres({
      host: postern.host,
      port: postern.port,
      username: "anyone",
      database: "shop",
      password: await postern.token(),
      max: 2,
      onnotice: () => {},
    });
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => sql`select ${i}::int as n`));
    expect(results.map((r) => r[0]?.n)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    let seen = 0;
    for await (const rows of sql`select generate_series(1, 1000) as g`.cursor(100)) seen += rows.length;
    expect(seen).toBe(1000);
    const heard = Promise.withResolvers<string>();
    await sql.listen("channel", heard.resolve);
    await sql.notify("channel", "hello");
    expect(await heard.promise).toBe("hello");
    await sql.begin(async (tx) => {
      await tx`create temp table y(a int) on commit drop`;
      await tx`insert into y values (1)`;
    });
    await sql.end();
  });

  it("a client knows its own notifications by the process id that it was told at connect", async () => {
    const [one, other] = [await connect(postern), await connect(postern)];
    const heard: (readonly [payload: string | undefined, pid: number])[] = [];
    one.on("notification", ({ payload, processId }) => heard.push([payload, processId]));
    await one.query("listen pids; notify pids, 'own'");
    await other.query("notify pids, 'foreign'");
    const [row] = (await other.query("select pg_backend_pid() as pid")).rows;
    await vi.waitFor(() => expect(heard).toHaveLength(2));
    const { processID } = one as unknown as { processID: number };
    expect(heard).toEqual([
      ["own", processID],
      ["foreign", row.pid],
    ]);
    // Knex and Kysely cancel by this number from another connection, and so does pgAdmin.
    const slow = one.query("select pg_sleep(60)");
    const refused = expect(slow).rejects.toMatchObject({ code: "57014" });
    await vi.waitFor(async () => {
      const { rows } = await other.query(
        `select state from pg_stat_activity where pid = ${processID} and query like '%pg_sleep(60)%'`,
      );
      expect(rows).toEqual([{ state: "active" }]);
    });
    expect((await other.query("select pg_cancel_backend($1)", [processID])).rows).toEqual([
      { pg_cancel_backend: true },
    ]);
    await refused;
    await one.end();
    await other.end();
  });

  it("sets the session facts, which survive RESET ALL and DISCARD ALL, and the application name", async () => {
    const client = await connect(postern, { groups: ["testers", 'o"dd, group'] });
    const facts =
      "select current_setting('postern.subject') s, current_setting('postern.groups') g, current_setting('postern.kind') k, current_setting('application_name') a";
    const want = [{ s: "agent-7", g: '["testers","o\\"dd, group"]', k: "agent", a: "postern:agent-7" }];
    expect((await client.query(facts)).rows).toEqual(want);
    await client.query("reset all");
    expect((await client.query(facts)).rows).toEqual(want);
    await client.query("discard all");
    expect((await client.query(facts)).rows).toEqual(want);
    await client.end();
  });

  it("a reused upstream connection carries nothing over", async () => {
    const first = await connect(postern);
    const pid = (await first.query("select pg_backend_pid() as pid")).rows[0].pid;
    await first.query(
      "create temp table leftover(a int); set work_mem = '17MB'; prepare leftover as select 1; listen leftover",
    );
    await first.end();
    await eventually(() => postern.gateway.sessions.size === 0);
    // Kept open until the first one's turns up: whichever idle connection the pool hands out, this one is among them.
    const pids: number[] = [];
    const open: Awaited<ReturnType<typeof connect>>[] = [];
    while (open.length < 20 && !pids.includes(pid)) {
      const second = await connect(postern);
      open.push(second);
      pids.push((await second.query("select pg_backend_pid() as pid")).rows[0].pid);
      expect(
        (await second.query("select to_regclass('leftover') as r, current_setting('work_mem') as w")).rows,
      ).toEqual([{ r: null, w: "4MB" }]);
      expect(
        (await second.query("select count(*)::int as n from pg_prepared_statements where name = 'leftover'"))
          .rows,
      ).toEqual([{ n: 0 }]);
    }
    for (const client of open) await client.end();
    await eventually(() => postern.gateway.sessions.size === 0);
    expect(pids).toContain(pid);
  });
});

describe("access", () => {
  it("no matching group: refused, and the record says so", async () => {
    await expect(connect(postern, { groups: ["others"] })).rejects.toMatchObject({ code: "28000" });
    await eventually(async () =>
      (await postern.records()).some((r) => r.type === "auth.failed" && r.code === "NO_LOGIN"),
    );
  });

  it("bad token: one generic error, the cause on the record", async () => {
    const client = new pg.Client({
      host: postern.host,
      port: postern.port,
      user: "x",
      database: "shop",
      password: "nonsense",
    });
    await expect(client.connect()).rejects.toMatchObject({ code: "28P01" });
    await eventually(async () =>
      (await postern.records()).some((r) => r.type === "auth.failed" && String(r.code).startsWith("TOKEN_")),
    );
  });

  it("replication is refused unless the database allows it; then it is a recorded tunnel", async () => {
    const refused = await rawLogin(postern, await postern.token(), { replication: "database" });
    expect(field(refused.messages.at(-1), "C")).toBe("0A000");
    const open = await startTestPostern({ ...options, replication: true });
    const client = await rawLogin(open, await open.token(), { replication: "database" });
    client.send(query("IDENTIFY_SYSTEM"));
    expect(types(await client.ready())).toBe("TDCZ");
    await client.end();
    await ended(open, /./);
    const { leaves } = await sessionRecords(open);
    expect(leaves.find((r) => r.type === "statement.intent")).toMatchObject({
      statement: { kind: "replication" },
    });
    await open.stop();
  });

  it("limits connections of one principal", async () => {
    const small = await startTestPostern({ ...options, limits: { connectionsPerPrincipal: 2 } });
    const clients = [await connect(small), await connect(small)];
    await expect(connect(small)).rejects.toMatchObject({ code: "53300" });
    const other = await connect(small, { sub: "somebody-else" });
    for (const c of [...clients, other]) await c.end();
    await eventually(() => small.gateway.sessions.size === 0);
    await (await connect(small)).end();
    await small.stop();
  });
});

describe("cancel", () => {
  it("reaches the statement, only with the right key, and never the next one", async () => {
    const client = await rawLogin(postern, await postern.token());
    const key = client.messages.find((m) => m.type === "K")?.body as Buffer;
    const pid = key.readInt32BE(0);
    const cancel = async (bytes: Buffer) => {
      const socket = net.connect(postern.port, postern.host);
      socket.end(encodeCancelRequest(pid, bytes));
      const got: Buffer[] = [];
      for await (const chunk of socket) got.push(chunk as Buffer);
      expect(Buffer.concat(got).length).toBe(0);
    };
    client.send(query("select pg_sleep(30)"));
    await cancel(Buffer.from([1, 2, 3, 4]));
    await cancel(key.subarray(4));
    const got = await client.ready();
    expect(types(got)).toContain("E");
    expect(
      field(
        got.find((m) => m.type === "E"),
        "C",
      ),
    ).toBe("57014");
    // Idle: nothing to cancel; the statements behind it are not hit.
    await cancel(key.subarray(4));
    for (let i = 0; i < 20; i++) {
      client.send(query("select 1"));
      expect(types(await client.ready())).toBe("TDCZ");
    }
    await client.end();
    const { leaves } = await sessionRecords(postern);
    expect(leaves.filter((r) => r.type === "statement.outcome" && r.status === "cancelled").length).toBe(1);
  });

  it("protocol 3.2 has a long key", async () => {
    const socket = net.connect(postern.port, postern.host);
    const { encodeStartup, encodeFrontend } = await import("../../src/protocol/index.ts");
    const { rawClient } = await import("../support/raw.ts");
    const client = rawClient(socket);
    client.send(
      encodeStartup(
        new Map([
          ["user", "u"],
          ["database", "shop"],
        ]),
        2,
      ),
    );
    await client.until((m) => m.type === "R");
    client.send(encodeFrontend({ type: "password", password: await postern.token() }));
    const got = await client.ready();
    const key = got.find((m) => m.type === "K")?.body as Buffer;
    expect(key.length).toBe(4 + 32);
    client.send(query("select pg_sleep(30)"));
    await eventually(
      async () =>
        (
          await cluster.query(
            dbname,
            "select 1 from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid()",
          )
        ).length > 0,
    );
    const canceller = net.connect(postern.port, postern.host);
    canceller.end(encodeCancelRequest(key.readInt32BE(0), key.subarray(4)));
    expect(
      field(
        (await client.ready()).find((m) => m.type === "E"),
        "C",
      ),
    ).toBe("57014");
    await client.end();
  });
});

describe("ends", () => {
  it("Terminate, and a pipeline right before it", async () => {
    await cluster.query(dbname, "create table if not exists fire(a int)");
    const client = await rawLogin(postern, await postern.token());
    client.send(
      parse("", "insert into fire select pg_sleep(0.2) is null::int::bool::int"),
      bind("", ""),
      execute(""),
      sync,
    );
    await client.end();
    const again = await rawLogin(postern, await postern.token());
    again.send(query("insert into fire values (1)"));
    again.socket.end(Buffer.from([0x58, 0, 0, 0, 4]));
    await again.until(() => false);
    await eventually(
      async () =>
        Number((await cluster.query(dbname, "select count(*) as n from fire where a = 1"))[0]?.n) === 1,
    );
    await ended(postern, /client terminated/);
    const { leaves } = await sessionRecords(postern);
    expect(leaves.find((r) => r.type === "statement.outcome")).toMatchObject({
      status: "ok",
      tag: "INSERT 0 1",
    });
  });

  it("half-close: what was sent before the end of the stream is answered", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("select pg_sleep(0.3), 'late' as answer"));
    client.socket.end();
    expect(types(await client.ready())).toBe("TDCZ");
    await client.until(() => false);
    expect(client.closed).toBe(true);
  });

  it("a client that breaks off: its statement is cancelled, the outcome is what the server said", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("select pg_sleep(30)"));
    await eventually(
      async () =>
        (
          await cluster.query(
            dbname,
            "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(30)' and datname = current_database()",
          )
        ).length > 0,
    );
    (client.socket as net.Socket).resetAndDestroy();
    await ended(postern, /lost/);
    const { leaves } = await sessionRecords(postern);
    expect(leaves.find((r) => r.type === "statement.outcome")).toMatchObject({
      status: "cancelled",
      sqlstate: "57014",
    });
    expect(
      await cluster.query(
        dbname,
        "select 1 from pg_stat_activity where query = 'select pg_sleep(30)' and datname = current_database() and state = 'active'",
      ),
    ).toEqual([]);
  });

  it("upstream ended by its administrator in the middle of a statement: 57P01, outcome error", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("select pg_sleep(30)"));
    await eventually(
      async () =>
        (
          await cluster.query(
            dbname,
            "select pg_terminate_backend(pid) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(30)' and datname = current_database()",
          )
        ).length > 0,
    );
    const got = await client.until((m) => m.type === "E");
    expect(field(got.at(-1), "C")).toBe("57P01");
    await client.until(() => false);
    expect(client.messages.filter((m) => m.type === "E").length).toBe(1);
    const { leaves } = await sessionRecords(postern);
    expect(leaves.find((r) => r.type === "statement.outcome")).toMatchObject({
      status: "error",
      sqlstate: "57P01",
    });
  });

  it("idle time-out, counted only between statements", async () => {
    const strict = await startTestPostern({ ...options, limits: { idleSeconds: 1 } });
    const client = await rawLogin(strict, await strict.token());
    client.send(query("select pg_sleep(2.2)"));
    expect(types(await client.ready())).toBe("TDCZ");
    const got = await client.until((m) => m.type === "E");
    expect(field(got.at(-1), "C")).toBe("57P05");
    await ended(strict, /idle/);
    await strict.stop();
  });

  it("an expired token ends the session after the running statement", async () => {
    const token = await postern.idp.mint({ sub: "short", groups: ["testers"] }, { expiresIn: 2 });
    const client = await rawLogin(postern, token);
    client.send(query("select pg_sleep(3)"));
    expect(types(await client.ready())).toBe("TDCZ");
    const got = await client.until((m) => m.type === "E");
    expect(field(got.at(-1), "C")).toBe("57P01");
    await ended(postern, /token expired/);
  });

  it("a token that ended within the tolerance for clocks gives a session that lasts", async () => {
    const iat = Math.floor(Date.now() / 1000) - 100;
    const claims = { sub: "slow clock", groups: ["testers"], iat };
    const token = await postern.idp.mint(claims, { expiresIn: -20 });
    const client = await rawLogin(postern, token);
    client.send(query("select pg_sleep(2.2)"));
    expect(types(await client.ready())).toBe("TDCZ");
    client.send(query("select 1"));
    expect(types(await client.ready())).toBe("TDCZ");
    await client.end();
  });

  it("drain: idle sessions end at once, running ones after their transaction, new ones are refused", async () => {
    const leaving = await startTestPostern(options);
    const idle = await rawLogin(leaving, await leaving.token());
    const busy = await rawLogin(leaving, await leaving.token());
    busy.send(query("begin"));
    await busy.ready();
    busy.send(query("select pg_sleep(0.5)"));
    const drained = leaving.gateway.drain(10_000);
    expect(field((await idle.until((m) => m.type === "E")).at(-1), "C")).toBe("57P01");
    expect(types(await busy.ready())).toBe("TDCZ");
    busy.send(query("commit"));
    expect(types(await busy.ready())).toBe("CZ");
    expect(field((await busy.until((m) => m.type === "E")).at(-1), "C")).toBe("57P01");
    await drained;
    await expect(connect(leaving)).rejects.toThrow();
    await leaving.stop();
  });
});

describe("a batch that was flushed and not ended", () => {
  it("is waited for by a drain", async () => {
    const leaving = await startTestPostern(options);
    const client = await rawLogin(leaving, await leaving.token());
    client.send(parse("", "select 1"), bind("", ""), execute(""), flush);
    await client.until((m) => m.type === "C");
    const drained = leaving.gateway.drain(10_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.send(sync);
    expect(types(await client.ready())).toBe("Z");
    expect(field((await client.until((m) => m.type === "E")).at(-1), "C")).toBe("57P01");
    await drained;
    await leaving.stop();
  });

  it("is no idle session", async () => {
    const strict = await startTestPostern({ ...options, limits: { idleSeconds: 1 } });
    const client = await rawLogin(strict, await strict.token());
    client.send(parse("", "select 1"), bind("", ""), execute(""), flush);
    await client.until((m) => m.type === "C");
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    client.send(sync);
    expect(types(await client.ready())).toBe("Z");
    expect(field((await client.until((m) => m.type === "E")).at(-1), "C")).toBe("57P05");
    await strict.stop();
  });
});

describe("hostile and heavy", () => {
  it("malformed messages: one protocol error, the connection closed, others unharmed", async () => {
    const bystander = await rawLogin(postern, await postern.token());
    const bad: Buffer[] = [
      Buffer.from([0x51, 0, 0, 0, 3]),
      Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x79, 0, 0, 0, 4]),
      Buffer.from([0x53, 0, 0, 0, 5, 1]),
      Buffer.from([0x42, 0, 0, 0, 9, 0, 0, 0, 1, 0]),
      Buffer.from([0x50, 0x7f, 0xff, 0xff, 0xff]),
      Buffer.from([0x70, 0, 0, 0, 5, 0]),
    ];
    for (const bytes of bad) {
      const client = await rawLogin(postern, await postern.token());
      client.send(bytes);
      const got = await client.until((m) => m.type === "E");
      expect(field(got.at(-1), "S")).toBe("FATAL");
      expect(field(got.at(-1), "C")).toMatch(/08P01|54000/);
      await client.until(() => false);
      expect(client.closed).toBe(true);
    }
    await ended(postern, /protocol error/);
    bystander.send(query("select 1"));
    expect(types(await bystander.ready())).toBe("TDCZ");
    await bystander.end();
  });

  it("one byte at a time", async () => {
    const client = await rawLogin(postern, await postern.token());
    const bytes = Buffer.concat([
      parse("", "select $1::text"),
      bind("", "", ["slow"]),
      execute(""),
      sync,
      query("select 2"),
    ]);
    for (const byte of bytes) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(types(await client.ready())).toBe("12DCZ");
    expect(types(await client.ready())).toBe("TDCZ");
    await client.end();
  });

  it("a text with a NUL inside is refused, and the session goes on", async () => {
    const client = await rawLogin(postern, await postern.token());
    const text = Buffer.from("select 1\0; drop table fire\0");
    const header = Buffer.from([0x51, 0, 0, 0, text.length + 4]);
    client.send(header, text);
    const got = await client.ready();
    expect(types(got)).toBe("EZ");
    expect(field(got[0], "C")).toBe("08P01");
    await client.end();
  });

  it("invalid UTF-8 and other encodings are recorded whole, and answered as the server answers", async () => {
    const client = await rawLogin(postern, await postern.token());
    const bad = Buffer.concat([Buffer.from("select '"), Buffer.from([0xff, 0xfe]), Buffer.from("'\0")]);
    client.send(Buffer.from([0x51, 0, 0, 0, bad.length + 4]), bad);
    expect(
      field(
        (await client.ready()).find((m) => m.type === "E"),
        "C",
      ),
    ).toBe("22021");
    client.send(query("set client_encoding = 'LATIN1'"));
    await client.ready();
    const latin = Buffer.concat([Buffer.from("select '"), Buffer.from([0xe9]), Buffer.from("' as e\0")]);
    client.send(Buffer.from([0x51, 0, 0, 0, latin.length + 4]), latin);
    expect(types(await client.ready())).toBe("TDCZ");
    await client.end();
    const { leaves } = await sessionRecords(postern);
    expect(leaves.filter((r) => r.type === "statement.outcome").map((r) => r.status)).toEqual([
      "error",
      "ok",
      "ok",
    ]);
  });

  it("a slow reader of a huge result does not make the gateway hold it", async () => {
    const client = await rawLogin(postern, await postern.token());
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = process.memoryUsage().rss;
    client.send(query("select repeat('x', 1000) from generate_series(1, 300000)"));
    client.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const grown = (process.memoryUsage().rss - before) / 1024 / 1024;
    // The result is 300 MB; some tens may lie in buffers on the way.
    expect(grown).toBeLessThan(120);
    (client.socket as net.Socket).resetAndDestroy();
    await ended(postern, /lost/);
  });

  it("one value of 150 MB passes through", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.socket.removeAllListeners("data");
    let bytes = 0;
    const all = Promise.withResolvers<void>();
    client.socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > 150_000_000 && chunk.at(-1) === 0x49 && chunk.at(-6) === 0x5a) all.resolve();
    });
    client.send(query("select repeat('0123456789', 15000000)"));
    await all.promise;
    client.socket.destroy();
  });
});
