/** Where the facts are said not to depend on literals, no values of the literals change whether a condition names rows. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";

const factsOf = (sql: string) => createSqlReader().read(sql).statements[0]?.shape.facts;

const number = fc.constantFrom("0", "1", "2", "70000");
const text = fc.constantFrom("'%'", "'%%'", "''", "'a%'", "'t'", "'no'", "'x'");
/** Two literals that the key of a shape takes for the same. */
const literals = fc.array(fc.oneof(fc.tuple(number, number), fc.tuple(text, text)), {
  minLength: 40,
  maxLength: 40,
});
/** Conditions with ? for literals. */
const part = fc.constantFrom(
  "a = ?",
  "a > ?",
  "a >= ?",
  "a < ?",
  "a <> ?",
  "a IN (?, ?)",
  "a BETWEEN ? AND ?",
  "b LIKE ?",
  "b NOT LIKE ?",
  "a IS NULL",
  "a IS NOT NULL",
  "? = ?",
  "?",
  "a + ? = a + ?",
  "NOT (a = ?)",
  "NOT (b LIKE ?)",
  "a > random() * ?",
  "EXISTS (SELECT ?)",
  "CASE WHEN a = ? THEN true ELSE ? END",
);
const whole = fc.letrec((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3 },
    part,
    fc
      .tuple(
        fc.constantFrom(" AND ", " OR "),
        fc.array(tie("condition") as fc.Arbitrary<string>, { minLength: 2, maxLength: 3 }),
      )
      .map(([word, parts]) => `(${parts.join(word)})`),
    (tie("condition") as fc.Arbitrary<string>).map((inner) => `NOT ${inner}`),
  ),
})).condition as fc.Arbitrary<string>;

describe("conditions and literals", () => {
  test.each(["SELECT 1 FROM t WHERE", "DELETE FROM t WHERE", "UPDATE t SET b = 'x' WHERE"])("%s", (start) => {
    fc.assert(
      fc.property(whole, literals, (condition, pairs) => {
        const filled = (which: 0 | 1) => {
          let i = 0;
          return factsOf(
            `${start} ${condition.replaceAll("?", () => pairs[i++ % pairs.length]?.[which] ?? "1")}`,
          );
        };
        const one = filled(0);
        const other = filled(1);
        if (one?.literalSensitive !== false) return;
        expect(other?.hasWhere).toBe(one.hasWhere);
        expect(other?.unboundedWrite).toBe(one.unboundedWrite);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["SELECT 1 FROM t WHERE a >= '2025-01-01' AND a < '2026-01-01'", false],
    ["SELECT 1 FROM t WHERE b LIKE 'x%' AND a = 1", false],
    ["DELETE FROM t WHERE b LIKE 'x%' AND a = 1", false],
    ["SELECT 1 FROM t WHERE b LIKE 'x%'", true],
    ["SELECT 1 FROM t WHERE b LIKE 'x%' OR a = 1", true],
    ["DELETE FROM t WHERE b LIKE 'x%' AND 1 = 1", true],
    ["DELETE FROM t WHERE NOT (b LIKE 'x%' AND a = 1)", true],
  ])("%s: sensitive %s", (sql, sensitive) => {
    expect(factsOf(sql)?.literalSensitive).toBe(sensitive);
  });
});
