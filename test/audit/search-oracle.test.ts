/** Searches with any filters together, against what a reader of the docs would do with the segments by hand. */
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { IndexWriter } from "../../src/audit/index/writer.ts";
import { QuickFilter, quickOutcome } from "../../src/audit/read/quick.ts";
import { type SearchFilters, searchLog } from "../../src/audit/read/search.ts";
import { moment } from "../../src/cli/audit/filters.ts";
import { type Place, place } from "./helpers.ts";
import { placeOf, writeVaried } from "./index-helpers.ts";

// biome-ignore lint/suspicious/noExplicitAny: an oracle that reads JSON as it is
type Any = any;
let at: Place;
let records: Any[];
/** The same log with an index of its first half. */
let half: Place;
beforeAll(async () => {
  at = place();
  await writeVaried(at, 4);
  half = place();
  cpSync(at.dir, half.dir, { recursive: true });
  const begun = new IndexWriter(placeOf(half), { keys: at.settings.keys });
  while (begun.size < 100) begun.step(1);
  begun.close();
  const writer = new IndexWriter(placeOf(at), { keys: at.settings.keys });
  for (let n = writer.step(1000); n > 0; n = writer.step(1000));
  writer.close();
  const folder = join(at.dir, "segments");
  records = readdirSync(folder)
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"))
    .filter((line) => line.startsWith("L "))
    .map((line) => withBlobs(JSON.parse(line.slice(2))));
});
afterAll(() => {
  at.remove();
  half.remove();
});

function withBlobs(value: Any): Any {
  if (Array.isArray(value)) return value.map(withBlobs);
  if (typeof value !== "object" || value === null) return value;
  if (typeof value.blob === "string" && typeof value.bytes === "number")
    return JSON.parse(readFileSync(join(at.dir, "blobs", value.blob.slice(0, 2), value.blob), "utf8"));
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withBlobs(one)]));
}

const ends = (list: Any, wanted: string) =>
  Array.isArray(list) && list.some((name: string) => name === wanted || name.endsWith(`.${wanted}`));
const hidden = /^(?:id|time|session|request|sealed|sha256|jti|digests|issued|expires)$/;
function textsOf(value: Any): string[] {
  if (typeof value === "string") return [value.toLowerCase()];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => (hidden.test(name) ? [] : textsOf(one)));
}
const isWord = (c: string | undefined) => c !== undefined && /[\p{L}\p{N}\p{M}]/u.test(c);
function hasWord(leaf: Any, typed: string): boolean {
  const prefix = typed.endsWith("*");
  const word = typed.toLowerCase().replace(/^"|"$|\*$/g, "");
  return textsOf(leaf).some((text) => {
    for (let i = text.indexOf(word); i >= 0; i = text.indexOf(word, i + 1))
      if (!isWord(text[i - 1]) && (prefix || !isWord(text[i + word.length]))) return true;
    return false;
  });
}

/** What each filter means, as docs/audit-search.md says. */
const means: Readonly<Record<string, (leaf: Any, wanted: Any, outcome: Any) => boolean>> = {
  subject: (l, w) => l.principal?.subject === w,
  group: (l, w) => l.principal?.groups?.includes(w) === true,
  token: (l, w) => [l.principal?.token?.jti, l.principal?.token?.sha256, l.token?.sha256].includes(w),
  session: (l, w) => l.session === w,
  database: (l, w) => l.database?.name === w,
  table: (l, w) =>
    l.statement?.reads == null && l.statement?.writes == null
      ? new RegExp(`(?<!\\w)${w}(?!\\w)`, "i").test((l.statement?.sql ?? "").replaceAll('"', ""))
      : ends(l.statement?.reads, w) || ends(l.statement?.writes, w),
  column: (l, w) => ends(l.statement?.columns, w),
  function: (l, w) => ends(l.statement?.functions, w),
  label: (l, w) => l.statement?.labels?.includes(w) === true,
  fingerprint: (l, w) => l.statement?.fingerprint === w,
  rule: (l, w) => l.decision?.rule === w || l.decision?.rules?.includes(w) === true,
  verdict: (l, w) => l.decision?.verdict === w,
  status: (_l, w, o) => o?.status === w,
  type: (l, w) => l.type === w,
  since: (l, w) => Date.parse(l.time) >= w,
  until: (l, w) => Date.parse(l.time) <= w,
  text: (l, w) => (w.match(/"[^"]*"|\S+/g) as string[]).every((word) => hasWord(l, word)),
  run: (l, w) =>
    [l.claimed?.run, l.claimed?.traceparent, l.claimed?.traceparent?.split("-")[1], l.session].includes(w),
};

function oracle(filters: SearchFilters): number[] {
  const outcomes = new Map<number, Any>();
  for (const leaf of records)
    if (leaf.type === "statement.outcome" && !outcomes.has(leaf.intent.index))
      outcomes.set(leaf.intent.index, leaf);
  return [...records.entries()]
    .filter(
      ([i, leaf]) =>
        leaf.type !== "statement.outcome" &&
        Object.entries(filters).every(([name, wanted]) => means[name]?.(leaf, wanted, outcomes.get(i))),
    )
    .map(([i]) => i);
}

const some = <T>(...values: T[]) => fc.constantFrom(...values);
const filter = fc.record(
  {
    subject: some("mary", "bob “quoted” § ünïcode", "nobody"),
    group: some("agents", "dba", "analysts"),
    token: some("t-2", "ab".repeat(32), "ef".repeat(32)),
    session: some("0198a000-0000-7000-8000-000000000001", "0198a000-0000-7000-8000-00000000000b"),
    database: some("shop", "crm"),
    table: some("public.orders", "orders", "tickets", "Sales Data", "part_7", "order"),
    column: some("status", "orders.status", "public.orders.status", "tatus"),
    function: some("lower", "pg_catalog.lower"),
    label: some("pii.email"),
    fingerprint: some("beef", "cafe", "10de", "f00d"),
    rule: some("rule-1", "rule-2", "also-this"),
    verdict: some("allow", "deny", "approve"),
    status: some("ok", "error", "denied", "unknown", "cut"),
    type: some(
      "statement.intent",
      "session.start",
      "session.end",
      "auth.failed",
      "admin.action",
      "log.opened",
    ),
    since: fc.nat(200),
    until: fc.nat(200),
    text: some(
      "select",
      "EMAIL",
      "zürich",
      "ZÜRICH",
      "naïv*",
      "customer_email",
      '"where customer_email"',
      "column_77",
      "column_7*",
      "or",
      "NOT",
      "x'y",
      "$1",
      "ünïcode",
      "mary select",
      "report-bot",
      "127.0.0.1",
      `column_2 ${"column_3 ".repeat(40)}`,
      "a".repeat(300),
    ),
    run: some("run-42", "0af7651916cd43dd8448eb211c80319c", "0198a000-0000-7000-8000-000000000001"),
  },
  { requiredKeys: [] },
);
const together = fc
  .tuple(filter, fc.shuffledSubarray(Object.keys(means), { minLength: 1, maxLength: 5 }))
  .map(
    ([all, names]) =>
      Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name))) as typeof all,
  );

test("any filters together, through the index and without it", { timeout: 90_000 }, () => {
  let found = 0;
  fc.assert(
    fc.property(together, some(5, 1000), ({ since, until, ...rest }, limit) => {
      const time = (n: number) => Date.parse(records[n % records.length].time);
      const filters: SearchFilters = {
        ...rest,
        ...(since === undefined ? {} : { since: time(since) }),
        ...(until === undefined ? {} : { until: time(until) }),
      };
      const expected = oracle(filters).slice(-limit);
      found += expected.length;
      for (const [where, scan] of [
        [at, false],
        [half, false],
        [at, true],
      ] as const) {
        const result = searchLog(placeOf(where), filters, limit, { scan });
        expect(result.from).toBe(scan ? "segments" : "index");
        expect(
          result.hits.map(({ index }) => index),
          JSON.stringify(filters),
        ).toEqual(expected);
      }
    }),
    {
      numRuns: 120,
    },
  );
  expect(found).toBeGreaterThan(60);
});

test("leaves are only passed over where their bytes can be taken at their word", () => {
  const may = (filters: SearchFilters, leaf: string) =>
    new QuickFilter(filters).mayFit(Buffer.from(`L ${leaf}\n`), 2, 2 + Buffer.byteLength(leaf));
  expect(may({ subject: "mary" }, '{"principal":{"subject":"mary"}}')).toBe(true);
  expect(may({ subject: "mary" }, '{"principal":{"subject":"mary ann"}}')).toBe(false);
  // The bytes of other lines are not looked at.
  expect(may({ subject: "L" }, '{"principal":{}}')).toBe(false);
  expect(may({ subject: "mary" }, '{"principal":{"subject":"m\\u0061ry"}}')).toBe(true);
  expect(may({ subject: "mary" }, '{"principal":{"blob":"ab","bytes":9}}')).toBe(true);
  expect(may({ subject: 'm"ary' }, '{"principal":{"subject":"m\\"ary"}}')).toBe(true);
  expect(may({ subject: "märy" }, '{"principal":{"subject":"märy"}}')).toBe(true);
  expect(may({ column: "email" }, '{"statement":{"columns":["public.people.email"]}}')).toBe(true);
  expect(may({ run: "ab12" }, '{"claimed":{"traceparent":"00-ab12-cd-01"}}')).toBe(true);
  expect(may({ text: "word", table: "t" }, "{}")).toBe(true);
  const id = "0198a000-0000-7000-8000-000000000001";
  const outcome = (rest: string) => {
    const leaf = Buffer.from(`{"v":1,"id":"${id}","type":"statement.outcome",${rest}`);
    return quickOutcome(leaf, 0, leaf.length);
  };
  expect(outcome('"request":"r","intent":{"log":"a/b","index":17},"status":"ok"}')).toBe(17);
  expect(outcome('"node":"\\"intent\\":{\\"log\\":\\"a\\",\\"index\\":1}","status":"ok"}')).toBe(null);
  const intent = Buffer.from(`{"v":1,"id":"${id}","type":"statement.intent","intent":{"log":"a","index":1}}`);
  expect(quickOutcome(intent, 0, intent.length)).toBe(null);
});

test("a day as a bound is the whole day", () => {
  expect(moment("--since", "2026-11-22", "")).toBe(Date.parse("2026-11-22T00:00:00Z"));
  expect(moment("--until", "2026-11-22", "")).toBe(Date.parse("2026-11-22T23:59:59.999Z"));
  expect(moment("--until", "2026-11-22T10:00:00Z", "")).toBe(Date.parse("2026-11-22T10:00:00Z"));
});
