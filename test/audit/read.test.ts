import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { literalsOf } from "../../src/audit/index/literals.ts";
import { IndexWriter } from "../../src/audit/index/writer.ts";
import type { AuditLog } from "../../src/audit/index.ts";
import { namesOf, RecordFilter } from "../../src/audit/read/filters.ts";
import { AuditReadError, type AuditReader, startAuditReader } from "../../src/audit/read/reader.ts";
import { textQuery, wordsOf } from "../../src/audit/read/words.ts";
import { leaves, open, type Place, place } from "./helpers.ts";
import { people, placeOf, say, writeVaried } from "./index-helpers.ts";

describe("reading on the record", () => {
  let at: Place;
  let log: AuditLog;
  let reader: AuditReader;
  const by = { subject: "ann", issuer: "https://idp.example.com", kind: "human", groups: ["audit"] };
  beforeAll(async () => {
    at = place();
    await writeVaried(at, 1);
    const writer = new IndexWriter(placeOf(at), { keys: at.settings.keys });
    while (writer.step(1000) > 0);
    writer.close();
    log = await open(at);
    reader = startAuditReader(log, { dir: at.settings.dir, keys: at.settings.keys });
  });
  afterAll(async () => {
    await reader.close();
    await log.close();
    at.remove();
  });
  const actions = () => leaves(at).filter((l) => l.type === "admin.action" && l.principal !== undefined);

  test("a question is in the log before its answer comes, with who asked and what", async () => {
    const before = actions().length;
    const { hits } = await reader.ask(by, {
      kind: "search",
      filters: { subject: "mary", verdict: "allow" },
      limit: 3,
    });
    expect(hits).toHaveLength(3);
    expect(actions().slice(before)).toMatchObject([
      {
        action: "audit.search",
        principal: by,
        question: { kind: "search", filters: { subject: "mary", verdict: "allow" }, limit: 3 },
      },
    ]);
    const request = String(hits[0]?.leaf.request);
    const closed = await reader.ask(by, { kind: "show", request, open: false });
    expect(closed.records.map((r) => r.opened)).toEqual(closed.records.map(() => null));
    const { records } = await reader.ask(by, { kind: "show", request, open: true });
    expect(records[0]?.opened?.state).toBe("open");
    const { story } = await reader.ask(by, { kind: "run", run: "run-42", open: true });
    expect(story.statements.length).toBe(10);
    const { stats } = await reader.ask(by, { kind: "stats", filters: {} });
    expect(stats.statements).toBe(20);
    expect(
      actions()
        .slice(before)
        .map((l) => l.action),
    ).toEqual(["audit.search", "audit.show", "audit.show", "audit.run", "audit.stats"]);
  });

  test("which known value was searched is not recorded", async () => {
    const { hits } = await reader.ask(by, { kind: "search", filters: { value: "value-1-0-3" }, limit: 10 });
    expect(hits).toHaveLength(2);
    expect(JSON.stringify(leaves(at))).not.toContain("value-1-0-3");
    expect(actions().at(-1)).toMatchObject({ question: { filters: { value: "(not recorded)" } } });
  });

  test("what is written meanwhile is found at once", async () => {
    const session = log.session({ ...(people[0] ?? expect.fail()), session: "fresh" });
    say(log, session).end();
    await log.settle();
    const { hits } = await reader.ask(by, { kind: "search", filters: { session: "fresh" }, limit: 10 });
    expect(hits).toMatchObject([{ outcome: { status: "ok" } }]);
  });

  test("a reader that rested answers the next question", async () => {
    const hasty = startAuditReader(log, { dir: at.settings.dir, keys: null, idleMs: 0 });
    const asked = () => hasty.ask(by, { kind: "stats", filters: {} });
    const first = await asked();
    // Longer than its patience: its thread has been asked to end.
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await asked()).toEqual(first);
    const [one, two] = await Promise.all([asked(), asked()]);
    expect(two).toEqual(one);
    await hasty.close();
  });

  test("a log that cannot record answers nothing", async () => {
    const other = place();
    const broken = await open(other);
    await broken.close();
    const deaf = startAuditReader(broken, { dir: other.settings.dir, keys: null });
    await expect(deaf.ask(by, { kind: "stats", filters: {} })).rejects.toMatchObject({
      name: "AuditUnavailable",
    });
    await deaf.close();
    const gone = startAuditReader(log, { dir: other.settings.dir, keys: null });
    rmSync(other.root, { recursive: true });
    await expect(gone.ask(by, { kind: "stats", filters: {} })).rejects.toBeInstanceOf(AuditReadError);
    await gone.close();
  });
});

test("names stand for their ends, but not for parts of quoted names", () => {
  expect(namesOf("public.customers.email")).toEqual(["public.customers.email", "customers.email", "email"]);
  expect(namesOf('"My.Schema"."a.b"')).toEqual(['"My.Schema"."a.b"', '"a.b"']);
  expect(namesOf('"say ""a.b"""')).toEqual(['"say ""a.b"""']);
});

describe("words", () => {
  test("are letters, digits and marks, in lower case; a term must stand between their borders", () => {
    expect([...wordsOf("select customer_email from t2, ünïcode 10.5")]).toEqual([
      "select",
      "customer",
      "email",
      "from",
      "t2",
      "ünïcode",
      "10",
      "5",
    ]);
    const fits = (typed: string, text: string) => textQuery(typed)?.fits(text) ?? null;
    expect(fits("customer_email", "a customer_email b")).toBe(true);
    expect(fits("customer_email", "a customer_emails b")).toBe(false);
    expect(fits("customer_em*", "a customer_email b")).toBe(true);
    expect(fits("(email)", "f(email)")).toBe(true);
    expect(fits("a.b", "axb")).toBe(false);
    expect(fits('"a b"', "a b")).toBe(true);
    expect(fits('"a b"', "a\nb")).toBe(false);
    expect(fits("b a", "a b")).toBe(true);
    expect(fits("..", "..")).toBe(null);
    expect(fits("[a-z]+ \\d $^", "a 1")).toBe(false);
  });

  test("a text without any word finds nothing", () => {
    expect(new RecordFilter({ text: "-- ;" }).fits({ type: "x", note: "-- ;" }, 0)).toBe(false);
  });
});

test("literals of an SQL text, as they read", () => {
  const literals = (sql: string) => literalsOf(sql, 100);
  expect(literals("select 'a''b', E'x\\ny\\'z', $$it's$$, $t$ $$ $t$, 4.25, .5, 1e3, b'01'")).toEqual([
    "a'b",
    "x\ny'z",
    "it's",
    " $$ ",
    "4.25",
    ".5",
    "1e3",
    "01",
  ]);
  expect(literals("select $1, t1.c2 from \"odd '7'\" -- 'no'\n/* 'no' /* 5 */ 6 */ where x = 7")).toEqual([
    "7",
  ]);
  expect(literals("select 'open")).toEqual(["open"]);
  expect(literals("select $$open")).toEqual(["open"]);
  expect(literals("/* never closed 'x'")).toEqual([]);
  expect(literalsOf("1 2 3", 2)).toEqual(["1", "2"]);
});
