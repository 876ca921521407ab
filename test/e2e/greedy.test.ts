/** Clients that send large messages all at once, or far more than is answered: memory has a bound, and nobody waits for ever. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { LargeMessages } from "../../src/gateway/statement/gather.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { bind, close, copyData, copyDone, execute, field, parse, query, sync } from "./messages.ts";

const mebi = 1024 * 1024;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, "create table lines (a text)");
  const { host, port, superuser: user, password } = cluster;
  // Eight messages of this size may be on their way.
  const limits = { messageBytes: 2 * mebi };
  postern = await startTestPostern({ server: { host, port, user, password }, dbname, limits });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

const login = async () => rawLogin(postern, await postern.token());
const whole = Buffer.concat([
  parse("", "select length($1::text)"),
  bind("", "", ["x".repeat(2 * mebi - 1_000)]),
  execute(""),
  sync,
]);
const answered = (client: RawClient) => client.until(({ type }) => type === "Z" || type === "E");

test("large messages that never come whole are bounded for all clients together", async () => {
  const clients: RawClient[] = [];
  try {
    for (let i = 0; i < 8; i++) {
      const client = await login();
      client.send(whole.subarray(0, 1.5 * mebi));
      // Its Parse is answered once the Flush that it never sends has come: only the gateway knows what it holds.
      clients.push(client);
    }
    let refused: string | undefined;
    // What has been sent has come at some time.
    while (refused === undefined) {
      const client = await login();
      client.send(whole);
      const got = (await answered(client)).at(-1);
      if (got?.type === "E") {
        refused = field(got, "C") ?? "";
        expect(field(got, "S")).toBe("FATAL");
      } else expect(got?.type).toBe("Z");
      await client.end();
    }
    expect(refused).toBe("53200");
    // Nobody else is disturbed: small statements, COPY of any size, and what was there before.
    const small = await login();
    small.send(query("select 1"));
    expect((await small.ready()).map(({ type }) => type).join("")).toBe("TDCZ");
    small.send(query("copy lines from stdin"), copyData("y".repeat(3 * mebi)), copyDone);
    expect((await small.ready()).map(({ type }) => type).join("")).toBe("GCZ");
    await small.end();
    const [first, second, ...others] = clients;
    first?.send(whole.subarray(1.5 * mebi));
    expect((await first?.ready())?.map(({ type }) => type).join("")).toBe("12DCZ");
    // One that is gone holds nothing any more.
    second?.socket.destroy();
    const next = await login();
    next.send(whole);
    expect((await next.ready()).map(({ type }) => type).join("")).toBe("12DCZ");
    await next.end();
    expect(others).toHaveLength(6);
  } finally {
    for (const client of clients) client.socket.destroy();
  }
});

test("messages without an end of their own are all answered, however many", async () => {
  const client = await login();
  const count = 10_000;
  const closes = Buffer.concat(Array.from({ length: count }, () => close("statement", "nobody")));
  client.send(closes, sync);
  const got = await client.ready();
  expect(got.filter(({ type }) => type === "3")).toHaveLength(count);
  expect(got.at(-1)?.type).toBe("Z");
  await client.end();
});

test("what is spoken for is given back once", () => {
  const all = new LargeMessages(10 * mebi);
  const [a, b, c] = [{}, {}, {}];
  expect(all.take(a, 6 * mebi)).toBe(true);
  expect(all.take(b, 6 * mebi)).toBe(false);
  expect(all.take(b, 1_000)).toBe(true);
  expect(all.take(b, 4 * mebi)).toBe(true);
  expect(all.take(c, mebi)).toBe(false);
  all.free(b);
  all.free(b);
  expect(all.bytes).toBe(6 * mebi);
  expect(all.take(a, 8 * mebi)).toBe(true);
  expect(all.bytes).toBe(8 * mebi);
  all.free(a);
  expect(all.bytes).toBe(0);
  // One message is let through, whatever its size: its own limit is another.
  expect(all.take(c, 20 * mebi)).toBe(true);
});
