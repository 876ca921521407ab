/** When memory is given back: never under load, and not for little. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { createTrimming } from "../../src/cli/lib/memory.ts";

const mebi = 1024 * 1024;

function process_(start: number) {
  const state = { resident: start * mebi, activity: 0, collected: 0 };
  const look = createTrimming({
    resident: () => state.resident,
    activity: () => state.activity,
    collect() {
      state.collected++;
      state.resident = start * mebi;
    },
  });
  return { state, look };
}

test("a storm that is over is cleaned up after, once", () => {
  const { state, look } = process_(120);
  for (let i = 0; i < 50; i++) {
    state.activity += 5_000;
    state.resident += 4 * mebi;
    look();
  }
  expect(state.collected).toBe(0);
  look();
  expect(state.collected).toBe(0);
  look();
  expect(state.collected).toBe(1);
  for (let i = 0; i < 200; i++) look();
  expect(state.collected).toBe(1);
});

test("a few statements do not keep it up, and little is not worth it", () => {
  const { state, look } = process_(120);
  state.resident += 20 * mebi;
  for (let i = 0; i < 50; i++) {
    state.activity += 10;
    look();
  }
  expect(state.collected).toBe(0);
  state.resident += 10 * mebi;
  look();
  expect(state.collected).toBe(1);
});

test("what grows all the time while little goes on is collected now and then", () => {
  const { state, look } = process_(120);
  for (let i = 0; i < 150; i++) {
    state.resident += 30 * mebi;
    look();
  }
  expect(state.collected).toBe(10);
});

test("the collection gives pages back that V8 would keep", () => {
  const program = `
    const { collectAll } = await import(${JSON.stringify(resolve(import.meta.dirname, "../../src/cli/lib/memory.ts"))});
    let kept = [];
    for (let i = 0; i < 600_000; i++) kept.push({ i, list: [i, i + 0.5], text: "x" + i });
    const grown = process.memoryUsage.rss();
    kept = [];
    collectAll();
    console.log(JSON.stringify([grown, process.memoryUsage.rss()]));`;
  const ran = spawnSync(
    process.execPath,
    ["--max-semi-space-size=4", "--expose-gc", "--v8-pool-size=1", "--input-type=module", "-e", program],
    { encoding: "utf8" },
  );
  const [grown, after] = JSON.parse(ran.stdout) as [number, number];
  expect(grown - after).toBeGreaterThan(32 * mebi);
});
