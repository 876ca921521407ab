import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { folder, postern, type Ran } from "./support.ts";

let server: Database;
let name: string;
let dir: ReturnType<typeof folder>;
const suffix = process.pid;
const roles = ["reader", "writer", "owner", "risky", "member"].map((role) => `chk_${role}_${suffix}`);
const [reader = "", writer = "", owner = "", risky = "", member = ""] = roles;

beforeAll(async () => {
  dir = folder();
  server = await sharedCluster();
  name = await server.createDatabase();
  const run = (sql: string) => server.query(name, sql);
  for (const role of roles) await run(`create role ${role} login password 'pw-${role}'`);
  await run("create table items (id int primary key, note text)");
  await run('create table "we; --ird" (id int)');
  await run(`grant select on items to ${reader}, ${writer}`);
  await run(`grant insert on items to ${writer}`);
  await run(`grant update (id) on "we; --ird" to ${writer}`);
  await run(`grant create on schema public to ${writer}`);
  await run(`create table owned (id int); alter table owned owner to ${owner}`);
  await run(`alter role ${risky} bypassrls createrole createdb replication`);
  await run(`grant pg_read_server_files, pg_execute_server_program to ${member}`);
  await run(`grant ${risky} to ${member}`);
});

afterAll(async () => {
  await server.query(name, `drop table owned; revoke create on schema public from ${writer}`);
  await server.dropDatabase(name);
  for (const role of roles.toReversed()) await server.query("postgres", `drop role ${role}`);
  dir.remove();
});

function check(
  logins: readonly string[],
  more: { database?: string; json?: boolean; host?: string; port?: number } = {},
): Promise<Ran> {
  const text = `version: 1
identity: { providers: [{ name: corp, type: oidc, issuer: "https://idp.example.com", audience: postern }] }
databases:
  - name: shop
    server: { host: "${more.host ?? server.host}", port: ${more.port ?? server.port}, dbname: ${more.database ?? name}, tls: { mode: disable } }
    logins:
${logins.map((user, i) => `      - { groups: [g${i}], user: ${user}, password: { env: PW_${i} } }`).join("\n")}
`;
  dir.write("postern.yaml", text);
  const env = Object.fromEntries(
    logins.map((user, i) => [`PW_${i}`, user === server.superuser ? server.password : `pw-${user}`]),
  );
  return postern(["check", ...(more.json === true ? ["--json"] : [])], { cwd: dir.path, env });
}

describe("postern check", () => {
  test("a login that only reads: no finding, exit 0", async () => {
    const { code, stdout, stderr } = await check([reader]);
    expect([code, stderr]).toEqual([0, ""]);
    const [header, row, ...rest] = stdout.trimEnd().split("\n");
    expect(header).toMatch(/^DATABASE +LOGIN +SERVER +TLS +ANALYSIS +RESULT$/);
    expect(row).toMatch(new RegExp(`^shop +${reader} +\\d+\\.\\d+\\S* +none +logged +ok$`));
    expect(rest).toEqual([]);
  });

  test("write grants are told with the SQL that takes them away, and are no risk", async () => {
    const { code, stdout } = await check([writer], { json: true });
    const [login] = JSON.parse(stdout).logins;
    expect(code).toBe(0);
    expect(login).toMatchObject({
      database: "shop",
      login: writer,
      groups: ["g0"],
      ok: true,
      error: null,
      tls: null,
      analysis: {
        trees: true,
        log: "grant",
        advice: `GRANT SET ON PARAMETER log_min_messages TO ${writer};`,
      },
    });
    expect(login.findings).toEqual([
      {
        level: "grant",
        code: "WRITE",
        what: 'may write 2 relations (public."we; --ird", public.items)',
        remedy: `REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public."we; --ird", public.items FROM ${writer};`,
      },
      {
        level: "grant",
        code: "CREATE",
        what: "may create objects in public",
        remedy: `REVOKE CREATE ON SCHEMA public FROM ${writer}, PUBLIC;`,
      },
    ]);
  });

  test("an owner, attributes, memberships and a superuser are risks: exit 1", async () => {
    const { code, stdout } = await check([owner, risky, member, server.superuser], { json: true });
    expect(code).toBe(1);
    const report = JSON.parse(stdout);
    expect(report.ok).toBe(false);
    const codes = report.logins.map((login: { ok: boolean; findings: { level: string; code: string }[] }) => [
      login.ok,
      login.findings.filter((finding) => finding.level === "risk").map((finding) => finding.code),
    ]);
    expect(codes).toEqual([
      [false, ["OWNER"]],
      [false, ["BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"]],
      [false, ["MEMBERSHIP", "MEMBERSHIP", "MEMBERSHIP"]],
      [false, ["SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"]],
    ]);
    const all = report.logins.flatMap((login: { findings: { remedy: string }[] }) =>
      login.findings.map((finding) => finding.remedy),
    );
    expect(all).toContain(`REASSIGN OWNED BY ${owner} TO new_owner;`);
    expect(all).toContain(`ALTER ROLE ${risky} NOBYPASSRLS;`);
    expect(all).toContain(`REVOKE pg_execute_server_program FROM ${member};`);
    expect(all).toContain(`REVOKE ${risky} FROM ${member};`);
    const what = report.logins.flatMap((login: { findings: { what: string }[] }) =>
      login.findings.map((finding) => finding.what),
    );
    expect(what).toContain(
      "owns 1 relation (public.owned): may drop and grant them, and row-level security does not bind it",
    );
  });

  test("the remedies are SQL that does what it says", async () => {
    const before = JSON.parse((await check([risky], { json: true })).stdout);
    for (const { remedy } of before.logins[0].findings) await server.query(name, remedy);
    const after = JSON.parse((await check([risky], { json: true })).stdout);
    expect(after).toMatchObject({ ok: true, logins: [{ findings: [] }] });
    await server.query(name, `alter role ${risky} bypassrls createrole createdb replication`);
  });

  test("a login's own search_path does not choose what is called", async () => {
    await server.query(name, `create schema trap_${suffix}`);
    await server.query(
      name,
      `create function trap_${suffix}.pg_has_role(name, oid, text) returns boolean language sql as 'select false'`,
    );
    await server.query(name, `grant usage on schema trap_${suffix} to ${member}`);
    await server.query(name, `alter role ${member} set search_path = trap_${suffix}, pg_catalog`);
    const { code } = await check([member]);
    expect(code).toBe(1);
    await server.query(name, `alter role ${member} reset search_path`);
    await server.query(name, `drop schema trap_${suffix} cascade`);
  });

  test("a wrong password and an unreachable server: exit 1, without address or password", async () => {
    const wrong = await check([`nobody_${suffix}`, reader], { json: true });
    expect(wrong.code).toBe(1);
    const [first, second] = JSON.parse(wrong.stdout).logins;
    expect(first).toMatchObject({ ok: false, version: null, findings: [] });
    expect(first.error).toMatch(/^cannot connect: ./);
    expect(second.ok).toBe(true);
    const gone = await check([reader], { port: 1 });
    expect(gone.code).toBe(1);
    for (const { stdout, stderr } of [wrong, gone]) {
      expect(stdout + stderr).not.toContain("pw-");
      expect(stdout + stderr).not.toContain("127.0.0.1");
      expect(stdout + stderr).not.toContain(String(server.port));
    }
  });
});
