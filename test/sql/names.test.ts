import { describe, expect, it } from "vitest";
import { createSqlReader, type NameEffect } from "../../src/sql/index.ts";

const effects = (text: string): readonly NameEffect[] =>
  createSqlReader()
    .read(text)
    .statements.flatMap(({ shape }) => shape.names);

describe("name effects", () => {
  it.each<[string, NameEffect[]]>([
    ["PREPARE p AS SELECT 'x'", [{ kind: "prepare", name: "p", text: "SELECT 'x'" }]],
    [
      "PREPARE P (int, numeric(10, 2)) AS SELECT 1 AS x -- c\n;",
      [{ kind: "prepare", name: "p", text: "SELECT 1 AS x" }],
    ],
    [
      "PREPARE \"as\" /* as */ AS -- as\n DELETE FROM \"é\" WHERE a = ';' /*k='v'*/",
      [{ kind: "prepare", name: "as", text: "DELETE FROM \"é\" WHERE a = ';'" }],
    ],
    [
      "PREPARE p (int, s.t[]) AS SELECT $2, $1 + $1",
      [
        {
          kind: "prepare",
          name: "p",
          text: "SELECT $2, $1 + $1",
          typed: expect.stringMatching(
            /^SELECT +\(\$2::.*"s".*"t"\[\]\) *, +\(\$1::.*int4"?\) +\+ +\(\$1::.*int4"?\) *$/,
          ),
        },
      ],
    ],
    [
      "DECLARE c CURSOR FOR SELECT 1 FOR UPDATE",
      [{ kind: "declare", name: "c", text: "SELECT 1 FOR UPDATE" }],
    ],
    [
      'declare "for" binary no scroll cursor without hold for (values (1))',
      [{ kind: "declare", name: "for", text: "(values (1))" }],
    ],
    ["EXECUTE \"P p\"(1, 'x')", [{ kind: "execute", name: "P p" }]],
    ["EXPLAIN ANALYZE EXECUTE p", [{ kind: "execute", name: "p" }]],
    ["CREATE TABLE t AS EXECUTE p(1) WITH NO DATA", [{ kind: "execute", name: "p" }]],
    ["EXPLAIN CREATE TEMP TABLE t AS EXECUTE p", [{ kind: "execute", name: "p" }]],
    ["EXPLAIN DECLARE c CURSOR FOR SELECT 1", []],
    ["DEALLOCATE p", [{ kind: "deallocate", name: "p" }]],
    ["DEALLOCATE PREPARE ALL", [{ kind: "deallocate-all", name: null }]],
    ['DEALLOCATE "all"', [{ kind: "deallocate", name: "all" }]],
    ["FETCH NEXT FROM c", [{ kind: "fetch", name: "c" }]],
    ["MOVE ALL IN c", [{ kind: "fetch", name: "c" }]],
    ["CLOSE c", [{ kind: "close", name: "c" }]],
    ["CLOSE ALL", [{ kind: "close-all", name: null }]],
    ["DISCARD ALL", [{ kind: "discard-all", name: null }]],
    ["DISCARD PLANS", []],
    ["SELECT 1", []],
    [
      "PREPARE é AS SELECT 'ü'; EXECUTE é",
      [
        { kind: "prepare", name: "é", text: "SELECT 'ü'" },
        { kind: "execute", name: "é" },
      ],
    ],
  ])("of %j", (text, expected) => {
    expect(effects(text)).toEqual(expected);
  });

  it("tell the directions of COPY", () => {
    const copy = (text: string) => createSqlReader().read(text).statements[0]?.shape.copy;
    expect(copy("COPY t FROM STDIN")).toBe("in");
    expect(copy("COPY t TO STDOUT")).toBe("out");
    expect(copy("COPY (SELECT 1) TO STDOUT (FORMAT csv)")).toBe("out");
    expect(copy("COPY t FROM '/x'")).toBeNull();
    expect(copy("COPY t TO PROGRAM 'x'")).toBeNull();
    expect(copy("SELECT 1")).toBeNull();
  });
});
