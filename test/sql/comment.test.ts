import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSqlReader, sqlCommenter } from "../../src/sql/index.ts";

const comments = (text: string): (string | null)[] =>
  createSqlReader()
    .read(text)
    .statements.map(({ comment }) => comment);

describe("sqlcommenter", () => {
  it("decodes pairs", () => {
    expect(sqlCommenter("/*action='%2Fparam*d',controller='index,'framework='spring'*/")).toEqual({});
    expect(sqlCommenter("/*action='%2Fparam*d',controller='index',traceparent='00-5bd66ef5-01'*/")).toEqual({
      action: "/param*d",
      controller: "index",
      traceparent: "00-5bd66ef5-01",
    });
    expect(sqlCommenter("/* a = 'b' , c='d%20e' */")).toEqual({ a: "b", c: "d e" });
    expect(sqlCommenter("/*name='DROP%20TABLE%20FOO', x='it\\'s', y='%27'*/")).toEqual({
      name: "DROP TABLE FOO",
      x: "it's",
      y: "'",
    });
    expect(sqlCommenter("/*a='1',a='2'*/")).toEqual({ a: "2" });
  });

  it.each([
    "",
    "/**/",
    "/* hello */",
    "a='b'",
    "/*a='b'",
    "/*a='b',*/",
    "/*,a='b'*/",
    "/*a=b*/",
    "/*a='b*/",
    "/*a='b' c='d'*/",
    `/*${"a='b',".repeat(40)}c='d'*/`,
    `/*a='${"x".repeat(9000)}'*/`,
  ])("takes %j for none", (comment) => {
    expect(sqlCommenter(comment)).toEqual({});
  });

  it("leaves broken and dangerous pairs out", () => {
    expect(sqlCommenter("/*a='%ZZ',b='%E0%A4',c='x'*/")).toEqual({ c: "x" });
    expect(sqlCommenter("/*__proto__='x'*/")).toEqual({});
    expect(Object.getPrototypeOf(sqlCommenter("/*%5f_proto__='x',constructor='y'*/"))).toBe(Object.prototype);
  });

  it("reads back what was encoded, and never throws", () => {
    const encode = (s: string) => encodeURIComponent(s).replaceAll("'", "\\'");
    const text = fc.string({ unit: "grapheme", maxLength: 40 });
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[A-Za-z][a-z_.-]{0,10}$/), text, { maxKeys: 10 }),
        (pairs) => {
          const comment = `/*${Object.entries(pairs)
            .map(([k, v]) => `${encode(k)}='${encode(v)}'`)
            .join(",")}*/`;
          expect(sqlCommenter(comment)).toEqual({ ...pairs });
        },
      ),
    );
    fc.assert(
      fc.property(fc.string(), (s) => {
        sqlCommenter(`/*${s}*/`);
        sqlCommenter(s);
      }),
    );
  });
});

describe("trailing comments", () => {
  it.each<[string, (string | null)[]]>([
    ["SELECT 1 /*a='b'*/", ["/*a='b'*/"]],
    ["SELECT 1 /*a='b'*/ ; \n", ["/*a='b'*/"]],
    ["SELECT 1; /*a='b'*/ -- x", ["/*a='b'*/"]],
    ["SELECT 1 /* x */ /*a='b'*/", ["/*a='b'*/"]],
    ["/*a='b'*/ SELECT 1", [null]],
    ["SELECT /*a='b'*/ 1", [null]],
    ["SELECT '/*a=''b''*/'", [null]],
    ["SELECT 1 -- /*a='b'*/", [null]],
    ["SELECT 1 /* hello */", [null]],
    ["SELECT 1 /*a='b'*/; SELECT 2", ["/*a='b'*/", null]],
    ["SELECT 1; /*a='b'*/ SELECT 2 /*c='d'*/;", [null, "/*c='d'*/"]],
    ["SELECT 'é' /*a='ü'*/; SELECT 'x' /*c='𝒳'*/", ["/*a='ü'*/", "/*c='𝒳'*/"]],
  ])("of %j", (text, expected) => {
    expect(comments(text)).toEqual(expected);
  });

  it("are found again by shape, and are no part of it", () => {
    const reader = createSqlReader();
    const first = reader.read("SELECT 1 /*a='b'*/").statements[0];
    const second = reader.read("SELECT 23 /*a='c',d='e'*/;").statements[0];
    const third = reader.read("SELECT 4").statements[0];
    expect(second?.shape).toBe(third?.shape);
    expect(first?.shape.stripped).toBe("SELECT ?");
    expect([first?.comment, second?.comment, third?.comment]).toEqual(["/*a='b'*/", "/*a='c',d='e'*/", null]);
  });
});
