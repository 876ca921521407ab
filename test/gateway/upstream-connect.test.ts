import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { UpstreamConnection } from "../../src/gateway/ports.ts";
import { cancelUpstream, connectUpstream } from "../../src/gateway/upstream/connect.ts";
import { decodeErrorFields, encodeQuery } from "../../src/protocol/index.ts";
import { binaries } from "../support/binaries.ts";
import { type Cluster, freePort, startCluster } from "../support/cluster.ts";
import { ask, databaseAt, expectNeutral, failureOf, loginAs } from "../support/upstream.ts";

const { major } = await binaries();

let cluster: Cluster;
const none = new Map<string, string>();
const options = { timeoutMs: 10_000 };
const open: UpstreamConnection[] = [];

async function connected(promise: Promise<UpstreamConnection>): Promise<UpstreamConnection> {
  const connection = await promise;
  open.push(connection);
  return connection;
}

beforeAll(async () => {
  cluster = await startCluster({
    hba: [
      "host all app_trust 127.0.0.1/32 trust",
      "host all app_md5 127.0.0.1/32 md5",
      "host all app_plain 127.0.0.1/32 password",
      "host replication app_repl 127.0.0.1/32 scram-sha-256",
      "host all app_nobody 127.0.0.1/32 reject",
      "local all app_peer peer",
      "host all all 127.0.0.1/32 scram-sha-256",
      "local all all scram-sha-256",
    ],
  });
  await cluster.query(
    "postgres",
    `create role app_scram login password 'hunter2-scram';
     create role app_unicode login password 'pä\u00adss\u00a0wörd'; create role app_plain login password 'hunter2-plain';
     create role app_trust login; create role app_nobody login password 'hunter2-nobody';
     create role app_peer login; create role app_repl login replication password 'hunter2-repl';
     create role app_one login password 'hunter2-one' connection limit 1;
     set password_encryption = md5; create role app_md5 login password 'hunter2-md5';`,
  );
  await cluster.createDatabase("noisy");
  await cluster.createDatabase("locked");
  await cluster.query("postgres", "revoke connect on database locked from public");
  if (major >= 17)
    await cluster.query(
      "noisy",
      `create function greet() returns event_trigger language plpgsql as $$ begin raise notice 'welcome'; end $$;
     create event trigger greet on login execute function greet();
     alter event trigger greet enable always;`,
    );
});

afterAll(async () => {
  for (const { socket } of open) socket.destroy();
  await cluster?.stop();
});

test.each([
  ["SCRAM", "app_scram", "hunter2-scram"],
  ["SCRAM with a password that SASLprep changes", "app_unicode", "pä\u00adss\u00a0wörd"],
  ["MD5", "app_md5", "hunter2-md5"],
  ["cleartext on loopback", "app_plain", "hunter2-plain"],
  ["trust", "app_trust", null],
  ["trust although a password is set, on loopback", "app_trust", "unused"],
])("logs in with %s", async (_what, user, password) => {
  const connection = await connected(
    connectUpstream(databaseAt(cluster), loginAs(user, password), none, options),
  );
  expect(connection.pid).toBeGreaterThan(0);
  expect(connection.key).toHaveLength(4);
  expect(connection.version).toMatch(new RegExp(`^${major}\\.`));
  expect(connection.parameters.get("session_authorization")).toBe(user);
  expect(connection.notices).toEqual([]);
  expect((await ask(connection, "select pg_backend_pid(), current_user")).rows).toEqual([
    [String(connection.pid), user],
  ]);
});

test("hands on the socket paused and without listeners", async () => {
  const { socket } = await connected(
    connectUpstream(databaseAt(cluster), loginAs("app_scram", "hunter2-scram"), none, options),
  );
  expect(socket.isPaused()).toBe(true);
  expect(socket.readableLength).toBe(0);
  expect(socket.listenerCount("data")).toBe(0);
  expect(socket.listenerCount("close")).toBe(0);
  expect(socket.listenerCount("error")).toBe(1);
  expect(socket.emit("error", new Error("guarded"))).toBe(true);
});

test("sends the start-up settings, and they are what RESET goes back to", async () => {
  const settings = new Map([
    ["application_name", "postern:a"],
    ["DateStyle", "German"],
    ["postern.subject", 'agent "ä" \\ 1'],
  ]);
  const connection = await connected(
    connectUpstream(databaseAt(cluster), loginAs("app_scram", "hunter2-scram"), settings, options),
  );
  expect(connection.parameters.get("application_name")).toBe("postern:a");
  expect(connection.parameters.get("DateStyle")).toBe("German, DMY");
  await ask(connection, "set datestyle = iso; set postern.subject = 'other'");
  await ask(connection, "discard all");
  const { rows } = await ask(
    connection,
    "select current_setting('datestyle'), current_setting('postern.subject')",
  );
  expect(rows).toEqual([["German, DMY", 'agent "ä" \\ 1']]);
});

test("connects over a Unix socket, whatever the TLS mode says", async () => {
  const database = databaseAt({ host: cluster.socketDir, port: cluster.port, tls: { mode: "verify-full" } });
  const connection = await connected(
    connectUpstream(database, loginAs("app_scram", "hunter2-scram"), none, options),
  );
  expect((await ask(connection, "select inet_server_addr()")).rows).toEqual([[null]]);
});

// Event triggers on login came with PostgreSQL 17.
test.runIf(major >= 17)("keeps the notices of the start-up, as they were sent", async () => {
  const connection = await connected(
    connectUpstream(
      databaseAt({ port: cluster.port, dbname: "noisy" }),
      loginAs("app_scram", "hunter2-scram"),
      none,
      options,
    ),
  );
  expect(connection.notices).toHaveLength(1);
  const [notice = Buffer.alloc(0)] = connection.notices;
  expect(notice.readInt32BE(1)).toBe(notice.length - 1);
  expect(notice[0]).toBe(0x4e);
  expect(decodeErrorFields(notice.subarray(5)).get("M")).toBe("welcome");
});

test("opens replication connections", async () => {
  const login = loginAs("app_repl", "hunter2-repl");
  const connection = await connected(
    connectUpstream(databaseAt(cluster), login, none, { ...options, replication: "physical" }),
  );
  expect((await ask(connection, "IDENTIFY_SYSTEM")).tag).toBe("IDENTIFY_SYSTEM");
  const logical = await connected(
    connectUpstream(databaseAt(cluster), login, none, { ...options, replication: "database" }),
  );
  expect((await ask(logical, "select 1")).rows).toEqual([["1"]]);
});

const refused: readonly [
  what: string,
  user: string,
  password: string | null,
  dbname: string,
  state: string,
][] = [
  ["a wrong password", "app_scram", "wrong-secret", "postgres", "28P01"],
  ["a wrong password (MD5)", "app_md5", "wrong-secret", "postgres", "28P01"],
  ["a wrong password (cleartext)", "app_plain", "wrong-secret", "postgres", "28P01"],
  ["an unknown login", "app_missing", "wrong-secret", "postgres", "28P01"],
  ["an unknown database", "app_scram", "hunter2-scram", "missing_db", "3D000"],
  ["no CONNECT privilege", "app_scram", "hunter2-scram", "locked", "42501"],
  ["a rejecting pg_hba.conf", "app_nobody", "hunter2-nobody", "postgres", "28000"],
];
test.each(refused)(
  "a refused login says nothing to the client: %s",
  async (_what, user, password, dbname, state) => {
    const error = await failureOf(
      connectUpstream(databaseAt({ port: cluster.port, dbname }), loginAs(user, password), none, options),
    );
    expect(error.sqlstate).toBe("58000");
    expect(error.clientMessage).toBe(
      `the database refused the gateway's login; the operator finds the cause in the gateway's log under ${error.reference}`,
    );
    expect(error.cause).toContain(state);
    expect(error.cause).toContain(error.reference);
    expectNeutral(error, "127.0.0.1", cluster.port, user, password ?? user, dbname);
  },
);

test("a refused login over a Unix socket says nothing to the client", async () => {
  const database = databaseAt({ host: cluster.socketDir, port: cluster.port });
  const error = await failureOf(connectUpstream(database, loginAs("app_peer", "x-secret"), none, options));
  expect(error.sqlstate).toBe("58000");
  expectNeutral(error, cluster.socketDir, cluster.port, "app_peer", "x-secret");
});

test("a server that wants a password where none is set, or an unreadable one", async () => {
  const missing = await failureOf(
    connectUpstream(databaseAt(cluster), loginAs("app_scram", null), none, options),
  );
  expect(missing.sqlstate).toBe("58000");
  expect(missing.cause).toContain("none is configured");
  const login = {
    ...loginAs("app_scram", null),
    password: { label: "file /run/secrets/x", read: () => Promise.reject(new Error("top-secret text")) },
  };
  const unreadable = await failureOf(connectUpstream(databaseAt(cluster), login, none, options));
  expect(unreadable.cause).toContain("file /run/secrets/x");
  expectNeutral(unreadable, "top-secret", "app_scram");
  for (const text of ["", "a\0b"]) {
    const unusable = await failureOf(
      connectUpstream(databaseAt(cluster), loginAs("app_plain", text), none, options),
    );
    expect(unusable.cause).toContain("not usable");
  }
});

test("start-up settings that PostgreSQL refuses are named, by the client's own word only", async () => {
  const login = loginAs("app_scram", "hunter2-scram");
  const bad = await failureOf(
    connectUpstream(databaseAt(cluster), login, new Map([["timezone", "Nowhere/Land"]]), options),
  );
  expect(bad.sqlstate).toBe("22023");
  expect(bad.clientMessage).toBe('the database refused the startup setting "timezone"');
  expectNeutral(bad, "Nowhere", "app_scram");
  const unknown = await failureOf(
    connectUpstream(databaseAt(cluster), login, new Map([["no_such", "1"]]), options),
  );
  expect(unknown.sqlstate).toBe("42704");
  const forbidden = await failureOf(
    connectUpstream(databaseAt(cluster), login, new Map([["log_statement", "none"]]), options),
  );
  expect(forbidden.sqlstate).toBe("42501");
  expect(forbidden.clientMessage).toContain('"log_statement"');
});

test("start-up settings that cannot be sent are refused before anything is", async () => {
  const login = loginAs("app_scram", "hunter2-scram");
  const database = databaseAt({ port: await freePort() });
  const long = await failureOf(
    connectUpstream(database, login, new Map([["a", "x".repeat(10_000)]]), options),
  );
  expect(long.sqlstate).toBe("54000");
  for (const [name, value] of [
    ["user", "postgres"],
    ["DATABASE", "other"],
    ["replication", "true"],
    ["options", "-c role=postgres"],
    ["_pq_.x", "1"],
    ["a", "x\0role\0postgres"],
    ["", "x"],
  ] as const) {
    const error = await failureOf(connectUpstream(database, login, new Map([[name, value]]), options));
    expect(error.sqlstate, name).toBe("08P01");
  }
});

test("nobody listens: refused port, missing socket, unknown host", async () => {
  const port = await freePort();
  const login = loginAs("app_scram", "hunter2-scram");
  const closed = await failureOf(connectUpstream(databaseAt({ port }), login, none, options));
  expect(closed.sqlstate).toBe("08001");
  expect(closed.cause).toContain("ECONNREFUSED");
  expectNeutral(closed, "127.0.0.1", port, "app_scram", "hunter2");
  const missing = await failureOf(
    connectUpstream(databaseAt({ host: "/nonexistent/pg", port }), login, none, options),
  );
  expect(missing.sqlstate).toBe("08001");
  expectNeutral(missing, "nonexistent", port);
  const unknown = await failureOf(
    connectUpstream(databaseAt({ host: "db.postern.invalid", port }), login, none, options),
  );
  expect(unknown.sqlstate).toBe("08001");
  expectNeutral(unknown, "postern.invalid", port);
});

test("too many connections keeps its code, without the role", async () => {
  const login = loginAs("app_one", "hunter2-one");
  await connected(connectUpstream(databaseAt(cluster), login, none, options));
  const error = await failureOf(connectUpstream(databaseAt(cluster), login, none, options));
  expect(error.sqlstate).toBe("53300");
  expectNeutral(error, "app_one", "role");
});

test("an aborted attempt ends at once and an aborted signal begins none", async () => {
  const login = loginAs("app_scram", "hunter2-scram");
  const controller = new AbortController();
  const reading = Promise.withResolvers<string>();
  const slow = {
    ...login,
    password: {
      label: "command x",
      read: () => {
        controller.abort();
        return reading.promise;
      },
    },
  };
  const error = await failureOf(
    connectUpstream(databaseAt(cluster), slow, none, { ...options, signal: controller.signal }),
  );
  expect(error.cause).toContain("given up");
  reading.resolve("hunter2-scram");
  await failureOf(
    connectUpstream(databaseAt(cluster), login, none, { ...options, signal: controller.signal }),
  );
});

test("cancelUpstream ends what the backend runs, and nothing else", async () => {
  const database = databaseAt(cluster);
  const connection = await connected(
    connectUpstream(database, loginAs("app_scram", "hunter2-scram"), none, options),
  );
  const sleeping = ask(connection, "select pg_sleep(600)");
  const wrong = Buffer.from(connection.key.map((byte) => byte ^ 0xff));
  await running(connection.pid);
  await cancelUpstream(database, connection.pid, wrong, 5_000);
  expect((await cluster.query("postgres", stateOf, [connection.pid]))[0]).toEqual({ state: "active" });
  await cancelUpstream(database, connection.pid, connection.key, 5_000);
  expect((await sleeping).sqlstate).toBe("57014");
  expect((await ask(connection, "select 1")).rows).toEqual([["1"]]);
});

test("cancelUpstream never rejects", async () => {
  await cancelUpstream(databaseAt({ port: await freePort() }), 1, Buffer.alloc(4), 1_000);
  await cancelUpstream(databaseAt(cluster), 1, Buffer.alloc(2), 1_000);
  await cancelUpstream(
    databaseAt({ port: cluster.port, tls: { mode: "require" } }),
    1,
    Buffer.alloc(4),
    1_000,
  );
});

const stateOf = "select state from pg_stat_activity where pid = $1";

async function running(pid: number): Promise<void> {
  for (;;) {
    const [row] = await cluster.query("postgres", stateOf, [pid]);
    if (row?.state === "active") return;
  }
}

test("a server that starts or stops keeps 57P03, one that is gone is unreachable", async () => {
  const own = await startCluster({ conf: { hot_standby: "off" } });
  try {
    const database = databaseAt(own);
    const login = loginAs("postgres", own.password);
    const client = new pg.Client(own.url());
    client.on("error", () => undefined);
    await client.connect();
    const open = await connectUpstream(database, login, none, options);
    await own.halt("smart");
    let stopping = await outcome(database, login);
    // The signal takes its time to be seen.
    while (stopping === "connected") stopping = await outcome(database, login);
    expect(stopping).toBe("57P03");
    const ended = once(open.socket.resume(), "end");
    await own.halt("fast");
    await ended;
    open.socket.destroy();
    expect(await outcome(database, login)).toBe("08001");
    // A standby without hot_standby stays in "the database system is starting up" or "not accepting connections".
    await writeFile(join(own.dataDir, "standby.signal"), "");
    await own.resume({ wait: false });
    let starting = await outcome(database, login);
    while (starting === "08001") starting = await outcome(database, login);
    expect(starting).toBe("57P03");
  } finally {
    await own.stop();
  }
});

async function outcome(
  database: ReturnType<typeof databaseAt>,
  login: ReturnType<typeof loginAs>,
): Promise<string> {
  try {
    const { socket } = await connectUpstream(database, login, none, options);
    socket.destroy();
    return "connected";
  } catch (error) {
    return (error as { sqlstate: string }).sqlstate;
  }
}

test("a backend that is killed ends the connection, not the process", async () => {
  const { socket, pid } = await connected(
    connectUpstream(databaseAt(cluster), loginAs("app_scram", "hunter2-scram"), none, options),
  );
  await cluster.query("postgres", "select pg_terminate_backend($1)", [pid]);
  socket.resume();
  await once(socket, "end");
  socket.write(encodeQuery("select 1"));
  socket.destroy();
});
