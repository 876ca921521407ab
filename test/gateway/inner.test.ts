/** Sessions from within the process: the walk, its records and its limits are those of the wire. */
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type InnerClient, innerClient } from "../../src/gateway/client/inner.ts";
import { bind, execute, field, parse, query, sync, types } from "../e2e/messages.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawClient } from "../support/raw.ts";

const policy = `
version: 1
rules:
  - name: only-mcp
    when: 'session.via == "mcp" && session.client_ip == "192.0.2.7" && statement.effects == ["read"]'
    then: allow
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  const server = {
    host: cluster.host,
    port: cluster.port,
    user: cluster.superuser,
    password: cluster.password,
  };
  postern = await startTestPostern({ server, dbname, policy, limits: { connectionsPerPrincipal: 2 } });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

async function caller(more: Partial<InnerClient> = {}): Promise<InnerClient> {
  const principal = await postern.identity.authenticate(await postern.token());
  const from = { ip: "192.0.2.7", port: 4711, tls: "TLSv1.3" };
  return { principal, database: "shop", application: "test", claimed: {}, via: "mcp", ...from, ...more };
}

async function enter(more: Partial<InnerClient> = {}): Promise<RawClient> {
  const client = rawClient(postern.gateway.attach(await caller(more)));
  await client.until((m) => m.type === "Z" || m.type === "E");
  return client;
}

describe("a session from within", () => {
  it("is decided and recorded with the facts it was given", async () => {
    const client = await enter();
    client.send(parse("", "select $1::int + 1", [23]), bind("", "", ["41"]), execute(""), sync);
    const got = await client.ready();
    expect(types(got)).toBe("12DCZ");
    await client.end();
    const records = await postern.records();
    const intent = records.findLast((r) => r.type === "statement.intent");
    expect(intent?.client).toEqual({
      ip: "192.0.2.7",
      port: 4711,
      tls: "TLSv1.3",
      application: "test",
      user: "agent-7",
      via: "mcp",
    });
  });

  it("is denied what its door may not do", async () => {
    const client = await enter({ via: "api" });
    client.send(query("select 1"));
    const got = await client.ready();
    expect(types(got)).toBe("EZ");
    expect(field(got[0], "C")).toBe("42501");
    await client.end();
  });

  it("is told of a database that is not there, and the refusal is on the record", async () => {
    const client = rawClient(postern.gateway.attach(await caller({ database: "nowhere" })));
    const [error] = await client.until((m) => m.type === "E");
    expect(field(error, "C")).toBe("3D000");
    await client.end();
    const failed = (await postern.records()).findLast((r) => r.type === "auth.failed");
    expect(failed).toMatchObject({ code: "UNKNOWN_DATABASE", client: { via: "mcp", ip: "192.0.2.7" } });
  });

  it("counts against the principal's limit, until it ends", async () => {
    const [first, second] = [await enter(), await enter()];
    const third = rawClient(postern.gateway.attach(await caller()));
    const [error] = await third.until((m) => m.type === "E");
    expect(field(error, "C")).toBe("53300");
    await Promise.all([first?.end(), second?.end(), third.end()]);
    for (let tries = 0; postern.gateway.sessions.size > 0 && tries < 200; tries++) await pause(20);
    const again = await enter();
    expect(again.messages.at(-1)?.type).toBe("Z");
    await again.end();
  });

  it("is cancelled when its caller goes away", async () => {
    const wide = "select count(*) from generate_series(1, 1000000000000)";
    const client = await enter();
    client.send(query(wide));
    const text = `select count(*)::int as n from pg_stat_activity
      where state = 'active' and application_name = 'postern:agent-7' and query = $1`;
    const running = async () => (await cluster.query(dbname, text, [wide]))[0]?.n;
    for (let tries = 0; (await running()) !== 1 && tries < 500; tries++) await pause(20);
    client.socket.destroy();
    for (let tries = 0; (await running()) !== 0 && tries < 500; tries++) await pause(20);
    expect(await running()).toBe(0);
    for (let tries = 0; postern.gateway.sessions.size > 0 && tries < 500; tries++) await pause(20);
    expect(postern.gateway.sessions.size).toBe(0);
    const outcome = (await postern.records()).findLast((r) => r.type === "statement.outcome");
    expect(outcome).toMatchObject({ status: "cancelled" });
  });
});

describe("the pair of streams", () => {
  async function pair() {
    const { client, end } = innerClient(await caller());
    end.on("error", () => undefined);
    return { inside: client.socket, outside: end };
  }

  it("keeps its own copy of what the gateway writes", async () => {
    const { inside, outside } = await pair();
    const memory = randomBytes(100);
    const before = Buffer.from(memory);
    inside.write(memory);
    memory.fill(0);
    const [got] = await outside.take(1).toArray();
    expect(got).toEqual(before);
  });

  it("holds the writer back while nobody reads", async () => {
    const { inside, outside } = await pair();
    let written = 0;
    while (inside.write(Buffer.alloc(16_384)) && written < 1000) written++;
    expect(written).toBeLessThan(100);
    expect(inside.writableNeedDrain).toBe(true);
    const drained = new Promise((resolve) => inside.once("drain", resolve));
    outside.resume();
    await drained;
  });

  it("hands on all that was written before an end", async () => {
    const { inside, outside } = await pair();
    inside.resume();
    const sent = randomBytes(300_000);
    inside.end(sent);
    outside.end();
    await pause(20);
    expect(Buffer.concat(await outside.toArray())).toEqual(sent);
  });

  it("breaks for both when one side breaks", async () => {
    const { inside, outside } = await pair();
    const closed = new Promise((resolve) => inside.once("close", resolve));
    outside.destroy();
    await closed;
    expect(inside.destroyed).toBe(true);
  });
});
