import { expect, test } from "vitest";
import { Manners } from "../../src/audit/index/manners.ts";

test("the indexer steps back while others of its process work, and not for its own work", () => {
  const used = { whole: 0, own: 0 };
  let now = 0;
  const manners = new Manners(
    () => ({ ...used }),
    () => now,
  );
  /** 100 ms in which the indexer worked for 40 ms and the others for `others`. */
  const step = (others: number, behind = 1000): number => {
    now += 100;
    used.own += 40_000;
    used.whole += 40_000 + others * 1000;
    return manners.pauseMs(40, behind);
  };
  expect(step(0)).toBe(40);
  expect(step(20)).toBe(40);
  expect(step(90)).toBe(40 * 29);
  // The further behind, the less it waits: searches read what the index lacks.
  expect(step(90, 500_000)).toBe(40 * 29);
  expect(step(90, 1_000_000)).toBe(40 * 7);
  expect(step(90, 1_000_001)).toBe(40);
  expect(step(5)).toBe(40);
  now += 100;
  used.whole += 100_000;
  expect(manners.pauseMs(60_000, 0)).toBe(2_000);
});
