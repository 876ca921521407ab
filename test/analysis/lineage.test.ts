/** Every query of the lineage corpus against a real server: where its outputs come from, and that none leaks. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sharedCluster } from "../support/cluster.ts";
import { type Analyst, analyst, lineageCases, lineageSchema, protectLineage } from "./lineage-support.ts";

let by: Analyst;
let drop: () => Promise<void>;

beforeAll(async () => {
  const cluster = await sharedCluster();
  const database = await cluster.createDatabase();
  await cluster.query(database, lineageSchema);
  by = await analyst(cluster.url(database));
  drop = () => cluster.dropDatabase(database);
});

afterAll(async () => {
  await by?.end();
  await drop?.();
});

describe.each(lineageCases)("$id", ({ sql, derives, note }) => {
  test("names what RowDescription says", async () => {
    const { columns } = await by.analyse(sql);
    const touched = await by.touched(sql);
    expect(touched.problems).toEqual([]);
    expect(
      touched.outputs?.map(({ name, type, origin }) => ({
        name,
        table: origin.relation,
        column: origin.attribute,
        type,
      })),
    ).toEqual(columns);
  });

  test("knows which outputs derive from protected columns", async () => {
    const set = protectLineage(by.catalog, { use: "any" });
    const outcome = await by.plan(sql, set);
    if (note === "fn") {
      expect(outcome).toMatchObject({ ok: false, code: "UNSAFE_FUNCTION" });
      return;
    }
    if (!outcome.ok) {
      // Functions of rows are opaque; INSERT … SELECT email copies it to a column without a label.
      expect(outcome.code).toBe(sql.startsWith("insert") ? "PROTECTED_WRITE" : "UNSAFE_FUNCTION");
      return;
    }
    const masked = derives.map((_, i) => (outcome.plan?.columns[i] == null ? 0 : 1));
    expect(masked).toEqual(derives);
  });

  test("masks plain columns only, or refuses", async () => {
    const set = protectLineage(by.catalog);
    const outcome = await by.plan(sql, set);
    if (!outcome.ok) {
      expect(derives.includes(1) || outcome.code !== "PROTECTED_EXPRESSION").toBe(true);
      return;
    }
    const { outputs } = await by.touched(sql);
    derives.forEach((one, i) => {
      const mask = outcome.plan?.columns[i] ?? null;
      expect(mask === null).toBe(one === 0);
      if (mask !== null) expect(outputs?.[i]?.plain).toBe(true);
    });
  });

  test("under `derived` every derived output is masked, or the statement refused", async () => {
    const outcome = await by.plan(sql, protectLineage(by.catalog, { use: "derived" }));
    if (!outcome.ok) return;
    expect(derives.map((_, i) => (outcome.plan?.columns[i] == null ? 0 : 1))).toEqual(derives);
  });
});
