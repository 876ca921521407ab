/**
 * A policy is enforced in every way of sending, and a refusal leaves client and server in step: the database did not
 * change, the session goes on as PostgreSQL's own would, and the record says what happened.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Leaf, startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import {
  bind,
  close,
  copyData,
  copyDone,
  describe_,
  execute,
  field,
  flush,
  functionCall,
  parse,
  query,
  sync,
  types,
} from "./messages.ts";

const policy = `
version: 1
default: deny
rules:
  - name: reads
    when: 'statement.effects == ["read"] && !("slow" in principal.groups)'
    then: allow
    limits: { rows: 5, bytes: 1MiB }
  - name: slow-reads
    when: 'statement.effects == ["read"] && "slow" in principal.groups'
    then: allow
    limits: { timeout: 300ms }
  - name: writes
    when: '"writers" in principal.groups && "write" in statement.effects && statement.effects.all(e, e in ["read", "write"])'
    then: allow
    limits: { affected_rows: 2 }
  - name: owners
    when: '"owners" in principal.groups'
    then: allow
  - name: never-unbounded
    when: 'statement.unbounded_write && !("owners" in principal.groups)'
    then: deny
    message: "UPDATE and DELETE need a WHERE clause that names rows."
  - name: no-secrets
    when: '"public.secret" in statement.reads && !("owners" in principal.groups)'
    then: deny
    message: "Nobody reads this table here."
  - name: only-watched
    mode: observe
    when: '"public.watched" in statement.reads'
    then: deny
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table t(a int primary key, b text); create table secret(x text); create table watched(x int);
     insert into secret values ('s'); insert into watched values (1);
     create view secret_view as select x from secret`,
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

async function login(...groups: string[]): Promise<RawClient> {
  return rawLogin(postern, await postern.token({ groups: ["testers", ...groups] }));
}

beforeEach(async () => {
  await cluster.query(dbname, "truncate t; insert into t select g, 'v' || g from generate_series(1, 10) g");
  client = await login("writers");
  return async () => {
    await client.end();
  };
});

async function count(): Promise<number> {
  const [row] = await cluster.query(dbname, "select count(*)::int as n from t");
  return Number(row?.n);
}

const code = (message: { type: string; body: Buffer } | undefined) =>
  JSON.parse(field(message as never, "D") ?? "{}").code as string | undefined;

async function lastOf(type: string): Promise<Leaf> {
  const leaf = (await postern.records()).findLast((one) => one.type === type);
  if (leaf === undefined) throw new Error(`no ${type}`);
  return leaf;
}

/** The session still works, and does not see the refused statement. */
async function works(): Promise<void> {
  client.send(query("select 1"));
  expect(types(await client.ready())).toBe("TDCZ");
}

describe("a denied statement", () => {
  it("alone in a Query: the error says rule, code and next step; the record says denied", async () => {
    client.send(query("delete from t"));
    const messages = await client.ready();
    expect(types(messages)).toBe("EZ");
    expect(field(messages[0], "C")).toBe("42501");
    expect(field(messages[0], "M")).toBe("policy: UPDATE and DELETE need a WHERE clause that names rows.");
    const detail = JSON.parse(field(messages[0], "D") ?? "");
    expect(detail).toMatchObject({ v: 1, decision: "deny", code: "POLICY_DENIED", rule: "never-unbounded" });
    expect(await count()).toBe(10);
    const intent = (await postern.records()).findLast((one) => one.type === "statement.intent");
    expect(intent).toMatchObject({
      request: detail.request_id,
      decision: { verdict: "deny", rule: "never-unbounded", code: "POLICY_DENIED" },
      statement: { effects: ["write"], writes: ["public.t"], kind: "delete" },
    });
    expect(await lastOf("statement.outcome")).toMatchObject({ status: "denied", sqlstate: "42501" });
    await works();
  });

  it("one of several in a Query: none of them runs", async () => {
    client.send(query("insert into t values (99, 'x'); delete from t; select 1"));
    expect(types(await client.ready())).toBe("EZ");
    expect(await count()).toBe(10);
    const outcomes = (await postern.records()).filter((one) => one.type === "statement.outcome").slice(-3);
    expect(outcomes.map((one) => one.status)).toEqual(["denied", "denied", "denied"]);
    await works();
  });

  it("in a transaction block: the block is aborted, as by any error", async () => {
    client.send(query("begin"));
    await client.ready();
    client.send(query("insert into t values (99, 'x')"));
    await client.ready();
    client.send(query("delete from t"));
    const messages = await client.ready();
    expect(messages.at(-1)?.body.toString()).toBe("E");
    client.send(query("commit"));
    expect((await client.ready())[0]?.body.toString("latin1")).toContain("ROLLBACK");
    expect(await count()).toBe(10);
    await works();
  });

  it("in a pipeline: what stood before it is undone, what stands behind it is skipped", async () => {
    client.send(
      parse("", "insert into t values (50, 'p')"),
      bind("", ""),
      execute(""),
      parse("", "delete from t"),
      bind("", ""),
      execute(""),
      parse("", "insert into t values (51, 'q')"),
      bind("", ""),
      execute(""),
      sync,
    );
    const messages = await client.ready();
    expect(types(messages)).toBe("12CEZ");
    expect(await count()).toBe(10);
    await works();
  });

  it("with Flush in place of Sync", async () => {
    client.send(parse("d", "delete from t"), flush);
    const [error] = await client.until((m) => m.type === "E");
    expect(field(error, "C")).toBe("42501");
    client.send(bind("", "d"), execute(""), sync);
    expect(types(await client.ready())).toBe("Z");
    expect(await count()).toBe(10);
    await works();
  });

  it("by what it reads, through a view and a prepared name", async () => {
    for (const text of [
      "select * from secret",
      "select * from secret_view",
      "select (select x from secret)",
    ]) {
      client.send(query(text));
      const messages = await client.ready();
      expect(field(messages[0], "M"), text).toBe("policy: Nobody reads this table here.");
    }
    client.send(query("prepare p as select * from secret_view"));
    expect(types(await client.ready())).toBe("EZ");
    client.send(query("execute p"));
    expect(types(await client.ready())).toBe("EZ");
    await works();
  });

  it("COPY: neither direction begins", async () => {
    client.send(query("copy secret to stdout"));
    expect(types(await client.ready())).toBe("EZ");
    client.send(query("copy t from stdin"));
    const messages = await client.ready();
    // Rows of a copy cannot be counted before they are there.
    expect(types(messages)).toBe("EZ");
    expect(code(messages[0])).toBe("NOT_COUNTABLE");
    client.send(copyData("77\tx\n"), copyDone);
    await works();
    expect(await count()).toBe(10);
  });

  it("in a transaction that has failed: what PostgreSQL says there of everything it can read", async () => {
    client.send(query("begin"), query("select 1/0"));
    await client.ready();
    await client.ready();
    for (const text of [
      "select 1",
      "select nothing_like_that from t",
      "insert into t values (1, 2, 3, 4)",
      "execute nobody",
      "fetch nobody",
    ])
      for (const messages of [[query(text)], [parse("", text), bind("", ""), execute(""), sync]]) {
        client.send(...messages);
        const answer = await client.ready();
        expect(types(answer)).toBe("EZ");
        expect([text, field(answer[0], "C")]).toEqual([text, "25P02"]);
      }
    client.send(query("selec 1"));
    expect(field((await client.ready())[0], "C")).toBe("42601");
    // In one flight: by the time of the SELECT the transaction is over.
    client.send(query("rollback"), query("select nothing_of_this from t"));
    expect(types(await client.ready())).toBe("CZ");
    expect(field((await client.ready())[0], "C")).toBe("42703");
    await works();
  });

  it("that PostgreSQL itself refuses: its own error, with its place", async () => {
    client.send(query("select nothing_like_that from t"));
    const messages = await client.ready();
    expect(types(messages)).toBe("EZ");
    expect(field(messages[0], "C")).toBe("42703");
    expect(field(messages[0], "P")).toBe("8");
    client.send(query("selec 1"));
    expect(field((await client.ready())[0], "C")).toBe("42601");
    client.send(query(String.raw`select E'wrong: \u061'`));
    const unread = await client.ready();
    expect(types(unread)).toBe("EZ");
    expect(field(unread[0], "C")).toBe("22025");
    expect(field(unread[0], "P")).toBe("17");
    client.send(parse("", "select 'ö'; drop table t"), bind("", ""), execute(""), sync);
    const two = await client.ready();
    expect(types(two)).toBe("EZ");
    expect(field(two[0], "C")).toBe("42501");
    expect(field(two[0], "D")).toContain('"rule"');
    await works();
    expect(await count()).toBe(10);
  });
});

describe("a portal that is not there", () => {
  it("is said to be missing, as PostgreSQL says it: never bound, gone with its transaction, closed", async () => {
    client.send(execute("never"), sync);
    const never = await client.ready();
    expect(types(never)).toBe("EZ");
    expect(field(never[0], "C")).toBe("34000");
    expect(field(never[0], "M")).toBe('portal "never" does not exist');
    expect(code(never[0])).toBe("UNKNOWN_CURSOR");
    expect(await lastOf("statement.intent")).toMatchObject({
      decision: { verdict: "deny", code: "UNKNOWN_CURSOR" },
    });
    client.send(parse("s", "select a from t order by a"), bind("p", "s"), execute("p", 2), sync);
    expect(types(await client.ready())).toBe("12DDsZ");
    client.send(execute("p", 2), sync);
    const gone = await client.ready();
    expect(types(gone)).toBe("EZ");
    expect(field(gone[0], "C")).toBe("34000");
    client.send(query("begin"), bind("q", "s"), execute("q", 2), close("portal", "q"), execute("q", 2), sync);
    await client.ready();
    const closed = await client.ready();
    expect(types(closed)).toBe("2DDs3EZ");
    expect(field(closed.at(-2), "C")).toBe("34000");
    client.send(query("rollback"));
    await client.ready();
    await works();
  });
});

describe("the server's own error", () => {
  it("names the place in the message as it was sent, also behind other statements", async () => {
    for (const text of [
      "  select missing from t",
      "select 1; select missing from t",
      "select 'ä😀' as \"é\";; -- missing\n /* missing */ select a,\n missing from t; select 2",
    ]) {
      client.send(query(text));
      const messages = await client.ready();
      expect(types(messages), text).toBe("EZ");
      expect(field(messages[0], "C")).toBe("42703");
      expect(Number(field(messages[0], "P")), text).toBe(
        [...text.slice(0, text.lastIndexOf("missing"))].length + 1,
      );
    }
  });
});

describe("prepared statements", () => {
  it("are decided again when what they name has changed", async () => {
    const owner = await login("owners");
    await cluster.query(dbname, "create or replace view shifting as select a::text as x from t");
    client.send(parse("s", "select * from shifting where x = '1'"), bind("", "s"), execute(""), sync);
    expect(types(await client.ready())).toBe("12DCZ");
    owner.send(query("create or replace view shifting as select x from secret"));
    expect(types(await owner.ready())).toBe("CZ");
    client.send(bind("", "s"), execute(""), sync);
    const messages = await client.ready();
    expect(types(messages)).toBe("EZ");
    expect(field(messages[0], "M")).toBe("policy: Nobody reads this table here.");
    await owner.end();
    await works();
  });

  it("under another search_path mean other tables", async () => {
    await cluster.query(
      dbname,
      "create schema if not exists other; create table if not exists other.t(a int, b text); ",
    );
    await cluster.query(dbname, "create or replace view other.secret as select 'harmless'::text as x");
    client.send(query("set search_path = other, public"));
    expect(types(await client.ready())).toMatch(/^C?S?CZ$|^CS?Z$|^SCZ$/);
    client.send(query("select * from secret"));
    expect(types(await client.ready())).toBe("TDCZ");
    client.send(query("set search_path = public"));
    await client.ready();
    client.send(query("select * from secret"));
    expect(types(await client.ready())).toBe("EZ");
    await works();
  });
});

describe("limits", () => {
  it("rows: at the limit all of them, above it an error and never a result that looks whole", async () => {
    client.send(query("select a from t where a <= 5"));
    expect(types(await client.ready())).toBe("TDDDDDCZ");
    client.send(query("select a from t"));
    const messages = await client.ready();
    expect(types(messages)).toBe("TDDDDDEZ");
    expect(field(messages.at(-2), "C")).toBe("57014");
    expect(code(messages.at(-2))).toBe("ROW_LIMIT");
    expect(await lastOf("statement.outcome")).toMatchObject({
      status: "cut",
      result: { rows: 5, complete: false },
    });
    await works();
  });

  it("rows: by the extended protocol, also when the portal is read in pieces", async () => {
    client.send(parse("", "select a from t"), bind("", ""), describe_("portal", ""), execute(""), sync);
    const messages = await client.ready();
    expect(types(messages)).toBe("12TDDDDDEZ");
    expect(messages.at(-1)?.body.toString()).toBe("I");
    client.send(query("begin"));
    await client.ready();
    client.send(parse("", "select a from t"), bind("p", ""), execute("p", 3), sync);
    expect(types(await client.ready())).toBe("12DDDsZ");
    client.send(execute("p", 3), sync);
    const rest = await client.ready();
    expect(types(rest)).toBe("DDEZ");
    expect(rest.at(-1)?.body.toString()).toBe("E");
    client.send(query("rollback"));
    await client.ready();
    await works();
  });

  it("rows: in a transaction block the block is aborted", async () => {
    client.send(query("begin"));
    await client.ready();
    client.send(query("select a from t"));
    const messages = await client.ready();
    expect(types(messages)).toBe("TDDDDDEZ");
    expect(messages.at(-1)?.body.toString()).toBe("E");
    client.send(query("rollback"));
    await client.ready();
    await works();
  });

  it("bytes: a result of few large rows is cut off, and memory is not filled", async () => {
    client.send(query("select repeat('x', 300000) from generate_series(1, 5)"));
    const messages = await client.ready();
    expect(types(messages)).toBe("TDDDEZ");
    expect(code(messages.at(-2))).toBe("BYTE_LIMIT");
    await works();
  });

  it("time: by the gateway's clock", async () => {
    const slow = await login("slow");
    slow.send(query("select count(*) from generate_series(1, 100000000) a, generate_series(1, 1000) b"));
    const messages = await slow.ready();
    expect(types(messages)).toMatch(/^T?EZ$/);
    expect(code(messages.at(-2))).toBe("TIME_LIMIT");
    expect(await lastOf("statement.outcome")).toMatchObject({ status: "cut", sqlstate: "57014" });
    slow.send(query("select 1"));
    expect(types(await slow.ready())).toBe("TDCZ");
    await slow.end();
  });

  it("affected rows: within the limit they are written, above it nothing is", async () => {
    client.send(query("update t set b = 'new' where a <= 2"));
    expect(types(await client.ready())).toBe("CZ");
    client.send(query("update t set b = 'newer' where a <= 3 returning a"));
    const messages = await client.ready();
    expect(messages.at(-2)?.type).toBe("E");
    expect(code(messages.at(-2))).toBe("AFFECTED_ROWS_LIMIT");
    const [row] = await cluster.query(dbname, "select count(*)::int as n from t where b = 'newer'");
    expect(row?.n).toBe(0);
    client.send(parse("", "delete from t where a > $1", [23]), bind("", "", ["7"]), execute(""), sync);
    const extended = await client.ready();
    expect(types(extended)).toBe("12EZ");
    expect(await count()).toBe(10);
    client.send(parse("", "delete from t where a > $1", [23]), bind("", "", ["8"]), execute(""), sync);
    expect(types(await client.ready())).toBe("12CZ");
    expect(await count()).toBe(8);
    client.send(query("with d as (delete from t where a = 1 returning a) delete from t where a = 2"));
    expect(code((await client.ready())[0])).toBe("NOT_COUNTABLE");
    await works();
  });

  it("affected rows: inside a block and behind others of the same batch", async () => {
    client.send(query("begin"));
    await client.ready();
    client.send(query("delete from t where a > 5"));
    const messages = await client.ready();
    expect(types(messages)).toBe("EZ");
    expect(messages.at(-1)?.body.toString()).toBe("E");
    client.send(query("rollback"));
    await client.ready();
    client.send(
      parse("", "delete from t where a = 1"),
      bind("", ""),
      execute(""),
      parse("", "delete from t where a > 5"),
      bind("", ""),
      execute(""),
      parse("", "delete from t where a = 2"),
      bind("", ""),
      execute(""),
      sync,
    );
    expect(types(await client.ready())).toBe("12C12EZ");
    expect(await count()).toBe(10);
    await works();
  });
});

it("several statements in one Parse are refused as the server does it, and none runs", async () => {
  client.send(parse("", "insert into t values (71, 'a'); select a from t"), bind("", ""), execute(""), sync);
  const messages = await client.ready();
  expect(types(messages)).toBe("EZ");
  expect(field(messages[0], "C")).toBe("42601");
  expect(field(messages[0], "M")).toBe("cannot insert multiple commands into a prepared statement");
  expect(await count()).toBe(10);
  await works();
});

describe("what only the session sees", () => {
  it("temporary tables and uncommitted DDL are understood", async () => {
    const owner = await login("owners");
    owner.send(query("create temp table mine as select a from t"));
    expect(types(await owner.ready())).toBe("CZ");
    owner.send(query("select count(*) from mine"));
    expect(types(await owner.ready())).toBe("TDCZ");
    owner.send(query("begin"));
    await owner.ready();
    owner.send(query("create table fresh(x int)"));
    expect(types(await owner.ready())).toBe("CZ");
    owner.send(parse("", "insert into fresh values (1)"), bind("", ""), execute(""), sync);
    const messages = await owner.ready();
    expect(types(messages), messages[0]?.body.toString()).toBe("12CZ");
    expect(messages.at(-1)?.body.toString()).toBe("T");
    owner.send(query("select * from fresh"));
    expect(types(await owner.ready())).toBe("TDCZ");
    owner.send(query("rollback"));
    await owner.ready();
    owner.send(query("select * from fresh"));
    expect(field((await owner.ready())[0], "C")).toBe("42P01");
    await owner.end();
  });

  it("texts so large that they are read aside are understood, the first of a batch or not", async () => {
    const owner = await login("owners");
    owner.send(query("create temp table pile(x text)"));
    expect(types(await owner.ready())).toBe("CZ");
    const large = (values: number) =>
      `insert into pile values ${Array.from({ length: values }, (_, i) => `($${i + 1}::text)`).join()}`;
    expect(large(9_000).length).toBeGreaterThan(100_000);
    owner.send(
      parse("", large(9_000)),
      bind(
        "",
        "",
        Array.from({ length: 9_000 }, (_, i) => String(i)),
      ),
      execute(""),
      sync,
    );
    const messages = await owner.ready();
    expect(types(messages), field(messages[0], "M")).toBe("12CZ");
    owner.send(query("select count(*) from pile"));
    expect((await owner.ready())[1]?.body.toString()).toContain("9000");
    // Behind something that has run in the same batch the session cannot be asked.
    owner.send(
      parse("", "create temp table more(x text)"),
      bind("", ""),
      execute(""),
      parse("", large(9_001)),
      sync,
    );
    const refused = await owner.ready();
    expect(types(refused)).toBe("12CEZ");
    expect(code(refused[3])).toBe("SEND_ALONE");
    await owner.end();
  });

  it("a statement may be prepared with more parameters than can be bound", async () => {
    const owner = await login("owners");
    const count = 65_537;
    const many = `select array[${Array.from({ length: count }, (_, i) => `$${i + 1}::int`).join()}]`;
    owner.send(parse("many", many), describe_("statement", "many"), sync);
    const messages = await owner.ready();
    expect(types(messages), field(messages[0], "M")).toBe("1tTZ");
    expect(messages[1]?.body.length).toBe(2 + 4 * count);
    owner.send(query("select 1"));
    expect(types(await owner.ready())).toBe("TDCZ");
    await owner.end();
  });

  it("statements prepared one behind the other, without a Sync, as asyncpg does to learn of types", async () => {
    const owner = await login("owners");
    owner.send(query("create temp table typed as select 1 as a"));
    await owner.ready();
    const prepared = [
      "select a as one from typed",
      "select a as two from typed",
      "select a as three from typed",
    ];
    for (const [index, text] of prepared.entries()) {
      owner.send(parse(`s${index}`, text), describe_("statement", `s${index}`), flush);
      expect(types(await owner.until(({ type }) => type === "T" || type === "E"))).toBe("1tT");
    }
    for (const index of prepared.keys()) owner.send(bind("", `s${index}`), execute(""));
    owner.send(sync);
    expect(types(await owner.ready())).toBe("2DC2DC2DCZ");
    // A portal that waits for its Execute would be lost: there the batch is left as it is.
    owner.send(parse("", "select 1"), bind("open", ""), parse("", "select a as four from typed"), sync);
    const refused = await owner.ready();
    expect(types(refused)).toBe("12EZ");
    expect(field(refused.at(-2), "D")).toContain("SEND_ALONE");
    await owner.end();
  });

  it("a transaction block whose BEGIN came in the same batch", async () => {
    const owner = await login("owners");
    owner.send(query("create temp table piped(x int)"));
    await owner.ready();
    const run = (text: string) => [parse("", text), bind("", ""), execute("")];
    owner.send(
      ...run("begin"),
      ...run("insert into piped values (1), (2), (3)"),
      parse("", "select x from piped order by x"),
      bind("rows", ""),
      execute("rows", 1),
      ...run("create table made_here(y int)"),
      ...run("insert into made_here select x from piped where x > 1"),
      execute("rows", 2),
      ...run("select sum(y) from made_here"),
      sync,
    );
    const done = await owner.ready();
    expect(types(done), done.find(({ type }) => type === "E")?.body.toString()).toBe(
      "12C12C12Ds12C12CDDs12DCZ",
    );
    expect(done.at(-1)?.body.toString()).toBe("T");
    // An error takes all of it back, what came before the gateway's questions as well.
    owner.send(...run("insert into made_here select count(*) from piped"), ...run("select 1 / 0 from piped"));
    owner.send(...run("commit"), sync);
    const failed = await owner.ready();
    expect(types(failed)).toBe("12C1EZ");
    expect(failed.at(-1)?.body.toString()).toBe("E");
    owner.send(query("rollback"));
    await owner.ready();
    owner.send(query("select count(*) from piped"));
    expect((await owner.ready()).find(({ type }) => type === "D")?.body.toString()).toMatch(/0$/);
    owner.send(query("select * from made_here"));
    expect(field((await owner.ready())[0], "C")).toBe("42P01");
    await owner.end();
  });

  it("without a block nothing is committed early for a question's sake", async () => {
    const owner = await login("owners");
    owner.send(query("create temp table batched(x int)"));
    await owner.ready();
    owner.send(parse("", "insert into batched values (1)"), bind("", ""), execute(""));
    owner.send(parse("", "select x from batched"), sync);
    const messages = await owner.ready();
    expect(types(messages)).toBe("12CEZ");
    expect(field(messages.at(-2), "D")).toContain("SEND_ALONE");
    owner.send(query("select count(*) from batched"));
    expect((await owner.ready()).find(({ type }) => type === "D")?.body.toString()).toMatch(/0$/);
    // After COMMIT in the same batch no block is open any more.
    owner.send(parse("", "begin"), bind("", ""), execute(""), parse("", "commit"), bind("", ""), execute(""));
    owner.send(parse("", "insert into batched select 2"), bind("", ""), execute(""), sync);
    expect(types(await owner.ready())).toBe("12C12CEZ");
    owner.send(query("select count(*) from batched"));
    expect((await owner.ready()).find(({ type }) => type === "D")?.body.toString()).toMatch(/0$/);
    await owner.end();
  });

  it("cursors whose parameters have types, as psycopg 3 declares them", async () => {
    const owner = await login("owners");
    owner.send(query("begin"));
    await owner.ready();
    const float8 = 701;
    const declare = "declare c cursor for select a from t where a > $1 order by a";
    owner.send(parse("", declare, [float8]), bind("", "", ["1.5"]), execute(""), sync);
    expect(types(await owner.ready())).toBe("12CZ");
    owner.send(query("fetch 1 from c"));
    const fetched = await owner.ready();
    expect(types(fetched), fetched[0]?.body.toString()).toBe("TDCZ");
    expect(fetched[1]?.body.toString()).toMatch(/2$/);
    owner.send(query("rollback"));
    await owner.ready();
    await owner.end();
  });

  it("a temporary table does not hide what a name means", async () => {
    const owner = await login("owners");
    owner.send(query("create temp table watched(x int)"));
    await owner.ready();
    owner.send(query("select * from secret"));
    expect(types(await owner.ready())).toBe("TDCZ");
    await owner.end();
    client.send(query("select * from secret"));
    expect(types(await client.ready())).toBe("EZ");
  });
});

describe("settings", () => {
  it("that Postern relies on are refused however they are spelled", async () => {
    for (const text of [
      "set standard_conforming_strings = off",
      "set session authorization postgres",
      "set postern.subject = 'x'",
      "select set_config('postern.subject', 'x', false)",
      "set debug_print_rewritten = on",
      "set client_min_messages = debug5",
    ]) {
      client.send(query(text));
      const messages = await client.ready();
      expect(types(messages), text).toBe("EZ");
      expect(field(messages[0], "C"), text).toBe("42501");
    }
    client.send(query("set datestyle = 'ISO, DMY'"));
    expect(types(await client.ready())).toMatch(/^S?CS?Z$/);
    await works();
  });
});

describe("FunctionCall", () => {
  it("is decided like the function it calls", async () => {
    const [oids] = await cluster.query(
      dbname,
      "select 'reverse(text)'::regprocedure::oid::int as reverse, 'pg_sleep(float8)'::regprocedure::oid::int as sleep",
    );
    client.send(functionCall(Number(oids?.reverse), ["abc"]));
    const messages = await client.ready();
    expect(types(messages), messages[0]?.body.toString()).toBe("VZ");
    expect(messages[0]?.body.toString("latin1")).toContain("cba");
    expect(await lastOf("statement.intent")).toMatchObject({
      statement: { functions: ["pg_catalog.reverse"], effects: ["read"] },
      decision: { verdict: "allow", rule: "reads" },
    });
    client.send(functionCall(Number(oids?.sleep), ["5"]));
    const denied = await client.ready();
    expect(types(denied)).toBe("EZ");
    expect(code(denied[0])).toBe("NO_RULE");
    client.send(functionCall(999_999, []));
    expect(types(await client.ready())).toBe("EZ");
    await works();
  });
});

describe("read-only sessions", () => {
  it("whom no rule lets write, reads in READ ONLY transactions, and stays there", async () => {
    const reader = await login();
    reader.send(query("show transaction_read_only"));
    expect((await reader.ready())[1]?.body.toString("latin1")).toContain("on");
    reader.send(query("begin read write"));
    const messages = await reader.ready();
    expect(types(messages)).toBe("EZ");
    expect(field(messages[0], "C")).toBe("25006");
    reader.send(query("begin"));
    expect(types(await reader.ready())).toBe("CZ");
    await reader.end();
    client.send(query("show transaction_read_only"));
    expect((await client.ready())[1]?.body.toString("latin1")).toContain("off");
  });
});

describe("what others change", () => {
  it("is known at once where an event trigger tells", async () => {
    await cluster.query(
      dbname,
      `create function tell() returns event_trigger language plpgsql as $$ begin notify postern_ddl; end $$;
       create event trigger tell on ddl_command_end execute function tell();
       create view told as select a from t`,
    );
    client.send(query("select * from told where a = 1"));
    expect(types(await client.ready())).toBe("TDCZ");
    await cluster.query(dbname, "drop view told; create view told as select x from secret");
    // The notification is on its way; nothing else would make the gateway look within this time.
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.send(query("select * from told where x = '1'"));
    expect(types(await client.ready())).toBe("EZ");
    await cluster.query(dbname, "drop event trigger tell");
  });
});

describe("observe", () => {
  it("what a rule would have denied runs, and the record says so", async () => {
    client.send(query("select * from watched"));
    expect(types(await client.ready())).toBe("TDCZ");
    expect(await lastOf("statement.intent")).toMatchObject({
      decision: { verdict: "allow", would: { verdict: "deny", rule: "only-watched" } },
    });
  });
});
