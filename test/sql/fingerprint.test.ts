import { describe, expect, test } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";

const reader = createSqlReader();
const of = (text: string) => reader.read(text).statements[0]?.shape.fingerprint;

describe("fingerprints", () => {
  test.each([
    ["select a, b from t where x = 1", "SELECT a,b\nFROM T  WHERE x=22 /* why */"],
    ["select 1 from t where x in (1, 2, 3)", "select 1 from t where x in (7)"],
    ["insert into t values (1, 'a'), (2, 'b')", "insert into t values (3, 'c')"],
    ['select a as "x y" from t', 'select a as"x y"from t'],
    ["select f( a , b )", "select f(a,b);"],
  ])("%s = %s", (one, other) => {
    expect(of(one)).toMatch(/^[0-9a-f]{16}$/);
    expect(of(one)).toBe(of(other));
  });

  test.each([
    ["select a, b from t", "select b, a from t"],
    ['select "A" from t', 'select "a" from t'],
    ["select 1 from t where x in (1)", "select 1 from t where x not in (1)"],
    ["select a from t where b < - c", "select a from t where b <- c"],
    ["select f(1, 2)", "select f(1)"],
    ["set role a", "set role b"],
    ["select ab from t", "select a b from t"],
  ])("%s is not %s", (one, other) => {
    expect(of(one)).not.toBe(of(other));
  });

  test("without a reading there is none", () => {
    expect(of("select from from")).toBeNull();
  });
});
