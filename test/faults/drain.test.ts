/** SIGTERM and SIGHUP under load; a second gateway on the same trail. */
import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { compare } from "./compare.ts";
import { startLoad } from "./load.ts";
import { connect, createSite, type Server, type Site, startServer, until } from "./support.ts";

let server: Server;
let site: Site;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.cluster.stop());
beforeEach(() => server.fresh());
afterEach(() => site.remove());

test.each(["process", "disk", "strict"] as const)(
  "SIGTERM under load, %s: what a client was told is on the record, and the log is closed",
  async (durability) => {
    site = await createSite(server, { durability });
    const gateway = await site.start();
    const load = startLoad(gateway.port, site.token, { again: true });
    await load.reached(60);
    gateway.child.kill("SIGTERM");
    const ended = await gateway.ended;
    load.stop();
    await load.done;
    expect(ended.code, ended.stdout).toBe(0);
    const verified = await site.verify();
    expect(verified.code, verified.stdout).toBe(0);
    const trail = site.trail();
    expect(trail.types.at(-1)).toBe("log.closed");
    await server.quiet();
    const found = await compare(server, trail, [load], { concluded: true, graceful: true });
    expect(found.problems).toEqual([]);
    expect(found.logged).toBeGreaterThan(50);
    const sessions = (type: string) => trail.types.filter((t) => t === type).length;
    expect(sessions("session.end")).toBe(sessions("session.start"));
    expect(load.ends.some((code) => code === "57P01")).toBe(true);
  },
);

test("SIGHUP with a broken configuration under load disturbs nobody", async () => {
  site = await createSite(server, { durability: "disk" });
  const gateway = await site.start();
  const load = startLoad(gateway.port, site.token);
  await load.reached(20);
  const broken = [
    site.config(["version: 1", "version: 7"]),
    site.config(["audit:", "audit: ["]),
    "",
    "\u0000\ufffd",
  ];
  for (const [i, text] of broken.entries()) {
    writeFileSync(site.configFile, text);
    gateway.child.kill("SIGHUP");
    await until("the reload is refused", () => gateway.stdout().split("NOT reloaded").length > i + 1);
  }
  await load.reached(load.answered.size + 50);
  load.stop();
  await load.done;
  expect(load.ends).toEqual([]);
  expect(gateway.child.exitCode).toBeNull();
  gateway.child.kill("SIGTERM");
  expect((await gateway.ended).code).toBe(0);
  const found = await compare(server, site.trail(), [load], { concluded: true, graceful: true });
  expect(found.problems).toEqual([]);
});

test("SIGHUP while the gateway is starting does not end it, and is not forgotten", async () => {
  site = await createSite(server, { durability: "process", policy: true });
  const started = site.spawn();
  // Its first words are those of the log, which is opened before anything else.
  await started.printed(/\n/);
  await until("it is up", () => {
    if (started.child.exitCode !== null || started.child.signalCode !== null)
      throw new Error(`it ended: ${started.child.signalCode} ${started.stderr()}`);
    started.child.kill("SIGHUP");
    return started.stdout().includes('listening for PostgreSQL clients"');
  });
  const line = started
    .stdout()
    .split("\n")
    .find((one) => one.includes("listening for PostgreSQL clients"));
  const port = Number(/"address":"[^"]*:(\d+)"/.exec(line ?? "")?.[1]);
  const client = await connect(port, site.token);
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await client.end();
  await until("it has been reloaded", () => /reload/i.test(started.stdout()));
  started.child.kill("SIGTERM");
  expect((await started.ended).code).toBe(0);
});

test("a second gateway on the same trail does not start, and the first does not notice", async () => {
  site = await createSite(server, { durability: "disk" });
  const gateway = await site.start();
  const load = startLoad(gateway.port, site.token);
  await load.reached(20);
  const second = await site.spawn().ended;
  expect(second.code).toBe(1);
  expect(second.stdout).toBe("");
  expect(second.stderr).toMatch(/AUDIT_LOCKED.*another process is writing this audit log.*stop it, or give/);
  await load.reached(load.answered.size + 50);
  load.stop();
  await load.done;
  expect(load.ends).toEqual([]);
  gateway.child.kill("SIGTERM");
  expect((await gateway.ended).code).toBe(0);
  const verified = await site.verify();
  expect(verified.code, verified.stdout).toBe(0);
  const trail = site.trail();
  expect(trail.types.filter((type) => type === "log.opened").length).toBe(1);
  const found = await compare(server, trail, [load], { concluded: true, graceful: true });
  expect(found.problems).toEqual([]);
});
