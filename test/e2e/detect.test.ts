/** The second line: personal data in columns without a label is found by its content, masked or told. */

import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

const policy = `
version: 1
default: allow
labels:
  - label: contact
    columns: ["*.public.people.mail"]
    mask: partial
detect:
  kinds: { email: mask, card: alert }
rules:
  - name: support-sees
    when: '"support" in principal.groups'
    then: unmask
    labels: [contact]
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table people(id int, mail text, note text);
     insert into people select g, 'p' || g || '@example.com', case when g % 3 = 0 then 'wrote from q' || g || '@example.org' else 'called' end
       from generate_series(1, 30) g;
     insert into people values (31, 'x@example.com', 'paid with 4111111111111111')`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

async function select(sql: string, groups: string[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "a",
    database: "shop",
    password: await postern.token({ groups: ["testers", ...groups] }),
  });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

it("an address in a note is masked, whatever its column is called; cards are told and pass", async () => {
  const rows = await select("select id, note from people order by id");
  expect(JSON.stringify(rows)).not.toContain("@example.org");
  expect(rows[0]).toEqual({ id: 1, note: "called" });
  expect(rows[30]).toEqual({ id: 31, note: "paid with 4111111111111111" });
  const found = (await postern.records()).findLast((leaf) => leaf.type === "masking.detected");
  expect(found).toMatchObject({
    findings: expect.arrayContaining([
      expect.objectContaining({ column: "note", kind: "email", action: "mask", hits: 10 }),
      expect.objectContaining({ column: "note", kind: "card", action: "alert", hits: 1 }),
    ]),
  });
  expect(JSON.stringify(found)).not.toMatch(/4111|example\.org/);
});

it("a label's unmasking is not undone", async () => {
  const rows = await select("select mail from people where id = 1", ["support"]);
  expect(rows).toEqual([{ mail: "p1@example.com" }]);
});
