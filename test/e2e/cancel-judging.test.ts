/** A cancel request that comes while the gateway still asks about the statement: it is not lost, and never hits another one. */
import net from "node:net";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { encodeCancelRequest } from "../../src/protocol/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { bind, execute, field, parse, query, sync, types } from "./messages.ts";

const policy = `
version: 1
labels:
  - { label: pii, columns: ["*.public.people.email"], mask: partial }
rules:
  - { name: all, when: "true", then: allow }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;
/** Holds a lock that the analysis of statements on `people` waits for. */
let locker: pg.Client;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, "create table people (id int, email text); create table seen (x int)");
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({ server: { host, port, user, password }, dbname, policy });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  client = await rawLogin(postern, await postern.token());
  client.send(query("select 1"));
  await client.ready();
  locker = new pg.Client({ connectionString: cluster.url(dbname) });
  await locker.connect();
  await locker.query("begin; lock table people in access exclusive mode");
  return async () => {
    await locker.end();
    await client.end();
  };
});

/** Sends a cancel request; resolves when the gateway has dealt with it. */
async function cancel(): Promise<void> {
  const key = client.messages.find((message) => message.type === "K")?.body;
  if (key === undefined) throw new Error("no key");
  const socket = net.connect(postern.port, postern.host);
  socket.end(encodeCancelRequest(key.readInt32BE(0), key.subarray(4)));
  for await (const chunk of socket) expect(chunk).toBeUndefined();
}

/** The gateway has asked the server, which waits for the lock. */
async function asking(): Promise<void> {
  const text = "select 1 from pg_locks where not granted and relation = 'people'::regclass";
  for (let i = 0; i < 5_000; i++) if ((await cluster.query(dbname, text)).length > 0) return;
  throw new Error("nobody waits");
}

async function unlock(): Promise<void> {
  await locker.query("rollback");
}

async function works(): Promise<void> {
  client.send(query("select 1"));
  expect(types(await client.ready())).toBe("TDCZ");
}

async function expectCancelled(expected: string): Promise<void> {
  const messages = await client.ready();
  expect(types(messages)).toBe(expected);
  const error = messages.find((message) => message.type === "E");
  expect(error === undefined ? null : field(error, "C")).toBe("57014");
  expect(error === undefined ? null : field(error, "M")).toBe("canceling statement due to user request");
  const mine = JSON.parse((error === undefined ? undefined : field(error, "D")) ?? "{}");
  expect(mine).toMatchObject({ decision: "deny", code: "CANCELLED", retryable: false });
  const leaves = (await postern.records()).filter((one) => one.request === mine.request_id);
  expect(leaves.map(({ type }) => type)).toEqual(["statement.intent", "statement.outcome"]);
  expect(leaves).toMatchObject([{ decision: { verdict: "deny", code: "CANCELLED" } }, { status: "denied" }]);
}

describe("a lock of another session", () => {
  it("is waited for, as the statement itself would wait, and holds up nobody else", async () => {
    client.send(query("select id as waits from people"));
    await asking();
    const other = await rawLogin(postern, await postern.token());
    for (let i = 0; i < 3; i++) {
      other.send(query(`select x as other_${i} from seen`));
      expect(types(await other.ready())).toBe("TCZ");
    }
    await other.end();
    await asking();
    await unlock();
    expect(types(await client.ready())).toBe("TCZ");
  });

  it("is waited for inside of a transaction block that has changed objects", async () => {
    client.send(query("begin; create table own (a int)"));
    await client.ready();
    client.send(query("select id, email as block_waits from people"));
    await asking();
    await unlock();
    expect(types(await client.ready())).toBe("TCZ");
    client.send(query("rollback"));
    await client.ready();
  });
});

// What was analysed once is known: every statement here is another one.
describe("a cancel request while a statement is analysed", () => {
  it("ends a Query, which never runs", async () => {
    client.send(query("insert into seen select 1 from (select count(*) from people) s"));
    await asking();
    await cancel();
    await unlock();
    await expectCancelled("EZ");
    expect(await cluster.query(dbname, "select from seen")).toEqual([]);
    await works();
  });

  it("ends a batch of the extended protocol at its Parse", async () => {
    client.send(parse("", "select id, email from people"), bind("", ""), execute(""), sync);
    await asking();
    await cancel();
    await unlock();
    await expectCancelled("EZ");
    await works();
  });

  it("ends what waits behind others of its batch, which stand", async () => {
    client.send(parse("a", "select 1"), bind("", "a"), parse("b", "select id from people"), sync);
    await asking();
    await cancel();
    await unlock();
    await expectCancelled("12EZ");
    await works();
  });

  it("in a transaction block: aborts it", async () => {
    client.send(query("begin"));
    await client.ready();
    client.send(query("select id as block from people"));
    await asking();
    await cancel();
    await unlock();
    await expectCancelled("EZ");
    client.send(query("select 1"));
    expect(types(await client.ready())).toBe("EZ");
    client.send(query("rollback"));
    expect(types(await client.ready())).toBe("CZ");
    await works();
  });

  it("ends it while others keep the lock", async () => {
    client.send(query("select id as still from people"));
    await asking();
    await cancel();
    await expectCancelled("EZ");
    await unlock();
    await works();
  });

  it("ends what is so long that it is read beside the others", async () => {
    const rows = Array.from({ length: 60_000 }, () => "(1)").join();
    client.send(query(`insert into seen values ${rows}`), query("select 2"));
    await cancel();
    await expectCancelled("EZ");
    expect(types(await client.ready())).toBe("TDCZ");
    expect(await cluster.query(dbname, "select from seen")).toEqual([]);
    client.send(parse("", `select 1 from (values ${rows}) s`), bind("", ""), execute(""), sync);
    await cancel();
    await expectCancelled("EZ");
    await works();
  });

  it("hits one statement, not those that wait behind it", async () => {
    client.send(query("select id as a from people"), query("select 2"), query("select id as b from people"));
    await asking();
    await cancel();
    await unlock();
    await expectCancelled("EZ");
    expect(types(await client.ready())).toBe("TDCZ");
    expect(types(await client.ready())).toBe("TCZ");
  });
});
