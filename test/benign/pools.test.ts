/** What pools and drivers send when a connection comes back to them, under the policy that comes with Postern. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { field, query } from "../e2e/messages.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { send } from "./support.ts";

/** Npgsql, where prepared statements are to be kept; each a message of its own, sent without waiting. */
const npgsql = [
  "SET SESSION AUTHORIZATION DEFAULT",
  "RESET ALL",
  "CLOSE ALL",
  "UNLISTEN *",
  "SELECT pg_advisory_unlock_all()",
  "DISCARD SEQUENCES",
  "DISCARD TEMP",
];
const resets = [
  "DISCARD ALL",
  "DEALLOCATE ALL",
  "RESET SESSION AUTHORIZATION",
  "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
];
const labels = `labels: [{ label: pii, columns: ["*.public.people.email"], mask: partial }]`;
const safe = `version: 1\nextends: agent-safe\n${labels}\n`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create role ${dbname}_app login password 'app'; create role ${dbname}_other; grant ${dbname}_other to ${dbname}_app;
     create table people (id int, email text); insert into people values (1, 'jane@private.example');
     grant select on people to ${dbname}_app, ${dbname}_other`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: `${dbname}_app`, password: "app" },
    dbname,
    policy: safe,
    kinds: [{ kind: "service", when: '"apps" in groups' }],
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster.dropDatabase(dbname);
  await cluster.query("postgres", `drop role ${dbname}_app, ${dbname}_other`);
});

async function login(...groups: string[]): Promise<RawClient> {
  return rawLogin(postern, await postern.token({ sub: "pooled", groups: ["testers", ...groups] }));
}

async function value(client: RawClient, sql: string): Promise<string | undefined> {
  client.send(query(sql));
  const row = (await client.ready()).find(({ type }) => type === "D");
  return row?.body.subarray(6).toString();
}

test("a service's pool resets its connections", async () => {
  const client = await login("apps");
  for (const sql of resets) expect(await send(client, { sql }), sql).toBeNull();
  client.send(...npgsql.map((sql) => query(sql)));
  for (const sql of npgsql) {
    const answer = await client.ready();
    expect(
      answer.some(({ type }) => type === "E"),
      sql,
    ).toBe(false);
  }
  await client.end();
});

test("after it the login is the login's own, and masks hold", async () => {
  const client = await login("apps");
  expect(await send(client, { sql: `SET ROLE ${dbname}_other` })).toBeNull();
  expect(await value(client, "SELECT current_user")).toBe(`${dbname}_other`);
  expect(await value(client, "SELECT email FROM people")).toBe("j***@***");
  expect(await send(client, { sql: "SET SESSION AUTHORIZATION DEFAULT" })).toBeNull();
  expect(await value(client, "SELECT current_user")).toBe(`${dbname}_app`);
  expect(await value(client, "SELECT email FROM people")).not.toContain("private");
  expect(await send(client, { sql: `SET SESSION AUTHORIZATION ${dbname}_other` })).toMatchObject({
    code: "SETTING_REFUSED",
  });
  await client.end();
});

test("agents are told what to do instead, or a rule of one's own allows it", async () => {
  const client = await login();
  for (const sql of [...resets, ...npgsql]) {
    const error = await send(client, { sql });
    if (/^(?:CLOSE|UNLISTEN)/.test(sql)) expect(error).toBeNull();
    else expect(error, sql).toMatchObject({ sqlstate: "42501", code: "NO_RULE" });
  }
  await client.end();
  const doc = readFileSync(new URL("../../docs/policy.md", import.meta.url), "utf8");
  const rule = /### Pools of agents[\s\S]*?```yaml\n([\s\S]*?)```/.exec(doc)?.[1] ?? "";
  postern.setPolicy(`${rule}${labels}\n`);
  const pooled = await login();
  for (const sql of resets) expect(await send(pooled, { sql }), sql).toBeNull();
  for (const sql of [
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_advisory_unlock_all(), pg_advisory_lock(1)",
    "SHOW hba_file",
  ])
    expect(await send(pooled, { sql }), sql).toMatchObject({ sqlstate: "42501" });
  await pooled.end();
  postern.setPolicy(safe);
});

test("settings of an application's own are the operator's, and the caller is told so", async () => {
  const client = await login("apps");
  for (const sql of ["SET app.user_id = '7'", "SELECT set_config('request.jwt.claims', '{}', true)"]) {
    client.send(query(sql));
    const error = (await client.ready()).find(({ type }) => type === "E");
    expect(error === undefined ? "" : field(error, "H")).toMatch(/docs\/rls\.md/);
  }
  await client.end();
});
