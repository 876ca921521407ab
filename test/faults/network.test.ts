/** Between the gateway and PostgreSQL connections are cut, end halfway, stand still, come in pieces, or are garbled. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { compare } from "./compare.ts";
import { startLoad } from "./load.ts";
import { type Fault, type FaultyProxy, startProxy } from "./proxy.ts";
import { connect, createSite, type Running, type Server, type Site, startServer, until } from "./support.ts";

let server: Server;
let site: Site;
let proxy: FaultyProxy;
beforeAll(async () => {
  server = await startServer();
  proxy = await startProxy(server.cluster.port);
});
afterAll(async () => {
  await proxy.close();
  await server.cluster.stop();
});
beforeEach(() => server.fresh());
afterEach(() => site.remove());

/** The same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function behindProxy(policy: boolean): Promise<Running> {
  const through = { ...server, cluster: { ...server.cluster, port: proxy.port } };
  site = await createSite(through, { durability: "process", policy });
  return site.start();
}

async function stopped(gateway: Running): Promise<void> {
  gateway.child.kill("SIGTERM");
  const ended = await gateway.ended;
  expect(ended.code, ended.stdout + ended.stderr).toBe(0);
  const verified = await site.verify();
  expect(verified.code, verified.stdout).toBe(0);
}

/** Statements through connections with these faults, then some through whole ones. */
async function under(gateway: Running, plan: (connection: number) => Fault, faults: number, answers: number) {
  const from = proxy.count;
  proxy.plan = plan;
  const load = startLoad(gateway.port, site.token, { again: true });
  try {
    let before = 0;
    let still = 0;
    let patience = 1;
    while (proxy.count - from < faults || load.answered.size < answers) {
      if (gateway.child.exitCode !== null) throw new Error(`the gateway ended: ${gateway.stderr()}`);
      await sleep(500);
      const done = load.answered.size;
      still = done === before ? still + 1 : 0;
      before = done;
      // Those that wait for an end that was garbled, with more and more time to read the catalog in between; and those that
      // nothing befell, once they have done enough.
      if (still < patience && done < answers) continue;
      if (still > 0) patience *= 2;
      still = 0;
      proxy.cutAll();
    }
  } finally {
    proxy.plan = () => ({ kind: "none" });
    load.stop();
    proxy.cutAll();
    await load.done;
  }
  const client = await connect(gateway.port, site.token);
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await client.end();
  return load;
}

const patience = 240_000;
const ways = ["up", "down"] as const;

test.each([false, true])(
  "connections that break anywhere, with a policy: %s",
  async (policy) => {
    const gateway = await behindProxy(policy);
    const pick = numbers(policy ? 7 : 11);
    const plan = (): Fault => {
      const on = ways[pick(2)] ?? "up";
      // Some in the start-up, most in statements; with a policy some behind the catalog, lest it is hardly ever read.
      const late = policy && pick(2) === 0 ? 600_000 : 20_000;
      const after = pick(3) === 0 ? pick(600) : pick(late);
      switch (pick(4)) {
        case 0:
          return { kind: "half", on, after };
        case 1:
          return { kind: "dribble", bytes: 1 + pick(7) };
        case 2:
          return pick(4) === 0 ? { kind: "none" } : { kind: "cut", on, after };
        default:
          return { kind: "cut", on, after };
      }
    };
    const load = await under(gateway, plan, 30, policy ? 30 : 60);
    await stopped(gateway);
    await server.quiet();
    const found = await compare(server, site.trail(), [load], { concluded: true, graceful: false, policy });
    expect(found.problems).toEqual([]);
    expect(found.logged).toBeGreaterThan(policy ? 5 : 15);
  },
  patience,
);

test(
  "connections that stand still hold up nobody else",
  async () => {
    const gateway = await behindProxy(true);
    const pick = numbers(3);
    const well = await connect(gateway.port, site.token);
    await well.query("select 1");
    const from = proxy.count;
    proxy.plan = (n) =>
      n - from < 24 ? { kind: "stall", on: ways[pick(2)] ?? "up", after: pick(8_000) } : { kind: "none" };
    const load = startLoad(gateway.port, site.token);
    await until("connections stand still", () => proxy.count - from >= 8);
    for (let i = 0; i < 20; i++) expect((await well.query("select $1::int as i", [i])).rows).toEqual([{ i }]);
    proxy.plan = () => ({ kind: "none" });
    load.stop();
    proxy.cutAll();
    await load.done;
    await stopped(gateway);
    await server.quiet();
    const found = await compare(server, site.trail(), [load], {
      concluded: true,
      graceful: false,
      policy: true,
    });
    expect(found.problems).toEqual([]);
  },
  patience,
);

test.each([false, true])(
  "answers with a wrong bit end their session, with a policy: %s",
  async (policy) => {
    const gateway = await behindProxy(policy);
    const pick = numbers(policy ? 5 : 13);
    const plan = (): Fault => ({ kind: "garble", after: pick(pick(2) === 0 ? 900 : 12_000), bit: pick(8) });
    await under(gateway, plan, 30, 15);
    await stopped(gateway);
    const { statements } = site.trail();
    expect(statements.length).toBeGreaterThan(10);
    for (const { outcomes } of statements) expect(outcomes).toHaveLength(1);
    expect(gateway.stdout()).not.toContain("internal error");
  },
  patience,
);
