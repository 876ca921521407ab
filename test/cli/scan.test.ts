import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadPolicy } from "../../src/policy/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { folder, postern } from "./support.ts";

let server: Database;
let name: string;
let at: ReturnType<typeof folder>;
const reader = `scn_reader_${process.pid}`;

beforeAll(async () => {
  at = folder();
  server = await sharedCluster();
  name = await server.createDatabase();
  const wide = Array.from({ length: 40 }, (_, i) => `c${i} text default 'x'`).join(", ");
  await server.query(
    name,
    `create role ${reader} login password 'pw';
create table customers (id int, contact text, email text, memo text);
insert into customers select i, 'user' || i || '@example.com', 'known' || i || '@example.com', repeat('word ', 2000) from generate_series(1, 50) i;
create table hidden (email text);
create table wide (${wide}, last text);
insert into wide (last) select 'DE89370400440532013000' from generate_series(1, 30);
grant select on customers, wide to ${reader};
grant usage on schema public to ${reader}`,
  );
  at.write(
    "policy.yaml",
    'version: 1\nextends: agent-safe\nlabels: [{ label: pii.email, columns: ["*.*.*.email"], mask: partial }]\n',
  );
  at.write("pw", "pw");
  write("pw");
});

function write(file: string): void {
  at.write(
    "postern.yaml",
    `version: 1
identity: { providers: [{ name: corp, type: oidc, issuer: "https://idp.example.com", audience: postern }] }
databases:
  - name: shop
    server: { host: "${server.host}", port: ${server.port}, dbname: ${name}, tls: { mode: disable } }
    logins: [{ groups: [agents], user: ${reader}, password: { file: ${file} } }]
policy: policy.yaml
`,
  );
}

afterAll(async () => {
  await server.dropDatabase(name);
  await server.query("postgres", `drop role ${reader}`);
  at.remove();
});

describe("postern scan", () => {
  test("proposes labels that a policy takes, and shows no value", async () => {
    const { code, stdout, stderr } = await postern(["scan", "shop", "--rows", "20"], { cwd: at.path });
    expect(code).toBe(0);
    const { labels } = parse(stdout) as { labels: { label: string; columns: string[] }[] };
    expect(labels.map(({ label, columns }) => [label, columns])).toEqual([
      ["pii.email", ["shop.public.customers.contact"]],
      ["pii.iban", ["shop.public.wide.last"]],
    ]);
    expect(loadPolicy([{ file: "scan.yaml", text: stdout }]).labels).toHaveLength(2);
    expect(stdout).toContain("20 of 20 values hold e-mail addresses");
    expect(stdout + stderr).not.toMatch(/user\d|known\d|DE89/);
    // What the policy labels already is left out, and what the login may not read is not there.
    expect(stderr).toBe(
      "44 columns of 2 tables: 2 labels proposed, 0 to look at; protected already: 2 columns\n",
    );
  });

  test("as JSON", async () => {
    const { code, stdout } = await postern(["scan", "shop", "--rows", "10", "--json"], { cwd: at.path });
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ database: "shop", relations: 2, columns: 44, skipped: [] });
    expect(report.findings.map((one: { name: string; label: string }) => [one.name, one.label])).toEqual([
      ["shop.public.customers.contact", "pii.email"],
      ["shop.public.wide.last", "pii.iban"],
    ]);
    expect(report.findings[1]).toMatchObject({ hits: 10, seen: 10, proposed: true });
  });

  test.each([
    [["scan", "nope"], /there is no database "nope"; expected one of shop/],
    [["scan", "shop", "--rows", "0"], /--rows is "0"; expected 1 to 10000/],
    [["scan", "shop", "--login", "who"], /database shop has no login "who"/],
    [["scan"], /an argument is missing/],
  ])("%s: 2", async (args, message) => {
    const { code, stderr } = await postern(args, { cwd: at.path });
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  test("a database that cannot be reached: 3, without its address", async () => {
    at.write("wrong", "wrong");
    write("wrong");
    const { code, stdout, stderr } = await postern(["scan", "shop"], { cwd: at.path });
    write("pw");
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/^postern scan: .*cannot connect: /);
    expect(stderr).not.toContain(String(server.port));
  });
});
