/** The trail's query as a line, as an address and as a question. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Filter,
  filterNames,
  fromSearch,
  moment,
  problemOf,
  readQuery,
  toApi,
  toSearch,
  trailLink,
  writeQuery,
} from "../../console/src/trail/query.ts";
import { filterOptions } from "../../src/cli/audit/filters.ts";

describe("the query line", () => {
  test("names filters as the command line does", () => {
    const names = new Set<string>([...filterNames.map(({ name }) => name), "text"]);
    for (const name of Object.keys(filterOptions)) expect(names).toContain(name);
  });

  test.each([
    ["subject:agent-7 verdict:deny", { subject: "agent-7", verdict: "deny" }],
    ['table:"public.Big Table" refund', { table: "public.Big Table", text: "refund" }],
    ['customer_email "two words" cust*', { text: 'customer_email "two words" cust*' }],
    ["since:15m until:2026-11-22T10:00:00Z", { since: "15m", until: "2026-11-22T10:00:00Z" }],
    ["fingerprint:a:b", { fingerprint: "a:b" }],
    ["run:https://example.com/x", { run: "https://example.com/x" }],
    ['"verdict:deny"', { text: '"verdict:deny"' }],
    ["   ", {}],
    ["https://example.com", { text: "https://example.com" }],
  ])("%s", (line, query) => {
    expect(readQuery(line)).toEqual({ query, problems: [] });
  });

  test.each([
    ["verdict:maybe", "verdict: is one of allow, deny, approve."],
    ["status:fine", "status: is one of"],
    ["since:yesterday", "since: is a time"],
    ["colour:red", "There is no filter “colour”"],
    ["subject:", "subject: says nothing."],
    ["subject:a subject:b", "subject: is there twice"],
  ])("says what is wrong in %s", (line, problem) => {
    expect(readQuery(line).problems.join("\n")).toContain(problem);
  });

  const value = fc
    .string({ minLength: 1, maxLength: 30 })
    .filter((s) => !s.includes('"') && s.trim() !== "" && s.trim() === s);
  const free = filterNames
    .filter((f) => !("values" in f) && f.name !== "since" && f.name !== "until")
    .map(({ name }) => name);
  const query = fc
    .uniqueArray(fc.tuple(fc.constantFrom(...free), value), { selector: ([name]) => name, maxLength: 5 })
    .map((pairs) => Object.fromEntries(pairs) as Partial<Record<Filter, string>>);

  test("what is written is read back, as a line and as an address", () => {
    fc.assert(
      fc.property(query, (q) => {
        expect(readQuery(writeQuery(q))).toEqual({ query: q, problems: [] });
        expect(fromSearch(new URLSearchParams(toSearch(q)))).toEqual(q);
      }),
    );
  });

  test("any line and any address is read without throwing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (line) => {
        const read = readQuery(line);
        expect(readQuery(writeQuery(read.query)).problems).toEqual([]);
        fromSearch(new URLSearchParams(line));
      }),
    );
  });

  test("what an address says wrongly is left out", () => {
    const search = new URLSearchParams("verdict=maybe&since=x&subject=a&foo=b&text=");
    expect(fromSearch(search)).toEqual({ subject: "a" });
    expect(problemOf("subject", "anything")).toBeNull();
    expect(trailLink({})).toBe("/trail");
    expect(trailLink({ table: "a b&c" })).toBe("/trail?table=a+b%26c");
  });
});

describe("the question to the API", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  test("spans become times, pages go on from a cursor", () => {
    expect(toApi({ since: "1h", subject: "x y" }, now, null, 100)).toBe(
      "/api/audit?subject=x+y&since=2026-11-22T09%3A00%3A00.000Z&limit=100",
    );
    expect(toApi({ text: "a" }, now, "c/1", 50)).toBe("/api/audit?text=a&limit=50&after=c%2F1");
  });

  test("where nothing but a time is asked for, it is for statements; type:any asks for all records", () => {
    expect(toApi({}, now, null, 9)).toBe("/api/audit?type=statement.intent&limit=9");
    expect(toApi({ since: "1h" }, now, null, 9)).toContain("type=statement.intent");
    expect(toApi({ type: "any" }, now, null, 9)).toBe("/api/audit?limit=9");
    expect(toApi({ type: "auth.failed" }, now, null, 9)).toBe("/api/audit?type=auth.failed&limit=9");
    expect(toApi({ subject: "sam" }, now, null, 9)).toBe("/api/audit?subject=sam&limit=9");
  });

  test("times are read as the command line reads them", () => {
    expect(moment("2d", now)).toBe(now - 2 * 86_400_000);
    expect(moment("2026-11-22", now)).toBe(Date.parse("2026-11-22"));
    for (const wrong of ["", "1w", "d", "1234567h", "22.11.2026", "2026-13-45"])
      expect(moment(wrong, now)).toBeNull();
  });
});
