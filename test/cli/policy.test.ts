import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { UsageError } from "../../src/cli/lib/args.ts";
import type { OpenAnalyser } from "../../src/cli/policy/analyser.ts";
import { policy } from "../../src/cli/policy.ts";
import type { StatementFacts } from "../../src/facts/effects.ts";
import { statement } from "../policy/support.ts";
import { folder, postern } from "./support.ts";

let at: ReturnType<typeof folder>;
beforeAll(() => {
  at = folder();
  at.write(
    "own.yaml",
    `version: 1
extends: agent-safe
labels:
  - { label: pii.email, columns: ["shop.*.*.email"], mask: partial }
rules:
  - { name: only-observed, when: 'statement.kind == "select"', then: deny, mode: observe }
`,
  );
  at.write(
    "own.test.yaml",
    `- { as: { kind: agent }, database: shop, sql: select 1, facts: { effects: [read] }, expect: allow }
- { name: needs a database, as: { kind: agent }, database: shop, sql: email, expect: masked, columns_masked: [public.c.email] }
`,
  );
  at.write(
    "postern.yaml",
    `version: 1
identity: { providers: [{ name: corp, type: oidc, issuer: https://idp.example.com, audience: postern }] }
databases:
  - { name: shop, server: { host: 127.0.0.1 }, logins: [{ groups: [dba], user: a, password: { file: pw } }] }
policy: own.yaml
`,
  );
  at.write("pw", "secret");
});
afterAll(() => at.remove());

/** Runs a verb in this process, with an analyser of two statements. */
async function run(
  args: string[],
  openAnalyser: OpenAnalyser | null = null,
): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const take = (add: (text: string) => void) => (text: unknown) => {
    add(String(text));
    return true;
  };
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation(take((text) => (out += text)));
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation(take((text) => (err += text)));
  try {
    return { code: await policy(args, openAnalyser), out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

let closed = 0;
const opener: OpenAnalyser = async (settings) => ({
  analyse: async ({ sql, database }) => {
    const known: Readonly<Record<string, Partial<StatementFacts>>> = {
      email: { columns: ["public.c.email"], labels: ["pii.email"] },
      drop: { effects: ["ddl"], kind: "ddl", reads: [] },
    };
    const facts = known[sql];
    if (facts === undefined) return { ok: false, code: "SYNTAX", message: `not\u001b[2J understood` };
    return {
      ok: true,
      session: {
        database,
        role: settings.gateway.databases[0]?.name ?? "",
        application: null,
        clientIp: "::1",
        via: "wire",
        tls: true,
        claimed: {},
      },
      statements: [
        {
          sql,
          facts: statement(facts),
          refusal: null,
          would: (_input, decision) => decision.would,
          mask: () => ({
            ok: true,
            masked: ["public.c.email"],
            outputs: [
              {
                name: "email",
                sources: ["public.c.email"],
                plain: true,
                mask: "partial",
                label: "pii.email",
              },
              { name: "n", sources: [], plain: false, mask: null, label: null },
            ],
          }),
        },
      ],
    };
  },
  close: async () => {
    closed++;
  },
});

describe("check", () => {
  test("what is in a policy", async () => {
    const ran = await postern(["policy", "check", at.path]);
    expect(ran).toMatchObject({ code: 2 });
    expect(ran.stderr).toContain("postern.yaml");
    const good = await postern(["policy", "check", "own.yaml"], { cwd: at.path });
    expect(good.code).toBe(0);
    expect(good.stdout).toMatch(/^deny +only-observed +observed +own\.yaml:6$/m);
    expect(good.stdout).toMatch(/^pii\.email +partial +output +shop\.\*\.\*\.email$/m);
    expect(good.stdout).toMatch(
      /OK {2}sha256:[0-9a-f]{64}\n {4}partly observed, default deny; every statement is analysed\n$/,
    );
  });

  test("the configuration's, as JSON", async () => {
    const ran = await postern(["policy", "check", "--json"], { cwd: at.path });
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      ok: true,
      observe: "some",
      default: "deny",
      needs: { analysis: true },
    });
  });

  test("every mistake, one a line", async () => {
    const bad = at.write("bad.yml.txt", "version: 2\nrules: 5\n");
    const ran = await postern(["policy", "check", bad]);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(ran.stderr).toBe(
      `${bad}:1:10 version: is 2; expected 1\n${bad}:2:8 rules: is 5; expected a list of rules\n`,
    );
    const json = await postern(["policy", "check", "--json", bad]);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout).problems).toHaveLength(2);
  });

  test("agent-safe", async () => {
    expect((await run(["check", "agent-safe"])).code).toBe(0);
  });
});

describe("test", () => {
  const args = ["test", "own.test.yaml", "-p", "own.yaml"].map((arg) => arg);
  const placed = () => args.map((arg) => (arg.endsWith(".yaml") ? `${at.path}/${arg}` : arg));

  test("without a database", async () => {
    const { code, out } = await run(placed());
    expect(code).toBe(0);
    expect(out).toMatch(/^SKIPPED .*own\.test\.yaml:2 {2}needs a database\n/);
    expect(out).toMatch(/1 passed, 0 failed, 1 skipped\n$/);
  });

  test("with an analyser", async () => {
    closed = 0;
    const { code, out } = await run(["test", ...placed().slice(1), "-c", `${at.path}/postern.yaml`], opener);
    expect([code, out, closed]).toEqual([0, "2 passed, 0 failed\n", 1]);
  });

  test("a failure, and nothing that could run", async () => {
    const failing = at.write(
      "f.test.yaml",
      "- { as: {}, database: shop, sql: x, facts: { effects: [ddl] }, expect: allow }\n",
    );
    const { code, out } = await run(["test", failing, "-p", "agent-safe"]);
    expect(code).toBe(1);
    expect(out).toContain("expected allow, got deny by agent-safe/agents-never (POLICY_DENIED");
    const json = await run(["test", failing, "-p", "agent-safe", "--json"]);
    expect(JSON.parse(json.out)).toMatchObject({ line: 1, outcome: "failed", got: { verdict: "deny" } });
    const idle = at.write("i.test.yaml", "- { as: {}, database: shop, sql: x, expect: allow }\n");
    expect((await run(["test", idle, "-p", "agent-safe"])).code).toBe(2);
  });

  test("a mistake in a test", async () => {
    const wrong = at.write("w.test.yaml", "- { as: {}, database: shop, expect: allow }\n");
    const { code, err } = await run(["test", wrong, "-p", "agent-safe"]);
    expect(code).toBe(2);
    expect(err).toBe(`${wrong}:1:3 [0]: has no sql; expected sql in every test\n`);
  });
});

describe("explain", () => {
  const as = ["--as", "{ kind: agent, groups: [agents] }", "--database", "shop"];
  const config = () => ["-c", `${at.path}/postern.yaml`];

  test("from facts", async () => {
    const { code, out } = await run([
      "explain",
      ...as,
      "-p",
      "agent-safe",
      "--facts",
      "{ effects: [read, write] }",
      "update x",
    ]);
    expect(code).toBe(1);
    expect(out).toMatch(/^APPROVE {2}by agent-safe\/agents-write \(NEEDS_APPROVAL\)$/m);
    expect(out).toMatch(/^matched +approve +agent-safe\/agents-write$/m);
    expect(out).toMatch(/^not matched +deny +agent-safe\/agents-never$/m);
  });

  test("analysed: what it touches, lineage and masks, and what is only observed", async () => {
    const { code, out } = await run(["explain", ...as, ...config(), "email"], opener);
    expect(code).toBe(0);
    expect(out).toMatch(/^ALLOW {4}by agent-safe\/agents-read$/m);
    expect(out).toMatch(/would be: deny by only-observed/);
    expect(out).toMatch(/^columns +public\.c\.email$/m);
    expect(out).toMatch(/^email +public\.c\.email +partial \(pii\.email\)$/m);
    expect(out).toMatch(/^n +\(no column\) +as it is$/m);
  });

  test("as JSON", async () => {
    const { code, out } = await run(["explain", ...as, ...config(), "--json", "drop"], opener);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      sql: "drop",
      decision: { verdict: "deny", rule: "agent-safe/agents-never" },
    });
  });

  test("what is not understood is denied, and cannot write to the terminal", async () => {
    const { code, out } = await run(["explain", ...as, ...config(), "?"], opener);
    expect(code).toBe(1);
    expect(out).toContain("DENY     SYNTAX: not?[2J understood");
  });

  test("mistakes in what is given", async () => {
    const { code, err } = await run([
      "explain",
      "--as",
      "{ kind: bot }",
      "--database",
      "d",
      "-p",
      "agent-safe",
      "--facts",
      "{ effects: [] }",
      "x",
    ]);
    expect(code).toBe(2);
    expect(err).toBe('--as:1:9 kind: is "bot"; expected human, agent, service\n');
    await expect(run(["explain", "--database", "d", "x"])).rejects.toThrow(UsageError);
    await expect(run(["explain", ...as, "-p", "agent-safe", "x"])).rejects.toThrow(/--facts is missing/);
  });
});

test.each([
  [["--help"]],
  [["check", "--help"]],
  [["test", "--help"]],
  [["explain", "-h"]],
  [["replay", "--help"]],
])("policy %j", async (args) => {
  const { code, out } = await run(args);
  expect(code).toBe(0);
  expect(out).toMatch(/^Usage: postern policy/);
});

test("no verb, another verb", async () => {
  await expect(run([])).rejects.toThrow("a verb is missing");
  await expect(run(["chekc"])).rejects.toThrow('there is no verb "chekc"');
});

test.each(["check", "serve"])(
  "postern %s tells the mistakes of the policy that postern.yaml names",
  async (verb) => {
    const broken = at.write("broken.policy", "version: 1\nrules: 5\ndefault: ask\n");
    const config = at.write(
      "broken.conf",
      `version: 1
listen: { postgres: 127.0.0.1:0 }
identity: { providers: [{ name: corp, type: oidc, issuer: https://idp.example.com, audience: postern }] }
databases:
  - { name: shop, server: { host: 127.0.0.1 }, logins: [{ groups: [dba], user: a, password: { file: pw } }] }
policy: broken.policy
`,
    );
    const ran = await postern([verb, "-c", config]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(`${broken}:2:8 rules: is 5; expected a list of rules\n`);
    expect(ran.stderr).toContain(`${broken}:3:10 default: is "ask"; expected deny, allow\n`);
  },
);
