import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { UsageError } from "../../src/cli/lib/args.ts";
import { openAnalyser } from "../../src/cli/policy/open.ts";
import { policy } from "../../src/cli/policy.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { folder } from "./support.ts";

let server: Database;
let name: string;
let at: ReturnType<typeof folder>;
const reader = `plc_reader_${process.pid}`;

/** Runs `postern policy …` in this process. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const ran = { code: 0, stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      ran[stream] += String(text);
      return true;
    }),
  );
  try {
    ran.code = await policy(args, openAnalyser);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return ran;
}

const config = () => `${at.path}/postern.yaml`;

beforeAll(async () => {
  at = folder();
  server = await sharedCluster();
  name = await server.createDatabase();
  const run = (sql: string) => server.query(name, sql);
  await run(`create role ${reader} login password 'pw'`);
  await run(`create table customers (id int primary key, name text, email text, password_hash text);
create table part (id int, email text) partition by range (id);
create table part_1 partition of part for values from (0) to (10);
create view emails as select id, lower(email) as mail from customers;
create materialized view copies as select email as kept from customers;
create function price(int) returns int language sql immutable as 'select $1 * 2';
create function touch(int) returns int language plpgsql immutable as 'begin perform 1; return $1; end';
grant select, insert, update, delete on all tables in schema public to ${reader}`);
  at.write(
    "policy.yaml",
    `version: 1
extends: agent-safe
labels:
  - { label: pii.email, columns: ["shop.public.customers.email", "shop.public.part_1.email"], mask: partial }
  - { label: secret, columns: ["*.*.*.password_hash"], access: none }
  - { label: idle, columns: ["shop.public.customers.emial", "stock.*.*.*"] }
rules:
  - { name: support-sees-email, when: '"support" in principal.groups', then: unmask, labels: [pii.email] }
`,
  );
  at.write(
    "estimate.yaml",
    `version: 1
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - { name: no-expensive-queries, when: 'estimate.cost > 1000000.0', then: deny }
`,
  );
  at.write("pw", "pw");
  at.write("wrong", "wrong");
  const configured = (file: string) => `version: 1
identity: { providers: [{ name: corp, type: oidc, issuer: "https://idp.example.com", audience: postern }] }
databases:
  - name: shop
    server: { host: "${server.host}", port: ${server.port}, dbname: ${name}, tls: { mode: disable } }
    functions: [public.touch]
    logins: [{ groups: [agents], user: ${reader}, password: { file: ${file} } }]
policy: policy.yaml
`;
  at.write("postern.yaml", configured("pw"));
  at.write("wrong.yaml", configured("wrong"));
});

afterAll(async () => {
  await server.dropDatabase(name);
  await server.query("postgres", `drop role ${reader}`);
  at.remove();
});

async function explain(sql: string, as = "{ kind: agent, groups: [agents] }", ...more: string[]) {
  const given = ["--as", as, "--database", "shop", "-c", config(), "--json"];
  const ran = await run("explain", ...given, ...more, sql);
  expect(ran.stderr).toBe("");
  const lines = ran.stdout.trimEnd().split("\n");
  return { code: ran.code, all: lines.map((line) => JSON.parse(line)) };
}

describe("postern policy explain", () => {
  test("tells facts, rule, lineage and mask of a read", async () => {
    const { code, all } = await explain("select c.id, email, name || 'x' as n from customers c");
    expect(code).toBe(0);
    expect(all).toHaveLength(1);
    expect(all[0].facts).toMatchObject({
      effects: ["read"],
      reads: ["public.customers"],
      labels: ["pii.email"],
    });
    expect(all[0].decision.verdict).toBe("allow");
    expect(all[0].masks).toEqual({
      ok: true,
      masked: ["public.customers.email"],
      outputs: [
        { name: "id", sources: ["public.customers.id"], plain: true, mask: null, label: null },
        {
          name: "email",
          sources: ["public.customers.email"],
          plain: true,
          mask: "partial",
          label: "pii.email",
        },
        { name: "n", sources: ["public.customers.name"], plain: false, mask: null, label: null },
      ],
    });
  });

  test("an unmask rule lifts the mask", async () => {
    const { all } = await explain(
      "select email from customers",
      "{ kind: human, groups: [agents, support] }",
    );
    expect(all[0].masks).toMatchObject({ ok: true, masked: [], outputs: [{ mask: null }] });
  });

  test.each([
    ["select id from customers where email like 'a%'", "PROTECTED_PREDICATE"],
    ["select password_hash from customers", "PROTECTED_COLUMN"],
    ["explain select id from customers where email = 'x'", "PROTECTED_EXPLAIN"],
  ])("%s is refused by masking", async (sql, code) => {
    const { code: exit, all } = await explain(sql);
    expect([exit, all[0].masks.ok]).toEqual([1, false]);
    expect(all[0].masks.code).toBe(code);
  });

  test.each([
    ["select 1; selec 2", "SERVER_ERROR"],
    ["select nope from customers", "SERVER_ERROR"],
    ["set session_replication_role = replica", "SETTING_REFUSED"],
    ["execute nope", "UNKNOWN_STATEMENT"],
    ["set search_path = public; select * from customers", "SEND_ALONE"],
  ])("%s is refused before any rule", async (sql, code) => {
    const { code: exit, all } = await explain(sql);
    const refused = all.find(({ verdict }: { verdict: string }) => verdict === "deny");
    expect([exit, refused.code, refused.refusal.code, refused.rules]).toEqual([1, code, code, []]);
  });

  test("several statements, one of them EXECUTE of another", async () => {
    const { code, all } = await explain("prepare p as select email from customers; execute p");
    expect(code).toBe(0);
    expect(all.map(({ facts }) => [facts.kind, facts.statements, facts.columns])).toEqual([
      ["prepare", 2, ["public.customers.email"]],
      ["execute", 2, ["public.customers.email"]],
    ]);
    expect(all[1].masks.outputs).toMatchObject([{ name: "email", mask: "partial" }]);
  });

  test("a trusted function and one whose body was read are reads; others are not", async () => {
    expect((await explain("select price(id), touch(id) from customers")).all[0].facts.effects).toEqual([
      "read",
    ]);
    const { all } = await explain("select pg_read_file('x')");
    expect(all[0].facts.effects).toContain("file");
  });

  test("the server is asked for an estimate where a rule needs one", async () => {
    const given = ["{ groups: [agents] }", "-p", `${at.path}/estimate.yaml`] as const;
    const cheap = await explain("select id from customers", ...given);
    expect(cheap.all[0].decision.verdict).toBe("allow");
    const dear = await explain(
      "select a.id from customers a, customers b, customers c, customers d",
      ...given,
    );
    expect(dear.all[0].decision).toMatchObject({ verdict: "deny", rule: "no-expensive-queries" });
  });

  test("who has no login is refused, and a database that cannot be asked is no verdict", async () => {
    expect((await explain("select 1", "{ kind: agent, groups: [nobody] }")).all[0].code).toBe("NO_LOGIN");
    const given = ["--as", "{ groups: [agents] }", "--database", "shop", "-c", `${at.path}/wrong.yaml`];
    const ran = await run("explain", ...given, "select 1");
    expect(ran.code).toBe(3);
    expect(ran.stderr).toMatch(/^postern: database shop as plc_reader_\d+: cannot connect: /);
    expect(ran.stderr).not.toContain(String(server.port));
  });

  test("as text", async () => {
    const given = ["--as", "{ groups: [agents] }", "--database", "shop", "-c", config()];
    const ran = await run("explain", ...given, "select * from emails");
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/^DENY {5}PROTECTED_/);
  });
});

test("postern policy test analyses what has no facts", async () => {
  at.write(
    "policy.test.yaml",
    `- { as: { groups: [agents] }, database: shop, sql: select email from customers, expect: masked, columns_masked: [public.customers.email] }
- { as: { groups: [agents] }, database: shop, sql: delete from customers, expect: deny }
- { as: { groups: [agents] }, database: shop, sql: delete from customers where id = 1, expect: approve }
- { as: { groups: [agents] }, database: shop, sql: select id from customers order by email, expect: deny, code: PROTECTED_PREDICATE }
- { as: { groups: [agents] }, database: shop, sql: select 1, expect: deny }
`,
  );
  const ran = await run(
    "test",
    `${at.path}/policy.test.yaml`,
    "-c",
    config(),
    "-p",
    `${at.path}/policy.yaml`,
  );
  expect(ran.stdout).toContain("4 passed, 1 failed\n");
  expect(ran.stdout).toContain("policy.test.yaml:5");
  expect(ran.code).toBe(1);
});

test("the policy and the tests of docs/quickstart.md hold once it is enforced", async () => {
  const text = readFileSync(resolve(import.meta.dirname, "../../docs/quickstart.md"), "utf8");
  const blocks = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, body = ""]) => body);
  const main = blocks.find((block) => block.includes("extends: agent-safe")) ?? "";
  const tests = blocks.find((block) => block.includes("expect: masked")) ?? "";
  expect(main).toContain("mode: observe");
  at.write("quick.yaml", main.replace(/^mode: observe.*$/m, ""));
  at.write("quick.test.yaml", tests);
  const ran = await run("test", `${at.path}/quick.test.yaml`, "-c", config(), "-p", `${at.path}/quick.yaml`);
  expect(ran).toEqual({ code: 0, stdout: "3 passed, 0 failed\n", stderr: "" });
});

describe("postern policy columns", () => {
  test("what is protected, why, and what protects nothing", async () => {
    const ran = await run("columns", "--json", "-c", config());
    expect([ran.code, ran.stderr]).toEqual([0, ""]);
    const { databases, idle } = JSON.parse(ran.stdout);
    const [shop] = databases;
    const why = Object.fromEntries(
      shop.columns.map((c: { column: string; why: string[] }) => [c.column, c.why]),
    );
    expect(why).toEqual({
      "public.copies.kept": ["materialized view over public.customers.email"],
      "public.customers.email": ["label pii.email"],
      "public.customers.password_hash": ["label secret"],
      "public.emails.mail": ["view over public.customers.email"],
      "public.part.email": ["shows rows of public.part_1.email"],
      "public.part_1.email": ["label pii.email"],
    });
    expect(shop.refused.map(({ relation }: { relation: string }) => relation)).toContain(
      "pg_catalog.pg_stats",
    );
    expect(idle).toEqual([
      { label: "idle", pattern: "shop.public.customers.emial", what: "matches no column" },
      { label: "idle", pattern: "stock.*.*.*", what: "names no database of the configuration" },
    ]);
  });

  test("as text", async () => {
    const ran = await run("columns", "-d", "shop", "-c", config());
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/^shop: 6 protected columns\nCOLUMN +LABEL +SHOWN +USE +WHY\n/);
    expect(ran.stdout).toMatch(/^public\.customers\.password_hash +secret +never read +label secret$/m);
    expect(ran.stderr).toContain("warning: label idle: shop.public.customers.emial matches no column\n");
    await expect(run("columns", "-d", "nope", "-c", config())).rejects.toThrow(UsageError);
  });
});

test.each(["check", "test", "explain", "columns", "replay"])("postern policy %s --help", async (verb) => {
  const { code, stdout, stderr } = await run(verb, "--help");
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(new RegExp(`^Usage: postern policy ${verb} `));
  expect(stdout).toContain("Exit code 0: ");
});
