/** States between messages: what is left of one must not be taken for the next one's, nor for another policy's, session's or catalog's. */
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { field, query, types } from "./messages.ts";

const policy = `
version: 1
labels:
  - label: pii
    columns: ["*.public.people.email", "*.*.*.ssn"]
    mask: redact
default: deny
rules:
  - name: few-rows
    when: '"few" in principal.groups && statement.effects == ["read"]'
    then: allow
    limits: { rows: 3 }
  - name: writers
    when: '"writers" in principal.groups && statement.effects.all(e, e in ["read", "write"])'
    then: allow
    limits: { affected_rows: 2 }
  - name: slow
    when: '"slow" in principal.groups'
    then: allow
    limits: { timeout: 300ms }
  - name: makers
    when: '"makers" in principal.groups'
    then: allow
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table parent(id int primary key); insert into parent values (1);
     create table child(id int, p int references parent deferrable initially deferred);
     create table nums(n int); insert into nums select generate_series(1, 50);
     create table people(id int primary key, name text, email text);
     insert into people values (1, 'ann', 'canary@example.com');
     create table plain(id int, note text, code text); insert into plain values (1, 'canary-note', 'canary-code');
     create table apart(id int)`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy,
    functionCall: true,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

const login = async (...groups: string[]): Promise<RawClient> =>
  rawLogin(postern, await postern.token({ groups: ["testers", ...groups] }));

async function say(client: RawClient, ...messages: readonly (string | Buffer)[]): Promise<RawMessage[]> {
  client.send(...messages.map((one) => (typeof one === "string" ? query(one) : one)));
  return client.ready();
}

const code = (messages: readonly RawMessage[]): string | undefined =>
  field(
    messages.find(({ type }) => type === "E"),
    "C",
  );

it("a limited write whose commit fails is answered once, as an error, and what is behind it gets its own answers", async () => {
  const client = await login("writers");
  try {
    expect(types(await say(client, "insert into child values (0, 1)"))).toBe("CZ");
    client.send(query("insert into child values (1, 99)"), query("select 41"), query("select 42"));
    const failed = await client.ready();
    expect([types(failed), code(failed)]).toEqual(["EZ", "23503"]);
    for (const value of ["41", "42"]) {
      const answer = await client.ready();
      expect(types(answer)).toBe("TDCZ");
      expect(answer[1]?.body.toString("latin1").endsWith(value)).toBe(true);
    }
    expect(types(await say(client, "select 43"))).toBe("TDCZ");
  } finally {
    await client.end();
  }
  const outcomes = (await postern.records()).filter(({ type }) => type === "statement.outcome");
  expect(outcomes.slice(-5).map(({ status, sqlstate }) => [status, sqlstate])).toEqual([
    ["ok", null],
    ["error", "23503"],
    ["ok", null],
    ["ok", null],
    ["ok", null],
  ]);
});
