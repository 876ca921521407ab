/** An index of many blocks: late outcomes, several writers, retention, what an earlier version left. */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareIndex } from "../../src/audit/index/compare.ts";
import { IndexWriter } from "../../src/audit/index/writer.ts";
import type { LogPlace } from "../../src/audit/read/leaves.ts";
import { type SearchFilters, searchLog } from "../../src/audit/read/search.ts";
import { showRequest } from "../../src/audit/read/show.ts";
import { leaves, open, type Place, place, segments } from "./helpers.ts";
import { indexContent, people, placeOf, say } from "./index-helpers.ts";

/** Blocks of 1024, spans of 16 of them: the records of this log fill one span and some of the next. */
const statements = 9000;

let at: Place;
let log: LogPlace;
let requests: string[];
let size: number;
beforeAll(async () => {
  at = place();
  log = placeOf(at);
  requests = [];
  const audit = await open(at, { limits: { segmentBytes: 4_000_000 } });
  const sessions = people.map((person) => audit.session(person));
  const late: { readonly due: number; end(): void }[] = [];
  for (let n = 0; n < statements; n++) {
    const session = sessions[n % 50 === 0 ? 1 : 0] ?? expect.fail();
    const said = say(audit, session, {
      statement: {
        sql: `select c${n % 7} from t${n % 300}`,
        reads: [`public.t${n % 300}`],
        fingerprint: String(n % 300),
      },
      exact: `select c${n % 7} from t${n % 300} where id = ${n}`,
      parameters: [`p${n % 1000}`],
      status: n % 11 === 0 ? "error" : "ok",
    });
    requests.push(said.request);
    // Most end at once, some thousands of records later, and a few never.
    if (n % 97 === 0) late.push({ due: n + 3500, end: said.end });
    else if (n % 89 !== 0) said.end();
    for (const { end } of late.splice(
      0,
      late.findIndex(({ due }) => due > n) < 0 ? 0 : late.findIndex(({ due }) => due > n),
    ))
      end();
    if (n % 250 === 0) await audit.settle();
  }
  await audit.close();
  size = leaves(at).length;
}, 120_000);
afterAll(() => at.remove());

function build(steps: readonly number[], again: boolean): void {
  rmSync(join(at.dir, "index.db"), { force: true });
  let writer = new IndexWriter(log, { keys: at.settings.keys });
  for (let n = 0; writer.step(steps[n % steps.length] ?? 1) > 0; n++) {
    if (!again) continue;
    writer.close();
    writer = new IndexWriter(log, { keys: at.settings.keys });
  }
  expect(writer.size).toBe(size);
  writer.close();
}
const check = () => compareIndex(log, { keys: at.settings.keys });
const find = (filters: SearchFilters, scan: boolean, limit = 50) => {
  const found = searchLog(log, filters, limit, { scan });
  expect(found.tampered).toEqual([]);
  return found.hits.map(({ index, outcome }) => [index, outcome?.id ?? null]);
};
const questions: readonly SearchFilters[] = [
  {},
  { subject: "mary" },
  { group: "dba" },
  { group: "dba", table: "t150" },
  { table: "public.t7", status: "error" },
  { fingerprint: "299" },
  { text: "c3 t10" },
  { text: "t29*", status: "error" },
  { text: "t1 t2" },
  { type: "log.closed" },
  { text: "select from", before: 4000 },
  { status: "error", before: 3000 },
  { status: "cut" },
];

test("whatever the steps and the writers, the index is the same, and right", () => {
  build([50_000], false);
  expect(check()).toMatchObject({ ok: true, records: size, values: true, behind: 0 });
  const whole = indexContent(at.dir);
  build([700, 1, 3000, 300], true);
  expect(check()).toMatchObject({ ok: true, records: size });
  expect(indexContent(at.dir)).toEqual(whole);
  for (const filters of questions)
    expect(find(filters, false), JSON.stringify(filters)).toEqual(find(filters, true));
}, 240_000);

test("two writers take turns", () => {
  rmSync(join(at.dir, "index.db"), { force: true });
  const writers = [1, 2].map(() => new IndexWriter(log, { keys: at.settings.keys }));
  for (let n = 0, idle = 0; idle < 2; n++) idle = writers[n % 2]?.step(900) === 0 ? idle + 1 : 0;
  for (const writer of writers) writer.close();
  expect(check()).toMatchObject({ ok: true, records: size });
}, 120_000);

test("known values and requests are found in every block", () => {
  build([5000], false);
  const keys = at.settings.keys;
  expect(searchLog(log, { value: "p77" }, 100, { keys }).hits.length).toBe(9);
  expect(searchLog(log, { value: "8123" }, 100, { keys }).hits.length).toBe(1);
  for (const request of [requests[0], requests[97], requests[4500], requests[8999]]) {
    const shown = showRequest(log, "test/gw-1/0", request ?? "", keys);
    expect(shown.length).toBeGreaterThan(0);
    expect(searchLog(log, { request: request ?? "" }, 10).hits.length).toBe(1);
  }
  expect(searchLog(log, { request: "0198a000-0000-7000-8000-000000000001" }, 10).hits).toEqual([]);
  expect(searchLog(log, { request: "no id" }, 10).hits).toEqual([]);
}, 120_000);

test("an index of an earlier layout is made anew and gives its room back", () => {
  rmSync(join(at.dir, "index.db"), { force: true });
  const old = new DatabaseSync(join(at.dir, "index.db"));
  old.exec("PRAGMA journal_mode = WAL; CREATE TABLE part (id INTEGER PRIMARY KEY, terms TEXT NOT NULL)");
  old.exec(
    "CREATE TABLE record (idx INTEGER PRIMARY KEY, filler BLOB); CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
  );
  old.exec("CREATE VIEW document AS SELECT idx, '' AS terms FROM record");
  old.exec(
    "CREATE VIRTUAL TABLE term USING fts5(terms, content = document, content_rowid = idx, detail = none)",
  );
  old.exec(
    "INSERT INTO record WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, zeroblob(4000) FROM n",
  );
  old.exec("PRAGMA user_version = 2");
  old.close();
  expect(searchLog(log, { subject: "mary" }, 5)).toMatchObject({ from: "segments" });
  const writer = new IndexWriter(log, { keys: null });
  while (writer.step(10_000) > 0);
  writer.close();
  expect(statSync(join(at.dir, "index.db")).size).toBeLessThan(5_000_000);
  expect(compareIndex(log, { keys: null })).toMatchObject({ ok: true, records: size });
}, 120_000);

describe("retention", () => {
  test("takes whole segments out of the middle of a block: what is left is right", () => {
    build([5000], false);
    const before = indexContent(at.dir);
    for (let gone = 0; gone < 2; gone++) {
      rmSync(join(at.dir, "segments", segments(at)[0] ?? ""));
      const least = Number((segments(at)[0] ?? "").slice(0, 20));
      expect(least % 1024).not.toBe(0);
      // Before the index was told: what is gone is not shown, and nothing is called tampered with.
      expect(searchLog(log, { subject: "mary" }, 100_000)).toMatchObject({ from: "index", tampered: [] });
      const writer = new IndexWriter(log, { keys: at.settings.keys });
      writer.tend();
      expect(writer.step(100)).toBe(0);
      writer.close();
      expect(check()).toMatchObject({ ok: true, values: true });
      const now = indexContent(at.dir);
      expect(now.rows[0]).toMatchObject({ idx: least });
      expect(now.rows.length).toBeLessThan(before.rows.length);
      expect(now.values.length).toBeLessThan(before.values.length);
      for (const filters of questions.slice(0, 5))
        expect(find(filters, false), JSON.stringify(filters)).toEqual(find(filters, true));
    }
    // The same as an index that never knew more, but for the hour in which the cut lies.
    const pruned = indexContent(at.dir);
    build([5000], false);
    const fresh = indexContent(at.dir);
    expect(pruned.rows).toEqual(fresh.rows);
    expect(pruned.values).toEqual(fresh.values);
    expect(pruned.posted).toEqual(fresh.posted);
    expect(pruned.parts).toEqual(fresh.parts);
  }, 240_000);
});
