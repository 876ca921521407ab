/**
 * Random statements with protected columns in random places, each by a random road through the gateway: no token in any
 * byte the gateway sends, logs or records. The same seed gives the same statements.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomStatement, seeded } from "../analysis/lineage-random.ts";
import { wildStatement } from "../analysis/lineage-wild.ts";
import { binaries } from "../support/binaries.ts";
import { roads, type Travel, travel } from "./roads.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

const rounds = Number(process.env.POSTERN_LINEAGE_ROUNDS ?? 300);
const firstSeed = Number(process.env.POSTERN_LINEAGE_SEED ?? 1);
const { major } = await binaries();

describe.each([
  ["output", "redact"],
  ["derived", "hash"],
] as const)("use: %s, mask: %s", (use, mask) => {
  let lab: LineageLab;
  let on: Travel;
  beforeAll(async () => {
    lab = await startLineageLab(use, mask);
    on = await travel(lab);
  });
  afterAll(async () => {
    await on?.end();
    await lab?.stop();
  });

  test.each(["plain", "wild"])(
    `${rounds / 2} %s statements`,
    async (kind) => {
      let ran = 0;
      let refused = 0;
      const codes = new Map<string, number>();
      for (let seed = firstSeed; seed < firstSeed + rounds / 2; seed++) {
        const random = seeded(seed * 2 + (use === "output" ? 0 : 1));
        const sql = kind === "plain" ? randomStatement(random) : wildStatement(random, major);
        const writes = /^(update|delete|insert|merge)|\bas \((update|delete|insert|merge)/.test(sql);
        const fitting = roads.filter((road) => road.only !== "select" || !writes);
        const road = random.pick(fitting);
        const { error } = await road.travel(on, sql);
        const where = `seed ${seed}, ${road.name}: ${sql}`;
        expect(lab.tokens.found(lab.recorder.take()), where).toEqual([]);
        expect(error?.code ?? "", `${where}: ${error?.message}`).not.toMatch(/^XX/);
        expect(on.raw.closed, where).toBe(false);
        if (error === null) ran++;
        else refused++;
        codes.set(error?.code ?? "", (codes.get(error?.code ?? "") ?? 0) + 1);
      }
      if (process.env.POSTERN_LINEAGE_ROUNDS !== undefined) console.log(use, kind, Object.fromEntries(codes));
      // There must be something to look at.
      expect(ran).toBeGreaterThan(rounds / 20);
      expect(refused).toBeGreaterThan(rounds / 20);
    },
    Math.max(120_000, rounds * 150),
  );

  test("log and audit trail hold no token", async () => {
    expect(await lab.kept()).toEqual([]);
  });
});
