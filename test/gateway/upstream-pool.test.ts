import { once } from "node:events";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { UpstreamConnection } from "../../src/gateway/ports.ts";
import { createUpstreamPool, type PoolOptions, type UpstreamPool } from "../../src/gateway/upstream/pool.ts";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeQuery,
  encodeReadyForQuery,
} from "../../src/protocol/index.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { ask, databaseAt, failureOf, fakeServer, loginAs, type Wanted } from "../support/upstream.ts";

let cluster: Cluster;
const pools: UpstreamPool[] = [];
const alice = loginAs("alice", "pw-alice");
const bob = loginAs("bob", "pw-bob");
const settings = new Map([["application_name", "postern:x"]]);
const options = { timeoutMs: 10_000 };

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.query(
    "postgres",
    "create role alice login password 'pw-alice'; create role bob login password 'pw-bob'; create role carol; grant carol to alice",
  );
});
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});
afterAll(() => cluster?.stop());

function poolOf(pool: Wanted["pool"] = {}, own: PoolOptions = {}): UpstreamPool {
  const made = createUpstreamPool(databaseAt({ port: cluster.port, pool }), own);
  pools.push(made);
  return made;
}

/** Waits until something holds; the test's own time limit is the end of patience. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function exists(pid: number): Promise<boolean> {
  return (await cluster.query("postgres", "select 1 from pg_stat_activity where pid = $1", [pid])).length > 0;
}

async function giveBack(pool: UpstreamPool, connection: UpstreamConnection): Promise<void> {
  pool.release(connection, true);
  await until(() => pool.stats.leaving === 0);
}

test("a released connection serves the next session with the same login and settings, and no other", async () => {
  const pool = poolOf();
  const first = await pool.acquire(alice, settings, options);
  await giveBack(pool, first);
  expect(pool.stats).toMatchObject({ total: 1, idle: 1, active: 0 });
  const again = await pool.acquire(alice, new Map(settings), options);
  expect(again.pid).toBe(first.pid);
  expect(again.parameters).toEqual(first.parameters);
  expect(again.notices).toEqual([]);
  expect(again.socket.isPaused()).toBe(true);
  expect(again.socket.listenerCount("data")).toBe(0);
  expect(again.socket.listenerCount("error")).toBe(1);
  expect((await ask(again, "select current_user, current_setting('application_name')")).rows).toEqual([
    ["alice", "postern:x"],
  ]);
  await giveBack(pool, again);
  for (const [login, map] of [
    [bob, settings],
    [alice, new Map()],
    [alice, new Map([["application_name", "postern:y"]])],
    [alice, new Map([...settings, ["DateStyle", "SQL"]])],
  ] as const) {
    const other = await pool.acquire(login, map, options);
    expect(other.pid).not.toBe(first.pid);
    pool.release(other, false);
  }
  expect(pool.stats).toMatchObject({ opened: 5, reused: 1 });
});

test("the order of settings does not matter, their borders do", async () => {
  const pool = poolOf();
  const one = await pool.acquire(
    alice,
    new Map([
      ["a.x", "1"],
      ["b.x", "2"],
    ]),
    options,
  );
  await giveBack(pool, one);
  const other = await pool.acquire(alice, new Map([["a.x", '1"],["b.x","2']]), options);
  expect(other.pid).not.toBe(one.pid);
  pool.release(other, false);
  const same = await pool.acquire(
    alice,
    new Map([
      ["b.x", "2"],
      ["a.x", "1"],
    ]),
    options,
  );
  expect(same.pid).toBe(one.pid);
  pool.release(same, false);
});

test("nothing of a session is left for the next one", async () => {
  const pool = poolOf();
  const first = await pool.acquire(alice, settings, options);
  for (const sql of [
    "create temp table secrets as select 'x' as secret",
    "set datestyle = german; set timezone = 'Asia/Tokyo'; set client_encoding = latin1; set my.own = '1'",
    "set application_name = 'other'; set standard_conforming_strings = off; set search_path = pg_temp",
    "prepare stolen as select 1",
    "declare c cursor with hold for select 1",
    "select pg_advisory_lock(42)",
    "listen gossip",
    "set role carol",
    "set statement_timeout = '1h'",
  ]) {
    expect((await ask(first, sql)).sqlstate, sql).toBe(null);
  }
  await giveBack(pool, first);
  const next = await pool.acquire(alice, settings, options);
  expect(next.pid).toBe(first.pid);
  const left = await ask(
    next,
    `select current_user, current_setting('datestyle'), current_setting('my.own', true) is distinct from '1',
       current_setting('application_name'), current_setting('statement_timeout'), to_regclass('pg_temp.secrets'),
       (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors),
       (select count(*) from pg_locks where locktype = 'advisory'), (select count(*) from pg_listening_channels())`,
  );
  expect(left.rows).toEqual([["alice", "ISO, MDY", "t", "postern:x", "0", null, "0", "0", "0", "0"]]);
  pool.release(next, false);
});

test("a connection that is not reusable is closed; so is every one where reset says close", async () => {
  const pool = poolOf();
  const dirty = await pool.acquire(alice, settings, options);
  await ask(dirty, "begin");
  pool.release(dirty, false);
  pool.release(dirty, true);
  await until(() => pool.stats.total === 0);
  await until(async () => !(await exists(dirty.pid)));
  const closing = poolOf({ reset: "close" });
  const clean = await closing.acquire(alice, settings, options);
  closing.release(clean, true);
  await until(() => closing.stats.total === 0);
  await until(async () => !(await exists(clean.pid)));
});

test("a connection that only claims to be clean is found out by its reset", async () => {
  const pool = poolOf();
  const inTransaction = await pool.acquire(alice, settings, options);
  await ask(inTransaction, "begin");
  await giveBack(pool, inTransaction);
  expect(pool.stats).toMatchObject({ total: 0, dropped: 1 });
  const answering = await pool.acquire(alice, settings, options);
  answering.socket.write(encodeQuery("select 1"));
  await giveBack(pool, answering);
  expect(pool.stats).toMatchObject({ total: 0, dropped: 2 });
});

test("a connection whose reset goes elsewhere than its start-up is not used again", async () => {
  const pool = poolOf();
  const first = await pool.acquire(alice, settings, options);
  // A reload in the middle of the session changes what RESET goes back to; the relay, not the pool, hears of it.
  await cluster.query("postgres", "alter system set intervalstyle = 'iso_8601'");
  await cluster.query("postgres", "select pg_reload_conf()");
  await until(async () => (await ask(first, "show intervalstyle")).rows[0]?.[0] === "iso_8601");
  await giveBack(pool, first);
  await cluster.query("postgres", "alter system reset intervalstyle");
  await cluster.query("postgres", "select pg_reload_conf()");
  expect(pool.stats).toMatchObject({ total: 0, dropped: 1 });
});

test("an idle connection that the server ends, or speaks on, is not handed out", async () => {
  const pool = poolOf();
  const first = await pool.acquire(alice, settings, options);
  await giveBack(pool, first);
  await cluster.query("postgres", "select pg_terminate_backend($1)", [first.pid]);
  await until(() => pool.stats.idle === 0);
  const second = await pool.acquire(alice, settings, options);
  expect(second.pid).not.toBe(first.pid);
  expect((await ask(second, "select 1")).rows).toEqual([["1"]]);
  await giveBack(pool, second);
  expect(pool.stats).toMatchObject({ total: 1, idle: 1, dropped: 1 });
});

test("sessions queue in order for a free connection, and no more are open than allowed", async () => {
  const pool = poolOf({ max: 1 });
  // With one connection the order of service is the order of the answers.
  const held = [await pool.acquire(alice, settings, options)];
  const order: number[] = [];
  const waiters = [alice, bob, alice, alice].map(async (login, n) => {
    const connection = await pool.acquire(login, settings, options);
    order.push(n);
    expect(pool.stats.total).toBeLessThanOrEqual(1);
    const { rows } = await ask(connection, "select current_user");
    expect(rows).toEqual([[login.user]]);
    const open = await cluster.query(
      "postgres",
      "select count(*)::int as n from pg_stat_activity where usename in ('alice', 'bob')",
    );
    // A backend may take a moment to go after its connection is closed.
    expect(open[0]?.n).toBeLessThanOrEqual(2);
    pool.release(connection, true);
  });
  expect(pool.stats).toMatchObject({ total: 1, active: 1, waiting: 4 });
  for (const connection of held) pool.release(connection, true);
  await Promise.all(waiters);
  expect(order).toEqual([0, 1, 2, 3]);
  expect(pool.stats.waiting).toBe(0);
});

test("an idle connection makes room for another login", async () => {
  const pool = poolOf({ max: 1 });
  const first = await pool.acquire(alice, settings, options);
  await giveBack(pool, first);
  const second = await pool.acquire(bob, settings, options);
  expect((await ask(second, "select current_user")).rows).toEqual([["bob"]]);
  expect(pool.stats).toMatchObject({ total: 1, active: 1, idle: 0 });
  pool.release(second, false);
});

test("who waits too long gets 53300, who goes away leaves the line", async () => {
  const pool = poolOf({ max: 1 });
  const held = await pool.acquire(alice, settings, options);
  const late = await failureOf(pool.acquire(alice, settings, { timeoutMs: 50 }));
  expect(late.sqlstate).toBe("53300");
  expect(late.clientMessage).toContain("too many connections");
  const controller = new AbortController();
  const gone = failureOf(pool.acquire(alice, settings, { ...options, signal: controller.signal }));
  const next = pool.acquire(alice, settings, options);
  controller.abort();
  expect((await gone).cause).toContain("given up");
  pool.release(held, true);
  expect((await next).pid).toBe(held.pid);
  expect(pool.stats.waiting).toBe(0);
  pool.release(await next, false);
});

test("a failed login frees its place and the next in line gets it", async () => {
  const pool = poolOf({ max: 1 });
  const wrong = failureOf(pool.acquire(loginAs("alice", "wrong"), settings, options));
  const right = pool.acquire(alice, settings, options);
  expect((await wrong).sqlstate).toBe("58000");
  expect((await ask(await right, "select 1")).rows).toEqual([["1"]]);
  pool.release(await right, false);
  await until(() => pool.stats.total === 0);
});

test("idle connections are closed in time, but for the floor of those used last", async () => {
  const pool = poolOf({ minIdle: 1 }, { idleMs: 40, keepMs: 100_000 });
  const [one, two] = [
    await pool.acquire(alice, settings, options),
    await pool.acquire(bob, settings, options),
  ];
  await giveBack(pool, one);
  await giveBack(pool, two);
  await until(() => pool.stats.total === 1);
  await until(async () => !(await exists(one.pid)));
  expect(await exists(two.pid)).toBe(true);
  const kept = await pool.acquire(bob, settings, options);
  expect(kept.pid).toBe(two.pid);
  pool.release(kept, false);
  // The floor holds for keys in use lately only.
  const forgetful = poolOf({ minIdle: 5 }, { idleMs: 20, keepMs: 60 });
  await giveBack(forgetful, await forgetful.acquire(alice, settings, options));
  await until(() => forgetful.stats.total === 0);
});

test("a changed password does not matter for open connections", async () => {
  const pool = poolOf();
  let password = "pw-alice";
  const rotating = { ...alice, password: { label: "file x", read: async () => password } };
  const first = await pool.acquire(rotating, settings, options);
  await giveBack(pool, first);
  password = "rotated";
  const second = await pool.acquire(rotating, settings, options);
  expect(second.pid).toBe(first.pid);
  pool.release(second, false);
});

test("close ends idle and waiting, and what is released later", async () => {
  const pool = poolOf({ max: 2 });
  const [one, two] = [
    await pool.acquire(alice, settings, options),
    await pool.acquire(alice, settings, options),
  ];
  await giveBack(pool, one);
  const third = await pool.acquire(alice, settings, options);
  await giveBack(pool, third);
  const waiting = [pool.acquire(alice, settings, options), pool.acquire(alice, settings, options)] as const;
  const refused = failureOf(waiting[1]);
  const reused = await waiting[0];
  await pool.close();
  expect((await refused).sqlstate).toBe("57P01");
  expect((await failureOf(pool.acquire(alice, settings, options))).sqlstate).toBe("57P01");
  pool.release(two, true);
  pool.release(reused, true);
  await until(() => pool.stats.total === 0);
  const silent = await fakeServer((socket) => void socket.resume());
  const stuck = createUpstreamPool(databaseAt(silent));
  const connecting = failureOf(stuck.acquire(alice, settings, { timeoutMs: 600_000 }));
  await stuck.close();
  expect((await connecting).sqlstate).toBe("08006");
  await silent.close();
  await until(async () => !(await exists(two.pid)) && !(await exists(one.pid)));
});

test("a server that answers a reset with silence, lies, or noise loses the connection", async () => {
  const hello = Buffer.concat([
    encodeAuthenticationOk(),
    encodeBackendKeyData(1, Buffer.alloc(4)),
    encodeReadyForQuery("I"),
  ]);
  const noise = [
    Buffer.alloc(0),
    encodeReadyForQuery("I"),
    Buffer.from("C\0\0\0\x10DISCARD ALL\0Z\0\0\0\x05E"),
    Buffer.from("rubbish that is no message"),
  ];
  for (const answer of noise) {
    const fake = await fakeServer((socket) => {
      socket.once("data", () => {
        socket.write(hello);
        socket.on("data", () => socket.write(answer));
      });
    });
    const pool = createUpstreamPool(databaseAt(fake), { resetMs: 100, closeMs: 100 });
    const connection = await pool.acquire(alice, settings, options);
    const closed = once(connection.socket, "close");
    pool.release(connection, true);
    await closed;
    await until(() => pool.stats.total === 0);
    expect(pool.stats.dropped).toBe(1);
    await pool.close();
    await fake.close();
  }
});
