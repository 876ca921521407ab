/**
 * Every query of lineage.jsonl by every road, through real drivers: no token of a protected cell may be in any byte that
 * the gateway sends, logs or records, and what derives from nothing protected comes back as the server has it.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { roads, type Travel, travel } from "./roads.ts";
import { type LineageLab, lineageCases, startLineageLab } from "./support.ts";

const names = (text: string): string[] => text.trim().split(/\s+/);

/** Opaque functions, rows handed to functions, and a copy to a column without a label. */
const refusedAlways = names("fn_sql fn_plpgsql fn_xml insert_select");
/** Values are compared, or decide how many rows there are. */
const refusedAsCondition = names(
  "agg grouping_sets in_sub jsonb_srf rows_from srf_from union2 window xmltable",
);
/** Protected columns in expressions: `derived` masks what comes of them. */
const refusedAsExpression = names("array_sub cast coalesce composite fn_rowarg row view_nested wholerow2");
const refusedUnder = {
  output: [...refusedAlways, ...refusedAsCondition, ...refusedAsExpression],
  // A function of the database may fail.
  derived: [...refusedAlways, ...refusedAsCondition, "fn_rowarg"],
};

describe.each(["output", "derived"] as const)("use: %s", (use) => {
  let lab: LineageLab;
  let on: Travel;
  let direct: pg.Client;
  const refused = new Set<string>();

  beforeAll(async () => {
    lab = await startLineageLab(use);
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

  test.each(lineageCases)("$id: $sql", async ({ id, sql, derives }) => {
    const reads = !/^(insert|delete|update)/.test(sql);
    for (const road of roads) {
      if (road.only === "select" && !reads) continue;
      const { error, rows } = await road.travel(on, sql);
      expect(lab.tokens.found(lab.recorder.take()), road.name).toEqual([]);
      if (error !== null) {
        expect(error.code, `${road.name}: ${error.message}`).not.toMatch(/^XX/);
        if (road === roads[0]) refused.add(id);
      }
      expect(on.raw.closed, road.name).toBe(false);
      // Random pages.
      if (rows === null || id === "tablesample") continue;
      const expected = await truth(sql);
      const clear = (all: readonly (readonly (string | null)[])[]): string[] =>
        all.map((row) => JSON.stringify(row.map((cell, i) => (derives[i] === 0 ? cell : "*")))).sort();
      expect(clear(rows), road.name).toEqual(clear(expected));
    }
  });

  test("refuses what it must and nothing else", () => {
    expect([...refused].sort()).toEqual([...refusedUnder[use]].sort());
  });

  test("log and audit trail hold no token", async () => {
    expect(await lab.kept()).toEqual([]);
  });
});
