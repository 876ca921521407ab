import { describe, expect, test } from "vitest";
import { input, policy, rules, rulesText } from "./support.ts";

const write = { statement: { effects: ["read", "write"], kind: "update", command: "UPDATE" } as const };
const ddl = { statement: { effects: ["ddl"], kind: "ddl", command: "DROP TABLE", reads: [] } as const };
const begin = { statement: { effects: [], kind: "transaction", command: "BEGIN", reads: [], columns: [] } };

describe("which rule decides", () => {
  const read = "statement.effects == ['read']";
  const cases: readonly [name: string, lines: readonly string[], verdict: string, rule: string | null][] = [
    ["nothing matches: the default denies", ["a: allow false"], "deny", null],
    ["allow", [`a: allow ${read}`], "allow", "a"],
    ["the first by name of several", [`b: allow ${read}`, `a: allow ${read}`], "allow", "a"],
    ["deny wins over allow", [`a: allow ${read}`, "z: deny true"], "deny", "z"],
    ["deny wins over approve", [`a: approve ${read}`, "z: deny true"], "deny", "z"],
    ["approve wins over allow", [`a: allow ${read}`, `z: approve ${read}`], "approve", "z"],
    ["a limit alone allows nothing", ["a: limit true | limits: { rows: 5 }"], "deny", null],
    [
      "a failed condition denies",
      [`a: allow ${read}`, "z: limit 1 / 0 == 1 | limits: { rows: 1 }"],
      "deny",
      "z",
    ],
    ["a deny stands above a failed condition", ["a: allow 1 / 0 == 1", "z: deny true"], "deny", "z"],
    ["a failure that cannot matter is none", [`a: allow true || 1 / 0 == 1`], "allow", "a"],
  ];
  test.each(cases)("%s", (_name, lines, verdict, rule) => {
    const decision = rules(...lines).decide(input());
    expect([decision.verdict, decision.rule]).toEqual([verdict, rule]);
  });

  test("default: allow", () => {
    const p = policy(rulesText(["a: deny 'ddl' in statement.effects"], "version: 1\ndefault: allow"));
    expect(p.decide(input()).verdict).toBe("allow");
    expect(p.decide(input()).rule).toBeNull();
    expect(p.decide(input(ddl)).rule).toBe("a");
  });

  test("all matching rules are told, sorted by name", () => {
    const p = rules(
      "c: allow true",
      "b: limit true | limits: { rows: 1 }",
      "a: allow false",
      "d: allow true",
    );
    expect(p.decide(input()).rules).toEqual(["b", "c", "d"]);
  });
});

describe("what the caller is told", () => {
  const codes = (lines: readonly string[]) => {
    const { code, message, hint } = rules(...lines).decide(input());
    return { code, message, hint };
  };

  test("a denial by a rule, with its own words or ours", () => {
    expect(codes(["a: deny true | message: 'no.', hint: 'do x.'"])).toEqual({
      code: "POLICY_DENIED",
      message: "no.",
      hint: "do x.",
    });
    expect(codes(["a: deny !statement.has_limit"])).toEqual({
      code: "POLICY_DENIED",
      message: "denied by the rule a",
      hint: "Add a LIMIT, then send it again.",
    });
  });

  test("no rule: what it would do, and what may be allowed", () => {
    const lines = ["r: allow statement.effects == ['write']", "s: allow 'dba' in principal.groups"];
    expect(codes(lines)).toEqual({
      code: "NO_RULE",
      message: "no rule allows this: it would read (public.orders)",
      hint: "Rules that may allow you something: r. Keep to these, or ask the policy's owner.",
    });
    expect(codes(["s: allow 'dba' in principal.groups"]).hint).toBe(
      "No rule allows you anything here: ask the policy's owner for access.",
    );
  });

  test("a failed condition names the rule and no value", () => {
    const p = rules("a: allow principal.claims[session.application] == 'x'");
    const decision = p.decide(input({ session: { application: "s3cret" } }));
    expect(decision.code).toBe("POLICY_ERROR");
    expect(JSON.stringify(decision)).not.toContain("s3cret");
    const [verdict] = p.explain(input({ session: { application: "s3cret" } })).rules;
    expect(verdict).toMatchObject({ outcome: "error", detail: "no_such_key" });
  });

  test("a held statement: who must agree", () => {
    const text = `version: 1
rules:
  - { name: a, when: true, then: approve, approvers: { groups: [stewards, dba], count: 2, within: 1h } }
  - { name: b, when: true, then: approve, approvers: { groups: [owners], ticket: true, allow_delegator: true } }
`;
    const decision = policy(text).decide(input(write));
    expect(decision.code).toBe("NEEDS_APPROVAL");
    expect(decision.hint).toBe(
      "Ask 2 people of stewards or dba, and one person of owners to approve it, then send the same statement again.",
    );
    expect(decision.approvers).toEqual([
      {
        rule: "a",
        groups: ["stewards", "dba"],
        count: 2,
        withinMs: 3_600_000,
        allowDelegator: false,
        ticket: false,
        breakGlass: null,
      },
      {
        rule: "b",
        groups: ["owners"],
        count: 1,
        withinMs: 900_000,
        allowDelegator: true,
        ticket: true,
        breakGlass: null,
      },
    ]);
  });

  test("who may break the glass, and who looks at it afterwards: by default the approvers", () => {
    const text = `version: 1
rules:
  - { name: a, when: true, then: approve, approvers: { groups: [stewards], break_glass: { groups: [oncall] } } }
  - { name: b, when: true, then: approve, approvers: { groups: [owners], break_glass: { groups: [oncall], review: [security] } } }
  - { name: c, when: true, then: approve, approvers: { groups: [owners] } }
`;
    const { approvers } = policy(text).decide(input(write));
    expect(approvers.map(({ breakGlass }) => breakGlass)).toEqual([
      { groups: ["oncall"], review: ["stewards"] },
      { groups: ["oncall"], review: ["security"] },
      null,
    ]);
  });

  test("what the refusal is about, where that is one thing", () => {
    const p = rules("a: deny statement.functions.exists(f, f.startsWith('app.'))");
    const decide = (functions: string[]) => p.decide(input({ statement: { functions } })).object;
    expect(decide(["app.charge"])).toBe("app.charge");
    expect(decide(["app.charge", "app.refund"])).toBeNull();
  });
});

describe("limits", () => {
  const limits = (...lines: string[]) => rules(...lines).decide(input()).limits;

  test("the most generous of those that allow", () => {
    expect(
      limits(
        "a: allow true | limits: { rows: 10, bytes: 1KiB }",
        "b: allow true | limits: { rows: 20, bytes: 5 }",
      ),
    ).toMatchObject({ rows: 20, bytes: 1024, timeoutMs: null });
  });
  test("a rule without a limit sets none", () => {
    expect(limits("a: allow true | limits: { rows: 10 }", "b: allow true")).toMatchObject({ rows: null });
  });
  test("approve counts like allow", () => {
    expect(
      limits("a: allow true | limits: { rows: 10 }", "b: approve true | limits: { rows: 7 }"),
    ).toMatchObject({
      rows: 10,
    });
  });
  test("every limiting rule tightens, none loosens", () => {
    expect(
      limits(
        "a: allow true | limits: { rows: 10, timeout: 1m }",
        "b: limit true | limits: { rows: 5, timeout: 2m }",
        "c: limit true | limits: { rows: 8, affected_rows: 0 }",
        "d: limit false | limits: { rows: 1 }",
      ),
    ).toEqual({ rows: 5, bytes: null, timeoutMs: 60_000, affectedRows: 0, perMinute: null });
  });
  test("a denied statement has none", () => {
    expect(limits("a: limit true | limits: { rows: 5 }")).toMatchObject({ rows: null });
  });
  test("rates name the rules they belong to", () => {
    const { budgets } = rules(
      "a: allow true | limits: { per_minute: 10, rows_per_hour: 100 }",
      "b: allow true | limits: { per_minute: 20, rows_per_hour: 50 }",
      "c: limit true | limits: { per_minute: 30 }",
    ).decide(input());
    expect(budgets).toEqual([
      { rule: "b", unit: "statements", amount: 20, perSeconds: 60 },
      { rule: "c", unit: "statements", amount: 30, perSeconds: 60 },
      { rule: "a", unit: "rows", amount: 100, perSeconds: 3600 },
    ]);
  });
  test("the most durable wins", () => {
    const durability = (...lines: string[]) => rules(...lines).decide(input()).durability;
    expect(durability("a: allow true")).toBeNull();
    expect(durability("a: allow true | durability: process", "b: limit true | durability: strict")).toBe(
      "strict",
    );
    expect(durability("a: allow true | durability: disk", "b: limit false | durability: strict")).toBe(
      "disk",
    );
  });
});

describe("statements without effects", () => {
  const verdict = (lines: readonly string[], given = begin) => rules(...lines).decide(input(given)).verdict;

  test("pass for whom some rule may allow something", () => {
    expect(verdict(["a: allow 'agents' in principal.groups && statement.effects == ['read']"])).toBe("allow");
    expect(verdict(["a: allow statement.effects == ['read'] && 'agents' in principal.groups"])).toBe("allow");
    expect(verdict(["a: approve 'write' in statement.effects"])).toBe("allow");
  });
  test("not for whom no rule can allow anything", () => {
    expect(verdict(["a: allow 'dba' in principal.groups && statement.effects == ['read']"])).toBe("deny");
    expect(verdict(["a: allow statement.effects == ['read'] && 'dba' in principal.groups"])).toBe("deny");
    expect(verdict(["a: allow principal.claims.x == 'y'"])).toBe("deny");
    expect(verdict(["a: limit true | limits: { rows: 1 }", "b: deny false"])).toBe("deny");
  });
  test("unless a rule denies them", () => {
    expect(verdict(["a: allow true", "b: deny statement.command == 'BEGIN'"])).toBe("deny");
  });
  test("are never held", () => {
    expect(verdict(["a: approve true"])).toBe("allow");
  });
  test("a statement with effects gains nothing by it", () => {
    expect(rules("a: allow statement.effects == ['write']").decide(input()).verdict).toBe("deny");
  });
});

describe("observe", () => {
  test("a rule that observes has no effect but on the record", () => {
    const p = rules("a: allow true", "d: deny true | mode: observe");
    expect(p.decide(input())).toMatchObject({
      verdict: "allow",
      rule: "a",
      rules: ["a"],
      would: { verdict: "deny", rule: "d" },
    });
    expect(p.observe).toBe("some");
  });
  test("an observed allow grants nothing", () => {
    expect(rules("a: allow true | mode: observe").decide(input())).toMatchObject({
      verdict: "deny",
      would: null,
    });
  });
  test("an observed approve under an allow: would be held", () => {
    const p = rules("a: allow true", "b: approve true | mode: observe");
    expect(p.decide(input())).toMatchObject({
      verdict: "allow",
      approvers: [],
      would: { verdict: "approve", rule: "b" },
    });
  });
  test("observed limits do not limit", () => {
    const p = rules("a: allow true", "b: limit true | mode: observe, limits: { rows: 1 }");
    expect(p.decide(input())).toMatchObject({ limits: { rows: null }, would: null });
  });
  test("a failed condition that observes would deny", () => {
    const p = rules("a: allow true", "b: deny 1 / 0 == 1 | mode: observe");
    expect(p.decide(input())).toMatchObject({ verdict: "allow", would: { verdict: "deny", rule: "b" } });
  });
  test("a file that observes lets everything pass, the default too", () => {
    const p = policy(
      rulesText(["a: allow false", "b: deny 'ddl' in statement.effects"], "version: 1\nmode: observe"),
    );
    expect(p.observe).toBe("all");
    expect(p.decide(input())).toMatchObject({
      verdict: "allow",
      code: null,
      would: { verdict: "deny", rule: null },
    });
    expect(p.decide(input(ddl))).toMatchObject({ verdict: "allow", would: { verdict: "deny", rule: "b" } });
  });
  test("a rule of an observing file may be enforced", () => {
    const p = policy(
      rulesText(["b: deny 'ddl' in statement.effects | mode: enforce"], "version: 1\nmode: observe"),
    );
    expect(p.decide(input(ddl)).verdict).toBe("deny");
    expect(p.decide(input()).verdict).toBe("allow");
  });
});

describe("labels and masks", () => {
  const text = `version: 1
labels:
  - { label: pii.email, columns: [shop.public.customers.email, "shop.*.*.email_*", 'crm.public."Order".*'], mask: partial }
  - { label: secret, columns: ["*.*.*.password_hash"], access: none }
rules:
  - { name: read, when: true, then: allow, use: { pii.email: equality } }
  - { name: see, when: '"support" in principal.groups', then: unmask, labels: [pii.email] }
`;
  const p = policy(text);
  const labels = (database: string, schema: string, relation: string, column: string) =>
    p
      .labelsFor(database)
      .filter((l) => l.matches(schema, relation, column))
      .map((l) => l.label);

  test("patterns by database, parts, stars and quotes", () => {
    expect(labels("shop", "public", "customers", "email")).toEqual(["pii.email"]);
    expect(labels("shop", "public", "customers", "emails")).toEqual([]);
    expect(labels("shop", "x", "y", "email_lower")).toEqual(["pii.email"]);
    expect(labels("crm", "public", "customers", "email")).toEqual([]);
    expect(labels("crm", "public", "Order", "anything")).toEqual(["pii.email"]);
    expect(labels("crm", "public", "order", "anything")).toEqual([]);
    expect(labels("any", "a", "b", "password_hash")).toEqual(["secret"]);
    expect(p.labelsFor("crm").length).toBe(2);
    expect(p.labelsFor("other").length).toBe(1);
  });
  test("unmask collects labels", () => {
    expect(p.decide(input()).unmask).toEqual([]);
    expect(p.decide(input({ principal: { groups: ["support"] } })).unmask).toEqual(["pii.email"]);
  });
  test("a rule may relax a label's use", () => {
    const { relax } = p.decide(input());
    expect([...relax]).toEqual([["pii.email", "equality"]]);
    const use = (with_?: typeof relax) => p.labelsFor("shop", with_).map((l) => [l.label, l.use]);
    expect(use()).toEqual([
      ["pii.email", "output"],
      ["secret", "output"],
    ]);
    expect(use(relax)).toEqual([
      ["pii.email", "equality"],
      ["secret", "output"],
    ]);
  });
  test("what a rule relaxes is never narrower than what the label says", () => {
    const relaxed = (own: string, ...given: string[]) => {
      const rule = (use: string, i: number) =>
        `  - { name: r${i}, when: true, then: allow, use: { l: ${use} } }`;
      const head = `version: 1\nlabels: [{ label: l, columns: [a.b.c.d], use: ${own} }]\nrules:\n`;
      return policy(`${head}${given.map(rule).join("\n")}\n`)
        .decide(input())
        .relax.get("l");
    };
    expect(relaxed("any", "output")).toBe("any");
    expect(relaxed("output", "derived", "any", "equality")).toBe("any");
    expect(relaxed("derived", "equality")).toBe("equality");
    expect(relaxed("equality", "derived")).toBe("equality");
    expect(relaxed("output", "derived")).toBe("derived");
  });
  test("mode: observe leaves masking enforced; masking: observe does not", () => {
    const observing = policy(text.replace("version: 1", "version: 1\nmode: observe"));
    expect(observing.labelsFor("shop").length).toBe(2);
    expect(observing.decide(input({ principal: { groups: ["support"] } })).unmask).toEqual(["pii.email"]);
    const blind = policy(text.replace("version: 1", "version: 1\nmasking: observe"));
    expect(blind.labelsFor("shop")).toEqual([]);
    expect(blind.observedLabelsFor("shop").length).toBe(2);
  });
});

describe("estimate", () => {
  const p = rules(
    "a: allow 'agents' in principal.groups && estimate.rows < 100.0",
    "b: allow 'dba' in principal.groups",
    "d: deny 'ddl' in statement.effects",
  );
  test("is asked for only where a rule that otherwise matches needs it", () => {
    let asked = 0;
    const estimate = () => {
      asked++;
      return { rows: 5, cost: 1 };
    };
    expect(p.decide(input({ estimate }))).toMatchObject({ verdict: "allow", rule: "a" });
    expect(asked).toBe(1);
    expect(p.decide(input({ estimate, principal: { groups: ["dba"] } })).rule).toBe("b");
    expect(p.decide(input({ ...ddl, estimate })).rule).toBe("d");
    expect(asked).toBe(1);
    expect(p.wantsEstimate(input())).toBe(true);
    expect(p.wantsEstimate(input({ principal: { groups: ["dba"] } }))).toBe(false);
    expect(p.wantsEstimate(input(ddl))).toBe(false);
    expect(p.needs.estimate).toBe(true);
  });
  test("too many rows: the rule does not match", () => {
    expect(p.decide(input({ estimate: () => ({ rows: 100, cost: 1 }) })).code).toBe("NO_RULE");
  });
  test.each([
    ["absent", undefined],
    [
      "failing",
      () => {
        throw new Error("x");
      },
    ],
    ["not a number", () => ({ rows: Number.NaN, cost: 1 })],
  ])("%s: denied", (_name, estimate) => {
    const decision = p.decide(input(estimate === undefined ? {} : { estimate }));
    expect(decision).toMatchObject({ verdict: "deny", code: "POLICY_ERROR", rule: "a" });
  });
});

describe("what a policy needs", () => {
  test.each([
    ["principal.kind == 'agent'", false],
    ["statement.kind == 'select' && !statement.unbounded_write", false],
    ["statement.effects == ['read']", true],
    ["'public.a' in statement.reads", true],
    ["statement.functions.size() == 0", true],
    ["statement.columns.all(c, c.startsWith('public.'))", true],
  ])("%s: analysis %s", (when, analysis) => {
    expect(rules(`a: allow ${when}`).needs.analysis).toBe(analysis);
  });
  test("labels need analysis", () => {
    const text = "version: 1\nlabels:\n  - { label: a, columns: ['*.*.*.a'] }\n";
    expect(policy(text).needs.analysis).toBe(true);
  });

  test("decisions may be kept by exactly the facts that conditions name", () => {
    const p = rules("a: allow 'x' in principal.groups && session.claimed.run == 'r'");
    const key = (given: Parameters<typeof input>[0] = {}) => {
      const { principal, session } = input(given);
      return p.cacheKey(principal, session);
    };
    expect(key()).not.toBeNull();
    expect(key({ principal: { subject: "other", email: "e" }, session: { clientIp: "::1" } })).toBe(key());
    expect(key({ principal: { groups: ["x"] } })).not.toBe(key());
    expect(key({ session: { claimed: { run: "r" } } })).not.toBe(key());
  });
  test.each([
    "now > timestamp('2026-01-01T00:00:00Z')",
    "estimate.cost < 1.0",
    "statement.in_transaction",
    "statement.bytes < 9",
    "statement.statements == 1",
  ])("%s: never kept", (when) => {
    const { principal, session } = input();
    expect(rules(`a: allow ${when}`).cacheKey(principal, session)).toBeNull();
  });
});
