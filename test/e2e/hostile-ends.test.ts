/** Ends at the worst moment, peers that do not read, a log that gives out: nothing is lost, kept, grown or leaked. */
import { createHash } from "node:crypto";
import type net from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AuditLog, AuditUnavailable } from "../../src/audit/index.ts";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeReadyForQuery,
  encodeStartup,
} from "../../src/protocol/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";
import { rawLogin } from "../support/raw.ts";
import { fakeServer } from "../support/upstream.ts";
import { bind, copyData, execute, field, flush, parse, query, sync, types } from "./messages.ts";

let cluster: Database;
let dbname: string;
let options: TestOptions;
let postern: TestPostern;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, "create table t(a int)");
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

async function eventually(test: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 2500; i++) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect.fail("did not come true within 5 seconds");
}

const count = async (where = "true"): Promise<number> =>
  Number((await cluster.query(dbname, `select count(*) as n from t where ${where}`))[0]?.n);
const large = (text: string): string => `${text} -- ${"x".repeat(100_000)}`;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function busy(marker: string): Promise<void> {
  await eventually(
    async () =>
      (
        await cluster.query(
          dbname,
          `select 1 from pg_stat_activity where state = 'active' and query like '%${marker}%' and pid <> pg_backend_pid()`,
        )
      ).length > 0,
  );
}

/** Outcomes by intent: every intent of the newest session must have one, and none comes behind the session's end. */
async function lastSession(p: TestPostern): Promise<{ status: unknown; leaf: Record<string, unknown> }[]> {
  const records = await p.records();
  const session = records.filter((r) => r.type === "session.start").at(-1)?.session;
  await eventually(async () =>
    (await p.records()).some((r) => r.type === "session.end" && r.session === session),
  );
  const all = (await p.records()).map((r, index) => ({ r, index }));
  const own = all.filter(({ r }) => r.session === session);
  expect(own.at(-1)?.r.type).toBe("session.end");
  const outcomes = own.filter(({ r }) => r.type === "statement.outcome");
  const answered = new Set(outcomes.map(({ r }) => (r.intent as { index: number }).index));
  for (const { r, index } of own) if (r.type === "statement.intent") expect(answered).toContain(index);
  return outcomes.map(({ r }) => ({ status: r.status, leaf: r }));
}

describe("ends at the worst moment", () => {
  it("half-close behind a statement that is waited for, and behind one that is read aside", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("prepare x as select 1"), query("execute x"), query(large("insert into t values (1)")));
    client.socket.end();
    const got = [...(await client.ready()), ...(await client.ready()), ...(await client.ready())];
    expect(types(got)).toBe("CZTDCZCZ");
    await client.until(() => false);
    expect(await count("a = 1")).toBe(1);
    expect((await lastSession(postern)).map((o) => o.status)).toEqual(["ok", "ok", "ok"]);
  });

  it("Terminate behind a statement that is waited for: the answers are delivered first", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("prepare x as select 1"), query("execute x"), Buffer.from([0x58, 0, 0, 0, 4]));
    expect(types(await client.until(() => false))).toBe("CZTDCZ");
  });

  it("gone while a large text is read aside: it is not run, not recorded behind the end, and nothing breaks", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query(large("insert into t values (2)")));
    await eventually(() => ([...postern.gateway.sessions.values()][0]?.counters.bytesIn ?? 0) > 100_000);
    (client.socket as net.Socket).resetAndDestroy();
    await eventually(() => postern.gateway.sessions.size === 0);
    // The worker that reads it has to start first.
    await pause(2_000);
    await lastSession(postern);
  });

  it("strict: the last answer before the end is delivered, whoever ends", async () => {
    const strict = await startTestPostern({ ...options, audit: { durability: "strict" } });
    try {
      for (const end of ["client", "drain"]) {
        const client = await rawLogin(strict, await strict.token());
        client.send(query(`insert into t values (3) returning '${end}'`));
        if (end === "client") client.socket.end();
        else {
          await eventually(() => [...strict.gateway.sessions.values()][0]?.counters.statements === 1);
          void strict.gateway.drain(5_000);
        }
        expect(types(await client.until((m) => m.type === "Z"))).toBe("TDCZ");
        await client.until(() => false);
      }
    } finally {
      await strict.stop();
    }
  });

  it("a batch without Sync is rolled back, and its connection not used again", async () => {
    for (const reset of ["discard_all", "close"] as const) {
      const p = await startTestPostern({ ...options, reset });
      try {
        const client = await rawLogin(p, await p.token());
        const leak = ["set work_mem = '77MB'", "insert into t values (4)", "select pg_advisory_lock(4711)"];
        client.send(...leak.flatMap((sql) => [parse("", sql), bind("", ""), execute("")]), flush);
        let done = 0;
        await client.until((m) => m.type === "C" && ++done === leak.length);
        await client.end();
        await eventually(() => p.gateway.sessions.size === 0);
        const next = await rawLogin(p, await p.token());
        next.send(
          query(
            "select current_setting('work_mem'), (select count(*) from t where a = 4), pg_try_advisory_lock(4711)",
          ),
        );
        const row = (await next.ready()).find((m) => m.type === "D")?.body.toString("latin1");
        expect(row).toMatch(/4MB.*0.*t/s);
        await next.end();
      } finally {
        await p.stop();
      }
    }
  });

  it("a result that was cut by the client's end is not complete on the record", async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("select repeat('x', 1000), pg_sleep(0) from generate_series(1, 20000)"));
    await client.until((m) => m.type === "D");
    (client.socket as net.Socket).resetAndDestroy();
    const [outcome] = await lastSession(postern);
    expect(outcome?.leaf.result).toMatchObject({ complete: false });
  });

  it("storms of connects and disconnects at every phase leave nothing behind", {
    timeout: 60_000,
  }, async () => {
    const p = await startTestPostern({ ...options, audit: { durability: "disk" } });
    try {
      const token = await p.token();
      const steps = [0, 1, 2, 3, 5, 8, 13, 21];
      for (let round = 0; round < 3; round++) {
        await Promise.all(
          Array.from({ length: 24 }, async (_, i) => {
            const login = rawLogin(p, token).catch(() => null);
            if (i % 3 === 0) {
              const client = await login;
              if (client === null) return;
              client.send(query(i % 2 === 0 ? "begin" : "select pg_sleep(0.05)"), query("copy t from stdin"));
              await pause(steps[i % steps.length] as number);
              if (i % 2 === 0) (client.socket as net.Socket).resetAndDestroy();
              else await client.end();
              return;
            }
            // Gone during start-up, while the gateway connects upstream or waits for the log.
            const { connect } = await import("node:net");
            const socket = connect(p.port, p.host);
            socket.on("error", () => {});
            const password = Buffer.from(`${token}\0`);
            const header = Buffer.from([0x70, 0, 0, 0, 0]);
            header.writeInt32BE(password.length + 4, 1);
            socket.write(
              Buffer.concat([
                encodeStartup(
                  new Map([
                    ["user", "u"],
                    ["database", "shop"],
                  ]),
                ),
                header,
                password,
              ]),
            );
            await pause(steps[i % steps.length] as number);
            if (i % 2 === 0) socket.resetAndDestroy();
            else socket.destroy();
            (await login)?.socket.destroy();
          }),
        );
      }
      await eventually(() => p.gateway.sessions.size === 0);
      // Statements of clients that are gone were cancelled; what is left are idle pooled connections.
      await eventually(
        async () =>
          (
            await cluster.query(
              dbname,
              "select 1 from pg_stat_activity where application_name = 'postern:agent-7' and state <> 'idle'",
            )
          ).length === 0,
      );
      const last = await rawLogin(p, token);
      last.send(query("select 1"));
      expect(types(await last.ready())).toBe("TDCZ");
      await last.end();
      const records = await p.records();
      const ends = records.filter((r) => r.type === "session.end").length;
      await eventually(() => p.gateway.sessions.size === 0);
      expect(records.filter((r) => r.type === "session.start").length - ends).toBeLessThanOrEqual(1);
    } finally {
      await p.stop();
    }
    const left = await cluster.query(
      dbname,
      "select 1 from pg_stat_activity where application_name = 'postern:agent-7' and datname = current_database()",
    );
    // Those of the gateway that is still up were closed by their sessions' ends or are pooled.
    expect(left.length).toBeLessThan(10);
  });
});

describe("peers that do not read", () => {
  it("a client that sends without end to a server that is busy is stopped", { timeout: 60_000 }, async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("select pg_sleep(4)"));
    await busy("pg_sleep(4)");
    const message = Buffer.concat([
      parse("", "select $1::text"),
      bind("", "", ["y".repeat(60_000)]),
      execute(""),
      sync,
    ]);
    let sent = 0;
    let full = false;
    client.socket.on("drain", () => {
      full = false;
    });
    const until = Date.now() + 1_500;
    while (Date.now() < until) {
      if (!full) {
        full = !client.socket.write(message);
        sent += message.length;
      }
      await new Promise(setImmediate);
    }
    const [session] = postern.gateway.sessions.values();
    // Buffers of the kernels on the way take a few megabytes.
    expect(session?.counters.bytesIn).toBeLessThan(24_000_000);
    expect(sent).toBeLessThan(40_000_000);
    (client.socket as net.Socket).resetAndDestroy();
    await eventually(() => postern.gateway.sessions.size === 0);
  });

  it("a client that never reads does not make the gateway hold its results, in any mode", {
    timeout: 60_000,
  }, async () => {
    for (const durability of ["process", "disk", "strict"] as const) {
      const p = await startTestPostern({ ...options, audit: { durability } });
      try {
        const client = await rawLogin(p, await p.token());
        client.socket.pause();
        for (let i = 0; i < 400; i++) client.send(query("select repeat('z', 250000)"));
        await pause(1_500);
        const [session] = p.gateway.sessions.values();
        expect(session?.counters.bytesOut).toBeLessThan(30_000_000);
        (client.socket as net.Socket).resetAndDestroy();
        await eventually(() => p.gateway.sessions.size === 0);
      } finally {
        await p.stop();
      }
    }
  });

  it("a client that reads slowly gets exactly what the server sent", { timeout: 60_000 }, async () => {
    for (const durability of ["process", "strict"] as const) {
      const p = await startTestPostern({ ...options, audit: { durability } });
      try {
        const client = await rawLogin(p, await p.token());
        client.socket.removeAllListeners("data");
        client.socket.pause();
        const hash = createHash("sha256");
        let rest = Buffer.alloc(0);
        let rows = 0;
        const done = Promise.withResolvers<void>();
        client.socket.on("data", (chunk: Buffer) => {
          let data = Buffer.concat([rest, chunk]);
          while (data.length >= 5 && data.length > data.readInt32BE(1)) {
            const end = 1 + data.readInt32BE(1);
            if (data[0] === 0x44) {
              hash.update(data.subarray(11, end));
              rows++;
            } else if (data[0] === 0x5a) done.resolve();
            data = data.subarray(end);
          }
          rest = data;
          // A rest now and then, so that the gateway's writes fill up and drain again and again.
          if (rows % 7 === 0) {
            client.socket.pause();
            setTimeout(() => client.socket.resume(), 1);
          }
        });
        client.socket.resume();
        client.send(
          query("select repeat(md5(g::text), 1 + (g * 7919) % 400) from generate_series(1, 6000) g"),
        );
        await done.promise;
        const [want] = await cluster.query(
          dbname,
          "select encode(sha256(string_agg(repeat(md5(g::text), 1 + (g * 7919) % 400), '' order by g)::bytea), 'hex') as h from generate_series(1, 6000) g",
        );
        expect(rows).toBe(6000);
        expect(hash.digest("hex")).toBe(want?.h);
        client.socket.destroy();
      } finally {
        await p.stop();
      }
    }
  });

  it("one byte at a time behind a statement that is waited for: bounded", { timeout: 60_000 }, async () => {
    const client = await rawLogin(postern, await postern.token());
    client.send(query("select pg_sleep(2); prepare x as select 1"));
    await busy("pg_sleep(2)");
    const data = copyData("x".repeat(400_000));
    for (let i = 0; i < 20_000 && client.socket.writableLength < 1_000; i++) {
      client.socket.write(data.subarray(i, i + 1));
      if (i % 4 === 0) await new Promise(setImmediate);
    }
    (client.socket as net.Socket).resetAndDestroy();
    await eventually(() => postern.gateway.sessions.size === 0);
  });

  it("names without end are refused, by whatever way they are made", { timeout: 180_000 }, async () => {
    const client = await rawLogin(postern, await postern.token());
    const text = "p".repeat(1_000_000);
    client.send(query("begin"));
    await client.ready();
    for (const make of [
      (i: number) => query(`prepare s${i} as select '${text}'`),
      (i: number) => query(`declare c${i} cursor for select '${text}'`),
      (i: number) =>
        Buffer.concat([parse("", "select $1::text"), bind(`p${i}`, "", ["q".repeat(900_000)]), sync]),
    ]) {
      let refused = false;
      for (let i = 0; i < 90 && !refused; i++) {
        client.send(make(i));
        const got = await client.ready();
        const error = got.find((m) => m.type === "E");
        if (error === undefined) continue;
        expect(field(error, "C")).toBe("54000");
        refused = true;
      }
      expect(refused).toBe(true);
      client.send(query("rollback; discard all"));
      await client.ready();
      client.send(query("rollback"), query("discard all"), query("begin"));
      for (let i = 0; i < 3; i++) await client.ready();
    }
    await client.end();
  });
});

describe("a log that gives out", () => {
  const broken = async (breakIt: (audit: AuditLog) => void, send: Buffer[]): Promise<string[]> => {
    const p = await startTestPostern(options);
    const { audit } = p;
    const whole = { intent: audit.intent, outcome: audit.outcome, whenSafe: audit.whenSafe };
    try {
      const client = await rawLogin(p, await p.token());
      client.send(query("begin; insert into t values (5)"));
      await client.ready();
      breakIt(audit);
      client.send(...send);
      const error = (await client.until((m) => m.type === "E")).at(-1);
      if (field(error, "S") === "FATAL") await client.until(() => false);
      else {
        client.send(sync, query("commit"));
        await client.until((m) => m.type === "E" || (m.type === "Z" && m.body.toString() === "I"));
        client.socket.destroy();
      }
      await eventually(() => p.gateway.sessions.size === 0);
      return [String(field(error, "C")), String(field(error, "M"))];
    } finally {
      Object.assign(audit, whole);
      await p.stop();
      expect(await count("a = 5")).toBe(0);
    }
  };
  const insert = "insert into t values (5)";
  const extended = [parse("", insert), bind("", ""), execute(""), sync];
  const down = new AuditUnavailable("disk full at /secret/place");

  it.each([
    ["Query", [query(insert)]],
    ["Execute", extended],
    ["a large text", [query(large(insert))]],
  ])("intent() throws: %s", async (_, send) => {
    const [code, message] = await broken((audit) => {
      audit.intent = () => {
        throw down;
      };
    }, send);
    expect(code).toBe("58030");
    expect(message).not.toContain("secret");
  });

  it.each([
    ["Query", [query(insert)]],
    // A Parse does nothing and leaves no record: it is the Execute that cannot be told of.
    ["Execute", extended],
    ["Execute of a large Parse", [parse("", large(insert)), bind("", ""), execute(""), sync]],
    ["Execute behind Flush", [parse("", insert), flush, bind("", ""), execute(""), flush]],
  ])("statement() throws: %s", async (_, send) => {
    const [code, message] = await broken((audit) => {
      audit.statement = () => {
        throw down;
      };
    }, send);
    expect(code).toBe("58030");
    expect(message).not.toContain("secret");
  });

  it("outcome() gives -1", async () => {
    const lost = (audit: AuditLog) => {
      audit.outcome = () => -1;
    };
    expect((await broken(lost, [query(insert)]))[0]).toBe("58030");
  });

  it("whenSafe() calls auditFailed", async () => {
    const fails = (audit: AuditLog) => {
      audit.whenSafe = (_, waiter) => void setImmediate(() => waiter.auditFailed(down));
    };
    expect((await broken(fails, [query(insert)]))[0]).toBe("58030");
    expect((await broken(fails, extended))[0]).toBe("58030");
  });
});

describe("a hostile server", () => {
  it("rows of impossible length end the session at once", async () => {
    const row = (type: string, length: number) => {
      const header = Buffer.from([type.charCodeAt(0), 0, 0, 0, 0, 0]);
      header.writeInt32BE(length, 1);
      return header;
    };
    for (const bad of [row("D", 0x7fffffff), row("d", 0x7fffffff), row("D", 0x3fffffff), row("D", 5)]) {
      const server = await fakeServer((socket) => {
        socket.once("data", () => {
          socket.write(
            Buffer.concat([
              encodeAuthenticationOk(),
              encodeBackendKeyData(1, Buffer.from([0, 0, 0, 2])),
              encodeReadyForQuery("I"),
            ]),
          );
          socket.on("data", () => socket.write(bad));
        });
      });
      const p = await startTestPostern({
        server: { host: "127.0.0.1", port: server.port, user: "login", password: "password" },
        dbname: "db",
      });
      try {
        const client = await rawLogin(p, await p.token());
        client.send(query("select 1"));
        const error = (await client.until((m) => m.type === "E")).at(-1);
        expect(field(error, "C")).toBe("08P01");
        expect((await lastSession(p)).map((o) => o.status)).toEqual(["unknown"]);
      } finally {
        await p.stop();
        await server.close();
      }
    }
  });

  it("rows and results that nobody asked for end the session, and name no address", {
    timeout: 60_000,
  }, async () => {
    const message = (type: string, body: Buffer) => {
      const header = Buffer.from([type.charCodeAt(0), 0, 0, 0, 0]);
      header.writeInt32BE(body.length + 4, 1);
      return Buffer.concat([header, body]);
    };
    const ready = message("Z", Buffer.from("I"));
    for (const bad of [
      message("D", Buffer.from([0, 0])),
      message("V", Buffer.from([0, 0, 0, 0])),
      message("C", Buffer.from("SELECT 1\0")),
      message("Z", Buffer.from("I")),
      message("1", Buffer.alloc(0)),
      message("R", Buffer.from([0, 0, 0, 3])),
    ]) {
      const server = await fakeServer((socket) => {
        socket.once("data", () => {
          socket.write(
            Buffer.concat([
              message("R", Buffer.from([0, 0, 0, 0])),
              message("K", Buffer.from([0, 0, 0, 1, 0, 0, 0, 2])),
              ready,
            ]),
          );
          setTimeout(() => socket.write(bad), 100);
        });
      });
      const p = await startTestPostern({
        server: { host: "127.0.0.1", port: server.port, user: "secretlogin", password: "secretpassword" },
        dbname: "secretdb",
      });
      try {
        const client = await rawLogin(p, await p.token());
        const error = (await client.until((m) => m.type === "E")).at(-1);
        expect(field(error, "C")).toBe("08P01");
        const text = client.messages.map((m) => m.body.toString("latin1")).join();
        expect(text).not.toMatch(new RegExp(`secret|${server.port}`));
        await client.until(() => false);
      } finally {
        await p.stop();
        await server.close();
      }
    }
  });
});
