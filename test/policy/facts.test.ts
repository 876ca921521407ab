import { describe, expect, test } from "vitest";
import { statementKinds } from "../../src/sql/types.ts";
import { input, problems, rules, rulesText } from "./support.ts";

/** Every fact with a value that its condition is true for, and the input that has it. */
const cases: readonly [when: string, given: Parameters<typeof input>[0]][] = [
  [
    "principal.subject == 'a1' && principal.issuer.startsWith('https://') && principal.provider == 'corp'",
    {},
  ],
  ["principal.kind == 'agent'", {}],
  ["principal.email == ''", {}],
  ["principal.email.endsWith('@x.org')", { principal: { email: "a@x.org" } }],
  ["'agents' in principal.groups && principal.groups.size() == 1", {}],
  [
    "principal.actor.exists(a, a.subject == 's' && a.issuer == '')",
    { principal: { actor: [{ subject: "s", issuer: null }] } },
  ],
  ["principal.claims.level > 3.0 && principal.claims.level > 3", { principal: { claims: { level: 4 } } }],
  [
    "principal.claims.a.b == 'c' && 'd' in principal.claims.l",
    { principal: { claims: { a: { b: "c" }, l: ["d"] } } },
  ],
  ["principal.claims['https://x/y'] == true", { principal: { claims: { "https://x/y": true } } }],
  ["!has(principal.claims.nothing)", {}],
  ["!('https://x/y' in principal.claims) && 'a' in principal.claims", { principal: { claims: { a: 1 } } }],
  ["has(principal.claims.a) && principal.claims.a == 'b'", { principal: { claims: { a: "b" } } }],
  ["session.database == 'shop' && session.role == 'shop_reader' && session.via == 'wire' && session.tls", {}],
  ["session.application == 'psql'", { session: { application: "psql" } }],
  ["session.claimed.agent == '' && session.claimed.run == 'r'", { session: { claimed: { run: "r" } } }],
  ["session.client_ip.inNetwork('10.0.0.0/8') && !session.client_ip.inNetwork('10.1.2.4/32')", {}],
  ["session.client_ip.inNetwork('10.0.0.0/8')", { session: { clientIp: "::ffff:10.9.9.9" } }],
  [
    "session.client_ip.inNetwork('fd00::/8') && !session.client_ip.inNetwork('0.0.0.0/0')",
    { session: { clientIp: "fd12::1" } },
  ],
  ["!session.client_ip.inNetwork('0.0.0.0/0')", { session: { clientIp: "/run/socket" } }],
  ["statement.kind == 'select' && statement.command == 'SELECT' && statement.effects == ['read']", {}],
  ["statement.reads.all(r, r.glob('public.*')) && statement.writes == []", {}],
  ["statement.columns.exists_one(c, c.endsWith('.id')) && statement.functions.size() == 0", {}],
  ["statement.labels.size() == 0 && statement.labels_in_predicates.size() == 0", {}],
  ["!statement.unbounded_write && statement.has_where && !statement.has_limit", {}],
  [
    "statement.statements == 1 && !statement.in_transaction && statement.bytes == 42 && statement.bytes < 43",
    {},
  ],
  ["statement.fingerprint == ''", {}],
  ["now.getHours() == 10 && now.getHours('Europe/Berlin') == 11 && now.getDayOfWeek() == 1", {}],
  ["now < timestamp('2026-11-24T00:00:00Z') && now - duration('1h') > timestamp('2026-11-23T08:00:00Z')", {}],
  ["estimate.rows == 5.0 && estimate.cost < 10.0", { estimate: () => ({ rows: 5, cost: 1 }) }],
];

test.each(cases)("%s", (when, given) => {
  const p = rules(`a: allow ${when}`);
  expect(p.explain(input(given)).rules).toMatchObject([
    { rule: "a", outcome: "matched", observe: false, detail: null },
  ]);
  expect(rules(`a: allow !(${when})`).explain(input(given)).rules[0]?.outcome).toBe("not matched");
});

describe("conditions that are refused at load", () => {
  // Where the fault is said to be: the text behind ‸, in a plain double-quoted scalar.
  const refused: readonly [marked: string, what: string][] = [
    ["‸nope == 1", 'unknown fact "nope"'],
    ["‸principle.kind == 'agent'", 'unknown fact "principle"; expected principal'],
    ["principal‸.kin == 'agent'", 'unknown fact "principal.kin"; expected principal.kind'],
    ["principal‸.kin == 'a' || session‸.user == 'b'", 'unknown fact "principal.kin"'],
    ["session.claimed‸.prompt == 'x'", 'unknown fact "session.claimed.prompt"'],
    ["session‸.claimed == session.claimed", "session.claimed alone"],
    ["‸principal == principal", "principal alone is no value"],
    ["‸dyn(statement)", ""],
    ["‸statement['kind'] == 'select'", "statement alone is no value"],
    ["statement.reads.all(‸statement, true)", ""],
    ["‸statement.effects", "type list<string>, not bool"],
    ["‸1", "type int, not bool"],
    ["‸principal.claims.admin", "type dyn, not bool; expected a comparison, such as … == true"],
    ["‸statement.bytes == 'x'", "no such overload: int == string"],
    ["‸statement.bytes > 'x'", "no such overload"],
    ["‸principal.kind in 'agent'", ""],
    ["‸session.tls == 1", "no such overload: bool == int"],
    ["principal.subject‸.matches('a+')", "matches() is not available"],
    ["‸cel.bind(x, 1, true)", ""],
    ["‸foo(1)", 'unknown function "foo"'],
    ["principal.subject‸.startswith('a')", 'unknown function "startswith"; expected startsWith'],
    ["‸has(principal.email)", "has() is only for claims"],
    ["principal.kind == ‸'agnet'", 'principal.kind is never "agnet"; expected agent'],
    ["principal.kind in ['human', ‸'robot']", 'principal.kind is never "robot"'],
    ["‸'wirte' in statement.effects", 'statement.effects is never "wirte"; expected write'],
    ["statement.effects.all(e, e in ['read', ‸'delete'])", 'statement.effects is never "delete"'],
    ["statement.effects.exists(e, e == ‸'dll')", 'statement.effects is never "dll"; expected ddl'],
    ["‸statement.effects == ['write', 'read']", "sorted and holds each effect once"],
    ["statement.kind == ‸'slect'", 'statement.kind is never "slect"; expected select'],
    ["statement.command in ['INSERT', ‸'drop table']", 'is never "drop table"; expected "DROP TABLE"'],
    ["session.via == ‸'http'", 'session.via is never "http"'],
    ["‸'pii.email' in statement.labels", 'unknown label "pii.email"'],
    [
      "session.client_ip.inNetwork(‸'10.0.0.1')",
      '"10.0.0.1" is not a network (an address alone: add /32 or /128)',
    ],
    ["session.client_ip.inNetwork(‸'10.0.0.0/33')", "is not a network"],
    ["session.client_ip‸.inNetwork(principal.subject)", "must be a network written out"],
    ["principal.subject‸.glob(principal.email)", "must be a pattern written out"],
    ["now‸.year == 2026", "now has no fields"],
    [
      "statement.reads.all(a, statement.reads.all(b, statement.reads‸.all(c, a == b)))",
      "stands within 2 others",
    ],
    ["now.getHours(‸'Europe/Atlantis') == 1", 'getHours() does not take "Europe/Atlantis"'],
    ["now > timestamp(‸'tomorrow')", "timestamp() does not take"],
    ["now - now < duration(‸'8 hours')", "duration() does not take"],
    ["principal.kind ==‸", "not a CEL condition"],
    ["principal.kind = 'x'", "not a CEL condition"],
    ["principal.kind == 'x' and true", "not a CEL condition"],
  ];
  test.each(refused)("%s", (marked, what) => {
    const when = marked.replaceAll("‸", "");
    const found = problems(rulesText([`a: allow ${when}`]));
    expect(found.join("\n")).toContain(what);
    expect(found.length).toBeGreaterThan(0);
    const line = rulesText([`a: allow ${when}`]).split("\n")[2] ?? "";
    const start = line.indexOf(JSON.stringify(when)) + 2;
    // The library points at the operator of `a.b(…)` and `a.b`; that the place is on this line and in the condition is what counts there.
    for (const problem of found) {
      const [, at = "", column = ""] = /^(\d+):(\d+) /.exec(problem) ?? [];
      expect(at).toBe("3");
      expect(Number(column)).toBeGreaterThanOrEqual(start);
      expect(Number(column)).toBeLessThanOrEqual(start + when.length);
    }
  });

  test("exact places of what stands alone", () => {
    expect(problems(rulesText(["a: allow true && nope"]))[0]).toMatch(
      /^3:44 rules\[0\]\.when: unknown fact "nope"/,
    );
  });

  test("size and depth", () => {
    const long = `principal.subject == '${"x".repeat(8200)}'`;
    expect(problems(rulesText([`a: allow ${long}`])).join()).toContain("at most 8192");
    const deep = `${"(".repeat(300)}true${")".repeat(300)}`;
    expect(problems(rulesText([`a: allow ${deep}`])).length).toBeLessThanOrEqual(1);
    const wide = Array.from({ length: 600 }, () => "true").join(" || ");
    expect(problems(rulesText([`a: allow ${wide}`])).length).toBeLessThanOrEqual(1);
  });
});

test("loops within loops end in a denial before they take long", () => {
  const p = rules("a: allow statement.columns.all(c, statement.columns.exists(d, d == c))");
  const columns = Array.from({ length: 500 }, (_, i) => `public.t.c${i}`);
  expect(p.decide(input({ statement: { columns } })).verdict).toBe("allow");
  const more = [...columns, "public.t.more"];
  expect(p.decide(input({ statement: { columns: more } }))).toMatchObject({
    verdict: "deny",
    code: "POLICY_ERROR",
  });
  const flat = rules("a: allow statement.columns.all(c, c.startsWith('public.'))");
  expect(flat.decide(input({ statement: { columns: more } })).verdict).toBe("allow");
});

test("claims cannot reach outside of themselves", () => {
  const claims = JSON.parse('{"__proto__": {"admin": "yes"}, "constructor": 1}') as Record<string, unknown>;
  const given = input({ principal: { claims } });
  expect(rules("a: allow principal.claims.admin == 'yes'").decide(given).code).toBe("POLICY_ERROR");
  expect(rules("a: allow has(principal.claims.toString)").decide(given).code).toBe("NO_RULE");
});

describe("loops within loops", () => {
  const many = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  const asked = (when: string, given: Parameters<typeof input>[0]) =>
    rules(`a: allow ${when}`).explain(input(given)).rules[0];
  const refused = { outcome: "error", detail: "too_many_items_for_nested_loops" };

  test("over claims, however deep the lists lie in them", () => {
    const when = "principal.claims.a.exists(x, principal.claims.b.c.exists(y, x == y))";
    const claims = (count: number) => ({ principal: { claims: { a: ["z"], b: { c: many("c", count) } } } });
    expect(asked(when, claims(500))).toMatchObject({ outcome: "not matched" });
    expect(asked(when, claims(501))).toMatchObject(refused);
    // One loop alone takes what a token can hold.
    expect(asked("'c9' in principal.claims.b.c", claims(10_000))).toMatchObject({ outcome: "matched" });
  });

  test("over texts that are split", () => {
    const when =
      "session.application.split(',').exists(x, session.claimed.run.split(',').exists(y, x == y + 'x'))";
    const said = (length: number) => ({
      session: { application: "a", claimed: { run: ",".repeat(length) } },
    });
    expect(asked(when, said(500))).toMatchObject({ outcome: "not matched" });
    expect(asked(when, said(501))).toMatchObject(refused);
  });
});

test("every kind of statement that there is can be named", () => {
  for (const kind of statementKinds)
    expect(rules(`a: allow statement.kind == '${kind}'`).rules[0]?.literals).toHaveLength(1);
});
