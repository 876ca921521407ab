import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { check } from "../../src/cli/check.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { folder } from "./support.ts";

let server: Database;
let name: string;
let at: ReturnType<typeof folder>;
const suffix = process.pid;
const reader = `chp_reader_${suffix}`;
const owner = `chp_owner_${suffix}`;
const secret = "canary-7f3a";

beforeAll(async () => {
  at = folder();
  server = await sharedCluster();
  name = await server.createDatabase();
  const run = (sql: string) => server.query(name, sql);
  await run(`create role ${reader} login password 'pw'; create role ${owner} login password 'pw';
create table customers (id int primary key, "Full Name" text, email varchar(50), tags text[], password_hash text);
insert into customers values (1, 'Ann', '${secret}@example.com', '{a}', '${secret}');
create view emails as select id, email from customers;
create table guarded (id int, email text);
alter table guarded enable row level security;
create table owned (email text); alter table owned owner to ${owner};
create function nap() returns int language sql security definer as 'select 1';
grant select on customers, emails, guarded to ${reader};
revoke temporary on database ${name} from public`);
  at.write(
    "policy.yaml",
    `version: 1
extends: agent-safe
labels:
  - { label: pii.email, columns: ["shop.public.*.email"], mask: partial }
  - { label: pii.tags, columns: ["shop.public.customers.tags", "shop.public.customers.tag"], mask: redact }
  - { label: secret, columns: ["*.*.*.password_hash"], access: none }
rules:
  - { name: sound, when: 'session.database == "shop" && "public.customers" in statement.reads', then: allow }
  - { name: elsewhere, when: 'session.database == "shoop"', then: deny }
  - { name: mistyped, when: 'statement.writes.exists(w, w == "public.custmers")', then: deny }
`,
  );
  at.write("pw", "pw");
});

afterAll(async () => {
  await server.dropDatabase(name);
  await server.query("postgres", `revoke set on parameter log_min_messages from ${reader}`);
  for (const role of [reader, owner]) await server.query("postgres", `drop role ${role}`);
  at.remove();
});

/** Runs `postern check` in this process. */
async function run(logins: readonly string[], ...args: string[]) {
  const file = at.write(
    "postern.yaml",
    `version: 1
identity: { providers: [{ name: corp, type: oidc, issuer: "https://idp.example.com", audience: postern }] }
databases:
  - name: shop
    server: { host: "${server.host}", port: ${server.port}, dbname: ${name}, tls: { mode: disable } }
    functions: [public.nope]
    logins:
${logins.map((user, i) => `      - { groups: [g${i}], user: ${user}, password: { file: pw } }`).join("\n")}
policy: policy.yaml
`,
  );
  const ran = { code: 0, stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      ran[stream] += String(text);
      return true;
    }),
  );
  try {
    ran.code = await check(["-c", file, ...args]);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  expect(ran.stdout + ran.stderr).not.toContain(secret);
  return ran;
}

describe("postern check with a policy", () => {
  test("what the policy names and is nowhere, and what the database could enforce", async () => {
    const { code, stdout } = await run([reader, owner], "--json");
    expect(code).toBe(1);
    const { logins, warnings } = JSON.parse(stdout);
    expect(warnings).toEqual([
      "databases[0].functions: public.nope is no function of database shop",
      "label pii.tags: shop.public.customers.tag matches no column",
      expect.stringMatching(
        /^rule elsewhere \(.*policy\.yaml:9\): session\.database is never "shoop": there is none$/,
      ),
      expect.stringMatching(
        /^rule mistyped \(.*policy\.yaml:10\): statement\.writes is never "public\.custmers"/,
      ),
    ]);
    const codes = logins.map(({ findings }: { findings: { level: string; code: string }[] }) =>
      findings.map(({ level, code: one }) => `${level} ${one}`),
    );
    expect(codes).toEqual([
      [
        "advice PROTECTED_READABLE",
        "advice VIEW_BYPASSES_GRANTS",
        "advice SECURITY_DEFINER",
        "advice LOG_NOISE",
      ],
      ["risk OWNER", "grant WRITE", "risk OWNS_PROTECTED", "advice SECURITY_DEFINER", "advice LOG_NOISE"],
    ]);
    expect(logins[0].analysis).toMatchObject({ trees: true, log: "grant" });
  });

  test("as text, warnings apart", async () => {
    const { code, stdout, stderr } = await run([reader]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}advice {2}PROTECTED_READABLE: may read protected columns unmasked/m);
    expect(stderr).toMatch(/^warning: label pii\.tags: shop\.public\.customers\.tag matches no column$/m);
  });

  test("--harden prints SQL that does what it says, and sees that it is done", async () => {
    const before = await run([reader], "--harden");
    expect(before.stdout).toMatch(/^-- NO {3}shop as \w+: reads none of the \d+ protected columns/m);
    const sql = before.stdout
      .split("\n")
      .filter((line) => !line.startsWith("--"))
      .join("\n");
    await server.query(name, sql);
    const conditions = before.stdout.slice(before.stdout.indexOf("In place already"));
    expect(conditions).toContain("yes  shop");

    const again = await run([reader], "--harden");
    expect(again.stdout).not.toMatch(/^-- NO /m);
    expect(again.stdout).not.toMatch(/^(?!--)./m);

    // As the login: the table is closed, the view in front of it shows the rest.
    const read = async (text: string) => {
      const [row] = await server.query(
        name,
        `set role ${reader}; set search_path = public_masked, public; ${text}`,
      );
      return row;
    };
    expect(await read("select * from customers")).toEqual({
      id: 1,
      "Full Name": "Ann",
      email: null,
      tags: null,
    });
    await expect(read("select email from public.customers")).rejects.toThrow(/permission denied/);
    await expect(read("select * from public.emails")).rejects.toThrow(/permission denied/);
    expect(await read('select "Full Name" from public.customers')).toEqual({ "Full Name": "Ann" });
    expect(again.stdout).toContain("public.guarded has row-level security");
  });

  test("--harden in one run: owned tables, roles between, views over views; and again when something is given back", async () => {
    const between = `chp_between_${suffix}`;
    const apply = (text: string) =>
      server.query(
        name,
        text
          .split("\n")
          .filter((line) => !line.startsWith("--"))
          .join("\n"),
      );
    await server.query(
      name,
      `create role ${between}; grant ${between} to ${reader}; grant pg_read_all_data to ${between};
       create table mine (id int, email text); alter table mine owner to ${reader};
       create table behind (id int, email text); create view one as select email from behind;
       create view two as select upper(email) as mail from one; grant select on two to ${reader}`,
    );
    try {
      const before = await run([reader], "--harden");
      expect(before.stdout).toContain(`REVOKE pg_read_all_data FROM ${between};`);
      expect(before.stdout).toContain("ALTER VIEW public.two SET (security_invoker = on);");
      await apply(before.stdout);
      expect((await run([reader], "--harden")).stdout).not.toMatch(/^-- NO |^(?!--)./m);
      // The role that takes over is there already.
      await server.query(name, `alter table mine owner to ${reader}`);
      const again = await run([reader], "--harden");
      expect(again.stdout).toMatch(/^-- NO {3}shop as \w+: owns no relation$/m);
      await apply(again.stdout);
      expect((await run([reader], "--harden")).stdout).not.toMatch(/^-- NO |^(?!--)./m);
    } finally {
      await server.query(
        name,
        `drop view two, one; drop table mine, behind cascade; drop owned by ${between}; drop role ${between};
         drop owned by ${reader}_owner; drop role ${reader}_owner`,
      );
    }
  });

  test("--read-only takes writing away, and only goes with --harden", async () => {
    await server.query(name, `grant insert, update on customers to ${reader}`);
    const { stdout } = await run([reader], "--harden", "--read-only");
    expect(stdout).toContain(`REVOKE INSERT, UPDATE ON public.customers FROM ${reader};`);
    expect(stdout).toMatch(/^-- NO {3}shop as \w+: writes nothing$/m);
    await server.query(name, `revoke insert, update on customers from ${reader}`);
    await expect(run([reader], "--read-only")).rejects.toThrow("--read-only goes with --harden");
  });
});
