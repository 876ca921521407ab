/** More connections than the gateway may have open files: the others are refused, and nobody's session ends. */
import { connect as dial, type Socket } from "node:net";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectionsWithin, descriptorLimit } from "../../src/cli/lib/descriptors.ts";
import { connect, createSite, type Server, type Site, startServer, until } from "./support.ts";

let server: Server;
let site: Site | null = null;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await site?.remove();
  await server.cluster.stop();
});

const linux = process.platform === "linux";

test.runIf(linux)(
  "a flood of connections leaves the log its files",
  async () => {
    site = await createSite(server, { durability: "disk", policy: true, descriptors: 128 });
    const gateway = await site.start();
    expect(gateway.stdout()).toContain("connections are allowed");
    const well = await connect(gateway.port, site.token);
    const flood: Socket[] = [];
    for (let i = 0; i < 150; i++) {
      const socket = dial(gateway.port, "127.0.0.1");
      socket.on("error", () => undefined);
      flood.push(socket);
      // Its own statements, and those of whoever still gets in, go on being recorded.
      if (i % 10 === 0) await well.query("insert into t values ($1)", [`flood-${i}`]);
    }
    const inside: pg.Client[] = [];
    const refused: unknown[] = [];
    for (let i = 0; i < 30; i++) {
      const token = site.token;
      await connect(gateway.port, token).then(
        (client) => inside.push(client),
        (error: unknown) => refused.push(error),
      );
      await well.query("insert into t values ($1)", [`login-${i}`]);
    }
    for (const socket of flood) socket.destroy();
    await until("there is room again", async () => {
      try {
        await (await connect(gateway.port, site?.token ?? "")).end();
        return true;
      } catch {
        return false;
      }
    });
    // As many sessions as are allowed, and not one more.
    for (let i = 0; i < 30; i++)
      await connect(gateway.port, site.token).then(
        (client) => inside.push(client),
        (error: unknown) => refused.push(error),
      );
    expect(inside.length).toBe(connectionsWithin(128) - 1);
    for (const client of inside) expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await well.query("insert into t values ('end')");
    for (const client of [well, ...inside]) await client.end();
    gateway.child.kill("SIGTERM");
    expect((await gateway.ended).code).toBe(0);
    expect((await site.verify()).code).toBe(0);
    const trail = site.trail();
    expect(trail.leaves.filter((leaf) => leaf.reason === "audit unavailable")).toEqual([]);
    for (const { outcomes } of trail.statements) expect(outcomes).toHaveLength(1);
    expect((await server.rows()).size).toBe(46);
  },
  120_000,
);

test("the limit as the system tells it", () => {
  const text =
    "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n";
  expect(descriptorLimit(text)).toBe(1024);
  expect(descriptorLimit(text.replace("1024 ", "unlimited"))).toBeNull();
  expect(descriptorLimit("")).toBeNull();
  expect(connectionsWithin(4096)).toBeGreaterThanOrEqual(1000);
  expect(connectionsWithin(10)).toBe(1);
});
