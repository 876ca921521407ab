/** A server (or a pooler before it) that hands on no notices: nobody says what statements touch. The closed static reading is left. */
import net from "node:net";
import pg from "pg";
import { afterAll, beforeAll, expect, it, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: redact }
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
`;

/** Passes on everything but the server's NoticeResponse messages. */
async function startMute(to: { host: string; port: number }): Promise<net.Server> {
  const server = net.createServer((client) => {
    const upstream = net.connect(to.port, to.host);
    client.pipe(upstream);
    for (const socket of [client, upstream]) {
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
    let pending = Buffer.alloc(0);
    upstream.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 5 && pending.length >= pending.readInt32BE(1) + 1) {
        const message = pending.subarray(0, pending.readInt32BE(1) + 1);
        if (message[0] !== 0x4e) client.write(message);
        pending = pending.subarray(message.length);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

let cluster: Database;
let dbname: string;
let mute: net.Server;
let postern: TestPostern;
let client: pg.Client;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table people(id int primary key, name text, email text); insert into people values (1, 'ann', 'ann@example.com'), (2, 'bob', 'bob@example.com');
     create view seen as select * from people; create schema app; create table app.people(id int, note text); insert into app.people values (7, 'own')`,
  );
  mute = await startMute(cluster);
  const { port } = mute.address() as net.AddressInfo;
  const server = { host: "127.0.0.1", port, user: cluster.superuser, password: cluster.password };
  postern = await startTestPostern({ server, dbname, policy });
  client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "x",
    database: "shop",
    password: await postern.token(),
  });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await postern?.stop();
  mute?.close();
  await cluster?.dropDatabase(dbname);
});

async function code(sql: string, values: unknown[] = []): Promise<string> {
  const refused = await client.query(sql, values).then(
    () => null,
    (error: pg.DatabaseError) => error,
  );
  return refused === null
    ? "ran"
    : ((JSON.parse(refused.detail ?? "{}") as { code?: string }).code ?? refused.message);
}

test("plain statements run, and are masked", async () => {
  const { rows } = await client.query("select id, name, email from people order by id");
  expect(rows).toEqual([
    { id: 1, name: "ann", email: "[redacted]" },
    { id: 2, name: "bob", email: "[redacted]" },
  ]);
  const joined = await client.query(
    "select p.email as mail, q.id from people p join people q on p.id = q.id where q.id = $1",
    [2],
  );
  expect(joined.rows).toEqual([{ mail: "[redacted]", id: 2 }]);
});

test("names are followed where one schema of the search_path has them", async () => {
  await client.query("set search_path = app");
  expect((await client.query("select * from people")).rows).toEqual([{ id: 7, note: "own" }]);
  await client.query("set search_path = app, public");
  expect(await code("select * from people")).toBe("NOT_ANALYSED");
  expect((await client.query("select note from app.people")).rows).toEqual([{ note: "own" }]);
  await client.query("reset search_path");
  expect((await client.query("select name from people where id = 1")).rows).toEqual([{ name: "ann" }]);
});

it.each([
  ["select * from seen", "NOT_ANALYSED"],
  ["select email::text from people", "NOT_ANALYSED"],
  ["select id from people where email like 'a%'", "PROTECTED_PREDICATE"],
  ["with p as (select email from people) select * from p", "NOT_ANALYSED"],
  ["select people from people", "NOT_ANALYSED"],
  ["select pg_read_file('x')", "NOT_ANALYSED"],
  ["insert into people values (3)", "NO_RULE"],
  ["select (select max(email) from people)", "NOT_ANALYSED"],
])("refuses %s", async (sql, expected) => {
  expect(await code(sql)).toBe(expected);
  const [left] = await cluster.query(dbname, "select count(*)::int as n from people");
  expect(left?.n).toBe(2);
});
