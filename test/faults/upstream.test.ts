/** PostgreSQL that crashes, is not there, refuses the login, or fails at the commit. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { compare } from "./compare.ts";
import { codeOf, mark, startLoad } from "./load.ts";
import { connect, createSite, login, type Running, type Server, type Site, startServer } from "./support.ts";

let server: Server;
let site: Site;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.cluster.stop());
beforeEach(() => server.fresh());
afterEach(() => site.remove());

async function refused(gateway: Running): Promise<Error> {
  try {
    await (await connect(gateway.port, site.token)).end();
  } catch (error) {
    return error as Error;
  }
  throw new Error("the connection was not refused");
}

/** Neither where the database is nor who the gateway is there. */
function expectNeutral(text: string): void {
  for (const secret of [
    String(server.cluster.port),
    login,
    server.password,
    server.database,
    "ECONNREFUSED 1",
  ])
    expect(text).not.toContain(secret);
}

async function stopped(gateway: Running): Promise<void> {
  gateway.child.kill("SIGTERM");
  expect((await gateway.ended).code).toBe(0);
  const verified = await site.verify();
  expect(verified.code, verified.stdout).toBe(0);
}

test("PostgreSQL crashes mid-query: clients are told, nothing is guessed, the gateway goes on", async () => {
  site = await createSite(server, { durability: "disk" });
  const gateway = await site.start();
  const load = startLoad(gateway.port, site.token);
  const sleepers = await Promise.all([1, 2, 3].map(() => connect(gateway.port, site.token)));
  const open = await connect(gateway.port, site.token);
  await open.query("begin");
  const lost = mark();
  await open.query("insert into t values ($1)", [lost]);
  const slept = sleepers.map(() => mark());
  const asleep = sleepers.map((client, i) =>
    client.query(`select pg_sleep(300) /* ${slept[i]} */`).then(
      () => "slept",
      (error: unknown) => codeOf(error),
    ),
  );
  await load.reached(100);
  await server.cluster.halt("immediate");
  // Not after the 300 seconds, nor after some time-out.
  const told = await Promise.race([Promise.all(asleep), sleep(15_000, ["late"])]);
  expect(
    told.every((code) => ["57P01", "57P02", "08006"].includes(code)),
    told.join(),
  ).toBe(true);
  await load.done;
  expect(load.ends.length).toBeGreaterThan(5);
  for (const code of load.ends) expect(code).toMatch(/^(57P0[123]|08006|08001|CONNECTION_CLOSED)$/);
  await expect(open.query("commit")).rejects.toThrow();
  expect(gateway.child.exitCode).toBeNull();

  const error = await refused(gateway);
  expect(codeOf(error)).toMatch(/^08001$/);
  expectNeutral(error.message);

  await server.cluster.resume();
  const again = startLoad(gateway.port, site.token);
  await again.reached(50);
  again.stop();
  await again.done;
  expect(again.ends).toEqual([]);
  await stopped(gateway);
  await server.quiet();

  const trail = site.trail();
  const found = await compare(server, trail, [load, again], { concluded: true, graceful: false });
  expect(found.problems).toEqual([]);
  expect(found.logged).toBeGreaterThan(100);
  for (const one of slept) expect(trail.of(one)[0]?.outcomes[0]?.status).toMatch(/^(error|unknown)$/);
  expect(await server.rows()).not.toContain(lost);
  expect(
    trail.leaves.filter((leaf) => leaf.type === "session.end" && /lost|ended/.test(String(leaf.reason)))
      .length,
  ).toBeGreaterThan(3);
  expectNeutral(gateway.stdout().replace(/"checkpoint":"[^"]*"/g, ""));
});

test("PostgreSQL shuts down in order under load: what it ended with an error is not ok on the record", async () => {
  site = await createSite(server, { durability: "process" });
  const gateway = await site.start();
  const load = startLoad(gateway.port, site.token);
  await load.reached(100);
  await server.cluster.halt("fast");
  await load.done;
  await server.cluster.resume();
  for (const code of load.ends) expect(code).toMatch(/^(57P0[123]|08006|08001|CONNECTION_CLOSED)$/);
  await (await connect(gateway.port, site.token)).end();
  await stopped(gateway);
  const found = await compare(server, site.trail(), [load], { concluded: true, graceful: false });
  expect(found.problems).toEqual([]);
  expect(found.logged).toBeGreaterThan(50);
});

test("PostgreSQL is not there, or refuses the login: a neutral error, on the record, and the gateway stays", async () => {
  site = await createSite(server, { durability: "process", password: "not the password" });
  const gateway = await site.start();
  const wrong = await refused(gateway);
  expect(codeOf(wrong)).toBe("58000");
  expectNeutral(wrong.message);
  expect(wrong.message).not.toMatch(/password|role|user/i);
  await server.cluster.halt("fast");
  try {
    const down = await refused(gateway);
    expect(codeOf(down)).toBe("08001");
    expectNeutral(down.message);
  } finally {
    await server.cluster.resume();
  }
  expect(codeOf(await refused(gateway))).toBe("58000");
  await stopped(gateway);
  const failures = site.trail().leaves.filter((leaf) => leaf.type === "auth.failed");
  expect(failures.map((leaf) => leaf.code)).toEqual(["UPSTREAM", "UPSTREAM", "UPSTREAM"]);
  expect(String(failures[0]?.cause)).toContain("28P01");
  expect(String(failures[1]?.cause)).toContain("ECONNREFUSED");
  expectNeutral(
    failures.map((leaf) => leaf.cause).join() + gateway.stdout().replace(/"checkpoint":"[^"]*"/g, ""),
  );
  expect(gateway.stdout()).not.toContain("not the password");
});

test("a commit that fails at Sync is the statement's error, and the session goes on", async () => {
  site = await createSite(server, { durability: "process" });
  await server.cluster.query(
    server.database,
    `create table if not exists later (id text references t deferrable initially deferred);
     grant all on later to ${login}`,
  );
  const gateway = await site.start();
  const client = await connect(gateway.port, site.token);
  await expect(client.query("insert into later values ($1)", ["nobody"])).rejects.toMatchObject({
    code: "23503",
  });
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await client.end();
  await stopped(gateway);
  const end = site.trail().leaves.find((leaf) => leaf.type === "session.end");
  expect(end?.reason).toBe("client terminated");
});
