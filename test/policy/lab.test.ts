import { describe, expect, test } from "vitest";
import { PolicyError } from "../../src/policy/index.ts";
import type { Analyse, AnalysedStatement } from "../../src/policy/lab/analyser.ts";
import { readCases } from "../../src/policy/lab/cases.ts";
import { type RecordedStatement, replay } from "../../src/policy/lab/replay.ts";
import { runCases } from "../../src/policy/lab/run.ts";
import { splitName } from "../../src/policy/schema/columns.ts";
import { policy, principal, rules, session, statement } from "./support.ts";

const agents = `version: 1
labels:
  - { label: pii.email, columns: ["shop.*.*.email"], mask: partial }
  - { label: secret, columns: ["*.*.*.password_hash"], access: none }
rules:
  - { name: read, when: 'statement.effects == ["read"]', then: allow }
  - { name: write, when: '"write" in statement.effects && !statement.unbounded_write', then: approve, approvers: { groups: [s] } }
  - { name: ddl, when: '"ddl" in statement.effects', then: deny }
  - { name: see, when: '"support" in principal.groups', then: unmask, labels: [pii.email] }
`;
const cases = (text: string) => readCases([{ file: "t.test.yaml", text }]);

/** An analyser that knows a few statements, as the integrator's knows all. */
const analyse: Analyse = async ({ sql, database, principal: who }) => {
  const one = (facts: Parameters<typeof statement>[0], columns: readonly string[]): AnalysedStatement => ({
    sql,
    facts: statement(facts),
    refusal: null,
    would: () => null,
    estimate: async () => ({ rows: 5, cost: 1 }),
    mask: (decision) =>
      columns.includes("a.b.secret")
        ? { ok: false, code: "PROTECTED_COLUMN", message: "no", hint: null }
        : { ok: true, masked: decision.unmask.length > 0 ? [] : columns, outputs: null },
  });
  const place = session({ database, role: who.groups[0] ?? "" });
  switch (sql) {
    case "read":
      return { ok: true, session: place, statements: [one({}, [])] };
    case "email":
      return { ok: true, session: place, statements: [one({}, ["public.c.email"])] };
    case "secret":
      return { ok: true, session: place, statements: [one({}, ["a.b.secret"])] };
    case "read; drop":
      return { ok: true, session: place, statements: [one({}, []), one({ effects: ["ddl"] }, [])] };
    default:
      return { ok: false, code: "SYNTAX", message: "not understood" };
  }
};

describe("test files", () => {
  test("a list, a mapping with tests, one test alone", () => {
    const one = "{ as: {}, database: d, sql: x, expect: allow }";
    expect(cases(`- ${one}\n- ${one}\n`).map(({ line }) => line)).toEqual([1, 2]);
    expect(cases(`version: 1\ntests:\n  - ${one}\n`).map(({ line }) => line)).toEqual([3]);
    expect(cases(`${one}\n`)).toHaveLength(1);
    expect(cases("[]\n")).toEqual([]);
  });

  test("what is left out is the least", () => {
    const [least] = cases("- { as: {}, database: d, sql: x, expect: allow }\n");
    expect(least?.principal).toMatchObject({ kind: "agent", groups: [], claims: {}, actor: [] });
    const [most] =
      cases(`- as: { subject: s, kind: human, groups: [g], email: e@x, claims: { a: { b: [1, null] } }, actor: [{ subject: t }] }
  database: d
  sql: select 1
  params: [1]
  session: { via: mcp, client_ip: 10.0.0.1, claimed: { run: r } }
  facts: { effects: [write, read], writes: [b, a], unbounded_write: true }
  now: 2026-01-01T00:00:00Z
  expect: deny
`);
    expect(most?.principal).toMatchObject({
      kind: "human",
      claims: { a: { b: [1, null] } },
      actor: [{ subject: "t", issuer: null }],
    });
    expect(most?.session).toMatchObject({ database: "d", via: "mcp", claimed: { run: "r" } });
    expect(most?.facts).toMatchObject({
      effects: ["read", "write"],
      writes: ["a", "b"],
      bytes: 8,
      unboundedWrite: true,
    });
  });

  test.each([
    ["- { database: d, sql: x, expect: allow }", "1:3 [0]: has no as"],
    [
      "- { as: {}, database: d, sql: x, expect: yes }",
      '1:42 [0].expect: is "yes"; expected allow, deny, approve, masked',
    ],
    ["- { as: { kind: robot }, database: d, sql: x, expect: allow }", '1:17 [0].as.kind: is "robot"'],
    ["- { as: {}, database: d, sql: x, expect: allow, facts: {} }", "1:56 [0].facts: has no effects"],
    [
      "- { as: {}, database: d, sql: x, expect: allow, facts: { effects: [wrote] } }",
      '1:68 [0].facts.effects[0]: is "wrote"',
    ],
    ["- { as: {}, database: d, sql: x, expect: allow, now: monday }", "1:54 [0].now: is no moment"],
    [
      "- { as: {}, database: d, sql: x, expect: allow, role: r }",
      "1:49 [0].role: unknown key; expected rule",
    ],
    ["tests: 5", "1:8 tests: is 5"],
    ["a: [", "not valid YAML"],
  ])("%s", (text, problem) => {
    try {
      cases(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(PolicyError);
      expect((error as PolicyError).message).toContain(problem);
    }
  });
});

describe("running tests", () => {
  const run = async (text: string, with_: Analyse | null = analyse, p = policy(agents)) =>
    (await runCases(p, cases(text), with_)).map(({ outcome, why }) =>
      why === null ? outcome : `${outcome}: ${why}`,
    );
  const line = (sql: string, rest: string, as = "{}") =>
    `- { as: ${as}, database: shop, sql: ${sql}, ${rest} }\n`;

  test("verdicts, rules, codes and masks", async () => {
    expect(await run(line("read", "expect: allow, rule: read, columns_masked: []"))).toEqual(["passed"]);
    expect(await run(line("email", "expect: masked, columns_masked: [public.c.email]"))).toEqual(["passed"]);
    expect(await run(line("email", "expect: allow, columns_masked: []", "{ groups: [support] }"))).toEqual([
      "passed",
    ]);
    expect(await run(line("secret", "expect: deny, code: PROTECTED_COLUMN"))).toEqual(["passed"]);
    expect(await run(line("read; drop", "expect: deny, rule: ddl"))).toEqual(["passed"]);
    expect(await run(line("'???'", "expect: deny, code: SYNTAX"))).toEqual(["passed"]);
  });

  test("failures say what was expected and what came", async () => {
    expect(await run(line("read", "expect: deny"))).toEqual(["failed: expected deny, got allow by read"]);
    expect(await run(line("read", "expect: masked"))).toEqual(["failed: expected masked columns, got none"]);
    expect(await run(line("read", "expect: allow, rule: other"))).toEqual([
      "failed: expected rule other, got read",
    ]);
    expect(await run(line("email", "expect: allow, columns_masked: [a.b.c]"))).toEqual([
      "failed: expected masked [a.b.c], got [public.c.email]",
    ]);
    expect(await run(line("read; drop", "expect: allow"))).toEqual([
      "failed: expected allow, got deny by ddl (POLICY_DENIED: denied by the rule ddl)",
    ]);
  });

  test("without a database: facts, or skipped", async () => {
    expect(await run(line("x", "expect: deny, rule: ddl, facts: { effects: [ddl] }"), null)).toEqual([
      "passed",
    ]);
    expect(await run(line("read", "expect: allow"), null)).toEqual([
      "skipped: needs a database (-c postern.yaml) or facts",
    ]);
    expect((await run(line("x", "expect: masked, facts: { effects: [read] }"), null))[0]).toMatch(/^skipped/);
  });

  test("the estimate is the server's, or the test's", async () => {
    const p = rules("a: allow estimate.rows < 10.0");
    expect(await run(line("read", "expect: allow"), analyse, p)).toEqual(["passed"]);
    expect(await run(line("read", "expect: deny, estimate: { rows: 10, cost: 1 }"), analyse, p)).toEqual([
      "passed",
    ]);
  });
});

describe("replay", () => {
  const recorded = (given: Partial<RecordedStatement> = {}): RecordedStatement => {
    const { claims: _claims, email: _email, ...who } = principal();
    const { labels: _labels, labelsInPredicates: _in, ...facts } = statement();
    return {
      request: "r",
      time: new Date("2026-11-23T10:00:00Z"),
      principal: who,
      session: session(),
      sealedIntent: false,
      sql: "select id from orders",
      facts,
      verdict: "allow",
      rule: "old",
      code: null,
      masked: [],
      uses: null,
      severalWrites: null,
      wouldCode: null,
      syntaxError: false,
      outputs: null,
      ...given,
    };
  };
  const p = policy(agents);
  const kind = (given: Partial<RecordedStatement>, other = p) => {
    const { kind: found, why } = replay(other, recorded(given));
    return found === "undetermined" ? `${found}: ${why}` : found;
  };
  const facts = (given: Partial<RecordedStatement["facts"]>) => ({
    facts: { ...recorded().facts, ...given },
  });
  const without = (...names: (keyof RecordedStatement["facts"])[]) => {
    const left = { ...recorded().facts };
    for (const name of names) delete left[name];
    return left;
  };

  test("what changes", () => {
    expect(kind({})).toBe("unchanged");
    expect(kind(facts({ effects: ["ddl"] }))).toBe("newly denied");
    expect(kind(facts({ effects: ["write"] }))).toBe("newly held");
    expect(kind({ verdict: "deny", code: "NO_RULE" })).toBe("newly allowed");
    expect(kind({ verdict: "deny", code: "NOT_UNDERSTOOD" })).toBe("outside policy");
    expect(kind({ verdict: "deny", code: "PROTECTED_PREDICATE" })).toBe(
      "undetermined: masking refuses it (PROTECTED_PREDICATE) where the record does not say how it uses its columns",
    );
    expect(kind({ verdict: "deny", code: "PROTECTED_PREDICATE", ...facts({ effects: ["ddl"] }) })).toBe(
      "unchanged",
    );
  });

  test("masks", () => {
    const email = facts({ columns: ["public.customers.email", "public.customers.id"] });
    const outputs = ["public.customers.id", "public.customers.email"];
    const uses = {};
    expect(kind({ ...email, uses, outputs })).toBe("newly masked");
    expect(kind({ ...email, outputs, masked: ["public.customers.email"] })).toBe("unchanged");
    const open = "undetermined: the record does not say how it uses public.customers.email: masked or denied";
    // Of an earlier version.
    expect(kind({ ...email, outputs })).toBe(open);
    expect(kind({ ...email, uses, outputs: ["public.customers.id", null] })).toBe(
      "undetermined: the record does not say how it uses public.customers.email: masked or denied",
    );
    expect(kind({ masked: ["public.customers.phone"] })).toBe("newly shown");
    const support = { ...recorded().principal, groups: ["support"] };
    expect(kind({ ...email, outputs, principal: support })).toBe("unchanged");
    expect(kind(facts({ columns: ["public.users.password_hash"] }))).toBe("newly denied");
    expect(kind(facts({ columns: ['public."We.ird".email'] }))).toMatch(/^undetermined/);
  });

  test("columns that stand where their labels do not allow", () => {
    const email = facts({ columns: ["public.customers.email"] });
    const outputs = ["public.customers.email"];
    const now = (uses: RecordedStatement["uses"], other = p, more: Partial<RecordedStatement> = {}) =>
      replay(other, recorded({ ...email, outputs, uses, ...more })).now?.code ?? null;
    const column = "public.customers.email";
    expect(now({ predicate: [column] })).toBe("PROTECTED_PREDICATE");
    expect(now({ equality: [column] })).toBe("PROTECTED_PREDICATE");
    expect(now({ derived: [column] })).toBe("PROTECTED_EXPRESSION");
    expect(now({ predicate: ["public.customers.id"] })).toBeNull();
    expect(now({ arbiter: [column] })).toBeNull();
    const explained = facts({ kind: "explain", columns: [column] });
    expect(now({ predicate: [column] }, p, explained)).toBe("PROTECTED_EXPLAIN");
    expect(kind({ ...email, uses: { predicate: [column] } })).toBe("newly denied");
    expect(
      kind({ ...email, uses: { predicate: [column] }, verdict: "deny", code: "PROTECTED_PREDICATE" }),
    ).toBe("unchanged");
    const support = { ...recorded().principal, groups: ["support"] };
    expect(kind({ ...email, uses: { predicate: [column] }, principal: support })).toBe("unchanged");
    const loose = policy(`version: 1
labels: [{ label: pii.email, columns: ["*.*.*.email"], use: equality }]
rules: [{ name: a, when: true, then: allow }]
`);
    expect(now({ equality: [column] }, loose)).toBeNull();
    expect(now({ predicate: [column] }, loose)).toBe("PROTECTED_PREDICATE");
  });

  test("changed rows that cannot be counted", () => {
    const limited = rules("a: allow true | limits: { affected_rows: 5 }");
    const write = (given: Partial<RecordedStatement["facts"]>, more: Partial<RecordedStatement> = {}) =>
      replay(limited, recorded({ ...facts({ effects: ["write"], kind: "update", ...given }), ...more })).now
        ?.code ?? null;
    expect(write({})).toBeNull();
    expect(write({ kind: "select" })).toBe("NOT_COUNTABLE");
    expect(write({ statements: 2 })).toBe("NOT_COUNTABLE");
    expect(write({}, { severalWrites: true })).toBe("NOT_COUNTABLE");
  });

  test("what could not be read", () => {
    const wouldCode = "STATEMENT_NOT_UNDERSTOOD";
    expect(kind({ wouldCode })).toBe("newly denied");
    expect(kind({ wouldCode }, policy("version: 1\nmode: observe\ndefault: deny\n"))).toBe("unchanged");
    expect(kind({ syntaxError: true })).toBe("outside policy");
    expect(kind({ wouldCode: "PROTECTED_CATALOG" })).toMatch(/^undetermined/);
  });

  test("what the record does not hold is not guessed", () => {
    expect(kind({ facts: without("effects") })).toBe(
      "undetermined: it was not analysed: allow or approve or deny",
    );
    expect(kind({ facts: { ...without("unboundedWrite"), effects: ["write"] }, verdict: "approve" })).toBe(
      "undetermined: the record does not hold statement.unbounded_write: approve or deny",
    );
    expect(kind({ facts: without("unboundedWrite") })).toBe("unchanged");
    expect(kind({ facts: without("columns") })).toBe(
      "undetermined: its columns were not analysed, and the policy protects some",
    );
    expect(kind({}, rules("a: allow true", "b: deny principal.claims.x == 1"))).toBe(
      "undetermined: the record does not hold principal.claims: allow or deny",
    );
    expect(kind({}, rules("a: allow true", "b: deny principal.email.endsWith('x')"))).toContain(
      "principal.email",
    );
    expect(kind({}, rules("a: allow true", "b: limit estimate.rows > 1.0 | limits: { rows: 1 }"))).toBe(
      "unchanged",
    );
    const intent = rules("a: allow true", "b: deny session.claimed.intent == 'x'");
    expect(kind({ sealedIntent: true }, intent)).toContain("session.claimed.intent");
    expect(kind({}, intent)).toBe("unchanged");
  });

  test("a deny that is certain needs no other fact", () => {
    const certain = rules("a: allow principal.claims.x == 1", "b: deny statement.effects == ['read']");
    expect(kind({ facts: without("columns", "reads") }, certain)).toBe("newly denied");
  });
});

test("names as PostgreSQL quotes them", () => {
  expect(splitName("public.orders.id")).toEqual(["public", "orders", "id"]);
  expect(splitName('"a.b"."say ""hi""".c')).toEqual(["a.b", 'say "hi"', "c"]);
  expect(splitName('a."b')).toBeNull();
  expect(splitName("a..b")).toBeNull();
  expect(splitName("")).toBeNull();
});
