import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";
import { classifiedNodes, classify, innerNodes } from "../../src/sql/kinds.ts";
import { statementKinds } from "../../src/sql/types.ts";
import { examples } from "./statements.ts";

/** All node names of the parser's own type declarations. */
function declaredStatements(): string[] {
  const parser = createRequire(import.meta.url).resolve("libpg-query");
  const types = dirname(createRequire(parser).resolve("@pgsql/types"));
  const source = readFileSync(join(types, "types.d.ts"), "utf8");
  return [...source.matchAll(/^export interface (\w+Stmt) /gm)].map(([, name]) => name ?? "");
}

describe("statement kinds", () => {
  it("classify every statement node of the grammar, and no other", () => {
    const declared = declaredStatements();
    expect(declared.length).toBeGreaterThan(100);
    expect([...classifiedNodes(), ...innerNodes].sort()).toEqual([...new Set(declared)].sort());
  });

  it("leave unknown nodes unknown", () => {
    expect(classify("FutureStmt", {})).toEqual({ kind: "unknown", command: "" });
    for (const name of innerNodes) expect(classify(name, {})).toEqual({ kind: "unknown", command: "" });
    expect(classify("constructor", {})).toEqual({ kind: "unknown", command: "" });
  });

  it.each(examples)("$sql is a $kind, $command", ({ sql, kind, command }) => {
    const { statements, parsed } = createSqlReader().read(sql);
    expect(parsed).toBe(true);
    expect(statements).toHaveLength(1);
    expect(statements[0]?.shape).toMatchObject({ kind, command });
    expect(statementKinds).toContain(kind);
    expect(statements[0]?.shape.fingerprint).toMatch(/^[0-9a-f]{16}$/);
  });

  it("have examples for every node that can stand alone", () => {
    // Only what the examples show is known to be classified right.
    const seen = new Set(examples.map(({ kind }) => kind));
    expect([...seen].sort()).toEqual(statementKinds.filter((kind) => kind !== "unknown").toSorted());
  });
});
