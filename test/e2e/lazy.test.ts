/** Analysis where nobody needs it, and the server's own time limit behind the gateway's. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadPolicy } from "../../src/policy/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Leaf, startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";

const byKind = `
version: 1
default: deny
rules:
  - { name: reads, when: 'statement.kind == "select"', then: allow, limits: { timeout: 20s } }
  - { name: writes, when: 'statement.kind == "insert"', then: allow, limits: { timeout: 90s } }
`;

let cluster: Database;
let dbname: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, "create table t(a int)");
});
afterAll(async () => {
  await cluster.dropDatabase(dbname);
});

async function withGateway(
  options: Partial<TestOptions>,
  work: (client: pg.Client, postern: TestPostern) => Promise<void>,
  parameters: pg.ClientConfig = {},
): Promise<void> {
  const server = {
    host: cluster.host,
    port: cluster.port,
    user: cluster.superuser,
    password: cluster.password,
  };
  const postern = await startTestPostern({ server, dbname, ...options });
  const client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "x",
    database: "shop",
    password: await postern.token(),
    ...parameters,
  });
  try {
    await client.connect();
    await work(client, postern);
  } finally {
    await client.end();
    await postern.stop();
  }
}

const intentOf = (leaves: readonly Leaf[], sql: string) =>
  leaves.find((leaf) => leaf.type === "statement.intent" && JSON.stringify(leaf).includes(sql)) as unknown as
    | { statement: { effects: unknown; reads: unknown }; decision: { verdict: string } }
    | undefined;

test("lazy: a policy that does not speak of what statements touch is decided without asking", async () => {
  await withGateway({ policy: byKind, audit: { analysis: "lazy" } }, async (client, postern) => {
    await client.query("insert into t values (1)");
    expect((await client.query("select a from t where a = $1", [1])).rows).toEqual([{ a: 1 }]);
    await expect(client.query("update t set a = 2")).rejects.toThrow("policy: ");
    await client.query("begin");
    await client.query("select a from t");
    await client.query("rollback");
    // Whether it is there is the server's to say: nobody asked before.
    await expect(client.query("select a from nowhere")).rejects.toMatchObject({ code: "42P01" });
    const leaves = await postern.records();
    expect(intentOf(leaves, "insert into t")).toMatchObject({
      statement: { effects: null, reads: null },
      decision: { verdict: "allow" },
    });
    expect(intentOf(leaves, "update t set")).toMatchObject({ decision: { verdict: "deny" } });
  });
  const asked = await cluster.query(dbname, "select a from t");
  expect(asked).toEqual([{ a: 1 }]);
});

test("lazy: a label, or a rule that speaks of effects, is reason enough to ask", async () => {
  const labelled = `${byKind}labels: [{ label: x, columns: ["shop.public.t.a"], mask: redact }]\n`;
  await withGateway({ policy: labelled, audit: { analysis: "lazy" } }, async (client, postern) => {
    await client.query("select a from t");
    expect(intentOf(await postern.records(), "select a from t")?.statement.reads).toEqual(["public.t"]);
  });
});

test("always: the record says what was touched, whatever the policy speaks of", async () => {
  await withGateway({ policy: byKind }, async (client, postern) => {
    await client.query("select a from t");
    expect(intentOf(await postern.records(), "select a from t")?.statement.reads).toEqual(["public.t"]);
  });
});

test("the server's statement_timeout stands behind the most generous rule's, and shorter ones stay", async () => {
  const show = async (client: pg.Client) =>
    (await client.query("select setting from pg_settings where name = 'statement_timeout'")).rows[0].setting;
  await withGateway({ policy: byKind }, async (client) => {
    expect(await show(client)).toBe("95000");
  });
  await withGateway(
    { policy: byKind },
    async (client) => {
      expect(await show(client)).toBe("7000");
    },
    { statement_timeout: 7000 },
  );
  await withGateway(
    { policy: byKind },
    async (client) => {
      expect(await show(client)).toBe("95000");
    },
    { statement_timeout: 500_000 },
  );
  const unlimited = byKind.replace(", limits: { timeout: 90s }", "");
  await withGateway({ policy: unlimited }, async (client) => {
    expect(await show(client)).toBe("0");
  });
});

test("the ceiling is that of the most generous rule, and none where one has none", () => {
  const ceiling = (text: string) => loadPolicy([{ file: "p.yaml", text }]).timeoutCeilingMs;
  expect(ceiling(byKind)).toBe(90_000);
  expect(ceiling(byKind.replace("default: deny", "default: allow"))).toBeNull();
  expect(ceiling(`${byKind}  - { name: x, when: 'true', then: allow }\n`)).toBeNull();
  expect(ceiling(`${byKind}  - { name: x, when: 'true', then: deny, mode: observe }\n`)).toBeNull();
  expect(ceiling(`${byKind}  - { name: x, when: 'true', then: limit, limits: { timeout: 1s } }\n`)).toBe(
    90_000,
  );
});
