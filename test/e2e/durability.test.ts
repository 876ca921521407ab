/** What waits for the log: what may change something before it is sent, the answer of what was proven to read only. */
import { fdatasync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Durability } from "../../src/facts/audit.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { bind, execute, parse, query, sync, types } from "./messages.ts";

const policy = `
version: 1
default: deny
rules:
  - name: all
    when: 'true'
    then: allow
  - name: precious
    when: '"public.precious" in statement.reads || "public.precious" in statement.writes'
    then: limit
    durability: strict
`;

interface Held {
  go(): void;
  fail(): void;
}

/** fdatasyncs that are held back; null: none is. */
let held: Held[] | null = null;
const io = {
  writeSync: (fd: number, buffer: Buffer, offset: number, length: number) =>
    writeSync(fd, buffer, offset, length, null),
  fdatasync: (fd: number, done: (error: Error | null) => void) => {
    const go = () => fdatasync(fd, done);
    if (held === null) go();
    else held.push({ go, fail: () => done(new Error("EIO")) });
  },
};

function release(): void {
  const all = held ?? [];
  held = null;
  for (const one of all) one.go();
}

let cluster: Database;
let dbname: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    "create table t(a int); create table precious(a int); insert into precious values (1); insert into t values (1), (2)",
  );
});
afterAll(() => cluster?.dropDatabase(dbname));

describe.each<Durability>(["disk", "process"])("%s", (durability) => {
  let postern: TestPostern;
  let client: RawClient;
  let backend = 0;
  beforeAll(async () => {
    postern = await startTestPostern({
      server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
      dbname,
      policy,
      audit: { durability },
      io,
    });
  });
  afterAll(() => postern?.stop());
  beforeEach(async () => {
    client = await rawLogin(postern, await postern.token());
    // What the gateway asks of the server is asked by now.
    for (const text of [
      "select a from t",
      "select a from precious",
      "insert into t values (3)",
      "begin",
      "commit",
    ]) {
      client.send(query(text));
      await client.ready();
    }
    const start = (await postern.records()).findLast((one) => one.type === "session.start");
    backend = Number((start?.database as { backend?: number } | undefined)?.backend);
    await postern.audit.settle();
  });
  afterEach(async () => {
    release();
    await client.end();
  });

  async function ran(text: string): Promise<boolean> {
    const rows = await cluster.query(
      dbname,
      `select 1 as x from pg_stat_activity where pid = ${backend} and query = '${text}'`,
    );
    return rows.length > 0;
  }
  /** Sends with syncs held back; gives what the client has got once the server has run `text`, or some time later. */
  async function sent(text: string, ...messages: Buffer[]): Promise<{ ran: boolean; answered: boolean }> {
    await postern.audit.settle();
    held = [];
    const before = client.messages.length;
    client.send(...(messages.length > 0 ? messages : [query(text)]));
    for (let i = 0; i < 20 && !(await ran(text)); i++) await sleep(20);
    await sleep(100);
    return { ran: await ran(text), answered: client.messages.length > before };
  }

  it("a read is sent on, and its answer waits where the disk must have its record", async () => {
    const text = `select a from t limit 1 -- ${durability}`;
    expect(await sent(text)).toEqual({ ran: true, answered: durability === "process" });
    release();
    expect(types(await client.ready())).toBe("TDCZ");
    const more = `select a from t limit 2 -- ${durability}`;
    const batch = [parse("", more), bind("", ""), execute(""), sync];
    expect(await sent(more, ...batch)).toEqual({ ran: true, answered: durability === "process" });
    release();
    expect(types(await client.ready())).toBe("12DDCZ");
  });

  it("a write and a COMMIT wait before they are sent", async () => {
    const goes = durability === "process";
    const text = `insert into t values (4) -- ${durability}`;
    expect(await sent(text)).toEqual({ ran: goes, answered: goes });
    release();
    await client.ready();
    client.send(query("begin"));
    await client.ready();
    expect((await sent(`commit -- ${durability}`)).ran).toBe(goes);
    release();
    await client.ready();
    const both = `insert into t select a from t limit 1 -- ${durability}`;
    const batch = [
      parse("", "select a from t"),
      bind("", ""),
      execute(""),
      parse("", both),
      bind("", ""),
      execute(""),
      sync,
    ];
    expect((await sent(both, ...batch)).ran).toBe(goes);
    release();
    await client.ready();
  });

  it("a rule asks for more: the outcome is durable before the client learns of it", async () => {
    const text = `select a from precious limit 1 -- ${durability}`;
    expect(await sent(text)).toEqual({ ran: true, answered: false });
    // The first sync is the intent's; the answer then waits for another, which has the outcome.
    const first = held ?? [];
    held = [];
    const before = client.messages.length;
    for (const one of first) one.go();
    await expect.poll(() => held?.length ?? 0).toBeGreaterThan(0);
    expect(client.messages.length).toBe(before);
    release();
    expect(types(await client.ready())).toBe("TDCZ");
    const write = `insert into precious values (2) -- ${durability}`;
    expect(await sent(write)).toEqual({ ran: false, answered: false });
    release();
    await client.ready();
  });

  it("a sync that fails: the answer never leaves", async () => {
    const text = "select a from precious limit 7";
    expect(await sent(text)).toEqual({ ran: true, answered: false });
    const before = client.messages.length;
    const all = held ?? [];
    held = null;
    for (const one of all) one.fail();
    await client.until(({ type }) => type === "E");
    expect(types(client.messages.slice(before))).toBe("E");
    // The log goes on by itself.
    await expect.poll(() => postern.audit.failure, { timeout: 20_000 }).toBeNull();
  });
});
