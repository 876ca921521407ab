/**
 * Two gateways on one PostgreSQL store: held on one, decided on the other. One gateway that is killed while a statement waits: after its
 * restart the request is gone, on the record, and an outside server was told of both by signed webhooks.
 */
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdirSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import pino from "pino";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { loadConfig } from "../../src/config/index.ts";
import { folder, postern, type Started, startPostern } from "../cli/support.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestIdp, type TestIdp } from "../support/idp.ts";
import { readLeaves } from "../support/postern.ts";
import { person } from "./hold-support.ts";

const policy = `version: 1
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - name: writes-need-a-person
    when: '"write" in statement.effects'
    then: approve
    approvers: { groups: [stewards], within: 60s }
`;
const secret = "whsec-outside";

interface Told {
  readonly type: string;
  readonly signed: boolean;
  readonly approvals: readonly { readonly id: string; readonly state: string; readonly url: string }[];
  readonly body: string;
}

let server: Database;
let name: string;
let storeName: string;
let idp: TestIdp;
let hook: Server;
let hookUrl: string;
let told: Told[] = [];
let dir: ReturnType<typeof folder>;
let running: ComposedGateway[] = [];
let started: Started[] = [];
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await sharedCluster();
  [name, storeName] = [await server.createDatabase(), await server.createDatabase()];
  await server.query(
    name,
    "create table t (id int primary key, note text); insert into t values (1, 'old'), (2, 'old')",
  );
  idp = await startTestIdp();
  hook = createServer((req, res) => {
    let body = "";
    req.setEncoding("utf8").on("data", (part: string) => {
      body += part;
    });
    req.on("end", () => {
      const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(req.headers["postern-signature"])) ?? [];
      const signed = createHmac("sha256", secret).update(`${t}.${body}`).digest("hex") === v1;
      const { type, approvals } = JSON.parse(body) as Told;
      told.push({ type, approvals, signed, body });
      res.writeHead(200).end();
    });
  }).listen(0, "127.0.0.1");
  await once(hook, "listening");
  hookUrl = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  hook.closeAllConnections();
  hook.close();
  await idp.close();
  await server.dropDatabase(name);
  await server.dropDatabase(storeName);
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {});
  for (const one of running) await one.stop(0);
  for (const { child, ended } of started) {
    if (child.exitCode === null) child.kill("SIGKILL");
    await ended;
  }
  running = [];
  started = [];
  told = [];
  dir.remove();
});

function config(node: string, store: string): string {
  return `version: 1
listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:0 }
identity:
  providers:
    - { name: corp, type: oidc, issuer: "${idp.issuer}", audience: postern, kinds: [{ kind: human, when: '"staff" in claims.groups' }] }
databases:
  - name: shop
    server: { host: "${server.host}", port: ${server.port}, dbname: ${name} }
    logins: [{ groups: [agents], user: ${server.superuser}, password: { env: UPSTREAM_PASSWORD } }]
policy: ./policy.yaml
store: ${store}
approvals:
  access: [{ groups: [oncall], approvers: { groups: [stewards] } }]
  webhooks: [{ url: "${hookUrl}", secret: { env: HOOK }, events: [requested, expired, decided] }]
audit: { dir: ${node}/audit, node: ${node}, durability: process }
`;
}

async function connect(port: number): Promise<pg.Client> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: "me",
    password: await idp.mint(),
    database: "shop",
  });
  client.on("error", () => {});
  clients.push(client);
  await client.connect();
  return client;
}

async function until<T>(look: () => T | null | undefined | Promise<T | null | undefined>): Promise<T> {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined) return found;
    if (Date.now() > end) throw new Error("it did not come about in time");
    await sleep(25);
  }
}

const note = async (id: number) => (await server.query(name, `select note from t where id = ${id}`))[0]?.note;

test("held on one node, approved on the other, run once", { timeout: 90_000 }, async () => {
  dir = folder();
  dir.write("policy.yaml", policy);
  const env = { UPSTREAM_PASSWORD: server.password, HOOK: secret, STORE: server.url(storeName) };
  const start = async (node: string): Promise<ComposedGateway> => {
    const settings = await loadConfig(dir.write(`${node}.yaml`, config(node, "{ env: STORE }")), env);
    const made = await composeGateway(settings, pino({ level: "silent" }));
    running.push(made);
    return made;
  };
  const one = await start("gw-1");
  await expect(start("gw-2")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  mkdirSync(join(dir.path, "gw-2/keys"), { recursive: true });
  copyFileSync(join(dir.path, "gw-1/keys/store.key"), join(dir.path, "gw-2/keys/store.key"));
  const two = await start("gw-2");

  const [address] = one.gateway.addresses;
  if (address === undefined || !("port" in address)) throw new Error("no port");
  const client = await connect(address.port);
  const write = client.query("update t set note = $1 where id = $2", ["a secret value", 1]);
  const asked = await until(async () => (await two.approvals.list({ state: "pending", limit: 10 })).items[0]);
  expect(asked).toMatchObject({
    node: "gw-1",
    database: "shop",
    statements: [{ parameters: [{ text: "a secret value" }, { text: "1" }] }],
  });
  expect(await note(1)).toBe("old");
  await two.approvals.decide(asked.id, person("ann"), "approve");
  expect((await write).rowCount).toBe(1);
  expect(await note(1)).toBe("a secret value");
  expect(await one.approvals.get(asked.id)).toMatchObject({ state: "used", usesLeft: 0 });
  await until(() => (told.length >= 2 ? true : null));
  expect(told.map(({ type, signed }) => [type, signed])).toEqual([
    ["approval.requested", true],
    ["approval.decided", true],
  ]);
  expect(told.map(({ body }) => body).join()).not.toContain("a secret value");

  await client.end();
  for (const made of running.splice(0)) await made.stop(0);
  const types = (node: string) =>
    readLeaves(join(dir.path, node, "audit", node, "0"))
      .filter(({ type }) => String(type).startsWith("approval."))
      .map(({ type, approval }) => [type, approval]);
  expect(types("gw-1")).toEqual([
    ["approval.requested", asked.id],
    ["approval.used", asked.id],
  ]);
  expect(types("gw-2")).toEqual([["approval.decided", asked.id]]);
});

test("from the command line: what waits, decided by a person who has just signed in, and by nobody else", {
  timeout: 120_000,
}, async () => {
  dir = folder();
  dir.write("policy.yaml", policy);
  const env = { UPSTREAM_PASSWORD: server.password, HOOK: secret };
  const settings = await loadConfig(dir.write("postern.yaml", config("gw", "sqlite:./postern.db")), env);
  const made = await composeGateway(settings, pino({ level: "silent" }));
  running.push(made);
  const [address] = made.gateway.addresses;
  const http = made.http?.address;
  if (address === undefined || !("port" in address) || http === undefined) throw new Error("no port");
  const now = Math.floor(Date.now() / 1000);
  const ann = { sub: "ann", email: "ann@example.com", groups: ["staff", "stewards"] };
  const tokens = {
    fresh: await idp.mint({ ...ann, auth_time: now }),
    old: await idp.mint({ ...ann, auth_time: now - 3600 }),
    bare: await idp.mint(ann),
    agent: await idp.mint({ sub: "bot", groups: ["stewards"], auth_time: now }),
    eve: await idp.mint({ sub: "eve", groups: ["staff"], auth_time: now }),
  };
  const run = (who: keyof typeof tokens, ...args: string[]) =>
    postern([...args, "--url", `http://127.0.0.1:${http.port}`], { env: { POSTERN_TOKEN: tokens[who] } });

  const client = await connect(address.port);
  const write = client.query("update t set note = 'by hand' where id = 2");
  const asked = await until(
    async () => (await made.approvals.list({ state: "pending", limit: 10 })).items[0],
  );
  expect((await run("fresh", "approvals", "list")).stdout).toContain(asked.id);
  expect((await run("eve", "approvals", "list")).stdout).toBe("none\n");
  expect((await run("eve", "approvals", "show", asked.id)).code).toBe(1);
  const shown = await run("fresh", "approvals", "show", asked.id);
  expect(shown.stdout).toContain("| update t set note = 'by hand' where id = 2");
  for (const who of ["old", "bare"] as const) {
    const refused = await run(who, "approvals", "approve", asked.id);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("STEP_UP_REQUIRED")]);
  }
  expect((await run("agent", "approvals", "approve", asked.id)).code).toBe(1);
  expect((await run("eve", "approvals", "approve", asked.id)).code).toBe(1);
  expect(await note(2)).toBe("old");
  expect((await run("fresh", "approvals", "approve", asked.id)).stdout).toBe(`${asked.id} is approved\n`);
  expect((await write).rowCount).toBe(1);

  const grant = await run(
    "eve",
    "access",
    "request",
    "shop",
    "--group",
    "oncall",
    "--for",
    "10m",
    "--reason",
    "pager",
  );
  const [id = ""] = grant.stdout.split(" ");
  expect((await run("fresh", "approvals", "approve", id)).stdout).toContain("group oncall until");
  expect((await run("eve", "access", "list")).stdout).toMatch(/eve +oncall +shop/);
  expect((await run("fresh", "access", "revoke", id, "--reason", "over")).code).toBe(0);
  expect((await run("eve", "access", "list")).stdout).toBe("none\n");

  const watching = startPostern(["approvals", "watch", "--json", "--url", `http://127.0.0.1:${http.port}`], {
    env: { POSTERN_TOKEN: tokens.fresh },
  });
  started.push(watching);
  const again = client.query("update t set note = 'old' where id = 2").catch((error: unknown) => error);
  await watching.printed(/"state":"pending"/);
  const next = await until(async () => (await made.approvals.list({ state: "pending", limit: 10 })).items[0]);
  expect((await run("fresh", "approvals", "deny", next.id, "--reason", "enough")).code).toBe(0);
  await watching.printed(/"state":"denied"/);
  expect(await again).toMatchObject({ code: "42501" });
  await server.query(name, "update t set note = 'old' where id = 2");
});

test("killed while a statement waits: gone after the restart, and it never ran", {
  timeout: 90_000,
}, async () => {
  dir = folder();
  dir.write("policy.yaml", policy);
  dir.write("postern.yaml", config("gw", "sqlite:./postern.db"));
  const serve = async (): Promise<Started & { port: number }> => {
    const process = startPostern(["serve"], {
      cwd: dir.path,
      env: { UPSTREAM_PASSWORD: server.password, HOOK: secret },
    });
    started.push(process);
    await process.printed(/"msg":"listening for HTTP"/);
    const port = Number(
      /"address":"127\.0\.0\.1:(\d+)","msg":"listening for PostgreSQL/.exec(process.stdout())?.[1],
    );
    return { ...process, port };
  };
  const first = await serve();
  const client = await connect(first.port);
  const write = client.query("update t set note = 'never' where id = 2").catch((error: unknown) => error);
  const { approvals } = await until(() => told.find(({ type }) => type === "approval.requested"));
  first.child.kill("SIGKILL");
  await first.ended;
  expect(await write).toBeInstanceOf(Error);

  const second = await serve();
  const ended = await until(() => told.find(({ type }) => type === "approval.expired"));
  expect(ended).toMatchObject({ signed: true, approvals: [{ id: approvals[0]?.id, state: "gone" }] });
  expect(await note(2)).toBe("old");
  second.child.kill("SIGTERM");
  expect((await second.ended).code).toBe(0);
  const leaves = readLeaves(join(dir.path, "gw/audit/gw/0")).filter(({ type }) =>
    String(type).startsWith("approval."),
  );
  expect(leaves.map(({ type, why }) => [type, why])).toEqual([
    ["approval.requested", undefined],
    ["approval.expired", "restart"],
  ]);
});
