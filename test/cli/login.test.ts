/** `postern login` and what it is good for, against the demo's identity provider and a gateway with TLS. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import pg from "pg";
import pino from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { loadConfig } from "../../src/config/index.ts";
import { type DemoIdp, startIdp } from "../../src/demo/idp.ts";
import { cliClient, consoleClient } from "../../src/demo/idp-clients.ts";
import { engineer } from "../../src/demo/people.ts";
import { type DemoState, freePort, openState } from "../../src/demo/state.ts";
import { Browser } from "../support/browser.ts";
import { createAuthority } from "../support/certificates.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { readLeaves } from "../support/postern.ts";
import { postern, type Started, startPostern } from "./support.ts";

// Every verb is a process of its own.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const folder = mkdtempSync(join(tmpdir(), "postern-login-"));
const home = join(folder, "home");
let cluster: Database;
let dbname: string;
let state: DemoState;
let idp: DemoIdp;
/** Over TLS, with a client of the command line's own. */
let secure: ComposedGateway;
let url: string;
/** Plain, on loopback: the command line has to log in through the console. */
let plain: ComposedGateway;
let plainUrl: string;
const ca = join(folder, "cert.pem");
const running: Started[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  state = openState(folder);
  const httpPort = await freePort(0);
  plainUrl = `http://127.0.0.1:${httpPort}`;
  idp = await startIdp(state, await freePort(0), [plainUrl]);
  const authority = createAuthority();
  const { cert, key } = authority.issue();
  writeFileSync(ca, authority.cert);
  writeFileSync(join(folder, "server.pem"), cert);
  writeFileSync(join(folder, "key.pem"), key);
  writeFileSync(join(folder, "password"), cluster.password);
  secure = await start("secure.yaml", {
    http: "localhost:0",
    tls: "tls: { cert: server.pem, key: key.pem }",
    client: `{ id: ${consoleClient}, secret: { file: .postern-demo/secrets/client-${consoleClient} }, cli: ${cliClient} }`,
  });
  url = `https://localhost:${secure.http?.address.port}`;
  plain = await start("plain.yaml", {
    http: `127.0.0.1:${httpPort}`,
    tls: "",
    client: `{ id: ${consoleClient}, secret: { file: .postern-demo/secrets/client-${consoleClient} } }`,
  });
}, 60_000);
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.child.kill("SIGTERM");
    await one.ended;
  }
  rmSync(home, { recursive: true, force: true });
});
afterAll(async () => {
  await secure?.stop(0);
  await plain?.stop(0);
  await idp?.stop();
  state?.close();
  await cluster?.dropDatabase(dbname);
  rmSync(folder, { recursive: true, force: true });
});

async function start(
  file: string,
  of: { http: string; tls: string; client: string },
): Promise<ComposedGateway> {
  const text = `version: 1
listen: { postgres: "localhost:0", http: "${of.http}" }
${of.tls}
identity:
  providers:
    - name: demo
      type: oidc
      issuer: ${idp.issuer}
      audience: postern
      algorithms: [ES256]
      token_types: [at+jwt]
      kinds:
        - { kind: human, when: '"employees" in groups' }
      client: ${of.client}
databases:
  - name: shop
    server: { host: ${cluster.host}, port: ${cluster.port}, dbname: ${dbname}, tls: { mode: disable } }
    logins: [ { groups: [engineers], user: ${cluster.superuser}, password: { file: password } } ]
store: "sqlite:${file}.db"
admin: { admins: [dba] }
audit: { dir: audit-${file}, keys: keys-${file}, durability: process, anchors: [] }
`;
  writeFileSync(join(folder, file), text);
  return composeGateway(await loadConfig(join(folder, file)), pino({ level: "silent" }));
}

const environment = (extra: NodeJS.ProcessEnv = {}) => ({ POSTERN_HOME: home, HOME: folder, ...extra });
const run = (args: string[], extra: NodeJS.ProcessEnv = {}) => postern(args, { env: environment(extra) });
const json = async (args: string[], extra: NodeJS.ProcessEnv = {}) => {
  const { code, stdout, stderr } = await run(args, extra);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
};

/** Starts a login and gives the address it shows that matches. */
async function begin(
  args: string[],
  pattern: RegExp,
  extra: NodeJS.ProcessEnv = {},
): Promise<{ login: Started; shown: string }> {
  const login = startPostern(["login", ...args], { env: environment(extra) });
  running.push(login);
  await expect.poll(() => login.stderr(), { timeout: 60_000 }).toMatch(pattern);
  return { login, shown: pattern.exec(login.stderr())?.[1] ?? "" };
}

/** Says who one is wherever the identity provider asks, and yes to everything else. */
async function logIn(browser: Browser, address: string, subject = engineer.subject) {
  let page = await browser.open(address);
  for (let steps = 0; steps < 6 && page.text.includes("<form"); steps++) {
    if (new URL(page.url).pathname === "/cli/login") break;
    page = await browser.submit(page, page.text.includes('name="subject"') ? { subject } : {});
  }
  return page;
}

/** By PKCE, with a "browser" that does nothing: the test goes to the address that is shown. */
async function loggedIn(): Promise<void> {
  const { login, shown } = await begin([url, "--ca", ca], /^ {2}(http\S+)$/m, { BROWSER: "true" });
  expect((await logIn(new Browser(), shown)).text).toContain("You are logged in.");
  expect(await login.ended).toMatchObject({ code: 0 });
}

describe("postern login", () => {
  it("by browser: PKCE on loopback, kept for its owner alone", async () => {
    const { login, shown } = await begin([url, "--ca", ca, "--json"], /^ {2}(http\S+)$/m, {
      BROWSER: "true",
    });
    const asked = new URL(shown).searchParams;
    expect(asked.get("code_challenge_method")).toBe("S256");
    expect(asked.get("redirect_uri")).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    // What does not know the state is no answer.
    const forged = await fetch(`${asked.get("redirect_uri")}?code=x&state=y`);
    expect(forged.status).toBe(404);
    await logIn(new Browser(), shown);
    const { code, stdout } = await login.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ subject: engineer.subject, kind: "human" });
    for (const file of readdirSync(home, { recursive: true, encoding: "utf8" })) {
      const { mode } = statSync(join(home, file));
      expect([file, mode & 0o077]).toEqual([file, 0]);
    }
    expect(await json(["whoami", "--json"])).toMatchObject({ subject: engineer.subject, gateway: url });
  });

  it("by device code, where there is no browser", async () => {
    const { login, shown } = await begin([url, "--ca", ca], /code in it: (http\S+)\)/);
    expect(login.stderr()).toMatch(/enter the code {2}[A-Z]{4}-[A-Z]{4}/);
    expect((await logIn(new Browser(), shown)).text).toContain("Logged in");
    expect((await login.ended).code).toBe(0);
    expect(login.stderr()).toContain(`Logged in at ${url} as ${engineer.subject} (human).`);
  });

  it("through the console's login, for providers that know no command line", async () => {
    const { login, shown } = await begin([plainUrl], /^ {2}(http\S+)$/m, { BROWSER: "true" });
    const browser = new Browser();
    const page = await logIn(browser, shown);
    const match = /code {2}(\w{4}-\w{4})/.exec(login.stderr())?.[1] ?? "none";
    expect(page.text).toContain(match);
    // A yes that comes from elsewhere is none.
    const query = new URLSearchParams(
      [...page.text.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(
        ([, n, v]) => [n ?? "", v ?? ""] as [string, string],
      ),
    );
    const allow = `${plainUrl}/cli/allow?${query}`;
    for (const site of ["cross-site", "none"])
      expect((await browser.request(allow, { headers: { "sec-fetch-site": site } })).status).toBe(403);
    const answer = await browser.request(allow, { headers: { "sec-fetch-site": "same-origin" } });
    await fetch(answer.headers.get("location") ?? "");
    expect((await login.ended).code).toBe(0);
    expect(await json(["whoami", "--json"])).toMatchObject({ subject: engineer.subject });
    // Its own token lives on when others are made of it, and the code was good once.
    await json(["token", "--json"]);
    await json(["token", "--json"]);
    const code = new URL(answer.headers.get("location") ?? "").searchParams.get("code") ?? "";
    const again = await fetch(`${plainUrl}/oauth/token`, {
      method: "POST",
      body: new URLSearchParams({ grant_type: "authorization_code", code, code_verifier: "x".repeat(43) }),
    });
    expect(await again.json()).toMatchObject({ error: "invalid_grant" });
  });

  it("of a workload, whose token is read anew each time", async () => {
    const token = join(folder, "workload-token");
    writeFileSync(token, `${await idp.token(engineer.client)}\n`);
    const env = { POSTERN_TOKEN_FILE: token };
    expect((await run(["login", url, "--ca", ca, "--ci"], env)).code).toBe(0);
    expect(await json(["whoami", "--json"], env)).toMatchObject({ subject: engineer.subject });
    expect(
      readFileSync(join(home, "profiles", readdirSync(join(home, "profiles"))[0] ?? ""), "utf8"),
    ).not.toContain("eyJ");
    expect((await run(["token"])).stderr).toContain("there is no workload token here");
    rmSync(token);
  });

  it("fails with a reason and the right exit code", async () => {
    expect(await run(["login"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("address is missing"),
    });
    expect(await run(["login", "http://gateway.example"])).toMatchObject({ code: 2 });
    expect(await run(["login", "https://127.0.0.1:1"])).toMatchObject({ code: 3 });
    // Without the authority's certificate nothing is sent.
    expect(await run(["login", url])).toMatchObject({ code: 3, stderr: expect.stringContaining("--ca") });
    expect(await run(["login", url, "--ca", ca, "--provider", "none"])).toMatchObject({ code: 2 });
    expect(await run(["token"])).toMatchObject({ code: 1, stderr: expect.stringContaining("not logged in") });
    expect(existsSync(join(home, "profiles"))).toBe(false);
  });
});

describe("a login that is kept", () => {
  it("is refreshed by itself, by one process at a time", async () => {
    await loggedIn();
    const [name = ""] = readdirSync(join(home, "profiles")).filter((file) => file.endsWith(".json"));
    const file = join(home, "profiles", name);
    const before = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...before, accessExpires: 1 }), { mode: 0o600 });
    const many = await Promise.all(Array.from({ length: 4 }, () => run(["token"])));
    for (const { code, stdout } of many) {
      expect(code).toBe(0);
      expect(stdout).toMatch(/^pgt_/);
    }
    const after = JSON.parse(readFileSync(file, "utf8"));
    expect(after.accessExpires).toBeGreaterThan(Date.now() / 1000);
    expect(after.refreshToken).not.toBeNull();
    // Others on this machine must not read it.
    rmSync(file);
    writeFileSync(file, JSON.stringify(after), { mode: 0o644 });
    expect(await run(["token"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("read by others"),
    });
  });

  it("serves an agent that starts postern mcp, is renewed meanwhile, and ends with logout", async () => {
    await loggedIn();
    const [name = ""] = readdirSync(join(home, "profiles")).filter((file) => file.endsWith(".json"));
    const file = join(home, "profiles", name);
    const before = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...before, accessExpires: 1 }), { mode: 0o600 });
    const connect = async (args: string[]) => {
      const client = new Client({ name: "stdio-agent", version: "1" });
      const transport = new StdioClientTransport({
        command: process.execPath,
        args: [resolve(import.meta.dirname, "../../bin/postern.js"), "mcp", ...args],
        env: { PATH: process.env.PATH ?? "", POSTERN_HOME: home },
        stderr: "ignore",
      });
      await client.connect(transport);
      return client;
    };
    const sql = "select current_setting('application_name') is not null as ok";
    const query = (client: Client) =>
      client.callTool({ name: "query", arguments: { database: "shop", sql } }).then((got) => got.content);
    const [plainly, asAgent] = await Promise.all([connect([]), connect(["--url", url, "--agent", "helper"])]);
    expect(JSON.stringify(await query(plainly))).toContain("true");
    expect(JSON.stringify(await query(asAgent))).toContain("true");
    expect(JSON.parse(readFileSync(file, "utf8")).accessExpires).toBeGreaterThan(Date.now() / 1000);
    // A token that the gateway no longer takes is exchanged anew.
    await secure.audit.settle();
    const issued = (await readLeaves(join(folder, "audit-secure.yaml"))).filter(
      ({ action, audience }) => action === "token.issued" && JSON.stringify(audience) === '["mcp"]',
    );
    expect(issued.length).toBe(2);
    for (const { token } of issued) {
      const { jti } = token as { jti: string };
      expect((await run(["revoke", "--jti", jti, "--reason", "test"])).code).toBe(0);
    }
    for (const client of [plainly, asAgent]) expect(JSON.stringify(await query(client))).toContain("true");

    expect((await run(["logout"])).code).toBe(0);
    for (const client of [plainly, asAgent]) {
      await expect(query(client)).rejects.toThrow(/not logged in.*postern login/);
      await client.close();
    }
  });

  it("opens databases: token, service file, psql, local socket, local port", async () => {
    await loggedIn();
    const { token, user } = await json(["token", "--database", "shop", "--json"]);
    const [address] = secure.gateway.addresses;
    const port = address !== undefined && "port" in address ? address.port : 0;
    const ssl = { ca: readFileSync(ca), servername: "localhost" };
    expect(await ask({ host: "localhost", port, user, password: token, database: "shop", ssl })).toBe(
      engineer.subject,
    );

    const { file, passfile } = await json(["token", "--database", "shop", "--service", "--json"]);
    expect(readFileSync(file, "utf8")).toMatch(
      /^# Written by postern[\s\S]*\[shop\][\s\S]*sslmode=verify-full/,
    );
    expect(readFileSync(file, "utf8")).not.toContain("_secret");
    expect(readFileSync(passfile, "utf8")).toMatch(/^localhost:\d+:shop:pgt_\w+:pgt_\w+$/m);
    rmSync(passfile);
    writeFileSync(passfile, "my own\n", { mode: 0o600 });
    expect(await run(["token", "--database", "shop", "--service"])).toMatchObject({ code: 2 });
    expect(readFileSync(passfile, "utf8")).toBe("my own\n");

    // In place of psql a program that shows what it was given.
    const shown = join(folder, "fake-psql");
    writeFileSync(shown, '#!/bin/sh\nenv | grep ^PG | sort; cat "$PGPASSFILE"; echo "args: $@"; exit 7\n', {
      mode: 0o755,
    });
    const psql = await run(["psql", "shop", "--", "-c", "select 1"], {
      POSTERN_PSQL: shown,
      PGSERVICE: "other",
    });
    expect(psql.code).toBe(7);
    expect(psql.stdout).toMatch(/PGDATABASE=shop[\s\S]*PGHOST=localhost[\s\S]*PGSSLMODE=verify-full/);
    expect(psql.stdout).toMatch(/^localhost:\d+:\*:\*:pgt_\w+$/m);
    expect(psql.stdout).toContain("args: -c select 1");
    expect(psql.stdout).not.toContain("PGSERVICE=");
    expect(readdirSync(join(home, "run"))).toEqual([]);

    for (const args of [[], ["--port", "0"]]) {
      const local = startPostern(["connect", "shop", "--json", ...args], { env: environment() });
      running.push(local);
      const at = JSON.parse(await local.printed(/\n/));
      const target = { host: at.host, port: at.port, database: "anything", user: "me" };
      expect(await ask({ ...target, password: at.password ?? "" })).toBe(engineer.subject);
      if (args.length > 0)
        await expect(ask({ ...target, password: "wrong" })).rejects.toMatchObject({ code: "28P01" });
      else expect(statSync(at.host).mode & 0o077).toBe(0);
      local.child.kill("SIGTERM");
      expect((await local.ended).code).toBe(0);
    }
    expect(readdirSync(join(home, "run"))).toEqual([]);
  });

  it("cancels through the local address", async () => {
    await loggedIn();
    const local = startPostern(["connect", "shop", "--json"], { env: environment() });
    running.push(local);
    const at = JSON.parse(await local.printed(/\n/));
    const client = new pg.Client({ host: at.host, port: at.port, database: "shop", user: "me" });
    await client.connect();
    const sleeping = client.query("select pg_sleep(60)").catch((error: { code?: string }) => error.code);
    const other = new pg.Client({ host: at.host, port: at.port, database: "shop", user: "me" });
    await other.connect();
    await expect
      .poll(
        async () =>
          (await other.query("select 1 from pg_stat_activity where query = 'select pg_sleep(60)'")).rowCount,
      )
      .toBe(1);
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const net = await import("node:net");
    const { encodeCancelRequest } = await import("../../src/protocol/index.ts");
    const key = Buffer.alloc(4);
    key.writeInt32BE(secretKey);
    const socket = net.connect(join(at.host, ".s.PGSQL.5432"));
    socket.end(encodeCancelRequest(processID, key));
    expect(await sleeping).toBe("57014");
    socket.destroy();
    await client.end();
    await other.end();
  });

  it("is examined by doctor, lists and ends sessions, and revokes", async () => {
    await loggedIn();
    const report = await json(["doctor", "--json"]);
    expect(report.ok).toBe(true);
    expect(report.findings.map((one: { step: string }) => one.step)).toEqual([
      "login",
      "name",
      "gateway",
      "clock",
      "idp demo",
      "token",
      "groups",
      "shop",
    ]);
    const local = startPostern(["connect", "shop", "--json"], { env: environment() });
    running.push(local);
    const at = JSON.parse(await local.printed(/\n/));
    const open = async () => {
      const client = new pg.Client({ host: at.host, port: at.port, database: "shop", user: "me" });
      const over = new Promise<Error>((done) => client.on("error", done));
      await client.connect();
      return { over };
    };
    const first = await open();
    const listed = await run(["sessions", "list", "--json"]);
    const [session] = listed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(session).toMatchObject({ database: "shop", principal: { subject: engineer.subject } });
    expect((await run(["sessions", "end", session.id, "--reason", "test"])).code).toBe(0);
    expect(await first.over).toMatchObject({ code: "57P01" });
    const second = await open();
    const added = await json([
      "revoke",
      "--subject",
      engineer.subject,
      "--before",
      "--reason",
      "test",
      "--json",
    ]);
    expect(added).toMatchObject({ kind: "subject", mode: "before" });
    expect(await second.over).toMatchObject({ code: "57P01" });
    // The login itself was one of before.
    expect((await run(["whoami"])).code).toBe(1);
    const broken = await run(["doctor"]);
    expect(broken).toMatchObject({ code: 1, stdout: expect.stringMatching(/FAIL token/) });
  });

  it("ends with logout, at the provider and here", async () => {
    await loggedIn();
    const [name = ""] = readdirSync(join(home, "profiles")).filter((file) => file.endsWith(".json"));
    const kept = JSON.parse(readFileSync(join(home, "profiles", name), "utf8"));
    expect((await run(["logout"])).code).toBe(0);
    expect(readdirSync(join(home, "profiles")).filter((file) => file.endsWith(".json"))).toEqual([]);
    const answer = await fetch(`${idp.issuer}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        client_id: cliClient,
        refresh_token: kept.refreshToken,
      }),
    });
    expect(await answer.json()).toMatchObject({ error: "invalid_grant" });
    expect((await run(["token"])).code).toBe(1);
  });
});

/** Whom a connection is for, as the server was told. */
async function ask(config: pg.ClientConfig): Promise<string> {
  const client = new pg.Client(config);
  client.on("error", () => {});
  await client.connect();
  const { rows } = await client.query("select current_setting('postern.subject') as who");
  await client.end();
  return rows[0].who;
}
