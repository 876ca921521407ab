import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";
import { examples } from "./statements.ts";
import { tricky } from "./tricky.ts";

const reader = createSqlReader();
const stripped = (text: string): string => {
  const { statements, reason } = reader.read(text);
  expect(reason).toBeNull();
  return statements.map(({ shape }) => shape.stripped).join(" | ");
};

describe("stripped text", () => {
  it.each<[string, string]>([
    ["SELECT  1 ,'a'\n,  -2.5", "SELECT ? ,? , -?"],
    ["select'a'from t -- c\n where b=$1 /* d */;", "select?from t where b=$1"],
    [
      "SELECT N'a', B'1', E'\\'', U&'x' UESCAPE '!', $$ a $$, 0x1F, a ? 'b'",
      "SELECT ?, ?, ?, ? UESCAPE ?, ?, ?, a ? ?",
    ],
    ['SELECT "a  b" FROM U&"x" AS t1', 'SELECT "a  b" FROM U&"x" AS t1'],
    ["; SELECT 1;; SELECT 'b'; ", "SELECT ? | SELECT ?"],
    ["SELECT 1.5e3-2", "SELECT ?-?"],
    ["ALTER ROLE a PASSWORD 'b'", "ALTER ROLE a PASSWORD ?"],
    ["SET app.password TO hunter2, b", "SET app.password TO ?"],
    ["ALTER ROLE a SET app.token = hunter2", "ALTER ROLE a SET app.token = ?"],
    ["ALTER SYSTEM SET primary_conninfo = hunter2", "ALTER SYSTEM SET primary_conninfo = ?"],
    ["ALTER DATABASE d SET app.secret TO hunter2", "ALTER DATABASE d SET app.secret TO ?"],
    [
      "CREATE FUNCTION f() RETURNS int SET app.secret = hunter2 AS 'x' LANGUAGE sql",
      "CREATE FUNCTION f() RETURNS int SET app.secret = ?",
    ],
    ["DO $x$ BEGIN PERFORM 1; END $x$", "DO ?"],
  ])("of %j", (text, expected) => {
    expect(stripped(text)).toBe(expected);
  });

  it("reads the same when it is stripped again, and is one statement's text", () => {
    for (const text of [...examples.map((e) => e.sql), ...tricky]) {
      for (const { shape } of reader.read(text).statements) {
        expect(shape.stripped).not.toBe("");
        expect(shape.stripped).toBe(shape.stripped.trim());
        expect(shape.stripped).not.toMatch(/'|\$\$|--|\/\*|[\n\r\t]|;$/);
      }
    }
  });

  it("never holds a byte of a literal", () => {
    const canary = fc.integer({ min: 0, max: 0xffffff }).map((n) => `zq${n.toString(36).padStart(5, "0")}qz`);
    const digits = fc.integer({ min: 73_000_000, max: 73_999_999 });
    const noise = fc.constantFrom(
      "",
      "''",
      "\\\\",
      " -- ",
      "/*",
      "*/",
      ";",
      "é𝒳",
      "$",
      "$$",
      '"',
      "\n",
      "?",
      "$1",
    );
    const text = fc.tuple(noise, canary, noise).map(([a, c, b]) => ({ body: a + c + b, canary: c }));
    const literal = fc.oneof(
      text.map((t) => ({ sql: `'${t.body.replaceAll("''", "''")}'`, canary: t.canary })),
      text.map((t) => ({ sql: `E'\\'${t.body}\\x41'`, canary: t.canary })),
      text.map((t) => ({ sql: `N'${t.body}'`, canary: t.canary })),
      text.map((t) => ({ sql: `U&'${t.body.replaceAll("\\", "")}'`, canary: t.canary })),
      text.map((t) => ({ sql: `$$${t.body.replaceAll("$", "")}$$`, canary: t.canary })),
      text.map((t) => ({ sql: `$tägé_1$${t.body} $t$ ' $tägé_1$`, canary: t.canary })),
      text.map((t) => ({ sql: `'a'\n  '${t.body}'`, canary: t.canary })),
      digits.map((n) => ({ sql: `${n}`, canary: `${n}` })),
      digits.map((n) => ({ sql: `0x${n}`, canary: `${n}` })),
      digits.map((n) => ({ sql: `-${n}.5`, canary: `${n}` })),
      digits.map((n) => ({ sql: `.${n}e1`, canary: `${n}` })),
      digits.map((n) => ({ sql: `1_${n}`, canary: `${n}` })),
      digits.map((n) => ({ sql: `1e-${n}`, canary: `${n}` })),
      digits.map((n) => ({ sql: `X'${n}'`, canary: `${n}` })),
    );
    const template = fc.constantFrom(
      "SELECT @ FROM t WHERE a = @ AND b IN (@, @)",
      "INSERT INTO t VALUES (@, @), (@,@) ON CONFLICT DO NOTHING",
      "UPDATE t SET a = @, b = a || @ WHERE c = @ RETURNING @",
      "DELETE FROM t WHERE a=@ OR b BETWEEN @ AND @",
      "PREPARE p AS SELECT @, @",
      "DECLARE c CURSOR FOR SELECT @",
      "EXPLAIN SELECT @; SELECT @ -- @\n",
      "EXECUTE p(@, @)",
      "WITH x AS (SELECT @) SELECT * FROM x /* @ */ LIMIT @",
      "SELECT (f(@))[@] FROM t; BEGIN; COMMIT;",
    );
    fc.assert(
      fc.property(template, fc.array(literal, { minLength: 5, maxLength: 5 }), (sql, literals) => {
        let used = 0;
        const statement = sql.replaceAll("@", () => {
          const l = literals[used++];
          // Line and block comments can hold none of what ends them.
          return used > 1 &&
            /--|\/\*/.test(sql) &&
            (l?.sql.includes("*/") || l?.sql.includes("\n") || l?.sql.includes("/*"))
            ? "0"
            : ` ${l?.sql ?? ""} `;
        });
        const read = createSqlReader().read(statement);
        expect(read.reason).toBeNull();
        for (const { shape } of read.statements) {
          expect(shape.stripped).not.toBe("");
          for (const l of literals) expect(shape.stripped).not.toContain(l.canary);
        }
      }),
      { numRuns: 1500 },
    );
  });
});
