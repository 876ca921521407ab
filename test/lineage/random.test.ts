/**
 * Random statements with protected columns in random places, each by a random road through the gateway: no token in any
 * byte the gateway sends, logs or records. The same seed gives the same statements.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomStatement, seeded } from "../analysis/lineage-random.ts";
import { roads, type Travel, travel } from "./roads.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

const rounds = Number(process.env.POSTERN_LINEAGE_ROUNDS ?? 300);
const firstSeed = Number(process.env.POSTERN_LINEAGE_SEED ?? 1);

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

  test(`${rounds / 2} statements`, async () => {
    let ran = 0;
    let refused = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds / 2; seed++) {
      const random = seeded(seed * 2 + (use === "output" ? 0 : 1));
      const sql = randomStatement(random);
      const fitting = roads.filter((road) => road.only !== "select" || !/^(update|delete)/.test(sql));
      const road = random.pick(fitting);
      const { error } = await road.travel(on, sql);
      const where = `seed ${seed}, ${road.name}: ${sql}`;
      expect(lab.tokens.found(lab.recorder.take()), where).toEqual([]);
      expect(error?.code ?? "", `${where}: ${error?.message}`).not.toMatch(/^XX/);
      expect(on.raw.closed, where).toBe(false);
      if (error === null) ran++;
      else refused++;
    }
    // There must be something to look at.
    expect(ran).toBeGreaterThan(rounds / 20);
    expect(refused).toBeGreaterThan(rounds / 20);
  }, 120_000);

  test("log and audit trail hold no token", async () => {
    expect(await lab.kept()).toEqual([]);
  });
});
