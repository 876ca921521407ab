/** Rates: a message is charged for whole or not at all, and only what runs. */
import { afterAll, beforeEach, expect, test } from "vitest";
import { startProxy } from "../faults/proxy.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { approve, deny, pending } from "./hold-support.ts";
import { bind, execute, field, parse, query, sync, types } from "./messages.ts";

const policy = `
version: 1
default: allow
labels:
  - { label: mail, columns: ["shop.public.e.mail"], use: equality, equality_per_minute: 5 }
rules:
  - { name: a, when: '"public.a" in statement.reads', then: limit, limits: { per_day: 3 } }
  - { name: b, when: '"public.b" in statement.reads', then: limit, limits: { per_day: 1 } }
  - { name: d, when: '"public.d" in statement.reads', then: limit, limits: { rows_per_day: 3 } }
  - name: c
    when: '"public.c" in statement.writes'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 30s }
    limits: { per_day: 2 }
`;

const cluster: Database = await sharedCluster();
const dbname = await cluster.createDatabase();
await cluster.query(
  dbname,
  "create table a as select 1 as id; create table b as select 1 as id; create table c(id int); create table d as select 1 as id; create table e as select g as id, 'm' || g as mail from generate_series(1, 20) g",
);
let postern: TestPostern | undefined;
let client: RawClient;
beforeEach(async () => {
  await postern?.stop();
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({
    server: { host, port, user, password },
    dbname,
    policy,
    approvals: true,
  });
  client = await rawLogin(postern, await postern.token());
  await cluster.query(dbname, "truncate c");
});
afterAll(async () => {
  await postern?.stop();
  await cluster.dropDatabase(dbname);
});

const running = (): TestPostern => {
  if (postern === undefined) throw new Error("nothing runs");
  return postern;
};
const refusal = (message: RawMessage | undefined) => JSON.parse(field(message, "D") ?? "{}");
const codes = (messages: readonly RawMessage[]) =>
  messages.filter(({ type }) => type === "E").map((one) => refusal(one).code);
const ask = async (...messages: Buffer[]) => {
  client.send(...messages);
  return client.ready();
};
const rows = async () => (await cluster.query(dbname, "select id from c order by id")).map(({ id }) => id);

test("a message of which one statement has used up its rate costs the others nothing", async () => {
  expect(types(await ask(query("select from b")))).toBe("TDCZ");
  for (let i = 0; i < 5; i++)
    expect(codes(await ask(query("select from a; select from b")))).toEqual(["RATE_LIMITED"]);
  for (let i = 0; i < 3; i++) expect(types(await ask(query("select from a")))).toBe("TDCZ");
  expect(codes(await ask(query("select from a")))).toEqual(["RATE_LIMITED"]);
});

test("a message counts as many statements as it holds", async () => {
  expect(types(await ask(query("select from a; select from a")))).toBe("TDCTDCZ");
  const [two] = (await ask(query("select from a; select from a"))).filter(({ type }) => type === "E");
  expect(refusal(two)).toMatchObject({ code: "RATE_LIMITED", rule: "a", retryable: true });
  const four = (await ask(query("select from a; select from a; select from a; select from a"))).find(
    ({ type }) => type === "E",
  );
  expect(refusal(four)).toMatchObject({ code: "RATE_LIMITED", retryable: false });
  expect(field(four, "H")).toBe("Send at most 3 of them in one message.");
  expect(types(await ask(query("select from a")))).toBe("TDCZ");
});

const ways: readonly (readonly [string, (sql: string) => Buffer[]])[] = [
  ["simple", (sql) => [query(sql)]],
  ["extended", (sql) => [parse("", sql), bind("", ""), execute(""), sync]],
];
test.each(ways)("people are not asked for what its rate would refuse, %s", async (_, send) => {
  for (let i = 1; i <= 2; i++) {
    client.send(...send(`insert into c values (${i})`));
    await approve(running(), (await pending(running())).id);
    expect(codes(await client.ready())).toEqual([]);
  }
  expect(codes(await ask(...send("insert into c values (3)")))).toEqual(["RATE_LIMITED"]);
  const { items } = await running().approvals.list({ state: "decided", limit: 10 });
  expect(items.map(({ state }) => state)).toEqual(["used", "used"]);
  expect(await rows()).toEqual([1, 2]);
});

test.each(ways)("what people deny, or its owner gives up, is not counted, %s", async (_, send) => {
  // A third denial of one shape would keep it from being asked for again.
  for (let i = 0; i < 2; i++) {
    client.send(...send("insert into c values (0)"));
    await deny(running(), (await pending(running())).id, "not today", `stella${i}`);
    expect(codes(await client.ready())).toEqual(["APPROVAL_DENIED"]);
    const other = await rawLogin(running(), await running().token());
    other.send(...send(`insert into c values (-${i})`));
    await pending(running());
    other.socket.destroy();
    await expect
      .poll(async () => (await running().approvals.list({ state: "pending", limit: 9 })).items)
      .toEqual([]);
  }
  for (let i = 1; i <= 2; i++) {
    client.send(...send(`insert into c values (${i})`));
    await approve(running(), (await pending(running())).id);
    expect(codes(await client.ready())).toEqual([]);
  }
  expect(await rows()).toEqual([1, 2]);
});

test("values that a held statement compares with are counted as its Bind sends them", async () => {
  const send = (mails: string) =>
    client.send(
      parse("", "insert into c select id from e where mail = any($1)"),
      bind("", "", [mails]),
      execute(""),
      sync,
    );
  for (const mails of ["{m1,m2,m3}", "{m4,m5}"]) {
    send(mails);
    await approve(running(), (await pending(running())).id);
    expect(codes(await client.ready())).toEqual([]);
  }
  send("{m6}");
  expect(codes(await client.ready())).toEqual(["RATE_LIMITED"]);
  expect(await rows()).toEqual([1, 2, 3, 4, 5]);
});

test("rows that were delivered count, also when the connection to the database is lost in the middle", async () => {
  const proxy = await startProxy(cluster.port);
  const { host, superuser: user, password } = cluster;
  const other = await startTestPostern({
    server: { host, port: proxy.port, user, password },
    dbname,
    policy,
  });
  try {
    const first = await rawLogin(other, await other.token());
    // Most of the rows leave the server's buffer before it sleeps.
    first.send(
      query(
        "select d.id, repeat('x', 3000), pg_sleep(case n when 20 then 20 else 0 end) from d, generate_series(1, 20) n",
      ),
    );
    for (let i = 0; i < 4; i++) await first.until(({ type }) => type === "D");
    proxy.cutAll();
    await first.until(() => false);
    const second = await rawLogin(other, await other.token());
    second.send(query("select from d"));
    expect(codes(await second.ready())).toEqual(["RATE_LIMITED"]);
  } finally {
    await other.stop();
    await proxy.close();
  }
});
