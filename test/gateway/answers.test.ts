import pino from "pino";
import { describe, expect, test } from "vitest";
import { createJudging } from "../../src/gateway/analyst/registry.ts";
import { weigh } from "../../src/gateway/analyst/weight.ts";
import type { DatabaseSettings, LoginSettings } from "../../src/gateway/settings.ts";
import { createRefusalMemory } from "../../src/gateway/statement/refusals.ts";
import { createBudgets, loadPolicy } from "../../src/policy/index.ts";

describe("the weight of a value", () => {
  test("counts every text, list, member and entry in it", () => {
    const base = {
      kind: "refused",
      list: ["a"],
      map: new Map([["M", "text"]]),
      set: new Set(["x"]),
      none: null,
    };
    const least = weigh(base);
    expect(weigh({ ...base, kind: "refused or not" })).toBe(least + 2 * " or not".length);
    expect(weigh({ ...base, list: ["a", "b"] })).toBeGreaterThan(least + 2);
    expect(weigh({ ...base, map: new Map([["M", "text and more"]]) })).toBe(least + 2 * " and more".length);
    expect(weigh({ ...base, set: new Set(["x", "y"]) })).toBeGreaterThan(least + 2);
    expect(weigh({ ...base, none: { deep: { deeper: "1234567890" } } })).toBeGreaterThan(least + 20);
  });
});

describe("the answers of all logins", () => {
  const answer = (n: number) => ({
    kind: "refused" as const,
    error: {
      sqlstate: "42P01",
      message: `no ${n} ${"x".repeat(1000)}`,
      fields: new Map([["M", "y".repeat(1000)]]),
    },
  });
  const one = 2 * "key 100".length + weigh(answer(100));
  const database = (name: string) =>
    ({ name, server: { host: "127.0.0.1", port: 5432, dbname: name } }) as DatabaseSettings;
  const login = { user: "reader" } as LoginSettings;
  const policy = loadPolicy([{ file: "open", text: "version: 1\ndefault: allow\n" }]);
  const open = (bytes: number) =>
    createJudging(
      { current: policy },
      createBudgets(),
      pino({ level: "silent" }),
      createRefusalMemory(),
      bytes,
    );
  const keys = Array.from({ length: 2000 }, (_, n) => `key ${n}`);

  test("share one bound, however many logins there come to be", () => {
    const bytes = 4 * 1024 * 1024;
    const judging = open(bytes);
    const all = ["a", "b", "c", "d"].map((name) => {
      const { answers } = judging.of(database(name), login);
      for (const [n, key] of keys.entries()) answers.set(key, answer(n));
      return answers;
    });
    const counts = all.map((answers) => keys.filter((key) => answers.get(key) !== undefined).length);
    expect(counts.reduce((a, b) => a + b, 0) * one).toBeLessThanOrEqual(bytes * 1.1);
    // The last one had its full part.
    expect((counts.at(-1) ?? 0) * one).toBeGreaterThan(bytes / 4 / 2.5);
    expect(judging.of(database("a"), login).answers).toBe(all[0]);
    judging.close();
  });
});
