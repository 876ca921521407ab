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
