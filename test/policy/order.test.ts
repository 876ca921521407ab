/** Properties of the semantics, over generated policies and statements. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { StatementFacts } from "../../src/facts/effects.ts";
import type { Principal } from "../../src/facts/principal.ts";
import { loadPolicy } from "../../src/policy/index.ts";
import { input, rulesText } from "./support.ts";

const conditions = [
  "true",
  "false",
  "principal.kind == 'agent'",
  "'a' in principal.groups",
  "'b' in principal.groups && statement.effects == ['read']",
  "'write' in statement.effects",
  "statement.effects.size() == 0",
  "statement.unbounded_write",
  "statement.reads.exists(r, r == 'public.x')",
  "principal.claims.missing == 'x'",
  "'a' in principal.groups || principal.claims.missing == 'x'",
] as const;
const rule = fc.record({
  verb: fc.constantFrom("allow", "deny", "approve", "limit"),
  when: fc.constantFrom(...conditions),
  rows: fc.option(fc.integer({ min: 0, max: 50 }), { nil: null }),
  observe: fc.boolean(),
  durability: fc.constantFrom(null, "process", "disk", "strict"),
});
type Rule = typeof rule extends fc.Arbitrary<infer Value> ? Value : never;

function line({ verb, when, rows, observe, durability }: Rule, index: number): string {
  const more = [
    ...(observe ? ["mode: observe"] : []),
    ...(verb !== "deny" && (rows !== null || verb === "limit") ? [`limits: { rows: ${rows ?? 9} }`] : []),
    ...(verb !== "deny" && durability !== null ? [`durability: ${durability}`] : []),
  ];
  return `r${index}: ${verb} ${when}${more.length > 0 ? ` | ${more.join(", ")}` : ""}`;
}

const lines = fc.array(rule, { maxLength: 8 }).map((list) => list.map(line));
const top = fc.constantFrom("version: 1", "version: 1\ndefault: allow", "version: 1\nmode: observe");
const given = fc.record({
  principal: fc.record({
    kind: fc.constantFrom<Principal["kind"]>("agent", "human"),
    groups: fc.subarray(["a", "b"]),
  }),
  statement: fc.record({
    effects: fc.subarray<StatementFacts["effects"][number]>(["read", "write"]),
    reads: fc.subarray(["public.x", "public.y"]),
    unboundedWrite: fc.boolean(),
  }),
});
const load = (list: readonly string[], head: string) => {
  const text = list.length === 0 ? `${head}\nrules: []\n` : rulesText(list, head);
  return loadPolicy([{ file: "p.yaml", text }]);
};

test("the order of rules, and the files they lie in, never matter", () => {
  const shuffled = lines.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }), fc.nat()),
  );
  fc.assert(
    fc.property(shuffled, top, given, ([list, other, cut], head, facts) => {
      const statement = input(facts);
      const expected = load(list, head).explain(statement);
      expect(load(other, head).explain(statement)).toEqual(expected);
      const at = list.length === 0 ? 0 : cut % list.length;
      const files = [other.slice(0, at), other.slice(at)].map((part, i) => ({
        file: `${9 - i}.yaml`,
        text: part.length === 0 ? `${head}\nrules: []\n` : rulesText(part, head),
      }));
      expect(loadPolicy(files).explain(statement)).toEqual(expected);
      expect(loadPolicy([...files].reverse()).digest).toBe(loadPolicy(files).digest);
    }),
    { numRuns: 300 },
  );
});

const strictness = { allow: 0, approve: 1, deny: 2 } as const;

test("one more deny or limit never allows more", () => {
  fc.assert(
    fc.property(
      lines,
      rule,
      fc.constantFrom("deny", "limit"),
      top,
      given,
      (list, more, verb, head, facts) => {
        const statement = input(facts);
        const before = load(list, head).decide(statement);
        // A file that only observes enforces nothing: the rule is to be enforced.
        const added = line({ ...more, verb, observe: false }, 99);
        const enforced = added.includes(" | ") ? `${added}, mode: enforce` : `${added} | mode: enforce`;
        const after = load([...list, enforced], head).decide(statement);
        expect(strictness[after.verdict]).toBeGreaterThanOrEqual(strictness[before.verdict]);
        if (after.verdict === "allow" && before.limits.rows !== null)
          expect(after.limits.rows ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(before.limits.rows);
      },
    ),
    { numRuns: 300 },
  );
});

test("a rule that only observes changes nothing but `would`", () => {
  fc.assert(
    fc.property(lines, rule, given, (list, more, facts) => {
      const statement = input(facts);
      const { would: _before, ...before } = load(list, "version: 1").decide(statement);
      const { would: _after, ...after } = load(
        [...list, line({ ...more, observe: true }, 99)],
        "version: 1",
      ).decide(statement);
      expect(after).toEqual(before);
    }),
    { numRuns: 200 },
  );
});

test("a decision says why, exactly when it is not allow", () => {
  fc.assert(
    fc.property(lines, top, given, (list, head, facts) => {
      const decision = load(list, head).decide(input(facts));
      const refused = decision.verdict !== "allow";
      expect(decision.code !== null && decision.message !== null && decision.hint !== null).toBe(refused);
      expect(decision.approvers.length > 0).toBe(decision.verdict === "approve");
    }),
    { numRuns: 200 },
  );
});

test("equal keys mean equal decisions", () => {
  fc.assert(
    fc.property(lines, given, given, (list, one, two) => {
      const policy = load(list, "version: 1");
      const a = input(one);
      const b = { ...input({ ...two, statement: one.statement }) };
      if (policy.cacheKey(a.principal, a.session) !== policy.cacheKey(b.principal, b.session)) return;
      expect(policy.decide(a)).toEqual(policy.decide(b));
    }),
    { numRuns: 200 },
  );
});

test("what is judged from some facts holds whatever the others are", () => {
  const facts = ["reads", "unboundedWrite"] as const;
  fc.assert(
    fc.property(
      lines,
      top,
      given,
      given,
      fc.subarray([...facts]),
      fc.boolean(),
      (list, head, one, two, kept, claims) => {
        const policy = load(list, head);
        const { principal, session, now, statement } = input(one);
        const partial: Partial<StatementFacts> = { ...statement };
        for (const name of facts) if (!kept.includes(name)) delete partial[name];
        const { claims: held, ...rest } = principal;
        const judged = policy.judge({
          principal: claims ? { ...rest, claims: held } : rest,
          session,
          now,
          statement: partial,
        });
        // Another statement and token that agree in what was known.
        const other = { ...statement, ...input(two).statement, ...partial };
        const token = claims ? principal : { ...principal, claims: { missing: "x" } };
        for (const [who, what] of [
          [principal, statement],
          [token, other],
        ] as const) {
          const { verdict } = policy.decide({ principal: who, session, now, statement: what });
          const failed =
            policy.decide({ principal: who, session, now, statement: what }).code === "POLICY_ERROR";
          if (judged.determined) {
            // A condition may also fail once its facts are known: that, too, is only ever a denial.
            if (!failed) expect(verdict).toBe(judged.decision.verdict);
          } else if (!failed) {
            expect(judged.possible).toContain(verdict);
            expect(judged.missing.length).toBeGreaterThan(0);
          }
        }
      },
    ),
    { numRuns: 400 },
  );
});
