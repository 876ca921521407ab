/** kill -9 of the gateway under load, at random moments. POSTERN_KILL_ROUNDS: rounds for each durability (2). */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { postern } from "../cli/support.ts";
import { compare } from "./compare.ts";
import { type Load, startLoad } from "./load.ts";
import { createSite, type Server, startServer } from "./support.ts";

const rounds = Number(process.env.POSTERN_KILL_ROUNDS ?? "2");

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.cluster.stop());

describe.each([
  ["process", false],
  ["disk", false],
  ["disk", true],
  ["strict", true],
] as const)("kill -9 under load, %s, policy: %s", (durability, policy) => {
  test("nothing ran that is not on the trail, no outcome is guessed, the log repairs itself", {
    timeout: 60_000 + rounds * 20_000,
  }, async () => {
    await server.fresh();
    const site = await createSite(server, { durability, policy });
    try {
      const loads: Load[] = [];
      let acknowledged = 0;
      for (let round = 0; round < rounds; round++) {
        if (round % 2 === 1) {
          // While it starts and repairs the log.
          const starting = site.spawn();
          await sleep(Math.random() * 500);
          starting.child.kill("SIGKILL");
          await starting.ended;
        }
        const gateway = await site.start();
        const verified = await site.verify();
        expect(verified.code, verified.stdout).toBe(0);
        const load = startLoad(gateway.port, site.token);
        loads.push(load);
        await load.reached(20 + Math.random() * 100);
        await sleep(Math.random() * 300);
        gateway.child.kill("SIGKILL");
        await gateway.ended;
        await load.done;
        await server.quiet();
        acknowledged += load.answered.size;
      }
      const last = await site.start();
      last.child.kill("SIGTERM");
      expect((await last.ended).code).toBe(0);
      const verified = await site.verify();
      expect(verified.code, verified.stdout).toBe(0);

      const trail = site.trail();
      const found = await compare(server, trail, loads, {
        concluded: true,
        policy,
        graceful: durability === "strict",
      });
      expect(found.problems).toEqual([]);
      expect(found.logged).toBeGreaterThan(rounds * 20);
      expect(acknowledged).toBeGreaterThan(rounds * 20);
      // Kills hit statements under way, else they proved nothing.
      expect(found.statuses.unknown).toBeGreaterThan(0);
      expect(trail.types.filter((type) => type === "log.recovered").length).toBeGreaterThanOrEqual(rounds);

      // The seal opens for who has the keys, through the front door too.
      const some = trail.statements.find((s) => s.marks.length > 0 && s.outcomes[0]?.status === "unknown");
      const shown = await postern(["audit", "show", some?.request ?? "", "--open", "-c", site.configFile], {
        env: { UPSTREAM_PASSWORD: server.password },
      });
      expect(shown.stdout).toContain(some?.marks[0]);
      expect(shown.code).toBe(0);
    } finally {
      await site.remove();
    }
  });
});
