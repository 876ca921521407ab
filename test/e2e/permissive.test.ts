/** A policy that can deny, limit and hide nothing: statements behave as without a policy, settings included. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadPolicy } from "../../src/policy/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

const allowAll = "version: 1\ndefault: allow\nrules: []\n";
const watching = `
version: 1
default: deny
mode: observe
rules:
  - { name: writes, when: '"write" in statement.effects', then: approve, approvers: { groups: [dba] }, limits: { rows: 1 } }
`;
const strict =
  "version: 1\ndefault: deny\nrules: [{ name: reads, when: 'statement.kind == \"select\"', then: allow }]\n";

let cluster: Database;
let dbname: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, "create table t(a int, b text)");
});
afterAll(async () => {
  await cluster.dropDatabase(dbname);
});

async function withGateway(
  policy: string,
  work: (client: pg.Client, postern: TestPostern) => Promise<void>,
): Promise<void> {
  const { host, port, superuser: user, password } = cluster;
  const postern = await startTestPostern({ server: { host, port, user, password }, dbname, policy });
  const client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "x",
    database: "shop",
    password: await postern.token(),
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await work(client, postern);
  } finally {
    await client.end();
    await postern.stop();
  }
}

const only = async (client: pg.Client, sql: string): Promise<unknown> =>
  Object.values((await client.query(sql)).rows[0] as Record<string, unknown>)[0];

test.each([
  ["allows everything", allowAll],
  ["only watches", watching],
])("a policy that %s lets settings through that another refuses", async (_, policy) => {
  await withGateway(policy, async (client) => {
    await client.query("set standard_conforming_strings = off");
    // Read by the server alone: to us it would be an open string.
    expect(await only(client, "select 'a\\'b'")).toBe("a'b");
    await client.query("set standard_conforming_strings = on");
    await client.query("set client_encoding = 'LATIN1'");
    await client.query("set client_encoding = 'UTF8'");
    await client.query("set client_min_messages = debug1");
    await client.query("set session_replication_role = replica");
    expect(await only(client, "show session_replication_role")).toBe("replica");
    await client.query("reset session_replication_role");
    await client.query(
      "select set_config(name, '2', false) from pg_settings where name = 'extra_float_digits'",
    );
    expect(await only(client, "show extra_float_digits")).toBe("2");
    await client.query("set debug_print_plan = off; insert into t values (1, 'x'), (2, 'y'); select 1");
    expect((await client.query("select * from t where a = $1", [2])).rows).toEqual([{ a: 2, b: "y" }]);
    await client.query("truncate t");
  });
});

test("a question that the session's role may not ask leaves its transaction as it was", async () => {
  const role = `asks_${dbname}`;
  await cluster.query(
    dbname,
    `create role ${role}; create table seen(a int); grant select on seen to ${role}`,
  );
  try {
    await withGateway(allowAll, async (client) => {
      await client.query("begin");
      await client.query("insert into seen values (7)");
      // The catalog is asked of the session from here on.
      await client.query("create table made(a int)");
      await client.query("revoke execute on function pg_catalog.has_table_privilege(oid, text) from public");
      await client.query(`set local role ${role}`);
      expect(await only(client, "select a from seen")).toBe(7);
      await expect(client.query("select a from made")).rejects.toMatchObject({ code: "42501" });
      await client.query("rollback");
      expect(await only(client, "select count(*) from seen")).toBe("0");
    });
  } finally {
    await cluster.query(dbname, `drop table seen; drop role ${role}`);
  }
});

test("questions about a session's own objects are not compiled, however dear its settings make plans look", async () => {
  /** The gateway's own statements in this session, each up to the log's next line. */
  const logged = async (since: number) =>
    (await cluster.log())
      .slice(since)
      .split(/^(?=\d)/m)
      .flatMap((entry) => /execute postern_own\/postern_own: ([\s\S]*)/.exec(entry)?.[1] ?? []);
  await withGateway(allowAll, async (client) => {
    await client.query("create temp table mine(a int)");
    await client.query(
      "set jit = on; set max_parallel_workers_per_gather = 3; set statement_timeout = '1min'; set enable_seqscan = off; set log_statement = 'all'",
    );
    const shown =
      "select concat_ws(' ', current_setting('jit'), current_setting('max_parallel_workers_per_gather'), current_setting('statement_timeout')) as settings";
    const since = (await cluster.log()).length;
    for (const begin of ["", "begin"]) {
      await client.query(`${begin}`);
      await client.query("create temp table again(a int)");
      expect(await only(client, "select count(*) from again")).toBe("0");
      expect((await client.query(shown)).rows).toEqual([{ settings: "on 3 1min" }]);
      if (begin !== "") await client.query("rollback");
      else await client.query("drop table again");
    }
    const asked = await logged(since);
    const own = asked.filter((text) => text.includes("pg_catalog.pg_"));
    expect(own.length).toBeGreaterThan(10);
    for (const [at, text] of asked.entries())
      if (own.includes(text)) expect(asked[at - 1]).toContain("set_config('jit', 'off', true)");
  });
});

test("statements are judged although others change the catalog without a pause", async () => {
  const enforcing = `${allowAll.replace("[]", "")}  - { name: keep, when: 'statement.kind == "delete"', then: deny }\n`;
  const { host, port, superuser: user, password } = cluster;
  let over = false;
  // What the event trigger of docs/policy.md sends after DDL.
  const changing = [0, 1, 2].map(async () => {
    const other = new pg.Client({ host, port, user, password, database: dbname });
    await other.connect();
    while (!over) await other.query("notify postern_ddl");
    await other.end();
  });
  try {
    await withGateway(enforcing, async (client) => {
      for (let i = 0; i < 15; i++)
        expect((await client.query(`select a as c${i} from t where a = ${i}`)).rows).toEqual([]);
      await expect(client.query("delete from t")).rejects.toMatchObject({ code: "42501" });
    });
  } finally {
    over = true;
    await Promise.all(changing);
  }
});

test("names and settings of the gateway's own stay refused", async () => {
  await withGateway(allowAll, async (client) => {
    for (const sql of [
      "set postern.subject = 'someone'",
      "set \"Postern.Groups\" = '[]'",
      "select set_config('postern.kind', 'human', false)",
      "reset postern.subject",
    ])
      await expect(client.query(sql), sql).rejects.toMatchObject({ code: "42501" });
    await expect(client.query("prepare postern_x as select 1")).rejects.toMatchObject({ code: "42501" });
    expect(await only(client, "select current_setting('postern.subject')")).not.toBe("someone");
  });
});

test("a session may begin with a message that makes what it uses, before anything is known of the database", async () => {
  await withGateway(allowAll, async (client) => {
    await client.query("create temp table e(id int); insert into e values (1); select * from e");
    expect((await client.query("table e")).rows).toEqual([{ id: 1 }]);
  });
  await withGateway(
    strict.replace('statement.kind == "select"', '!("write" in statement.effects)'),
    async (client) => {
      const several = client.query("create temp table e(id int); select * from e");
      await expect(several).rejects.toMatchObject({ code: "42501" });
    },
  );
});

test("a table that others change under a known statement ends no session where nothing depends on its columns", async () => {
  const twice = async (client: pg.Client) => {
    await cluster.query(dbname, "drop table if exists changing; create table changing(a int, b int)");
    await client.query("select a from changing");
    await cluster.query(dbname, "alter table changing alter a type text");
    return client.query("select a from changing");
  };
  await withGateway(allowAll, async (client) => {
    expect((await twice(client)).fields[0]?.dataTypeID).toBe(25);
    expect(await only(client, "select 1")).toBe(1);
  });
  const reads = strict.replace('statement.kind == "select"', 'statement.effects == ["read"]');
  await withGateway(reads, async (client) => {
    await expect(twice(client)).rejects.toMatchObject({ code: "XX000" });
  });
});

test("what is analysed behind such a setting is what the server understands", async () => {
  await withGateway(allowAll, async (client, postern) => {
    await client.query("create schema elsewhere; create table elsewhere.t(z int)");
    // Not a path that any policy would allow: pg_catalog is not the first.
    await client.query("set search_path = elsewhere, pg_catalog");
    await client.query("select z as found from t");
    const leaf = (await postern.records()).find((one) => JSON.stringify(one).includes("as found"));
    expect(leaf).toMatchObject({ statement: { reads: ["elsewhere.t"] } });
    await client.query("reset search_path; drop schema elsewhere cascade");
  });
});

test("a policy that is loaded later and enforces something ends the sessions that it could not trust", async () => {
  await withGateway(allowAll, async (client, postern) => {
    const { host, port } = postern;
    const other = new pg.Client({ host, port, user: "x", database: "shop", password: await postern.token() });
    await other.connect();
    try {
      await client.query("set transform_null_equals = on");
      await other.query("select 1");
      postern.setPolicy(strict);
      const ended = new Promise((resolve) => client.once("end", resolve));
      await expect(client.query("select a from t where b = null")).rejects.toMatchObject({ code: "57P01" });
      await ended;
      expect(await only(other, "select 2")).toBe(2);
      await expect(other.query("set transform_null_equals = on")).rejects.toMatchObject({ code: "42501" });
    } finally {
      await other.end();
    }
  });
});

test("rules that only observe make no policy less permissive, whatever they would limit", () => {
  const permissive = (text: string) => loadPolicy([{ file: "p.yaml", text }]).permissive;
  expect(permissive(allowAll)).toBe(true);
  expect(permissive(watching)).toBe(true);
  expect(permissive(strict)).toBe(false);
  expect(permissive(watching.replace("mode: observe", "mode: enforce"))).toBe(false);
  expect(
    permissive(
      `${allowAll.replace("[]", "")}  - { name: x, when: 'true', then: allow, limits: { rows: 5 } }\n`,
    ),
  ).toBe(false);
});
