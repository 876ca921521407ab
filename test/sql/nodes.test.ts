import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { embeddedType, nodeClasses } from "../../src/sql/nodes.ts";
import { staticFacts } from "../../src/sql/read.ts";
import type { JsonObject } from "../../src/sql/tree.ts";
import { Walk } from "../../src/sql/walk.ts";

/** The parser's own list of types: name → its fields and their types. */
const declared: ReadonlyMap<string, readonly (readonly [field: string, type: string])[]> = (() => {
  const parser = createRequire(import.meta.url).resolve("libpg-query");
  const types = dirname(createRequire(parser).resolve("@pgsql/types"));
  const source = readFileSync(join(types, "types.d.ts"), "utf8");
  return new Map(
    [...source.matchAll(/^export interface (\w+) \{(.*?)^\}/gms)].map(([, name, body]) => [
      name ?? "",
      [...(body ?? "").matchAll(/^\s*(\w+)\??: (.*);/gm)].map(
        ([, field, type]) => [field ?? "", type ?? ""] as const,
      ),
    ]),
  );
})();

const facts = (name: string, node: JsonObject) =>
  staticFacts(
    name,
    node,
    new Walk(new Map()).run(name, node),
    { text: "SELECT 1", start: 0, end: 8 },
    () => null,
  ).facts;

describe("node types", () => {
  it("of the parser are all classified, and no others", () => {
    expect(declared.size).toBeGreaterThan(250);
    expect([...nodeClasses.keys()].sort()).toEqual([...declared.keys()].sort());
  });

  it("that stand bare in a field are known by it", () => {
    const raw = [...declared].filter(([name]) => nodeClasses.get(name) !== "analysed");
    let seen = 0;
    for (const [name, fields] of raw) {
      for (const [field, type] of fields) {
        if (!declared.has(type) || nodeClasses.get(type) === "analysed") continue;
        seen++;
        expect(embeddedType(name, field), `${name}.${field}`).toBe(type);
      }
    }
    expect(seen).toBeGreaterThan(100);
  });

  it("begin with a capital letter, fields do not: so one is never taken for the other", () => {
    for (const [name, fields] of declared) {
      expect(name).toMatch(/^[A-Z]/);
      for (const [field] of fields) expect(field).toMatch(/^[a-z]/);
    }
  });

  it.each<[string, JsonObject]>([
    ["a new statement", { FutureStmt: {} }],
    ["a new expression", { SelectStmt: { whereClause: { FutureExpr: { x: 1 } } } }],
    [
      "a new expression in a list",
      { SelectStmt: { targetList: [{ ResTarget: { val: { FutureExpr: {} } } }] } },
    ],
    ["a new bare node", { SelectStmt: { futureClause: { x: 1, y: 2 } } }],
    ["a list of bare nodes", { SelectStmt: { targetList: [{ x: 1, y: 2 }] } }],
    ["a node that only parse analysis makes", { SelectStmt: { whereClause: { FuncExpr: { funcid: 1 } } } }],
    ["a prototype's member", { SelectStmt: { whereClause: { constructor: { x: 1 } } } }],
  ])("make %s refused", (_, tree) => {
    const [[name, node] = ["", {}]] = Object.entries(tree) as [string, JsonObject][];
    expect(facts(name, node)).toMatchObject({
      refusal: { code: "STATEMENT_NOT_UNDERSTOOD" },
      tree: [],
    });
  });

  it("leave a known statement alone", () => {
    expect(facts("SelectStmt", { targetList: [], distinctClause: [{}] }).refusal).toBeNull();
  });
});
