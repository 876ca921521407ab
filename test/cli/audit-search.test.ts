/** The audit verbs over an index: search, stats, reindex, export. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audit } from "../../src/cli/audit.ts";
import { UsageError } from "../../src/cli/lib/args.ts";
import { leaves, type Place, place } from "../audit/helpers.ts";
import { changeRow, writeVaried } from "../audit/index-helpers.ts";

let at: Place;
beforeAll(async () => {
  at = place();
  await writeVaried(at, 1);
});
afterAll(() => at.remove());

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const real = { out: process.stdout.write, err: process.stderr.write };
  const got = { out: "", err: "" };
  process.stdout.write = (chunk: string | Uint8Array) => {
    got.out += chunk;
    return true;
  };
  process.stderr.write = (chunk: string | Uint8Array) => {
    got.err += chunk;
    return true;
  };
  try {
    const [verb = "", ...rest] = args;
    return { code: await audit([verb, "--dir", at.settings.dir, ...rest]), ...got };
  } finally {
    process.stdout.write = real.out;
    process.stderr.write = real.err;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: records of every shape
const json = (text: string): any[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((l) => JSON.parse(l));

describe("reindex and search", () => {
  test("without an index search says so; reindex makes one; then the same is found, and nothing is said", async () => {
    const before = await run("search", "--label", "pii.email", "--json");
    expect(before.err).toContain('"postern audit reindex" makes one');
    expect(json(before.out)).toHaveLength(4);
    expect(json((await run("reindex", "--json")).out)).toMatchObject([
      { log: "gw-1/0", ok: true, taken: leaves(at).length, values: true },
    ]);
    const after = await run("search", "--label", "pii.email", "--json");
    expect(after).toEqual({ ...before, err: "" });
    expect((await run("search", "--label", "pii.email", "--json", "--scan")).out).toBe(before.out);
    expect(json((await run("reindex", "--update", "--json")).out)).toMatchObject([{ taken: 0 }]);
    expect(await run("reindex", "--check")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^OK {3}gw-1\/0: \d+ records as the index has them, known values too\n$/),
    });
  });

  test("a known value", async () => {
    const found = await run("search", "--value", "value-1-0-1", "--json");
    expect(found.code).toBe(0);
    expect(json(found.out)).toHaveLength(2);
    expect((await run("search", "--value", "value-1-0-1", "--keys", join(at.root, "none"))).code).toBe(1);
    expect((await run("search", "--value", "no such value")).code).toBe(1);
  });

  test("a tampered row is reported and not shown: exit code 1", async () => {
    const { index } = json((await run("search", "--verdict", "allow", "--json")).out)[0];
    changeRow(at.dir, index, (block, slot) => block.request.fill(7, slot, slot + 1));
    const found = await run("search", "--verdict", "allow", "--json");
    expect(found.code).toBe(1);
    expect(found.err).toMatch(
      /gw-1\/0: the index was tampered with: its row \d+ is not shown, its request is not the record's/,
    );
    expect(json(found.out).length).toBeGreaterThan(5);
    const checked = await run("reindex", "--check", "--json");
    expect(checked.code).toBe(1);
    expect(json(checked.out)).toMatchObject([
      { ok: false, firstDisagreement: { problem: "its request is not the record's" } },
    ]);
    expect((await run("reindex")).code).toBe(0);
    expect((await run("reindex", "--check")).code).toBe(0);
  });

  test("no index: --check is exit code 1; an index without the keys has no known values", async () => {
    rmSync(join(at.dir, "index.db"));
    expect(await run("reindex", "--check")).toMatchObject({
      code: 1,
      out: expect.stringContaining("there is no index"),
    });
    expect((await run("reindex", "--no-keys")).code).toBe(0);
    const asked = await run("search", "--value", "42");
    expect(asked.code).toBe(1);
    expect(asked.err).toContain("without the keys");
    expect((await run("reindex")).code).toBe(0);
  });
});

test("stats: counts for people and as JSON", async () => {
  const { out } = await run("stats", "--json");
  expect(JSON.parse(out)).toMatchObject({
    statements: 20,
    verdict: { allow: 16, approve: 4 },
    writes: { "public.orders": 4 },
  });
  expect(JSON.parse((await run("stats", "--json", "--subject", "mary", "--scan")).out)).toMatchObject({
    statements: 10,
    principal: { mary: 10 },
  });
  const text = (await run("stats")).out;
  expect(text).toContain("20 statements");
  expect(text).toMatch(/by verdict\n +16 {2}allow\n +4 {2}approve\n/);
  await expect(run("stats", "--top", "0")).rejects.toBeInstanceOf(UsageError);
});

describe("export", () => {
  test("jsonl gives all records, filters choose statements with their outcomes", async () => {
    const all = await run("export", "--format", "jsonl");
    expect(all.code).toBe(0);
    expect(json(all.out).map((r) => r.id)).toEqual(leaves(at).map((l) => l.id));
    const some = json(
      (await run("export", "--format", "jsonl", "--table", "orders", "--subject", "mary")).out,
    );
    expect(some.map((r) => r.type)).toEqual([
      "statement.intent",
      "statement.outcome",
      "statement.intent",
      "statement.outcome",
    ]);
    expect(json((await run("export", "--format", "jsonl", "--type", "session.end")).out)).toHaveLength(4);
    expect((await run("export", "--format", "jsonl", "--status", "cut")).code).toBe(1);
  });

  test("each format gives a line a record; wrong ones are usage errors", async () => {
    for (const format of ["ocsf", "ecs", "cef"])
      expect((await run("export", "--format", format)).out.split("\n").length - 1).toBe(leaves(at).length);
    expect(
      json((await run("export", "--format", "otlp")).out)[0].resourceLogs[0].scopeLogs[0].logRecords,
    ).toHaveLength(leaves(at).length);
    await expect(run("export", "--format", "xml")).rejects.toBeInstanceOf(UsageError);
    await expect(run("export")).rejects.toBeInstanceOf(UsageError);
  });
});
