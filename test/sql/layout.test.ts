/** What fields nodes have is kept once for the process: also where a server sends more than is kept. */
import { expect, test } from "vitest";
import { surpriseIn, tagOf } from "../../src/analysis/lineage/nodes.ts";
import { intOf, readServerTree, type ServerNode } from "../../src/sql/servertree/index.ts";

function query(fields: string): ServerNode {
  const tree = readServerTree(`({QUERY ${fields}})`);
  const [first] = tree.ok ? tree.queries : [];
  if (first === undefined) throw new Error(tree.ok ? "no query" : tree.reason);
  return first;
}

test("nodes with the same fields share their layout, others do not", () => {
  const [a, b] = [query(":a 1 :b 2"), query(":a 3 :b {X :a 1}")];
  expect(b.layout).toBe(a.layout);
  expect(query(":b 1 :a 2").layout).not.toBe(a.layout);
  expect(query(":a 1").layout).not.toBe(a.layout);
  expect(query(":b 1 :a 2").layout.names).toEqual(["b", "a"]);
  expect([a.has("a"), a.has("ab"), intOf(a, "b")]).toEqual([true, false, 2]);
});

test("a name that another one begins with is not taken for it", () => {
  query(":name 1 :names 2");
  for (const [fields, names] of [
    [":names 1 :name 2", ["names", "name"]],
    [":nam 1", ["nam"]],
    [":name\\ 1 2", ["name\\ 1"]],
  ] as const)
    expect(query(fields).layout.names).toEqual(names);
  expect(readServerTree("({QUERY :name 1 :name 2})").ok).toBe(false);
});

test("a node reads the same, known or not, when no more layouts are kept", () => {
  const aggregate = "{AGGREF :aggfnoid 1 :newest 2}";
  const before = query(`:a ${aggregate} :b {VAR :varno 1 :varattno 2 :varlevelsup 0}`);
  for (let i = 0; i < 100; i++) query(`:fill${i} 1`);
  expect(query(":fill99 1").layout.id).toBe(-1);
  expect(query(":a 1").layout.id).not.toBe(-1);
  for (let i = 0; i < 10_000; i++) query(`:a {FILL${i} :x 1 :y 2}`);
  expect(query(":a {FILL9999 :x 1}").children[0]?.layout.id).toBe(-1);
  expect(query(":afterwards 1").layout.id).toBe(-1);
  const after = query(`:a ${aggregate} :b {VAR :varno 1 :varattno 2 :varlevelsup 0} :c {FILLED :x ({VAR})}`);
  for (const node of [before, after]) {
    const [first, second] = node.children;
    expect(first === undefined ? null : surpriseIn(first)).toBe("AGGREF.newest");
    expect(second === undefined ? "" : surpriseIn(second)).toBeNull();
    expect(second === undefined ? "" : tagOf(second)).toBe("VAR");
  }
  const filled = after.children[2];
  expect(filled === undefined ? null : surpriseIn(filled)).toBe("FILLED");
  const late = query(":a {VAR :varno 1 :varattno 2 :varlevelsup 0 :location {VAR :varno 3}}").children[0];
  expect(late === undefined ? null : surpriseIn(late)).toBe("VAR.location");
});
