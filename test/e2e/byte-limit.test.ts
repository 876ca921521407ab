/** The limit on bytes counts what the client gets: how long hidden values are does not tell where a result ends. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawMessage, rawLogin } from "../support/raw.ts";
import { bind, execute, field, functionCall, parse, query, sync } from "./messages.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii, columns: ["shop.public.*.hidden"], mask: redact, use: derived }
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow, limits: { bytes: 4096 } }
  - { name: control, when: 'statement.effects == []', then: allow }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table short as select g as id, 'x' || g as hidden from generate_series(1, 500) g;
     create function text_of(int) returns text language sql immutable as $$ select repeat('x', $1) $$;
     create table long as select g as id, repeat('x' || g, 900) as hidden from generate_series(1, 500) g;`,
  );
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({
    server: { host, port, user, password },
    dbname,
    policy,
    functionCall: true,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

async function said(table: string, make: (table: string) => Buffer[]): Promise<string[]> {
  const client = await rawLogin(postern, await postern.token());
  client.send(...make(table));
  const messages = await client.ready();
  client.send(query("select 1"));
  await client.ready();
  await client.end();
  return messages
    .filter(({ type }) => "DdCEc".includes(type))
    .map((one) =>
      one.type === "E"
        ? JSON.parse(field(one, "D") ?? "{}").code
        : `${one.type} ${one.body.toString("latin1")}`,
    );
}

const ways: readonly (readonly [string, (sql: string) => Buffer[]])[] = [
  ["simple", (sql) => [query(sql)]],
  ["extended", (sql) => [parse("", sql), bind("", ""), execute(""), sync]],
];
test.each(ways.flatMap(([way, send]) => [true, false].map((whole) => [way, whole, send] as const)))(
  "%s, more than the limit: %s",
  async (_, whole, send) => {
    for (const text of ["select id, hidden from T", "copy (select id, hidden from T) to stdout"]) {
      const sql = (table: string) => text.replace("T", whole ? table : `${table} where id < 20`);
      const [short, long] = [
        await said("short", (table) => send(sql(table))),
        await said("long", (table) => send(sql(table))),
      ];
      expect(long).toEqual(short);
      expect(short.at(-1)).toMatch(whole ? /^BYTE_LIMIT$/ : /^C /);
      expect(short.length).toBeGreaterThan(whole ? 100 : 19);
    }
  },
);

test("FunctionCall: a result that is too large is withheld, and the block fails with it", async () => {
  const oid = Number(
    (await cluster.query(dbname, "select 'text_of(int)'::regprocedure::oid::int as oid"))[0]?.oid,
  );
  const client = await rawLogin(postern, await postern.token());
  const call = async (length: number) => {
    client.send(functionCall(oid, [String(length)]));
    return client.ready();
  };
  const codes = (messages: readonly RawMessage[]) =>
    messages.map((one) => (one.type === "E" ? JSON.parse(field(one, "D") ?? "{}").code : one.type));
  expect(codes(await call(4000))).toEqual(["V", "Z"]);
  const large = await call(200_000);
  expect(codes(large)).toEqual(["BYTE_LIMIT", "Z"]);
  const outcome = (await postern.records()).findLast(({ type }) => type === "statement.outcome");
  expect(outcome).toMatchObject({ status: "cut", sqlstate: "57014" });
  client.send(query("begin"));
  await client.ready();
  expect((await call(5000)).at(-1)?.body.toString()).toBe("E");
  client.send(query("rollback"));
  await client.ready();
  expect(codes(await call(4000))).toEqual(["V", "Z"]);
  await client.end();
});
