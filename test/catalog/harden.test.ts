import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type CatalogSnapshot,
  type HardenFinding,
  hardenFindings,
  loadCatalog,
  loadGrants,
} from "../../src/catalog/index.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { type Connection, connect } from "./support.ts";

let cluster: Cluster;
const connections: Connection[] = [];
const database = "lab";

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase(database);
  await cluster.query(
    database,
    `create role "Agent" login password 'x' bypassrls createrole; create role readers; create role keeper;
     grant readers to "Agent"; grant pg_read_all_data to readers; grant pg_read_server_files to "Agent";
     create schema app authorization keeper; grant usage, create on schema app to readers;
     create extension dblink;
     set role keeper;
     create table app.people (id int, email text, "Name" text);
     create view app.seen as select email from app.people;
     create view app.other as select id from app.people;
     create view app.invoked with (security_invoker) as select email from app.people;
     create table app.logs (a int); create table app.free (a int, b int);
     grant select on app.people, app.seen, app.other, app.invoked to readers;
     grant select (email) on app.people to public;
     grant insert, delete on app.logs to "Agent"; grant update (b) on app.free to readers; grant select on app.free to readers;
     create function app.definer(a int, t text) returns int language sql security definer as 'select 1';
     create function app.plain() returns int language sql as 'select 1';
     reset role;
     create table app.mine (a int); alter table app.mine owner to "Agent";`,
  );
});
afterAll(async () => {
  for (const connection of connections) await connection.end();
  await cluster.stop();
});

async function look(
  user: string,
  password: string,
  readOnly = true,
): Promise<{ findings: HardenFinding[]; snapshot: CatalogSnapshot }> {
  const connection = await connect({ connectionString: cluster.url(database, user, password) });
  connections.push(connection);
  const snapshot = await loadCatalog(connection.query, 1);
  const people = snapshot.relationNamed("app", "people")?.oid ?? 0;
  const findings = hardenFindings(snapshot, await loadGrants(connection.query), {
    readOnly,
    protectedColumns: [{ relation: people, attribute: 2 }],
  });
  return { findings, snapshot };
}

describe("hardening", () => {
  it("finds what a login may do too much, and the SQL takes it away", async () => {
    const { findings } = await look("Agent", "x");
    const seen = findings.map((f) => `${f.code} ${f.object}`).sort();
    expect(seen).toEqual(
      expect.arrayContaining([
        'BYPASSES_ROW_SECURITY "Agent"',
        'ROLE_ATTRIBUTE "Agent"',
        "PREDEFINED_ROLE pg_read_all_data",
        "PREDEFINED_ROLE pg_read_server_files",
        "OWNER app.mine",
        "WRITES app.logs",
        "WRITES app.free",
        "CREATES_OBJECTS app",
        "TEMPORARY_OBJECTS lab",
        "SECURITY_DEFINER app.definer(a integer, t text)",
        "PROTECTED_READABLE app.people.email",
        "VIEW_BYPASSES_GRANTS app.seen",
        "VIEW_BYPASSES_GRANTS app.other",
        'LOG_NOISE "Agent"',
      ]),
    );
    expect(seen).not.toContain("VIEW_BYPASSES_GRANTS app.invoked");
    expect(seen).not.toContain("SECURITY_DEFINER app.plain()");
    expect(findings.filter((f) => f.code === "EXTENSION_FUNCTION").length).toBeGreaterThan(10);
    expect(findings[0]?.severity).toBe("high");

    // A membership that came through another role is that role's to give up.
    const sql = findings
      .flatMap((f) => f.sql)
      .map((s) => s.replace('pg_read_all_data FROM "Agent"', "pg_read_all_data FROM readers"));
    await cluster.query(database, sql.join("\n"));
    const after = await look("Agent", "x");
    expect(after.findings).toEqual([]);
    const [row] = await cluster.query(
      database,
      `select has_column_privilege('Agent', 'app.people', 'email', 'SELECT') as email,
         has_column_privilege('Agent', 'app.people', 'Name', 'SELECT') as name`,
    );
    expect(row).toEqual({ email: false, name: true });
  });

  it("says of a superuser that nothing else counts", async () => {
    const { findings } = await look("postgres", cluster.password);
    expect(findings.map((f) => f.code)).toEqual([
      "SUPERUSER",
      "BYPASSES_ROW_SECURITY",
      "ROLE_ATTRIBUTE",
      "ROLE_ATTRIBUTE",
      "ROLE_ATTRIBUTE",
    ]);
    expect(findings[0]?.sql).toEqual(["ALTER ROLE postgres NOSUPERUSER;"]);
  });

  it("leaves writers their writes", async () => {
    await cluster.query(database, `grant insert on app.logs to "Agent"`);
    expect((await look("Agent", "x", false)).findings.map((f) => f.code)).not.toContain("WRITES");
    expect((await look("Agent", "x", true)).findings.map((f) => f.code)).toContain("WRITES");
  });
});
