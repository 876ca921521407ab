/** docs/policy.md and policies/: every example loads, every fact is explained. */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import type { StatementFacts } from "../../src/facts/effects.ts";
import { functionNames } from "../../src/policy/condition/environment.ts";
import { claimedTypes, factTypes } from "../../src/policy/condition/facts.ts";
import { builtinNames, builtinPolicy, loadPolicy } from "../../src/policy/index.ts";
import { readCases } from "../../src/policy/lab/cases.ts";
import { runCases } from "../../src/policy/lab/run.ts";
import { input } from "./support.ts";

const repository = resolve(import.meta.dirname, "../..");
const text = readFileSync(resolve(repository, "docs/policy.md"), "utf8");
const blocks = [...text.matchAll(/^```(yaml(?: test)?)\n(.*?)^```$/gms)].map(([, kind = "", body = ""]) => ({
  kind,
  body,
}));
const policies = blocks.filter(({ kind }) => kind === "yaml").map(({ body }) => body);

describe("docs/policy.md", () => {
  test.each(policies)("this example loads:\n%s", (body) => {
    expect(loadPolicy([{ file: "example.yaml", text: body }]).digest).toMatch(/^sha256:/);
  });

  test("the example tests are read, and those that can run pass", async () => {
    const [example] = blocks.filter(({ kind }) => kind === "yaml test");
    const cases = readCases([{ file: "example.test.yaml", text: example?.body ?? "" }]);
    const policy = loadPolicy([{ file: "example.yaml", text: policies[0] ?? "" }]);
    const results = await runCases(policy, cases, null);
    expect(results.map(({ outcome }) => outcome)).toEqual(["skipped", "skipped", "skipped", "passed"]);
  });

  test("every fact and every function is named", () => {
    const facts = Object.entries(factTypes).flatMap(([root, fields]) =>
      Object.keys(fields).flatMap((field) =>
        field === "claimed"
          ? Object.keys(claimedTypes).map((inner) => `session.claimed.${inner}`)
          : [`${root}.${field}`],
      ),
    );
    expect([...facts, "now"].filter((fact) => !text.includes(`\`${fact}\``))).toEqual([]);
    const rare = functionNames.filter((name) => !/^get/.test(name));
    expect(rare.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });

  test("the closed list of codes has those of policies", () => {
    const errors = readFileSync(resolve(repository, "docs/errors.md"), "utf8");
    for (const code of ["POLICY_DENIED", "NO_RULE", "POLICY_ERROR", "NEEDS_APPROVAL", "RATE_LIMITED"])
      expect(errors).toContain(`| \`${code}\` |`);
  });
});

describe("agent-safe", () => {
  test("every file in policies/ is a built-in policy", () => {
    const files = readdirSync(resolve(repository, "policies")).map((name) => name.replace(".yaml", ""));
    expect(files.sort()).toEqual([...builtinNames].sort());
  });

  const policy = loadPolicy([builtinPolicy("agent-safe")]);
  const agent = { kind: "agent", groups: ["agents"] } as const;
  const human = { kind: "human", groups: [] } as const;
  const engineer = { kind: "human", groups: ["engineers"] } as const;
  const dba = { kind: "human", groups: ["dba"] } as const;
  const service = { kind: "service", groups: [] } as const;
  const everyone = [agent, human, engineer, dba, service];
  const bounded = { effects: ["read", "write"], kind: "update" } as const;
  const unbounded = { ...bounded, unboundedWrite: true } as const;
  const cases: readonly [what: string, Partial<StatementFacts>, readonly string[]][] = [
    ["reads", { effects: ["read"] }, ["allow", "allow", "allow", "allow", "allow"]],
    ["bounded writes", bounded, ["approve", "deny", "allow", "allow", "allow"]],
    [
      "writes without reading",
      { effects: ["write"], kind: "insert" },
      ["approve", "deny", "allow", "allow", "allow"],
    ],
    ["unbounded writes", unbounded, ["deny", "deny", "deny", "allow", "deny"]],
    ["schema changes", { effects: ["ddl"] }, ["deny", "deny", "deny", "allow", "deny"]],
    [
      "a write that also changes the schema",
      { effects: ["ddl", "write"] },
      ["deny", "deny", "deny", "allow", "deny"],
    ],
    ["unknown functions", { effects: ["execute", "read"] }, ["deny", "deny", "deny", "allow", "deny"]],
    ["files", { effects: ["file", "read"] }, ["deny", "deny", "deny", "deny", "deny"]],
    ["other servers", { effects: ["network", "read"] }, ["deny", "deny", "deny", "deny", "deny"]],
    ["administration", { effects: ["admin"] }, ["deny", "deny", "deny", "allow", "deny"]],
    ["locks", { effects: ["lock", "read"] }, ["deny", "deny", "allow", "allow", "allow"]],
    ["session state", { effects: ["session"] }, ["deny", "deny", "allow", "allow", "allow"]],
    ["transaction control", { effects: [] }, ["allow", "allow", "allow", "allow", "allow"]],
  ];
  test.each(cases)("%s", (_what, statement, verdicts) => {
    const got = everyone.map((who) => policy.decide(input({ principal: who, statement })).verdict);
    expect(got).toEqual(verdicts);
  });

  test("every refusal of an agent says something that helps", () => {
    for (const [, statement] of cases) {
      const { verdict, message, hint } = policy.decide(input({ principal: agent, statement }));
      if (verdict !== "allow")
        expect([(message ?? "").length > 20, (hint ?? "").length > 20]).toEqual([true, true]);
    }
  });

  test("decisions by it may be kept, and its limits are set", () => {
    const given = input({ principal: agent });
    expect(policy.cacheKey(given.principal, given.session)).not.toBeNull();
    expect(policy.decide(given).limits).toEqual({
      rows: 1000,
      bytes: 10 * 1024 * 1024,
      timeoutMs: 30_000,
      affectedRows: null,
      perMinute: 300,
    });
    expect(policy.decide(input({ principal: dba, statement: { effects: ["ddl"] } })).durability).toBe(
      "strict",
    );
    expect(policy.decide(input({ principal: dba })).durability).toBeNull();
  });

  test("extended by a file that observes it observes", () => {
    const observing = loadPolicy([
      { file: "o.yaml", text: "version: 1\nextends: agent-safe\nmode: observe\n" },
    ]);
    expect(observing.observe).toBe("all");
    expect(observing.decide(input({ statement: { effects: ["ddl"] } }))).toMatchObject({
      verdict: "allow",
      would: { verdict: "deny", rule: "agent-safe/agents-never" },
    });
  });

  test("a file that extends it may state the default, and allow more, but not lift its denials", () => {
    const more =
      "version: 1\nextends: [agent-safe]\ndefault: allow\nrules: [{ name: all, when: true, then: allow }]\n";
    const own = loadPolicy([{ file: "o.yaml", text: more }]);
    expect(own.decide(input({ principal: agent, statement: { effects: ["lock"] } })).verdict).toBe("allow");
    expect(own.decide(input({ principal: agent, statement: { effects: ["ddl"] } })).verdict).toBe("deny");
  });
});
