/** What a transaction took back, and the rows that were kept, as search, show, run and match show them. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { encodeRow } from "../../src/audit/capture/read.ts";
import { encodeOne } from "../../src/audit/export/encode.ts";
import { ExportSource } from "../../src/audit/export/source.ts";
import { IndexWriter } from "../../src/audit/index/writer.ts";
import { type AuditLog, ResultDigest, type SessionContext, uuidv7 } from "../../src/audit/index.ts";
import { matchCopy } from "../../src/audit/match/match.ts";
import { readResults } from "../../src/audit/read/result.ts";
import { runStory } from "../../src/audit/read/run.ts";
import { readRun } from "../../src/audit/read/runs.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { audit } from "../../src/cli/audit.ts";
import { allowed, leaves, open, type Place, place, sessionRecord, statementRecord } from "./helpers.ts";

let at: Place;
const rows = [
  [Buffer.from("ann"), null],
  [Buffer.from("bob \u202ex"), Buffer.from([0, 1, 255])],
];
const requests: Record<string, string> = {};
const indexes: Record<string, number> = {};

/** A write, or a delivered result, that is done. */
function done(
  log: AuditLog,
  session: SessionContext,
  name: string,
  protocol: "simple" | "copy" = "simple",
): number {
  const request = uuidv7();
  requests[name] = request;
  const reads = name.startsWith("read");
  const intent = log.intent(session, {
    request,
    statement: log.statement({
      ...statementRecord,
      sql: `statement ${name}`,
      fingerprint: name,
      writes: reads ? [] : ["public.orders"],
    }),
    protocol,
    index: 0,
    transaction: "T",
    name: "",
    portal: "",
    sealed: "{}",
    parameters: "[]",
    decision: log.decision({ ...allowed, masked: ["public.people.name"] }),
  });
  indexes[name] = intent;
  const digest = new ResultDigest();
  const capture = log.capture();
  const messages = reads ? Buffer.concat(rows.map(encodeRow)) : Buffer.alloc(0);
  if (protocol === "copy")
    for (let p = 0; p < messages.length; p += 1 + messages.readUInt32BE(p + 1)) messages[p] = 0x64;
  digest.update(messages, 0, messages.length);
  capture?.add(messages, 0, messages.length);
  log.outcome(session, {
    request,
    intent,
    status: "ok",
    sqlstate: null,
    tag: reads ? "SELECT 2" : "UPDATE 3",
    columns: reads
      ? log.columns([
          { name: "name", type: "text", origin: "public.people.name", masked: true },
          { name: "raw", type: "bytea", origin: null, masked: false },
        ])
      : null,
    rows: reads ? 2 : 0,
    bytes: messages.length,
    complete: true,
    digest: reads ? digest : null,
    capture: capture?.finish() ?? null,
    source: reads ? Buffer.alloc(32, 9).toString("base64") : null,
    maskedCells: reads ? [2, 0] : null,
    rowsAffected: reads ? null : 3,
    durationUs: 5,
    firstRowUs: null,
  });
  return intent;
}

beforeAll(async () => {
  at = place();
  const settings = { ...at.settings, results: { digest: true, captureRows: 100 } };
  const log = await open({ ...at, settings });
  const session = log.session({ ...sessionRecord, session: "s-1", claimed: { run: "job-1" } });
  const other = log.session({ ...sessionRecord, session: "s-2", claimed: { run: "job-1" } });
  done(log, session, "kept before");
  const first = done(log, session, "lost 1");
  // Of another session, in between: it is not meant.
  done(log, other, "kept elsewhere");
  const last = done(log, session, "lost 2");
  const common = { sqlstate: null, count: 2, request: uuidv7() };
  log.transactionEnded(session, {
    ...common,
    undone: true,
    first,
    last,
    cause: "commit_failed",
    sqlstate: "40001",
  });
  done(log, session, "kept after");
  const unseen = done(log, session, "unseen");
  log.transactionEnded(session, {
    undone: false,
    first: unseen,
    last: unseen,
    count: 1,
    cause: "session_ended",
    request: null,
    sqlstate: "no state",
  });
  done(log, other, "read rows");
  done(log, other, "read copy", "copy");
  await log.close();
});
afterAll(() => at.remove());

async function run(...args: string[]): Promise<{ code: number; out: string }> {
  const real = { out: process.stdout.write, err: process.stderr.write };
  let out = "";
  process.stdout.write = (chunk: string | Uint8Array) => {
    out += chunk;
    return true;
  };
  process.stderr.write = () => true;
  try {
    return { code: await audit([...args, "--dir", at.settings.dir]), out };
  } finally {
    process.stdout.write = real.out;
    process.stderr.write = real.err;
  }
}

const fates = {
  "lost 1": "rolled_back",
  "lost 2": "rolled_back",
  unseen: "unknown",
};

describe.each(["without an index", "with an index"])("%s", (how) => {
  beforeEach(() => {
    if (how === "without an index") return;
    const writer = new IndexWriter({ name: "gw-1/0", dir: at.dir }, { keys: null });
    for (let n = writer.step(100_000); n > 0; n = writer.step(100_000));
    writer.close();
  });

  test("search tells what was undone, and of nothing else", async () => {
    const { out } = await run("search", "--type", "statement.intent", "--json", "--limit", "50");
    const hits = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(hits.length).toBe(Object.keys(requests).length);
    const found = Object.fromEntries(
      hits
        .filter((hit) => hit.undone !== undefined)
        .map((hit) => [hit.statement.fingerprint, hit.undone.fate]),
    );
    expect(found).toEqual(fates);
    const text = (await run("search", "--fingerprint", "lost 2")).out;
    expect(text).toContain("then UNDONE because the commit failed (40001)");
    expect((await run("search", "--fingerprint", "kept after")).out).not.toMatch(/UNDONE|nobody/);
    const said = (await run("search", "--type", "transaction.rolled_back")).out;
    expect(said).toMatch(/2 statements of .*mary.* on shop were undone because the commit failed \(40001\)/);
  });

  test("show tells it of one request", async () => {
    expect((await run("show", String(requests["lost 1"]))).out).toMatch(
      /then +UNDONE because the commit failed \(40001\) \(record \d+\)/,
    );
    expect((await run("show", String(requests.unseen))).out).toMatch(/then +nobody saw/);
    expect((await run("show", String(requests["kept elsewhere"]))).out).not.toMatch(/then +/);
    const [intent] = JSON.parse((await run("show", String(requests["lost 2"]), "--json")).out).records;
    expect(intent.undone).toMatchObject({ fate: "rolled_back", cause: "commit_failed", sqlstate: "40001" });
  });

  test("the story of a run: what was undone has changed nothing", async () => {
    const { records } = readRun([{ name: "gw-1/0", dir: at.dir }], "job-1", null);
    const story = runStory("job-1", records);
    const lost = story.statements
      .filter((s) => s.undone !== null)
      .map((s) => [s.fingerprint, s.undone?.fate]);
    expect(Object.fromEntries(lost)).toEqual(fates);
    const step = (name: string) => story.statements.find((s) => s.fingerprint === name)?.step ?? -1;
    expect(story.undone).toEqual([step("lost 1"), step("lost 2")]);
    // Reads count among those that name the table here; only what lasted, or may have, has changed it.
    expect(story.changed["public.orders"]?.steps).toEqual(
      ["kept before", "kept elsewhere", "kept after", "unseen"].map(step).sort((a, b) => a - b),
    );
    expect((await run("run", "job-1")).out).toMatch(/undone +steps/);
  });
});

test("show --rows gives the kept rows, NULL told from text, bytes as hex", async () => {
  const { code, out } = await run("show", String(requests["read rows"]), "--rows");
  expect(code).toBe(0);
  expect(out).toContain("2 kept of 2 delivered");
  expect(out).toContain('["ann",null]');
  expect(out).toContain('"\\\\x0001ff"');
  expect(out).not.toContain("\u202e");
  expect(out).toMatch(/name text \(masked, 2 cells\), raw bytea/);
  expect(out).toContain("2 cells masked");
  const [, outcome] = JSON.parse(
    (await run("show", String(requests["read rows"]), "--rows", "--json")).out,
  ).records;
  expect(outcome.rows).toEqual([
    ["ann", null],
    ["bob \u202ex", "\\x0001ff"],
  ]);
  expect((await run("show", String(requests["read rows"]))).out).not.toContain("ann");
  expect((await run("show", String(requests["read copy"]), "--rows")).out).toContain("2 kept of 2");
  expect((await run("show", String(requests["kept after"]), "--rows")).out).not.toContain(" kept of ");
});

test("a masked copy has columns on the record, and is still compared as a copy", () => {
  const [found] = readResults(
    { name: "", dir: at.dir },
    "test/gw-1/0",
    String(requests["read copy"]),
    at.settings.keys,
  );
  if (found === undefined) throw new Error("no result");
  expect(found.result.columns).toBeNull();
  const messages = Buffer.concat(rows.map(encodeRow));
  for (let p = 0; p < messages.length; p += 1 + messages.readUInt32BE(p + 1)) messages[p] = 0x64;
  expect(matchCopy(messages, "raw", found.result).verdict).toBe("match");
});

test("the log verifies, and a state that is none is not taken from the server", () => {
  expect(verifyLog(at.dir)).toMatchObject({ ok: true });
  const records = readRun([{ name: "gw-1/0", dir: at.dir }], "job-1", null).records;
  const unseen = records.find(({ record }) => record.type === "transaction.unknown")?.record;
  expect(unseen).toMatchObject({
    sqlstate: "XX000",
    request: null,
    intents: { log: "test/gw-1/0", count: 1 },
  });
});

test("the records fit their schema, and nothing else does; exports tell what happened", () => {
  const schema = z.fromJSONSchema(
    JSON.parse(readFileSync(resolve(import.meta.dirname, "../../docs/audit-record.schema.json"), "utf8")),
  );
  const all = leaves(at);
  for (const leaf of all) expect(schema.safeParse(leaf).error?.message, JSON.stringify(leaf)).toBeUndefined();
  const back = all.find((leaf) => leaf.type === "transaction.rolled_back");
  const masked = all.find(
    (leaf) => leaf.type === "statement.outcome" && leaf.result?.masked_cells !== undefined,
  );
  expect(masked.result.digests.source.alg).toBe("hmac-sha256-v1");
  for (const wrong of [
    { ...back, cause: "weather" },
    { ...back, intents: { ...back.intents, last: "2" } },
    { ...back, type: "transaction.other" },
    { ...masked, result: { ...masked.result, masked_cells: [-1] } },
    { ...masked, result: { ...masked.result, digests: { ...masked.result.digests, source: { alg: "x" } } } },
  ])
    expect(schema.safeParse(JSON.parse(JSON.stringify(wrong))).success).toBe(false);

  const source = new ExportSource({ name: "", dir: at.dir }, null);
  const records = source.read(10_000, 1e9);
  const [record] = records.filter(({ leaf }) => leaf.type === "transaction.rolled_back");
  if (record === undefined) throw new Error("not exported");
  expect(JSON.parse(encodeOne(record, "ecs", { version: "0" }))).toMatchObject({
    event: { outcome: "failure", category: ["database"] },
    user: { name: sessionRecord.principal.subject },
  });
  expect(encodeOne(record, "cef", { version: "0" })).toContain("|Statements undone|");
});
