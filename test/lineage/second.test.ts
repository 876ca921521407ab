/**
 * A second set of queries over the lineage schema: no token in any byte the gateway sends, what derives from nothing protected is as the
 * server has it, and a query none of whose columns derive from anything protected runs.
 */
import { readFileSync } from "node:fs";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { binaries } from "../support/binaries.ts";
import { roads, type Travel, travel } from "./roads.ts";
import { type LineageCase, type LineageLab, startLineageLab } from "./support.ts";

const { major } = await binaries();
const cases = readFileSync(new URL("../corpus/lineage_second.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as LineageCase & { readonly from?: number })
  .filter(({ from }) => from === undefined || from <= major);

describe.each([
  ["output", "redact"],
  ["derived", "hash"],
] as const)("use: %s, mask: %s", (use, mask) => {
  let lab: LineageLab;
  let on: Travel;
  let direct: pg.Client;
  beforeAll(async () => {
    lab = await startLineageLab(use, mask);
    on = await travel(lab);
    direct = new pg.Client(lab.cluster.url(lab.dbname));
    await direct.connect();
  });
  afterAll(async () => {
    await direct?.end();
    await on?.end();
    await lab?.stop();
  });

  async function truth(sql: string): Promise<(string | null)[][]> {
    await direct.query("begin");
    try {
      const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;
      return (await direct.query<(string | null)[]>({ text: sql, rowMode: "array", types })).rows;
    } finally {
      await direct.query("rollback");
    }
  }

  test.each(cases.map((one, nth) => ({ ...one, nth })))("$id: $sql", async ({ sql, derives, nth }) => {
    const reads = !/^(insert|delete|update|merge)|\bas \((insert|delete|update|merge)| for share/.test(sql);
    const fitting = roads.filter(({ only }) => only !== "select" || reads);
    const expected = await truth(sql);
    const clear = (all: readonly (readonly (string | null)[])[]): string[] =>
      all.map((row) => JSON.stringify(row.map((cell, i) => (derives[i] === 0 ? cell : "*")))).sort();
    // The first road, which tells its rows, and four others in turn.
    const taken = new Set([0, 1, nth, nth + 3, nth + 7, nth + 11].map((i) => fitting[i % fitting.length]));
    for (const road of taken) {
      if (road === undefined) continue;
      const { error, rows } = await road.travel(on, sql);
      expect(lab.tokens.found(lab.recorder.take()), road.name).toEqual([]);
      expect(error?.code ?? "", `${road.name}: ${error?.message}`).not.toMatch(/^XX/);
      expect(on.raw.closed, road.name).toBe(false);
      // What writes is another statement the second time.
      if (rows !== null && (reads || road === fitting[0]))
        expect(clear(rows), road.name).toEqual(clear(expected));
      if (road === fitting[0] && derives.every((one) => one === 0)) expect(error, road.name).toBeNull();
    }
  });

  test("log and audit trail hold no token", async () => {
    expect(await lab.kept()).toEqual([]);
  });
});
