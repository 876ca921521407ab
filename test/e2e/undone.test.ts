/** What a transaction takes back is on the record: nothing that was undone stays there as done. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Leaf, startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { bind, execute, parse, query, sync } from "./messages.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;
let seen = 0;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    "create table p(a int primary key); create table t(a int, foreign key (a) references p deferrable initially deferred); insert into p values (1)",
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  client = await rawLogin(postern, await postern.token());
  seen = (await postern.records()).length;
});
afterEach(() => client.end());

async function run(...texts: string[]): Promise<void> {
  for (const text of texts) {
    client.send(query(text));
    await client.ready();
  }
}

interface Told {
  readonly type: string;
  readonly cause: unknown;
  readonly sqlstate: unknown;
  readonly undone: readonly unknown[];
}

/** The records of transactions since the test began, with the SQL of the statements that they name. */
async function told(): Promise<Told[]> {
  const all = await postern.records();
  const done = new Set(
    all
      .filter((one) => one.type === "statement.outcome" && one.status === "ok")
      .map((one) => (one.intent as { index: number }).index),
  );
  return all
    .slice(seen)
    .filter((one) => one.type.startsWith("transaction."))
    .map((one) => {
      const { first, last, log } = one.intents as { first: number; last: number; log: string };
      expect(log).toBe(postern.audit.origin);
      const undone = all
        .map((leaf, index): [Leaf, number] => [leaf, index])
        .filter(
          ([leaf, index]) =>
            leaf.type === "statement.intent" &&
            leaf.session === one.session &&
            index >= first &&
            index <= last &&
            done.has(index),
        )
        .map(([leaf]) => (leaf.statement as { sql: string }).sql);
      return { type: one.type, cause: one.cause, sqlstate: one.sqlstate, undone };
    });
}

const back = (cause: string, sqlstate: string | null, ...undone: string[]): Told => ({
  type: "transaction.rolled_back",
  cause,
  sqlstate,
  undone,
});
const ins = "insert into p values (?)";

it("says nothing of what lasts", async () => {
  await run("insert into p values (100)", "begin", "insert into p values (101)", "commit");
  await run(
    "begin; insert into p values (102); commit; select 1",
    "begin",
    "savepoint s",
    "rollback to s",
    "commit",
  );
  client.send(parse("", "insert into p values (103)"), bind("", ""), execute(""), sync);
  await client.ready();
  expect(await told()).toEqual([]);
});

it("ROLLBACK of a block", async () => {
  await run("begin", "insert into p values (2)", "insert into p values (3)", "rollback");
  await run("insert into p values (4)");
  expect(await told()).toEqual([back("rollback", null, ins, ins)]);
});

it("an error in a block, and the COMMIT that becomes a rollback", async () => {
  await run("begin", "insert into p values (5)", "insert into p values (1)", "select 1", "commit");
  expect(await told()).toEqual([back("error", "23505", ins)]);
});

it("a COMMIT that fails", async () => {
  await run("begin", "insert into t values (999)", "commit");
  expect(await told()).toEqual([back("commit_failed", "23503", "insert into t values (?)")]);
});

it("a batch that fails at its Sync", async () => {
  client.send(parse("", "insert into t values (998)"), bind("", ""), execute(""), sync);
  await client.ready();
  expect(await told()).toEqual([back("commit_failed", "23503", "insert into t values (?)")]);
});

it("a statement of a batch that fails takes back those before it", async () => {
  client.send(
    parse("", "insert into p values (6)"),
    bind("", ""),
    execute(""),
    parse("", "insert into p values (1)"),
    bind("", ""),
    execute(""),
    sync,
  );
  await client.ready();
  await run(
    "insert into p values (7); insert into p values (8); commit; insert into p values (9); select 1/0",
  );
  expect(await told()).toEqual([back("error", "23505", ins), back("error", "22012", ins)]);
});

it("ROLLBACK TO takes back what is behind the savepoint, also after an error", async () => {
  await run("begin", "insert into p values (20)", "savepoint a", "insert into p values (21)", "savepoint b");
  await run("delete from p where a = 1", "rollback to savepoint b", "update p set a = 22 where a = 21");
  await run("select 1/0", "rollback to a", "release a", "commit");
  const [first, second, ...rest] = await told();
  expect(rest).toEqual([]);
  expect(first).toEqual(back("savepoint", null, "delete from p where a = ?"));
  expect(second?.cause).toBe("savepoint");
  expect(second?.sqlstate).toBe("22012");
  expect(second?.undone.slice(0, 1)).toEqual([ins]);
  expect(second?.undone.at(-1)).toBe("update p set a = ? where a = ?");
  const rows = await cluster.query(dbname, "select a from p where a in (20, 21, 22)");
  expect(rows.map((row) => Number(row.a))).toEqual([20]);
});

it("COMMIT AND CHAIN and ROLLBACK AND CHAIN end a transaction each", async () => {
  await run("begin", "insert into p values (30)", "commit and chain", "insert into p values (31)");
  await run("rollback and chain", "insert into p values (32)", "rollback");
  const all = await told();
  expect(all).toEqual([back("rollback", null, ins), back("rollback", null, ins)]);
});

it("a session that ends in a block", async () => {
  await run("begin", "insert into p values (40)");
  const other = client;
  other.socket.destroy();
  await expect.poll(async () => await told()).toEqual([back("session_ended", null, ins)]);
  client = await rawLogin(postern, await postern.token());
});

it("a server that goes away with a commit under way: nobody saw what became of it", async () => {
  await run("begin", "insert into p values (50)");
  const intent = (await postern.records()).findLast((one) => one.type === "statement.intent");
  const backend = Number((intent?.database as { backend?: number } | undefined)?.backend);
  // The commit waits in the trigger, and its backend is ended there.
  await run(
    "create function pg_temp.wait() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end $$",
  );
  await run(
    "create temp table w(a int)",
    "create constraint trigger w after insert on w deferrable initially deferred for each row execute function pg_temp.wait()",
    "insert into w values (1)",
  );
  client.send(query("commit"));
  await expect
    .poll(
      async () =>
        (
          await cluster.query(
            dbname,
            `select 1 as x from pg_stat_activity where pid = ${backend} and query = 'commit'`,
          )
        ).length,
    )
    .toBe(1);
  await cluster.query(dbname, `select pg_terminate_backend(${backend})`);
  await expect
    .poll(async () => (await told()).map(({ type, cause }) => [type, cause]))
    .toEqual([["transaction.unknown", "session_ended"]]);
  client = await rawLogin(postern, await postern.token());
});
