/** What administrators did reads as a sentence, whatever it was. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Json } from "../../src/audit/read/leaves.ts";
import { sentence } from "../../src/audit/read/sentence.ts";

const src = join(import.meta.dirname, "../../src");
const sam = { subject: "sam@example.com", issuer: "https://idp", kind: "human", groups: [] };
const told = (fields: Record<string, unknown>) =>
  sentence({ time: "2026-11-23T10:00:00.000Z", ...fields } as Json).slice("2026-11-23 10:00:00.000  ".length);

/** Every action that the source records, and every question that the trail's reader takes. */
function actions(): string[] {
  const found = new Set<string>(["mcp.client.allowed", "mcp.client.refused"]);
  for (const name of readdirSync(src, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const text = readFileSync(join(src, name), "utf8");
    for (const [, line = ""] of text.matchAll(/\baction:((?:\s*\|?\s*"[\w.-]+")+)/g))
      for (const [, action = ""] of line.matchAll(/"([\w-]+\.[\w.-]+)"/g)) found.add(action);
    if (name === join("audit", "read", "reader.ts"))
      for (const [, kind] of text.matchAll(/readonly kind: "(\w+)"/g)) found.add(`audit.${kind}`);
  }
  return [...found].sort();
}

test("every action of the source has its sentence", () => {
  const all = actions();
  expect(all).toEqual(
    expect.arrayContaining(["audit.range", "console.login", "access.granted", "session.end"]),
  );
  expect(all.length).toBeGreaterThan(20);
  for (const action of all) {
    const one = told({ type: "admin.action", action, principal: sam, approval: "a-1" });
    expect(one, action).not.toMatch(/^admin\.action|undefined|\{/);
    expect(one.length, action).toBeGreaterThan(20);
  }
});

test("it says what was looked for, and moves no cursor", () => {
  const question = {
    kind: "search",
    filters: { table: "orders\u001b[2J", since: 5, value: "(not recorded)" },
  };
  expect(told({ type: "admin.action", action: "audit.search", principal: sam, question })).toBe(
    "sam@example.com (human) searched the trail for table orders\\u001b[2J, value (not recorded)",
  );
  expect(
    told({ type: "config.changed", digest: "sha256:0123456789abcdef", applied: ["*"], waiting: [] }),
  ).toBe("the configuration is 0123456789ab, in force: all of it");
  const policy = { previous: "sha256:bb", digest: "sha256:aa", rules: ["one"] };
  expect(told({ type: "policy.changed", ...policy })).toBe("the policy is aa with 1 rule, before it bb");
  const unknown = { type: "admin.action", action: "something.new", principal: sam };
  expect(told(unknown)).toContain("something.new");
});

test("every record that a gateway writes of itself has its sentence", () => {
  const types = new Set<string>();
  for (const name of readdirSync(src, { recursive: true, encoding: "utf8" }))
    if (name.endsWith(".ts"))
      for (const [, type = ""] of readFileSync(join(src, name), "utf8").matchAll(/\bevent\(\s*"([a-z_.]+)"/g))
        types.add(type);
  expect([...types]).toEqual(expect.arrayContaining(["key.rotated", "log.pruned", "circuit.opened"]));
  for (const type of types) {
    if (type === "admin.action") continue;
    const one = told({ type });
    expect(one, type).not.toMatch(/undefined|\{|\[object/);
    expect(one.startsWith(`${type} `), type).toBe(false);
  }
  expect(
    told({
      type: "log.forked",
      reason: "restored\u001b[2J",
      at: { size: 41, root: "r" },
      given_up: [{ size: 90 }],
      foreign: [],
    }),
  ).toBe("the log goes on from 41 records, against 1 kept checkpoint: restored\\u001b[2J");
  expect(told({ type: "key.rotated", previous: "a/b/0+0102aabb+AAAA", next: "a/b/0+ccdd0011+BBBB" })).toBe(
    "the log's signing key changed from 0102aabb to ccdd0011",
  );
  expect(
    told({
      type: "masking.detected",
      findings: [
        { column: "note", kind: "email", action: "masked" },
        { column: "c", kind: "iban", action: "recorded" },
      ],
    }),
  ).toBe("personal data was found in a result: email in note (masked), iban in c (recorded)");
});
