import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";
import { Lexer, token } from "../../src/sql/lexer.ts";
import { Marks } from "../../src/sql/marks.ts";
import { shapeKey } from "../../src/sql/shape.ts";
import { examples } from "./statements.ts";
import { tricky } from "./tricky.ts";

const key = (text: string): string | null => shapeKey(text, new Marks());
const corpus = [...examples.map((e) => e.sql), ...tricky];

const integers = fc.oneof(fc.integer({ min: 0, max: 2147483647 }), fc.nat(9)).map(String);
const bigints = fc.bigInt({ min: 2147483649n, max: 9223372036854775807n }).map(String);
const numbers = fc.oneof(
  fc.bigInt({ min: 9223372036854775809n, max: 10n ** 25n }).map(String),
  fc.tuple(fc.nat(), fc.nat(999)).map(([a, b]) => `${a}.${b}`),
  fc.tuple(fc.nat(99), fc.integer({ min: -9, max: 9 })).map(([a, b]) => `${a}e${b}`),
);
const strings = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom("", "x", "password=y", "it's; -- /* ", "a\nb", "\\", "a\\'b", "?"),
  )
  .filter((s) => s.isWellFormed() && !s.includes("\0"))
  .map((s) => `'${s.replaceAll("'", "''")}'`);
const gaps = fc.constantFrom(" ", "  ", "\n", "\t\r\n ", " /* c */ ", " --c\n", "/**/", " /*k='v'*/ ");

/** A literal of the same class as `literal`, as PostgreSQL's grammar sees it. */
function another(literal: string): fc.Arbitrary<string> {
  if (/^\d+$/.test(literal))
    return BigInt(literal) <= 2147483647n
      ? integers
      : BigInt(literal) <= 9223372036854775807n
        ? bigints
        : numbers;
  if (/^[\d.]/.test(literal)) return numbers;
  if (literal.startsWith("'")) return strings;
  return fc.constant(literal);
}

/** The text with other literals and other gaps between its tokens. */
function variant(text: string): fc.Arbitrary<string> {
  const lexer = new Lexer(text);
  const pieces: fc.Arbitrary<string>[] = [];
  for (let kind = lexer.next(); kind !== token.end; kind = lexer.next()) {
    const piece = text.slice(lexer.start, lexer.end);
    if (kind === token.literal) pieces.push(fc.oneof(fc.constant(piece), another(piece)));
    else if (kind === token.space && !/'\s*$/.test(text.slice(0, lexer.end)))
      pieces.push(fc.oneof(fc.constant(piece), gaps));
    else pieces.push(fc.constant(piece));
  }
  return fc.tuple(...pieces).map((parts) => parts.join(""));
}

describe("shape key", () => {
  it("is the same for literals of one class, white space and comments", () => {
    const one = key("SELECT a FROM t WHERE b = 1 AND c = 'x' AND d = 1.5");
    expect(one).not.toBeNull();
    expect(
      key("SELECT a\n FROM t /* x */ WHERE b = 2 AND c = 'it''s' AND -- y\n d = 99999999999999999999"),
    ).toBe(one);
    expect(key("SELECT a FROM t WHERE b = 1.0 AND c = 'x' AND d = 1.5")).not.toBe(one);
    expect(key("SELECT a FROM t WHERE b = '1' AND c = 'x' AND d = 1.5")).not.toBe(one);
    expect(key("SELECT A FROM t WHERE b = 1 AND c = 'x' AND d = 1.5")).not.toBe(one);
    expect(key("SELECT 2147483647")).toBe(key("SELECT 1"));
    expect(key("SELECT 99999999999999999999")).toBe(key("SELECT 1.5"));
    expect(key("SELECT 9223372036854775807")).toBe(key("SELECT 2147483649"));
    for (const [a, b] of [
      ["2147483647", "2147483649"],
      ["9223372036854775807", "9223372036854775809"],
    ])
      expect(key(`SELECT ${a}`)).not.toBe(key(`SELECT ${b}`));
  });

  it.each([
    "SELECT E'a'",
    "SELECT N'a'",
    "SELECT b'1'",
    "SELECT x'1'",
    "SELECT u&'a'",
    'SELECT u&"a"',
    "SELECT 'a\\b'",
    "SELECT $$a$$",
    "SELECT $a$b$a$",
    "SELECT 'a'\n'b'",
    "SELECT 'a' 'b'",
    "SELECT 'a'--\n'b'",
    "SELECT /* /* */ */ 1",
    "SELECT 1_0",
    "SELECT 0x1",
    "SELECT 1a",
    "SELECT 1.",
    "SELECT 1..2",
    "SELECT .5",
    "SELECT $1a",
    "SELECT 0000000001",
    "SELECT -2147483648",
    "SELECT 9223372036854775808",
    "SELECT 'a",
    'SELECT "a',
    "SELECT /* 1",
    "SELECT \u0001",
    'SELECT "\u0003"',
    "SELECT '\ud800'",
    "SELECT dblink_connect('host=x password=y')",
  ])("is not given for %j", (text) => {
    expect(key(text)).toBeNull();
  });

  it("never hides a difference: a reader that has seen other literals answers as a fresh one", () => {
    const seen = createSqlReader();
    for (const text of corpus) seen.read(text);
    fc.assert(
      fc.property(
        fc.constantFrom(...corpus).chain((text) => fc.tuple(fc.constant(text), variant(text))),
        ([text, other]) => {
          seen.read(text);
          const answer = seen.read(other);
          const fresh = createSqlReader().read(other);
          expect(answer).toEqual(fresh);
          expect(seen.read(other)).toEqual(fresh);
        },
      ),
      { numRuns: 3000 },
    );
    expect(seen.stats.shapeHits).toBeGreaterThan(500);
  });

  it.each<[string, string]>([
    ["FETCH 5 FROM c", "FETCH 6 FROM c"],
    ["SELECT localtime(2)", "SELECT localtime(3)"],
    ["SELECT a::float(10) FROM t", "SELECT a::float(40) FROM t"],
    ["COPY t FROM '/a'", "COPY t FROM '/b'"],
    ["PREPARE a AS SELECT 1", "PREPARE a AS SELECT 2"],
    ["DECLARE c CURSOR FOR SELECT 'x'", "DECLARE c CURSOR FOR SELECT 'y'"],
    ["SELECT set_config('app.user', 'x', true)", "SELECT set_config('app.secret', 'x', true)"],
    ["SET x = 'y'", "SET x = 'z'"],
    ["DELETE FROM t WHERE 1 = 1", "DELETE FROM t WHERE 1 = 0"],
    ["DELETE FROM t WHERE a + 1 = a + 2", "DELETE FROM t WHERE a + 1 = a + 1"],
    ["DELETE FROM t WHERE a = 1 OR a <> 2", "DELETE FROM t WHERE a = 1 OR a <> 1"],
    ["DELETE FROM t WHERE a LIKE 'x'", "DELETE FROM t WHERE a LIKE '%'"],
    ["SELECT a, b FROM t ORDER BY 1", "SELECT a, b FROM t ORDER BY 2"],
    ["SELECT count(*) FROM t GROUP BY (1, 2)", "SELECT count(*) FROM t GROUP BY (1, 3)"],
    [
      "DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE 1 = 2)",
      "DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE 1 = 1)",
    ],
    ["SELECT 'a'::regclass", "SELECT 'b'::regclass"],
    ["SELECT pg_read_file('a' || 'b')", "SELECT pg_read_file('a' || 'c')"],
    ["EXPLAIN SELECT 1", "EXPLAIN SELECT 2"],
    ["COPY (SELECT 1) TO STDOUT", "COPY (SELECT 2) TO STDOUT"],
    ["DO 'begin end'", "DO 'begin ALTER ROLE x PASSWORD null; end'"],
  ])("is not used where literals may matter: %j", (first, second) => {
    const reader = createSqlReader();
    reader.read(first);
    expect(reader.read(second)).toEqual(createSqlReader().read(second));
    expect(reader.stats.shapeHits).toBe(0);
  });

  it.each<[string, string]>([
    ["SELECT a FROM t WHERE b = -1", "SELECT a FROM t WHERE b = -2"],
    ["SELECT a FROM t WHERE b = - 1.5", "SELECT a FROM t WHERE b = - 2.5"],
    ["EXECUTE a('x', 1)", "EXECUTE a('y', 2)"],
    ["SELECT 'ü' FROM \"日本\" LIMIT 5;", "SELECT 'öö' FROM \"日本\" LIMIT 6;"],
    ["BEGIN; UPDATE t SET a = 1; COMMIT", "BEGIN; UPDATE t SET a = 2; COMMIT"],
    ["INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO t VALUES (3, 'c'), (4, 'd')"],
  ])("is used for %j", (first, second) => {
    const reader = createSqlReader();
    const a = reader.read(first);
    const b = reader.read(second);
    expect(reader.stats.shapeHits).toBe(1);
    expect(b).toEqual(createSqlReader().read(second));
    expect(b.statements[0]?.shape).toBe(a.statements[0]?.shape);
  });
});
