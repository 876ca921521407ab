/**
 * The same bytes sent to PostgreSQL directly and through Postern must give the same bytes back: hand-written walks through
 * the protocol's corners, and random ones. After each, the record must agree with the tags that the client saw.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectUpstream } from "../../src/gateway/upstream/connect.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern, testDatabase } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawClient, rawLogin } from "../support/raw.ts";
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe_,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
  written,
} from "./messages.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let token: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    "create table items(id int primary key, name text); insert into items select g, 'item ' || g from generate_series(1, 20) g",
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    functionCall: true,
  });
  token = await postern.token();
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

async function direct(): Promise<RawClient> {
  const options = {
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
  };
  const database = testDatabase(options);
  const [login] = database.logins;
  if (login === undefined) throw new Error("no login");
  const upstream = await connectUpstream(database, login, new Map(), { timeoutMs: 10_000 });
  return rawClient(upstream.socket);
}

const setUp = query(
  "create temp table t(a int primary key, b text); create temp table late(a int references t deferrable initially deferred); insert into t select g, 'b' || g from generate_series(1, 5) g",
);
/** Ends whatever the walk left open, and marks the end of the stream. */
const marker = "select 'the end of the walk' as marker";
const wrapUp = [copyFail("the walk is over"), sync, query("rollback"), query(marker)];

/** Runs a walk on one connection, `pieces` at a time; gives everything that came after the set-up. */
async function walk(client: RawClient, pieces: readonly Buffer[][]): Promise<RawMessage[]> {
  client.send(setUp);
  await client.ready();
  for (const piece of pieces) {
    client.send(...piece);
    // Pieces arrive apart, for the most part.
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  }
  client.send(...wrapUp);
  const got = await client.until((m) => m.type === "D" && m.body.includes("the end of the walk"));
  if (!client.closed) got.push(...(await client.ready()));
  return got;
}

/** Both ways; gives what came directly, after comparing. */
async function compare(...pieces: Buffer[][]): Promise<string[]> {
  const [plain, through] = [await direct(), await rawLogin(postern, token)];
  const recordsBefore = (await postern.records()).length;
  try {
    const want = written(await walk(plain, pieces));
    const got = written(await walk(through, pieces));
    expect(got).toEqual(want);
    await through.end();
    await checkRecords(recordsBefore, want);
    return want;
  } finally {
    await Promise.all([plain.end(), through.end()]);
  }
}

/** Every tag that the client saw is the outcome of one intent, in the same order; every intent has an outcome. */
async function checkRecords(from: number, lines: readonly string[]): Promise<void> {
  // The end of the session is recorded when the gateway has seen the connection end.
  for (let i = 0; i < 100 && postern.gateway.sessions.size > 0; i++)
    await new Promise((r) => setTimeout(r, 10));
  const records = (await postern.records()).slice(from);
  const intents = records.filter((r) => r.type === "statement.intent");
  const outcomes = records.filter((r) => r.type === "statement.outcome");
  const answered = new Set(outcomes.map((o) => (o.intent as { index: number }).index));
  const firstIndex = from;
  const indices = records.flatMap((r, i) => (r.type === "statement.intent" ? [firstIndex + i] : []));
  expect([...answered].sort((a, b) => a - b)).toEqual(indices);
  expect(intents.length).toBeGreaterThan(0);
  const seen = lines
    .filter((l) => l.startsWith("C ") || l.startsWith("I "))
    .map((l) => l.slice(2).replace("\0", ""));
  const recorded = outcomes.filter((o) => o.tag !== null).map((o) => o.tag);
  // The set-up's three statements come first.
  expect(recorded.slice(3)).toEqual(seen);
}

describe("the same bytes, directly and through the gateway", () => {
  it("simple queries: several statements, errors, empty, transactions", async () => {
    await compare(
      [
        query(
          "select 1; select a from t order by a limit 2; insert into t values (9,'x'); update t set b = 'y' where a < 3",
        ),
      ],
      [query(""), query(";"), query("-- nothing"), query("select 1/0; select 2")],
      [query("begin"), query("selct"), query("select 1"), query("rollback")],
      [
        query("insert into t values (10,'z'); commit; insert into t values (11,'q'); select 1/0"),
        query("select count(*) from t"),
      ],
      [
        query("begin; insert into t values (30,'in'); savepoint s; select 1/0"),
        query("rollback to s"),
        query("select count(*) from t"),
        query("commit"),
      ],
    );
  });

  it("extended: pipelining, skip to Sync, Flush without Sync, suspended portals", async () => {
    await compare(
      [
        parse("", "select a, b from t where a > $1 order by a", [23]),
        bind("", "", ["1"]),
        describe_("portal", ""),
        execute("", 2),
        execute("", 1),
        execute(""),
        sync,
      ],
      [parse("s1", "select $1::int + 1"), describe_("statement", "s1"), flush],
      [bind("", "s1", ["41"]), execute(""), sync],
      [
        parse("", "insert into t values (20, 'n')"),
        bind("", ""),
        execute(""),
        parse("", "select 1/0"),
        bind("", ""),
        execute(""),
        parse("", "select 3"),
        bind("", ""),
        execute(""),
        sync,
      ],
      [query("select count(*) from t where a = 20")],
      [
        bind("", "nosuch"),
        execute(""),
        sync,
        describe_("portal", "nosuch"),
        sync,
        execute("nosuch"),
        sync,
        close("statement", "nosuch"),
        sync,
      ],
      [
        parse("", "select 1; select 2"),
        sync,
        parse("", "selct"),
        sync,
        parse("", ""),
        bind("", ""),
        execute(""),
        sync,
      ],
      [bind("", "s1", ["1"], [1]), execute(""), bind("", "s1", [null]), execute(""), sync],
    );
  });

  it("named statements and portals: duplicates, close, survival of errors and transactions", async () => {
    await compare(
      [
        parse("s", "select 1 as one"),
        sync,
        parse("s", "select 2 as two"),
        sync,
        bind("", "s"),
        execute(""),
        sync,
      ],
      // The duplicate is refused, and what is bound behind it in the same packet is the old statement.
      [
        parse("s", "select 3 as three"),
        sync,
        bind("", "s"),
        execute(""),
        sync,
        close("statement", "s"),
        parse("s", "select 4 as four"),
        bind("", "s"),
        execute(""),
        sync,
      ],
      [query("begin")],
      [
        parse("c", "select a from t order by a"),
        bind("p", "c"),
        execute("p", 1),
        sync,
        execute("p", 1),
        sync,
        bind("p", "c"),
        sync,
      ],
      [query("rollback")],
      [
        query("begin"),
        bind("p", "c"),
        execute("p", 1),
        sync,
        query("savepoint x"),
        bind("p", "c"),
        sync,
        query("rollback to x"),
        execute("p", 1),
        sync,
        query("commit"),
        execute("p", 1),
        sync,
      ],
      [query("begin"), bind("q", "c"), sync, query("commit"), bind("q", "c"), execute("q", 2), sync],
    );
  });

  it("names shared between protocol and SQL", async () => {
    await compare(
      [
        query("prepare foo(int) as select $1 * 2"),
        bind("", "foo", ["21"]),
        execute(""),
        sync,
        query("execute foo(4)"),
      ],
      [
        parse("bar", "select 'bar'"),
        sync,
        query("execute bar"),
        query("deallocate bar"),
        bind("", "bar"),
        execute(""),
        sync,
      ],
      [
        query("prepare foo as select 1"),
        query("deallocate all"),
        query("execute foo"),
        query("prepare foo as select 'new'; execute foo"),
      ],
      [
        parse("", "prepare baz as select 'baz'"),
        bind("", ""),
        execute(""),
        parse("", "execute baz"),
        bind("", ""),
        describe_("portal", ""),
        execute(""),
        sync,
      ],
      [
        query("begin; declare c cursor for select a from t order by a"),
        execute("c", 2),
        sync,
        query("fetch 2 from c"),
        describe_("portal", "c"),
        query("close c"),
        execute("c"),
        sync,
        query("commit"),
      ],
      [
        query("begin; declare h cursor with hold for select a from t order by a; commit"),
        query("fetch 2 from h; move 1 in h; fetch 1 from h; close all"),
      ],
      [
        parse("keep", "select 1"),
        sync,
        query("discard plans"),
        bind("", "keep"),
        execute(""),
        sync,
        query("discard all"),
        bind("", "keep"),
        execute(""),
        sync,
      ],
    );
  });

  it("COPY in and out, in simple and extended, with the Sync before, behind and in the copy", async () => {
    await compare(
      [query("copy t from stdin"), copyData("100\tone\n"), copyData("101\ttwo\n"), copyDone],
      [query("copy t from stdin"), copyData("100\tdup\n"), copyDone],
      [query("copy t from stdin"), copyFail("no")],
      [query("select 1; copy t from stdin; select 2; copy t to stdout"), copyData("110\tx\n"), copyDone],
      [parse("", "copy t from stdin"), bind("", ""), execute(""), copyData("120\tx\n"), copyDone, sync],
      [parse("", "copy t from stdin"), bind("", ""), execute(""), sync, copyData("121\tx\n"), copyDone, sync],
      [parse("", "copy t from stdin"), bind("", ""), execute(""), copyFail("no"), sync],
      [parse("", "copy nosuch from stdin"), bind("", ""), execute(""), sync, copyData("1\n"), copyDone, sync],
      [
        parse("", "copy t to stdout"),
        bind("", ""),
        execute(""),
        sync,
        query("copy t to stdout (format binary)"),
      ],
      [copyData("late\n"), copyDone, query("select count(*) from t")],
    );
  });

  it("FunctionCall, notices, settings, Query inside an unfinished extended batch", async () => {
    await compare(
      [functionCall(1598 /* random: no argument */, ["1"]), functionCall(1397 /* abs(int4) */, ["-5"])],
      [query("do $$ begin raise notice 'hello %', 1; raise warning 'w'; end $$")],
      [
        query("set timezone = 'Europe/Berlin'; set datestyle = 'German'; show timezone"),
        query("begin; set local timezone = 'UTC'"),
        query("rollback"),
      ],
      [
        parse("", "insert into t values (200,'b')"),
        bind("", ""),
        execute(""),
        query("select count(*) from t"),
        sync,
      ],
      [
        parse("", "select 1/0"),
        bind("", ""),
        execute(""),
        query("select 'skipped'"),
        functionCall(1397, ["-5"]),
        sync,
        query("select 'not skipped'"),
      ],
    );
  });

  it("a large text, many columns, a wide value", async () => {
    const large = `select '${"x".repeat(300_000)}' as x, ${Array.from({ length: 400 }, (_, i) => `${i} as c${i}`).join(", ")}`;
    await compare(
      [query(large)],
      [parse("", large), bind("", ""), describe_("portal", ""), execute(""), sync],
      [query("select repeat('y', 3000000)")],
    );
  });

  const sql = fc.constantFrom(
    "select a, b from t order by a",
    "select 1",
    "select 1/0",
    "selct",
    "",
    "insert into t values (50, 'r')",
    "delete from t where a = 50",
    "begin",
    "commit",
    "rollback",
    "savepoint s",
    "rollback to s",
    "prepare x as select 'x'",
    "execute x",
    "deallocate x",
    "deallocate all",
    "declare p cursor for select a from t order by a",
    "declare q cursor with hold for select a from t order by a",
    "fetch 2 from q",
    "discard all",
    "set standard_conforming_strings = off",
    "reset all",
    "select '\\'''",
    "insert into late values (1)",
    `select length('${"l".repeat(70_000)}')`,
    "fetch 1 from p",
    "close p",
    "copy t from stdin",
    "copy t to stdout",
    "set timezone = 'UTC'",
  );
  const statementName = fc.constantFrom("", "x", "y");
  const portalName = fc.constantFrom("", "p", "q");
  const message = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(statementName, sql).map(([n, s]) => parse(n, s)) },
    { weight: 4, arbitrary: fc.tuple(portalName, statementName).map(([p, s]) => bind(p, s)) },
    { weight: 4, arbitrary: fc.tuple(portalName, fc.constantFrom(0, 1)).map(([p, n]) => execute(p, n)) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom("statement", "portal"), portalName)
        .map(([t, n]) => describe_(t as "portal", n)),
    },
    { weight: 1, arbitrary: statementName.map((n) => close("statement", n)) },
    { weight: 1, arbitrary: portalName.map((n) => close("portal", n)) },
    { weight: 4, arbitrary: fc.constant(sync) },
    { weight: 1, arbitrary: fc.constant(flush) },
    { weight: 3, arbitrary: fc.array(sql, { minLength: 1, maxLength: 3 }).map((s) => query(s.join(";"))) },
    { weight: 1, arbitrary: fc.constantFrom(copyData("77\tc\n"), copyDone, copyFail("r")) },
    { weight: 1, arbitrary: fc.constantFrom(functionCall(1397, ["-5"]), functionCall(1397, ["x"])) },
  );

  it("random walks, cut into pieces at any byte", { timeout: 240_000 }, async () => {
    const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 300 })), {
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 14 }),
        cuts,
        async (messages, lengths) => {
          let rest = Buffer.concat(messages);
          const pieces: Buffer[][] = [];
          for (const length of lengths) {
            if (rest.length === 0) break;
            pieces.push([rest.subarray(0, length)]);
            rest = rest.subarray(length);
          }
          await compare(...pieces, [rest]);
        },
      ),
      {
        numRuns: Number(process.env.FC_RUNS ?? 40),
        endOnFailure: false,
        interruptAfterTimeLimit: 200_000,
      },
    );
  });

  it("random walks", { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 14 }), async (messages) => {
        await compare(messages);
      }),
      {
        ...(process.env.FC_SEED === undefined
          ? {}
          : { seed: Number(process.env.FC_SEED), path: process.env.FC_PATH ?? "" }),
        numRuns: Number(process.env.FC_RUNS ?? 60),
        endOnFailure: false,
        interruptAfterTimeLimit: 200_000,
      },
    );
  });
});
