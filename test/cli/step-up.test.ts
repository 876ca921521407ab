/** Deciding in the terminal: the effect preview, and the fresh login that a decision takes, on a real gateway with the demo's identity provider. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import pg from "pg";
import pino from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { loadConfig } from "../../src/config/index.ts";
import { type DemoIdp, startIdp } from "../../src/demo/idp.ts";
import { cliClient, consoleClient } from "../../src/demo/idp-clients.ts";
import { approver, security, supportAgent } from "../../src/demo/people.ts";
import { type DemoState, freePort, openState } from "../../src/demo/state.ts";
import type { Approval } from "../../src/facts/approval.ts";
import { Browser } from "../support/browser.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { compileCache, postern, type Started, startPostern } from "./support.ts";

// Every verb is a process of its own, and logs in.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 90_000 });

const folder = mkdtempSync(join(tmpdir(), "postern-step-up-"));
const home = join(folder, "home");
const program = resolve(import.meta.dirname, "../../bin/postern.js");
/** util-linux' script(1) gives a program a terminal. */
const hasTerminal = spawnSync("script", ["--version"]).status === 0;
if (!hasTerminal) console.warn("step-up in a terminal: skipped, there is no script(1) of util-linux");

let cluster: Database;
let dbname: string;
let state: DemoState;
let idp: DemoIdp;
/** With a client of the command line's own, and without: then the console's login hands over. */
let own: ComposedGateway;
let ownUrl: string;
let through: ComposedGateway;
let throughUrl: string;
const started: { kill(): void }[] = [];
const clients: pg.Client[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table parcels(id int primary key, email text, state text not null);
     insert into parcels select g, 'user' || g || '@example.com', 'late' from generate_series(1, 5) g`,
  );
  state = openState(folder);
  const ports = [await freePort(0), await freePort(0)];
  [ownUrl = "", throughUrl = ""] = ports.map((port) => `http://127.0.0.1:${port}`);
  idp = await startIdp(state, await freePort(0), [ownUrl, throughUrl]);
  writeFileSync(join(folder, "password"), cluster.password);
  writeFileSync(
    join(folder, "policy.yaml"),
    `version: 1
labels: [ { label: pii, columns: ["*.public.parcels.email"], mask: redact } ]
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - name: writes
    when: '"write" in statement.effects'
    then: approve
    approvers: { groups: [data-stewards], count: 1, within: 10m }
`,
  );
  own = await start("own", ports[0] ?? 0, `, cli: ${cliClient}`);
  through = await start("through", ports[1] ?? 0, "");
}, 90_000);
afterEach(async () => {
  for (const one of started.splice(0)) one.kill();
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})));
  rmSync(home, { recursive: true, force: true });
});
afterAll(async () => {
  await own?.stop(0);
  await through?.stop(0);
  await idp?.stop();
  state?.close();
  await cluster?.dropDatabase(dbname);
  rmSync(folder, { recursive: true, force: true });
});

async function start(name: string, port: number, cli: string): Promise<ComposedGateway> {
  const text = `version: 1
listen: { postgres: "127.0.0.1:0", http: "127.0.0.1:${port}" }
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
      client: { id: ${consoleClient}, secret: { file: .postern-demo/secrets/client-${consoleClient} }${cli} }
databases:
  - name: shop
    server: { host: ${cluster.host}, port: ${cluster.port}, dbname: ${dbname}, tls: { mode: disable } }
    logins: [ { groups: [agents], user: ${cluster.superuser}, password: { file: password } } ]
policy: policy.yaml
store: "sqlite:${name}.db"
audit: { dir: audit-${name}, keys: keys-${name}, durability: process, anchors: [] }
`;
  writeFileSync(join(folder, `${name}.yaml`), text);
  return composeGateway(await loadConfig(join(folder, `${name}.yaml`)), pino({ level: "silent" }));
}

/** An agent's statement that waits. */
async function hold(
  gateway: ComposedGateway,
  sql: string,
): Promise<{ approval: Approval; ran: Promise<string> }> {
  const [address] = gateway.gateway.addresses;
  const client = new pg.Client({
    host: "127.0.0.1",
    port: address !== undefined && "port" in address ? address.port : 0,
    user: supportAgent.client,
    database: "shop",
    password: await idp.token(supportAgent.client),
  });
  client.on("error", () => {});
  clients.push(client);
  await client.connect();
  const ran = client.query(sql).then(
    ({ rowCount }) => `${rowCount} rows`,
    (error: Error) => error.message,
  );
  await expect.poll(() => list(gateway), { timeout: 20_000 }).toHaveLength(1);
  const [approval] = await list(gateway);
  if (approval === undefined) throw new Error("nothing waits");
  return { approval, ran };
}

const list = async (gateway: ComposedGateway) =>
  (await gateway.approvals.list({ state: "pending", limit: 10 })).items;

const environment = (extra: NodeJS.ProcessEnv = {}) => ({ POSTERN_HOME: home, HOME: folder, ...extra });

/** A token of this person that does not say when they showed themselves, as a kept one that is too old. */
const kept = (person: { client: string }) => idp.token(person.client);

/** Runs it on a terminal; everything printed comes in `text`. */
function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv) {
  const line = [process.execPath, program, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", line, "/dev/null"], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, ...compileCache, TERM: "dumb", SHELL: "/bin/sh", ...env },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
  const ended = new Promise<number | null>((done) => child.on("close", done));
  started.push({ kill: () => child.kill("SIGTERM") });
  return {
    ended,
    text: () => text.replaceAll("\r", ""),
    type: (keys: string) => child.stdin.write(keys),
    /** Waits until it prints this, and gives the first group. */
    async shows(pattern: RegExp): Promise<string> {
      await expect.poll(() => text.replaceAll("\r", ""), { timeout: 90_000 }).toMatch(pattern);
      return pattern.exec(text.replaceAll("\r", ""))?.[1] ?? "";
    },
  };
}

/** Says who one is wherever the identity provider asks, and yes to everything else. */
async function logIn(browser: Browser, address: string, subject: string) {
  let page = await browser.open(address);
  for (let steps = 0; steps < 6 && page.text.includes("<form"); steps++) {
    if (new URL(page.url).pathname === "/cli/login") break;
    page = await browser.submit(page, page.text.includes('name="subject"') ? { subject } : {});
  }
  return page;
}

const address = /^ {2}(http\S+)$/m;

describe("a decision in the terminal", () => {
  it("shows what it would change, and takes no login that is merely kept", async () => {
    const { approval, ran } = await hold(own, "UPDATE parcels SET state = 'sent' WHERE id <= 2");
    const env = environment({ POSTERN_TOKEN: await kept(approver) });
    const at = ["--url", ownUrl];
    const shown = await postern(["approvals", "show", approval.id, "--preview", ...at], { env });
    expect([shown.code, shown.stderr]).toEqual([0, ""]);
    expect(shown.stdout).toContain("| UPDATE parcels SET state = 'sent' WHERE id <= 2");
    expect(shown.stdout).toMatch(/preview +2 rows \(run and rolled back/);
    expect(shown.stdout).toMatch(
      /before\n +ID +EMAIL \(MASKED\) +STATE|before\n +id +email \(masked\) +state/,
    );
    expect(shown.stdout).toMatch(/\blate\b[\s\S]*after[\s\S]*\bsent\b/);
    expect(shown.stdout).not.toContain("user1@example.com");
    expect(await cluster.query(dbname, "select distinct state from parcels")).toEqual([{ state: "late" }]);

    // Nobody is at a terminal: it says what to do, and has decided nothing.
    for (const args of [
      ["approve", approval.id, "-y", "--preview"],
      ["deny", approval.id, "--reason", "no"],
    ]) {
      const refused = await postern(["approvals", ...args, ...at], { env });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/STEP_UP_REQUIRED[\s\S]*postern login --fresh/);
      if (args.includes("--preview")) expect(refused.stderr).toMatch(/preview +2 rows/);
    }
    expect((await own.approvals.get(approval.id))?.state).toBe("pending");

    // A login that happens now, and is kept, decides.
    const login = startPostern(["login", ownUrl, "--fresh"], { env: environment({ BROWSER: "true" }) });
    started.push({ kill: () => login.child.kill("SIGTERM") });
    const shownAt = await printedOn(login, address);
    const asked = new URL(shownAt).searchParams;
    expect([asked.get("prompt")?.split(" ").includes("login"), asked.get("max_age")]).toEqual([true, "0"]);
    await logIn(new Browser(), shownAt, approver.subject);
    expect((await login.ended).code).toBe(0);
    const approved = await postern(["approvals", "approve", approval.id, "-y"], { env: environment() });
    expect([approved.stdout, approved.stderr]).toEqual([`${approval.id} is approved\n`, ""]);
    expect(await ran).toBe("2 rows");
  });

  it.skipIf(!hasTerminal)("asks for a fresh login in the browser, and decides once with it", async () => {
    const { approval, ran } = await hold(own, "UPDATE parcels SET state = 'lost' WHERE id = 3");
    const env = environment({ POSTERN_TOKEN: await kept(approver), BROWSER: "true" });
    const terminal = onTerminal(["approvals", "approve", approval.id, "--preview", "--url", ownUrl], env);
    await terminal.shows(/Approve\? \[y\/N\]/);
    expect(terminal.text()).toMatch(/preview +1 row /);
    terminal.type("y\n");
    const url = await terminal.shows(address);
    expect(terminal.text()).toContain("you have to log in once more");
    const asked = new URL(url).searchParams;
    expect([asked.get("prompt"), asked.get("max_age")]).toEqual(["login", "0"]);
    // No refresh token is asked for: this login is for one decision.
    expect(asked.get("scope")?.split(" ")).not.toContain("offline_access");
    expect((await own.approvals.get(approval.id))?.votes).toEqual([]);
    await logIn(new Browser(), url, approver.subject);
    expect(await terminal.ended).toBe(0);
    expect(terminal.text()).toContain(`${approval.id} is approved`);
    expect(await ran).toBe("1 rows");
    const [vote] = (await own.approvals.get(approval.id))?.votes ?? [];
    expect(vote?.approver).toMatchObject({ subject: approver.subject });
    // Nothing of it is kept.
    expect(() => readdirSync(home)).toThrow();
  });

  it.skipIf(!hasTerminal)("asks by device code, where there is no browser", async () => {
    const { approval, ran } = await hold(own, "DELETE FROM parcels WHERE id = 4");
    const env = environment({ POSTERN_TOKEN: await kept(approver) });
    const args = ["approvals", "deny", approval.id, "--reason", "wrong parcel", "--url", ownUrl];
    const terminal = onTerminal(args, env);
    const url = await terminal.shows(/code in it: (http\S+)\)/);
    expect((await logIn(new Browser(), url, approver.subject)).text).toContain("Logged in");
    expect(await terminal.ended).toBe(0);
    expect(terminal.text()).toContain(`${approval.id} is denied`);
    expect(await ran).toContain("wrong parcel");
  });

  it.skipIf(!hasTerminal)(
    "through the console's login, with the same browser logged in long ago",
    async () => {
      const { approval, ran } = await hold(through, "UPDATE parcels SET state = 'found' WHERE id = 5");
      const browser = new Browser();
      await logIn(browser, `${throughUrl}/login?provider=demo`, approver.subject);
      const env = environment({ POSTERN_TOKEN: await kept(approver), BROWSER: "true" });
      const args = ["approvals", "approve", approval.id, "-y", "--url", throughUrl];
      const terminal = onTerminal(args, env);
      const page = await logIn(browser, await terminal.shows(address), approver.subject);
      expect(browser.visited.some((url) => url.includes("prompt=login") && url.includes("max_age=0"))).toBe(
        true,
      );
      const query = new URLSearchParams(
        [...page.text.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(
          ([, n, v]) => [n ?? "", v ?? ""] as [string, string],
        ),
      );
      const allowed = await browser.request(`${throughUrl}/cli/allow?${query}`, {
        headers: { "sec-fetch-site": "same-origin" },
      });
      await fetch(allowed.headers.get("location") ?? "");
      expect(await terminal.ended).toBe(0);
      expect(terminal.text()).toContain(`${approval.id} is approved`);
      expect(await ran).toBe("1 rows");
    },
  );

  it.skipIf(!hasTerminal)("decides nothing when somebody else logs in", async () => {
    const { approval, ran } = await hold(own, "UPDATE parcels SET state = 'x' WHERE id = 1");
    const env = environment({ POSTERN_TOKEN: await kept(approver), BROWSER: "true" });
    const terminal = onTerminal(["approvals", "approve", approval.id, "-y", "--url", ownUrl], env);
    await logIn(new Browser(), await terminal.shows(address), security.subject);
    expect(await terminal.ended).toBe(1);
    expect(terminal.text()).toContain(`you logged in as ${security.subject}`);
    expect((await own.approvals.get(approval.id))?.votes).toEqual([]);
    await Promise.all(clients.splice(0).map((client) => client.end()));
    expect(await ran).not.toContain("rows");
  });
});

describe("postern login --fresh", () => {
  it("keeps a login like any other; a workload cannot show itself", async () => {
    const login = startPostern(["login", ownUrl, "--fresh", "--device"], { env: environment() });
    started.push({ kill: () => login.child.kill("SIGTERM") });
    const url = await printedOn(login, /code in it: (http\S+)\)/);
    await logIn(new Browser(), url, approver.subject);
    expect((await login.ended).code).toBe(0);
    const [file = ""] = readdirSync(join(home, "profiles")).filter((name) => name.endsWith(".json"));
    const profile = JSON.parse(readFileSync(join(home, "profiles", file), "utf8"));
    expect(profile.refreshToken).not.toBeNull();
    const claims = JSON.parse(Buffer.from(profile.accessToken.split(".")[1], "base64url").toString());
    expect(Date.now() / 1000 - claims.auth_time).toBeLessThan(170);
    expect(await postern(["login", ownUrl, "--ci", "--fresh"], { env: environment() })).toMatchObject({
      code: 2,
    });
  });
});

async function printedOn(one: Started, pattern: RegExp): Promise<string> {
  await expect.poll(() => one.stderr(), { timeout: 90_000 }).toMatch(pattern);
  return pattern.exec(one.stderr())?.[1] ?? "";
}
