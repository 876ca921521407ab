import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Block, goneMark, outcomeMark } from "../../src/audit/index/columns.ts";
import { compareIndex } from "../../src/audit/index/compare.ts";
import { removeIndex } from "../../src/audit/index/database.ts";
import { startIndexer } from "../../src/audit/index/indexer.ts";
import { IndexReader } from "../../src/audit/index/reader.ts";
import { statusCode } from "../../src/audit/index/status.ts";
import { IndexWriter } from "../../src/audit/index/writer.ts";
import { type LogPlace, segmentAt, segmentsOf } from "../../src/audit/read/leaves.ts";
import { type SearchFilters, searchLog } from "../../src/audit/read/search.ts";
import { showRequest } from "../../src/audit/read/show.ts";
import { logStats } from "../../src/audit/read/stats.ts";
import { segmentName } from "../../src/audit/verify/segment.ts";
import { leaves, open, type Place, place, safe, segments } from "./helpers.ts";
import { changeRow, indexContent, people, placeOf, say, writeVaried } from "./index-helpers.ts";

let at: Place;
let log: LogPlace;
beforeAll(async () => {
  at = place();
  await writeVaried(at);
  log = placeOf(at);
  build();
});
afterAll(() => at.remove());

function build(step = 100_000, keys: string | null = at.settings.keys): void {
  removeIndex(at.dir);
  const writer = new IndexWriter(log, { keys });
  for (let n = writer.step(step); n > 0; n = writer.step(step));
  writer.close();
}

const check = () => compareIndex(log, { keys: at.settings.keys });
const indexes = (filters: SearchFilters, scan = false, limit = 1000) => {
  const result = searchLog(log, filters, limit, { scan, keys: at.settings.keys });
  expect(result.from).toBe(scan ? "segments" : "index");
  expect(result.tampered).toEqual([]);
  return result.hits.map((h) => ({ index: h.index, outcome: h.outcome?.id ?? null, id: h.leaf.id }));
};

const middle = () => Date.parse(leaves(at)[60].time);

/** Every filter, alone and together, with how many records it must find at least. */
const questions: readonly (readonly [SearchFilters, number])[] = [
  [{}, 60],
  [{ subject: "mary" }, 30],
  [{ subject: "bob “quoted” § ünïcode" }, 30],
  [{ subject: "MARY" }, 0],
  [{ group: "dba" }, 30],
  [{ group: "agents" }, 30],
  [{ token: "t-2" }, 30],
  [{ token: "ab".repeat(32) }, 30],
  [{ token: "ef".repeat(32) }, 2],
  [{ session: "0198a000-0000-7000-8000-00000000000b" }, 30],
  [{ run: "run-42" }, 30],
  [{ run: "0af7651916cd43dd8448eb211c80319c" }, 30],
  [{ database: "crm" }, 30],
  [{ table: "public.orders" }, 12],
  [{ table: "orders" }, 12],
  [{ table: "customers" }, 12],
  [{ table: "Sales Data" }, 12],
  [{ table: "tickets" }, 12],
  [{ table: "part_399" }, 12],
  [{ table: "Data" }, 12],
  [{ table: "ticket" }, 0],
  [{ column: "status" }, 12],
  [{ column: "public.orders.status" }, 12],
  [{ column: '"Odd.Name".c' }, 12],
  [{ column: 'Name".c' }, 0],
  [{ label: "pii.email" }, 12],
  [{ function: "lower" }, 12],
  [{ fingerprint: "cafe" }, 12],
  [{ rule: "rule-1" }, 12],
  [{ rule: "also-this" }, 40],
  [{ type: "session.end" }, 4],
  [{ verdict: "deny" }, 4],
  [{ verdict: "approve", status: "error" }, 4],
  [{ status: "ok" }, 40],
  [{ status: "denied", subject: "mary" }, 2],
  [{ status: "unknown" }, 2],
  [{ status: "cut" }, 0],
  [{ text: "customer_email" }, 12],
  [{ text: "EMAIL customers" }, 12],
  [{ text: "customer email" }, 12],
  [{ text: '"where customer_email"' }, 12],
  [{ text: '"email where"' }, 0],
  [{ text: "custom*" }, 24],
  [{ text: "custom" }, 0],
  [{ text: "column_2499" }, 12],
  [{ text: "zürich naïve" }, 2],
  [{ text: "10.0.0.9" }, 2],
  [{ text: "expired" }, 2],
  [{ text: "Secret" }, 0],
  [{ text: "-- ." }, 0],
  [{ text: "AND OR NOT" }, 0],
  [{ text: "mary", table: "orders", verdict: "deny" }, 2],
];

describe("the index answers as the log itself does", () => {
  test.each(questions)("%j", (filters, least) => {
    const found = indexes(filters);
    expect(found).toEqual(indexes(filters, true));
    if (least === 0) expect(found).toEqual([]);
    else expect(found.length).toBeGreaterThanOrEqual(least);
  });

  test("times, pages and limits", () => {
    const time = middle();
    for (const filters of [
      { since: time },
      { until: time - 1 },
      { since: time, until: time },
      { since: time + 1e9 },
    ])
      expect(indexes(filters)).toEqual(indexes(filters, true));
    const all = indexes({});
    expect(indexes({}, false, 7)).toEqual(all.slice(-7));
    const page = indexes({ before: all.at(-7)?.index ?? 0 }, false, 7);
    expect(page).toEqual(all.slice(-14, -7));
  });

  test("what was written after the index was made is found too, outcomes of earlier statements included", async () => {
    const other = place();
    try {
      const first = await open(other);
      const session = first.session(people[0] ?? expect.fail());
      const waits = say(first, session, { status: "error" });
      await first.settle();
      const writer = new IndexWriter(placeOf(other), { keys: null });
      expect(writer.step(1000)).toBe(2);
      waits.end();
      const more = say(first, session);
      more.end();
      await first.close();
      const ask = (filters: SearchFilters) =>
        searchLog(placeOf(other), filters, 100).hits.map((h) => [h.index, h.outcome?.status]);
      expect(ask({ type: "statement.intent" })).toEqual([
        [waits.index, "error"],
        [more.index, "ok"],
      ]);
      expect(ask({ status: "error" })).toEqual([[waits.index, "error"]]);
      expect(logStats(placeOf(other), {})).toMatchObject({
        from: "index",
        stats: { status: { error: 1, ok: 1 } },
      });
      // The same once the index has taken it: the document of the earlier statement is replaced.
      while (writer.step(1) > 0);
      writer.close();
      expect(ask({ status: "error" })).toEqual([[waits.index, "error"]]);
      expect(logStats(placeOf(other), {}).stats.status).toEqual({ error: 1, ok: 1 });
      expect(compareIndex(placeOf(other), { keys: null })).toMatchObject({ ok: true, behind: 0 });
    } finally {
      other.remove();
    }
  });

  test("without an index it reads the log and says so", () => {
    removeIndex(at.dir);
    const result = searchLog(log, { subject: "mary" }, 10);
    expect(result).toMatchObject({ from: "segments", notice: expect.stringContaining("reindex") });
    expect(result.hits.length).toBe(10);
    writeFileSync(
      join(at.dir, "index.db"),
      "this is no database, but it is long enough to look at".repeat(100),
    );
    expect(searchLog(log, { subject: "mary" }, 10)).toMatchObject({
      from: "segments",
      notice: expect.stringContaining("index"),
    });
    build();
    expect(check()).toMatchObject({ ok: true });
  });
});

test("counts are those of the log, with and without the index", () => {
  for (const filters of [
    {},
    { subject: "mary" },
    { verdict: "deny" },
    { database: "crm", since: 0 },
    { since: Date.now() + 1e8 },
  ]) {
    const indexed = logStats(log, filters);
    expect(indexed.from).toBe("index");
    expect(indexed.stats).toEqual(logStats(log, filters, true).stats);
  }
  const { stats } = logStats(log, {});
  const intents = leaves(at).filter((l) => l.type === "statement.intent");
  expect(stats.statements).toBe(intents.length);
  expect(stats.verdict.deny).toBe(intents.filter((l) => l.decision.verdict === "deny").length);
  expect(stats.writes).toEqual({ "public.orders": 12 });
  expect(Object.values(stats.hour).reduce((a, b) => a + b, 0)).toBe(intents.length);
});

describe("building", () => {
  test("in the smallest steps, by a new writer each: the same index", () => {
    build();
    const dump = () => indexContent(at.dir);
    const whole = dump();
    expect(whole.rows.length).toBe(leaves(at).length);
    removeIndex(at.dir);
    for (let n = 1; n > 0; ) {
      const writer = new IndexWriter(log, { keys: at.settings.keys });
      n = writer.step(1);
      writer.close();
    }
    expect(dump()).toEqual(whole);
    expect(check()).toEqual({
      ok: true,
      records: leaves(at).length,
      behind: 0,
      values: true,
      firstDisagreement: null,
    });
  });

  test("a log that is not the one the index was made of: it is made anew", async () => {
    const other = place();
    try {
      await writeVaried(other, 1);
      const writer = new IndexWriter(placeOf(other), { keys: null });
      writer.step(100_000);
      writer.close();
      rmSync(join(other.dir), { recursive: true, force: true });
      const again = await open(other);
      const session = again.session(people[0] ?? expect.fail());
      say(again, session).end();
      await again.close();
      const size = leaves(other).length;
      // The old index beside the new log.
      const old = place();
      await writeVaried(old, 1);
      const stale = new IndexWriter(placeOf(old), { keys: null });
      stale.step(100_000);
      stale.close();
      writeFileSync(join(other.dir, "index.db"), readFileSync(join(old.dir, "index.db")));
      old.remove();
      expect(compareIndex(placeOf(other), { keys: null })).toMatchObject({ ok: false });
      const fresh = new IndexWriter(placeOf(other), { keys: null });
      expect(fresh.step(100_000)).toBe(size);
      fresh.close();
      expect(compareIndex(placeOf(other), { keys: null })).toMatchObject({ ok: true, records: size });
    } finally {
      other.remove();
    }
  });

  test("segments that retention took leave the index", async () => {
    const other = place();
    try {
      await writeVaried(other);
      const from = placeOf(other);
      const writer = new IndexWriter(from, { keys: other.settings.keys });
      while (writer.step(100_000) > 0);
      const [gone, next] = segments(other);
      rmSync(join(other.dir, "segments", gone ?? ""));
      writer.tend();
      const least = Number((next ?? "").slice(0, 20));
      expect(least).toBeGreaterThan(10);
      expect(searchLog(from, {}, 10_000).hits[0]?.index).toBeGreaterThanOrEqual(least);
      expect(searchLog(from, {}, 10_000)).toMatchObject({ tampered: [] });
      expect(compareIndex(from, { keys: null })).toMatchObject({ ok: true });
      writer.close();
    } finally {
      other.remove();
    }
  });
});

test("no byte of what retention took is left in the index's files", async () => {
  const other = place();
  const bytes = () =>
    readdirSync(other.dir)
      .filter((f) => f.startsWith("index.db"))
      .map((f) => readFileSync(join(other.dir, f)).toString("latin1").toLowerCase())
      .join("");
  try {
    const log = await open(other, { limits: { segmentBytes: 20_000 } });
    for (const name of ["gonesubject", "staysubject"]) {
      const [person] = people;
      if (person === undefined) throw new Error("nobody");
      const session = log.session({
        ...person,
        principal: { ...person.principal, subject: `${name}@example.org` },
      });
      for (let n = 0; n < 60; n++) {
        say(log, session, {
          statement: { sql: `select ${name}word${n}, 1`, fingerprint: `${name}${n}` },
        }).end();
        if (n % 5 === 4) await safe(log, "disk");
      }
    }
    await log.close();
    const from = placeOf(other);
    const writer = new IndexWriter(from, { keys: other.settings.keys });
    // In small steps: the full-text table is merged many times, and lets go of many pages.
    while (writer.step(5) > 0);
    expect(bytes()).toContain("gonesubject");
    const first = leaves(other).findIndex((l) => JSON.stringify(l).includes("staysubject"));
    const names = segments(other);
    for (const [i, name] of names.entries())
      if (Number((names[i + 1] ?? "x").slice(0, 20)) <= first) rmSync(join(other.dir, "segments", name));
    const kept =
      names
        .map((name) => Number(name.slice(0, 20)))
        .filter((n) => n <= first)
        .at(-1) ?? 0;
    expect(kept).toBeGreaterThan(50);
    // One that reads keeps the old pages; they go when it is done.
    const reader = new DatabaseSync(join(other.dir, "index.db"), { readOnly: true });
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM part").get();
    writer.tend();
    reader.close();
    writer.tend();
    // Segments are kept whole: of the first one's words only those are there that it has.
    const text = readFileSync(join(other.dir, "segments", `${String(kept).padStart(20, "0")}.log`), "utf8");
    for (let n = 0; n < 60; n++)
      if (!new RegExp(`gonesubjectword${n}\\b`).test(text))
        expect(new RegExp(`gonesubjectword${n}(?!\\d)`).test(bytes()), `word ${n}`).toBe(false);
    expect(bytes()).toContain("staysubjectword59");
    expect(compareIndex(from, { keys: other.settings.keys })).toMatchObject({ ok: true });
    writer.close();
  } finally {
    other.remove();
  }
});

describe("known values", () => {
  const find = (value: string, keys: string | null = at.settings.keys) =>
    searchLog(log, { value }, 1000, { keys });

  test("parameters and literals are found by their exact value, with the keys only", () => {
    build();
    const intents = leaves(at).filter((l) => l.type === "statement.intent").length;
    expect(find("value-1-2-3").hits.length).toBe(2);
    expect(find("Secret 021").hits.length).toBe(2);
    expect(find("42").hits.length).toBe(intents);
    expect(find("it's").hits.length).toBe(intents);
    expect(find("4.25").hits.length).toBe(intents);
    // A comment is no literal, a part of a value no value.
    expect(find("99").hits).toEqual([]);
    expect(find("value-1-2").hits).toEqual([]);
    expect(find("42", null).hits).toEqual([]);
    expect(
      searchLog(log, { value: "42", subject: "mary", verdict: "deny" }, 1000, { keys: at.settings.keys }).hits
        .length,
    ).toBe(2);
  });

  test("nothing of a value stands in the index", () => {
    const bytes = readdirSync(at.dir)
      .filter((f) => f.startsWith("index.db"))
      .map((f) => readFileSync(join(at.dir, f)).toString("latin1").toLowerCase())
      .join("");
    expect(bytes).toContain("customers");
    for (const secret of ["secret 0", "secret", "value-0", "mary@example.com", "big spenders"])
      expect(bytes).not.toContain(secret);
  });

  test("when a day's key is destroyed nothing of that day is found any more, and the digests go", async () => {
    const other = place();
    try {
      await writeVaried(other, 1);
      const from = placeOf(other);
      const keys = other.settings.keys;
      const writer = new IndexWriter(from, { keys });
      while (writer.step(100_000) > 0);
      expect(searchLog(from, { value: "42" }, 10, { keys }).hits.length).toBe(10);
      for (const file of readdirSync(join(other.dir, "keys"))) rmSync(join(other.dir, "keys", file));
      expect(searchLog(from, { value: "42" }, 10, { keys }).hits).toEqual([]);
      writer.tend();
      writer.close();
      const db = new DatabaseSync(join(other.dir, "index.db"));
      expect(db.prepare("SELECT count(*) AS n FROM value").get()).toEqual({ n: 0 });
      db.close();
    } finally {
      other.remove();
    }
  });
});

describe("a tampered index", () => {
  const change = (sql: string, ...values: (string | number | Uint8Array)[]) => {
    const db = new DatabaseSync(join(at.dir, "index.db"));
    const { changes } = db.prepare(sql).run(...values);
    db.close();
    expect(Number(changes)).toBeGreaterThan(0);
  };
  /** A statement that was denied, whose outcome is recorded. */
  function target(): number {
    return leaves(at).findIndex((l) => l.decision?.verdict === "deny");
  }

  test.each<[string, (block: Block, slot: number) => void]>([
    [
      "place",
      (block, slot) => {
        block.offset[slot] = block.offset[slot + 1] ?? 0;
      },
    ],
    ["no such place", (block, slot) => block.offset.fill(4_000_000_000, slot, slot + 1)],
    ["id", (block, slot) => block.id.fill(7, slot, slot + 1)],
    ["request", (block, slot) => block.request.fill(7, slot, slot + 1)],
    ["session part", (block, slot) => block.session.fill(block.session[0] ?? 0, slot, slot + 1)],
    ["no statement part", (block, slot) => block.statement.fill(0, slot, slot + 1)],
    ["a part that does not exist", (block, slot) => block.session.fill(999_999, slot, slot + 1)],
    ["own part", (block, slot) => block.own.fill(block.own[0] ?? 0, slot, slot + 1)],
    [
      "outcome",
      (block, slot) => {
        block.link[slot] = (block.link[slot] ?? 0) + 2;
      },
    ],
    ["no outcome", (block, slot) => block.link.fill(0, slot, slot + 1)],
    ["status", (block, slot) => block.status.fill(statusCode("cut"), slot, slot + 1)],
    ["no such status", (block, slot) => block.status.fill(77, slot, slot + 1)],
  ])("%s: search reports the row and does not show it, the check says which", (_name, tamper) => {
    build();
    const n = target();
    changeRow(at.dir, n, tamper);
    // Asked so that the row is found whatever of it was changed.
    const result = searchLog(log, { before: n + 1 }, 1);
    expect(result.hits.map((h) => h.index)).not.toContain(n);
    expect(result.tampered.map((t) => t.index)).toEqual([n]);
    const report = check();
    expect(report?.ok).toBe(false);
    expect(report?.firstDisagreement?.index).toBe(n);
  });

  test.each([
    ["a statement becomes an outcome", target, outcomeMark],
    ["an outcome becomes a statement", () => target() + 1, 1],
    ["a row is gone", target, goneMark],
  ])("the check finds: %s", (_name, which, mark) => {
    build();
    changeRow(at.dir, which(), (block, slot) => {
      for (const column of [block.session, block.statement, block.own]) column[slot] = mark;
    });
    expect(check()).toMatchObject({ ok: false, firstDisagreement: { index: which() } });
  });

  test("the check finds rows behind the end of the log", () => {
    build();
    const size = leaves(at).length;
    changeRow(at.dir, size, (block, slot) => {
      block.add(size, 0);
      block.own[slot] = outcomeMark;
    });
    expect(check()).toMatchObject({ ok: false, firstDisagreement: { index: size } });
  });

  test.each([
    [
      "words are gone",
      "INSERT INTO term (term, rowid, terms) SELECT 'delete', id, terms FROM part WHERE id = 3",
    ],
    ["a part is another", "UPDATE part SET terms = 'something' WHERE id = 3"],
    ["a part does not occur any more", "DELETE FROM posting WHERE part = 2"],
    ["a part occurs elsewhere", "UPDATE posting SET span = 77 WHERE part = 2"],
    ["a block is gone", "DELETE FROM block"],
    ["a block is empty", "UPDATE chunk SET data = zeroblob(0)"],
    ["a block is cut", "UPDATE place SET data = substr(data, 13)"],
    ["outcomes are gone", "DELETE FROM ended"],
    ["counts", "UPDATE tally SET count = count + 1"],
    ["counts are gone", "DELETE FROM touched"],
    ["times", "UPDATE block SET least = least - 1"],
    ["ids", "UPDATE block SET id_most = id_most - 1000000"],
    ["requests", "UPDATE block SET request_least = 0"],
    ["known values are gone", "DELETE FROM value"],
    ["a known value is gone", "UPDATE value SET data = substr(data, 11)"],
    [
      "a known value is another's",
      "UPDATE value SET data = substr(data, 1, 8) || x'0001' || substr(data, 11)",
    ],
    ["a known value too many", "INSERT INTO value SELECT NULL, day, number, zeroblob(10) FROM value LIMIT 1"],
    ["known values of no record", "INSERT INTO value SELECT NULL, day, 77, zeroblob(10) FROM value LIMIT 1"],
    [
      "it says it has more",
      `UPDATE meta SET value = json_set(value, '$.index', 100000) WHERE name = 'position'`,
    ],
  ])("the check finds: %s", (_name, sql) => {
    build();
    change(sql);
    expect(check()).toMatchObject({ ok: false, firstDisagreement: { problem: expect.any(String) } });
  });

  test("a changed record: the log's list of hashes, and the index, still know the old one", () => {
    build();
    const n = target();
    const first = segmentAt(segmentsOf(at.dir), n);
    const segment = join(at.dir, "segments", segmentName(first));
    const before = readFileSync(segment);
    const { id } = leaves(at)[n];
    const start = before.indexOf(id);
    const changed = Buffer.from(before);
    changed.write("allow", before.indexOf('"deny"', start) + 1, "latin1");
    changed.write('",', before.indexOf('"deny"', start) + 6, "latin1");
    try {
      writeFileSync(segment, changed);
      expect(searchLog(log, { subject: "mary" }, 1000).tampered.map((t) => t.index)).toContain(n);
      expect(check()).toMatchObject({ ok: false, firstDisagreement: { index: n } });
    } finally {
      writeFileSync(segment, before);
    }
    expect(check()).toMatchObject({ ok: true });
  });
});

test("show finds a request through the index as it does without, and opens its seal", () => {
  build();
  const origin = "test/gw-1/0";
  for (const leaf of leaves(at)
    .filter((l) => l.type === "statement.intent" || l.type === "session.start")
    .slice(0, 25)) {
    const id = leaf.request ?? leaf.id;
    const indexed = showRequest(log, origin, id, at.settings.keys);
    expect(indexed.length).toBeGreaterThan(0);
    expect(indexed[0]?.opened?.state).toBe("open");
    removeIndex(join(at.dir, "none"));
    const reader = IndexReader.open(log);
    reader?.close();
    const aside = join(at.dir, "index.db");
    const kept = readFileSync(aside);
    rmSync(aside);
    expect(showRequest(log, origin, id, at.settings.keys)).toEqual(indexed);
    writeFileSync(aside, kept);
  }
});

describe("the indexer beside a running log", () => {
  test("takes what is written, and goes on after its file was destroyed under it", {
    timeout: 60_000,
  }, async () => {
    const other = place();
    const problems: string[] = [];
    const audit = await open(other);
    const indexer = startIndexer({ dir: other.dir, keys: other.settings.keys, pollMs: 20 }, (p) =>
      problems.push(p),
    );
    try {
      const session = audit.session(people[0] ?? expect.fail());
      for (let round = 0; round < 5; round++) {
        for (let n = 0; n < 200; n++) say(audit, session, { parameters: [`p${n}`] }).end();
        await audit.settle();
        await indexer.caughtUp();
        expect(indexer.state).toMatchObject({ records: audit.size, problem: null });
      }
      expect(searchLog(placeOf(other), { value: "p7" }, 100, { keys: other.settings.keys })).toMatchObject({
        from: "index",
        hits: { length: 5 },
      });
      await indexer.close();
      await expect(indexer.caughtUp()).rejects.toThrow("closed");
      expect(compareIndex(placeOf(other), { keys: other.settings.keys })).toMatchObject({
        ok: true,
        behind: 0,
      });
      // Torn by a crash: the next indexer makes it anew.
      appendFileSync(join(other.dir, "index.db"), "");
      writeFileSync(join(other.dir, "index.db"), Buffer.alloc(8192, 7));
      const next = startIndexer({ dir: other.dir, keys: null, pollMs: 20 });
      await next.caughtUp();
      expect(next.state.records).toBe(audit.size);
      await next.close();
      expect(problems).toEqual([]);
      expect(existsSync(join(other.dir, "index.db"))).toBe(true);
    } finally {
      await indexer.close();
      await audit.close();
      other.remove();
    }
  });
});
