import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { selfSigned } from "../support/certificates.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestIdp, type TestIdp } from "../support/idp.ts";
import { readLeaves } from "../support/postern.ts";
import { folder, postern, type Started, startPostern } from "./support.ts";

let server: Database;
let name: string;
let idp: TestIdp;
let dir: ReturnType<typeof folder>;
let started: Started[] = [];
let folders: ReturnType<typeof folder>[] = [];

beforeAll(async () => {
  server = await sharedCluster();
  name = await server.createDatabase();
  idp = await startTestIdp();
});
afterAll(async () => {
  await server.dropDatabase(name);
  await idp.close();
});
afterEach(async () => {
  for (const { child, ended } of started) {
    if (child.exitCode === null) child.kill("SIGKILL");
    await ended;
  }
  started = [];
  for (const made of folders) made.remove();
  folders = [];
});

/** A folder that is gone after the test, however it ends. */
function own(): ReturnType<typeof folder> {
  const made = folder();
  folders.push(made);
  return made;
}

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

interface Serving extends Started {
  readonly postgres: number;
  readonly http: string;
  lines(): Line[];
  logged(msg: RegExp, count?: number): Promise<Line>;
}

function config(options: { more?: string; audience?: string; listen?: string } = {}): string {
  return `version: 1
listen: ${options.listen ?? "{ postgres: 127.0.0.1:0, http: 127.0.0.1:0 }"}
identity: { providers: [{ name: corp, type: oidc, issuer: "${idp.issuer}", audience: ${options.audience ?? "postern"} }] }
databases:
  - name: shop
    server: { host: "${server.host}", port: ${server.port}, dbname: ${name} }
    logins: [{ groups: [agents], user: ${server.superuser}, password: { env: UPSTREAM_PASSWORD } }]
audit: { dir: audit, node: gw, durability: process }
${options.more ?? ""}`;
}

function run(env: NodeJS.ProcessEnv = {}): Started {
  const process = startPostern(["serve"], {
    cwd: dir.path,
    env: { UPSTREAM_PASSWORD: server.password, ...env },
  });
  started.push(process);
  return process;
}

async function serve(text: string, env: NodeJS.ProcessEnv = {}): Promise<Serving> {
  dir = own();
  dir.write("postern.yaml", text);
  const process = run(env);
  await process.printed(/"msg":"listening for HTTP"/);
  const lines = () =>
    process
      .stdout()
      .split("\n")
      .slice(0, -1)
      .map((line): Line => JSON.parse(line));
  const address = (msg: string) => String(lines().find((line) => line.msg === msg)?.address);
  return {
    ...process,
    postgres: Number(address("listening for PostgreSQL clients").split(":").at(-1)),
    http: address("listening for HTTP"),
    lines,
    async logged(msg, count = 1) {
      const matching = () => lines().filter((line) => msg.test(line.msg));
      const pattern = new RegExp(`(?:"msg":"[^"]*${msg.source}[\\s\\S]*){${count}}`);
      await process.printed(pattern);
      const line = matching().at(-1);
      if (line === undefined) throw new Error(`no line ${msg}`);
      return line;
    },
  };
}

async function client(port: number, token: string): Promise<pg.Client> {
  const connection = new pg.Client({
    host: "127.0.0.1",
    port,
    user: "me",
    password: token,
    database: "shop",
  });
  connection.on("error", () => {});
  await connection.connect();
  return connection;
}

function metric(text: string, name: string): number {
  return Number(new RegExp(`^${name.replace(/[{}"]/g, "\\$&")} (\\S+)$`, "m").exec(text)?.[1]);
}

describe("postern serve", () => {
  test("serves clients, health and metrics; SIGTERM drains and closes the log", async () => {
    const serving = await serve(config());
    const health = await fetch(`http://${serving.http}/healthz`);
    const ready = await fetch(`http://${serving.http}/readyz`);
    expect([health.status, ready.status]).toEqual([200, 200]);

    const agent = await client(serving.postgres, await idp.mint());
    expect((await agent.query("select 6 * 7 as answer")).rows).toEqual([{ answer: 42 }]);
    await expect(agent.query("select 1 / 0")).rejects.toMatchObject({ code: "22012" });
    await expect(client(serving.postgres, "not a token")).rejects.toThrow();
    const metrics = await (await fetch(`http://${serving.http}/metrics`)).text();
    expect(metric(metrics, "postern_sessions")).toBe(1);
    expect(metric(metrics, "postern_sessions_total")).toBe(1);
    expect(metric(metrics, "postern_statements_total")).toBe(2);
    expect(metric(metrics, "postern_statements_failed_total")).toBe(1);
    expect(metric(metrics, "postern_auth_failures_total")).toBe(1);
    expect(metric(metrics, "postern_audit_failed")).toBe(0);
    expect(metric(metrics, "postern_audit_records")).toBeGreaterThanOrEqual(7);
    expect(metric(metrics, "postern_audit_index_lag_records")).toBeGreaterThanOrEqual(0);
    expect(metric(metrics, "postern_audit_index_failing")).toBe(0);
    expect(metric(metrics, "postern_audit_captured_results_total")).toBe(0);
    expect(metrics).toContain("# TYPE postern_audit_export_lag_records gauge");
    expect(metric(metrics, 'postern_tokens_total{result="verified"}')).toBe(1);
    expect(metric(metrics, 'postern_client_bytes_total{direction="in"}')).toBeGreaterThan(0);
    await agent.end();

    serving.child.kill("SIGTERM");
    const { code, stdout, stderr } = await serving.ended;
    expect([code, stderr]).toEqual([0, ""]);
    expect(serving.lines().at(-1)?.msg).toBe("stopped");
    // Neither secrets nor where the database is.
    expect(stdout).not.toContain(server.password);
    expect(stdout).not.toContain(`${server.port}`);
    const types = readLeaves(join(dir.path, "audit")).map((leaf) => leaf.type);
    expect(types.slice(0, 2)).toEqual(["log.opened", "config.changed"]);
    expect(types.at(-1)).toBe("log.closed");
    expect(types).toContain("auth.failed");
    const [changed] = readLeaves(join(dir.path, "audit")).filter((leaf) => leaf.type === "config.changed");
    expect(changed).toMatchObject({
      digest: serving.lines().find((line) => line.msg === "Postern is up")?.digest,
      previous: null,
    });
    // The log anchor: the last checkpoint stands in the gateway's own log.
    const anchored = serving.lines().filter((line) => line.msg === "audit checkpoint");
    expect(anchored.at(-1)?.checkpoint).toBe(readFileSync(join(dir.path, "audit/gw/0/checkpoint"), "utf8"));
  });

  test("SIGHUP: an invalid file keeps the old configuration and says so, line by line", async () => {
    const serving = await serve(config());
    dir.write("postern.yaml", `${config()}polcy: x\n`);
    serving.child.kill("SIGHUP");
    const refused = await serving.logged(/NOT reloaded/);
    expect(refused.level).toBe("error");
    expect(
      serving
        .lines()
        .some(
          (line) =>
            line.level === "error" && line.msg.startsWith("postern.yaml:9:1 polcy: is not a known key"),
        ),
    ).toBe(true);
    // A condition that does not compile is found later, and changes as little.
    dir.write(
      "postern.yaml",
      config().replace("audience: postern", "audience: postern, kinds: [{ kind: human, when: '1 +' }]"),
    );
    serving.child.kill("SIGHUP");
    await serving.logged(/NOT reloaded/, 2);
    expect(
      serving
        .lines()
        .some((line) => /^postern\.yaml:3:\d+ identity\.providers\[0\]\.kinds\[0\]\.when: /.test(line.msg)),
    ).toBe(true);
    const agent = await client(serving.postgres, await idp.mint());
    await agent.end();
    expect(serving.child.exitCode).toBeNull();
  });

  test("SIGHUP: identity comes into force at once, what needs a restart is named", async () => {
    const serving = await serve(config());
    const old = await client(serving.postgres, await idp.mint());
    dir.write(
      "postern.yaml",
      config({
        audience: "elsewhere",
        more: "limits: { connections: 7 }\nprotocol: { function_call: true }\n",
      }),
    );
    serving.child.kill("SIGHUP");
    const reloaded = await serving.logged(/configuration reloaded/);
    expect(reloaded.applied).toEqual(["identity"]);
    const waiting = await serving.logged(/restart Postern/);
    expect([waiting.level, waiting.waiting]).toEqual(["warn", ["protocol", "limits"]]);
    expect((await old.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await old.end();
    await expect(client(serving.postgres, await idp.mint())).rejects.toThrow();
    const agent = await client(serving.postgres, await idp.mint({ aud: "elsewhere" }));
    await agent.end();
    const changes = readLeaves(join(dir.path, "audit")).filter((leaf) => leaf.type === "config.changed");
    expect(changes).toMatchObject([
      {},
      {
        digest: reloaded.digest,
        previous: serving.lines().find((line) => line.msg === "Postern is up")?.digest,
        applied: ["identity"],
        waiting: ["protocol", "limits"],
      },
    ]);
  });

  test("SIGHUP: a changed policy is in force at once, and the log says so", async () => {
    const rules = "version: 1\ndefault: allow\n";
    const path = own();
    const file = path.write("policy.yaml", rules);
    const serving = await serve(config({ more: `policy: ${file}\n` }));
    const agent = await client(serving.postgres, await idp.mint());
    expect((await agent.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    path.write("policy.yaml", "version: 1\n");
    serving.child.kill("SIGHUP");
    expect((await serving.logged(/configuration reloaded/)).applied).toEqual(["policy"]);
    await expect(agent.query("select 1 as one")).rejects.toThrow(/policy/);
    await agent.end();
    const [, changed] = readLeaves(join(dir.path, "audit")).filter((leaf) => leaf.type === "config.changed");
    expect(changed).toMatchObject({ applied: ["policy"] });
  });

  test("SIGHUP: providers wait for a restart when the logins that name them change too", async () => {
    const serving = await serve(config());
    dir.write(
      "postern.yaml",
      config({ audience: "elsewhere" }).replace("groups: [agents]", "groups: [agents, more]"),
    );
    serving.child.kill("SIGHUP");
    const waiting = await serving.logged(/restart Postern/);
    expect(waiting.waiting).toEqual(["databases", "identity"]);
    const agent = await client(serving.postgres, await idp.mint());
    await agent.end();
  });

  test("SIGHUP: a new certificate serves new connections, on both listeners", async () => {
    const first = selfSigned();
    const second = selfSigned();
    const text = config({ more: "tls: { cert: gw.crt, key: gw.key }\n" });
    const path = own();
    const write = (pair: { cert: string; key: string }) => {
      path.write("gw.crt", pair.cert);
      path.write("gw.key", pair.key);
    };
    write(first);
    const serving = await serve(
      text.replace("gw.crt", join(path.path, "gw.crt")).replace("gw.key", join(path.path, "gw.key")),
    );
    const httpsPort = Number(serving.http.split(":").at(-1));
    expect(await fingerprint(httpsPort, [])).toBe(fingerprintOf(first.cert));
    expect(await fingerprint(serving.postgres, ["postgresql"])).toBe(fingerprintOf(first.cert));
    write(second);
    serving.child.kill("SIGHUP");
    expect((await serving.logged(/configuration reloaded/)).applied).toEqual(["tls"]);
    expect(await fingerprint(httpsPort, [])).toBe(fingerprintOf(second.cert));
    expect(await fingerprint(serving.postgres, ["postgresql"])).toBe(fingerprintOf(second.cert));
  });

  test("SIGTERM waits for a running transaction; /readyz says no meanwhile; a second signal ends at once", async () => {
    const serving = await serve(config());
    const agent = await client(serving.postgres, await idp.mint());
    await agent.query("begin");
    serving.child.kill("SIGTERM");
    await serving.logged(/stopping: no new/);
    const ready = await fetch(`http://${serving.http}/readyz`);
    const answer: unknown = await ready.json();
    expect([ready.status, answer]).toEqual([
      503,
      { status: "not ready", checks: { audit: true, gateway: false, store: true } },
    ]);
    expect((await agent.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    serving.child.kill("SIGTERM");
    const { code } = await serving.ended;
    expect(code).toBe(1);
    expect(serving.lines().at(-1)?.msg).toContain("second signal");
    await agent.end().catch(() => {});
  });

  test("an unexpected error ends the process with 1, the log closed", async () => {
    const bomb = "data:text/javascript,process.on('SIGUSR2', () => { Promise.reject(new Error('boom')); })";
    const serving = await serve(config(), { NODE_OPTIONS: `--import "${bomb}"` });
    serving.child.kill("SIGUSR2");
    const { code } = await serving.ended;
    expect(code).toBe(1);
    expect(serving.lines().find((line) => line.level === "fatal")).toMatchObject({
      origin: "unhandledRejection",
      err: { message: "boom" },
    });
    expect(readLeaves(join(dir.path, "audit")).at(-1)?.type).toBe("log.closed");
  });

  test("what stands in the way of a start: another gateway's log, an address in use", async () => {
    const serving = await serve(config());
    const second = await run().ended;
    expect([second.code, second.stdout]).toEqual([1, ""]);
    expect(second.stderr).toMatch(/^postern serve: the audit log does not open \(AUDIT_LOCKED\): /);
    const other = own();
    other.write("postern.yaml", config({ listen: `{ postgres: "127.0.0.1:${serving.postgres}" }` }));
    const third = await postern(["serve"], { cwd: other.path, env: { UPSTREAM_PASSWORD: "x" } });
    expect([third.code, third.stderr]).toEqual([
      1,
      `postern serve: cannot listen on 127.0.0.1:${serving.postgres} (EADDRINUSE)\n`,
    ]);
    // What had been opened was closed again.
    expect(readLeaves(join(other.path, "audit")).map((leaf) => leaf.type)).toEqual([
      "log.opened",
      "config.changed",
      "log.closed",
    ]);
  });

  test("POSTERN_LOG sets the level", async () => {
    dir = own();
    dir.write("postern.yaml", config());
    const quiet = run({ POSTERN_LOG: "fatal" });
    const trail = join(dir.path, "audit");
    await expect
      .poll(() => safely(() => readLeaves(trail).length), { timeout: 10_000 })
      .toBeGreaterThanOrEqual(2);
    quiet.child.kill("SIGTERM");
    expect((await quiet.ended).stdout).toBe("");
  });
});

function safely(read: () => number): number {
  try {
    return read();
  } catch {
    return 0;
  }
}

/** SHA-256 of the certificate that a TLS server shows. */
function fingerprint(port: number, protocols: string[]): Promise<string> {
  return new Promise((done, fail) => {
    const socket = tlsConnect(
      { host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: protocols },
      () => {
        done(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
        socket.destroy();
      },
    );
    socket.on("error", fail);
  });
}

function fingerprintOf(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}
