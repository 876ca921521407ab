import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Tokens } from "../../src/sql/cut.ts";
import { createSqlReader, treeTexts } from "../../src/sql/index.ts";
import { parsers } from "../../src/sql/parser.ts";
import { staticFacts } from "../../src/sql/read.ts";
import { sameTree } from "../../src/sql/same.ts";
import type { JsonObject } from "../../src/sql/tree.ts";
import { Walk } from "../../src/sql/walk.ts";
import { examples } from "./statements.ts";
import { tricky } from "./tricky.ts";

const reader = createSqlReader();
const single = [...examples.map(({ sql }) => sql), ...tricky].flatMap((sql) => {
  const { statements } = reader.read(sql);
  const [only] = statements;
  return statements.length === 1 && only !== undefined ? [{ sql, kind: only.shape.kind }] : [];
});
/** Without the semicolons and comments at the ends, which a wrapper's text would not have in its middle. */
const core = (sql: string): string => Tokens.of(sql, 0, sql.length).source();
const queries = single.filter(({ kind }) => kind === "select").map(({ sql }) => core(sql));
const writes = single
  .filter(({ kind }) => kind === "insert" || kind === "update" || kind === "delete" || kind === "merge")
  .map(({ sql }) => core(sql));

const gap = fc.constantFrom(" ", "\n", " /* AS ( for */ ", " -- FOR '\n", "\t");
type Wrapper = readonly [
  before: readonly string[],
  after: readonly string[],
  kind: string,
  reads: "all" | "queries",
];
const wrappers: readonly Wrapper[] = [
  [["EXPLAIN"], [], "explain", "all"],
  [["EXPLAIN", "ANALYZE", "VERBOSE"], [], "explain", "all"],
  [["EXPLAIN", "(", "ANALYZE", ",", "FORMAT", "json", ")"], [], "explain", "all"],
  [["PREPARE", '"as"', "AS"], [], "prepare", "all"],
  [["COPY", "("], [")", "TO", "STDOUT", "(", "FORMAT", "csv", ")"], "copy", "all"],
  [["DECLARE", '"for"', "SCROLL", "CURSOR", "WITH", "HOLD", "FOR"], [], "declare", "queries"],
  [["EXPLAIN", "DECLARE", "c", "CURSOR", "FOR"], [], "declare", "queries"],
  [
    ["CREATE", "TEMP", "TABLE", "x", "(", '"as"', ")", "ON", "COMMIT", "DROP", "AS"],
    [],
    "create-table",
    "queries",
  ],
  [["CREATE", "TABLE", "x", "AS"], ["WITH", "NO", "DATA"], "create-table", "queries"],
  [["EXPLAIN", "CREATE", "MATERIALIZED", "VIEW", "x", "AS"], ["WITH", "DATA"], "create-table", "queries"],
  [
    ["CREATE", "VIEW", "x", "WITH", "(", "check_option", "=", "local", ")", "AS"],
    [],
    "create-view",
    "queries",
  ],
  [["CREATE", "VIEW", "x", "AS"], ["WITH", "CASCADED", "CHECK", "OPTION"], "create-view", "queries"],
];

describe("wrappers", () => {
  it("give what they hold, whatever it is and whatever stands between their words", () => {
    expect(queries.length).toBeGreaterThan(40);
    expect(writes.length).toBeGreaterThan(5);
    const cases = fc
      .constantFrom(...wrappers)
      .chain((wrapper) =>
        fc.tuple(
          fc.constant(wrapper),
          fc.constantFrom(...(wrapper[3] === "all" ? [...queries, ...writes] : queries)),
          fc.array(gap, { minLength: 24, maxLength: 24 }),
        ),
      );
    let peeled = 0;
    fc.assert(
      fc.property(cases, ([[before, after, kind], inner, gaps]) => {
        let i = 0;
        const space = (): string => gaps[i++] ?? " ";
        const sql = [
          ...before.map((word) => word + space()),
          inner,
          ...after.map((word) => space() + word),
        ].join("");
        const { statements, parsed } = reader.read(sql);
        const [only] = statements;
        // WITH … CHECK OPTION and the like do not fit behind every query; ORDER BY does not stand in every one.
        if (!parsed || only === undefined || statements.length !== 1) return;
        // A comment behind a string that ends in a backslash: refused for what it could be read as.
        if (only.shape.facts.refusal?.message.startsWith("a backslash") === true) return;
        expect(only.shape.facts.refusal, sql).toBeNull();
        const texts = treeTexts(only);
        expect(texts, sql).toHaveLength(1);
        const [text] = texts;
        expect(text?.kind, sql).toBe(kind);
        expect(sameTree(parsers.parse(text?.text ?? "")[0]?.node, parsers.parse(inner)[0]?.node), sql).toBe(
          true,
        );
        peeled++;
      }),
      { numRuns: 800 },
    );
    expect(peeled).toBeGreaterThan(500);
  });

  it.each([
    ["EXPLAIN SELECT 1", "EXPLAIN SELECT 2"],
    ["PREPARE p AS SELECT a", "PREPARE p AS SELECT b"],
    ["PREPARE p (int) AS SELECT $1", "PREPARE p (int) AS SELECT $2"],
    ["COPY (SELECT 1) TO STDOUT", "COPY (DELETE FROM t RETURNING 1) TO STDOUT"],
    ["SELECT 1 INTO t", "SELECT 2 INTO t"],
    ["CREATE VIEW v AS SELECT 1", "CREATE VIEW v (a) AS SELECT 2"],
    ["EXECUTE p(f(1))", "EXECUTE p(f(2))"],
    ["COPY t FROM STDIN WHERE a = 1", "COPY t FROM STDIN WHERE a = 2"],
  ])("are refused where text and tree disagree: %s", (sql, other) => {
    const node = parsers.parse(sql)[0]?.node ?? {};
    const [[name, top] = ["", {}]] = Object.entries(node) as [string, JsonObject][];
    const parse = (text: string) => {
      try {
        return parsers.parse(text)[0]?.node ?? null;
      } catch {
        return null;
      }
    };
    const facts = (text: string) =>
      staticFacts(name, top, new Walk(new Map()).run(name, top), { text, start: 0, end: text.length }, parse)
        .facts;
    expect(facts(sql).refusal).toBeNull();
    expect(facts(other)).toMatchObject({ tree: [], refusal: { code: "STATEMENT_NOT_UNDERSTOOD" } });
  });

  it("are compared exactly", () => {
    const [a, b] = ["SELECT 1, 'x'", "SELECT 1,  'x' -- y"].map((sql) => parsers.parse(sql)[0]?.node);
    expect(sameTree(a, b)).toBe(true);
    for (const other of [
      "SELECT 1, 'y'",
      "SELECT 1",
      "SELECT 1, 'x', 2",
      "SELECT 1, 'x' FROM t",
      "SELECT 'x', 1",
    ])
      expect(sameTree(a, parsers.parse(other)[0]?.node)).toBe(false);
    expect(sameTree({ a: 1 }, { b: 1 })).toBe(false);
    expect(sameTree({}, { constructor: 1 })).toBe(false);
    expect(sameTree([1], { 0: 1 })).toBe(false);
    expect(sameTree(null, undefined)).toBe(false);
  });
});
