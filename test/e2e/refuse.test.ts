/**
 * A message that the gateway refuses leaves client and server in step, whatever surrounds it, and nothing of it happens.
 * FunctionCall is what is refused today; the way is the same for every refusal (PROTOCOL.md I1).
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import {
  bind,
  copyData,
  copyDone,
  execute,
  field,
  flush,
  functionCall,
  parse,
  query,
  sync,
  types,
} from "./messages.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;
/** A function with an effect that would be seen. */
let effect: number;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    "create table t(a int); create function effect() returns int language sql as 'insert into t values (666) returning a'",
  );
  const [row] = await cluster.query(dbname, "select 'effect()'::regprocedure::oid::int as oid");
  effect = Number(row?.oid);
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
  await cluster.query(dbname, "truncate t");
  client = await rawLogin(postern, await postern.token());
  return async () => {
    await client.end();
  };
});

async function rows(): Promise<number[]> {
  return (await cluster.query(dbname, "select a from t order by a")).map((r) => Number(r.a));
}

async function expectDenied(count = 1): Promise<void> {
  const records = await postern.records();
  const session = records.filter((r) => r.type === "session.start").at(-1)?.session;
  const intents = records.filter((r) => r.type === "statement.intent" && r.session === session);
  const denied = intents.filter((r) => (r.decision as { verdict: string }).verdict === "deny");
  expect(denied.length).toBe(count);
  expect(denied[0]?.decision).toMatchObject({ code: "FUNCTION_CALL" });
  const outcomes = records.filter(
    (r) => r.type === "statement.outcome" && r.session === session && r.status === "denied",
  );
  expect(outcomes.length).toBe(count);
}

/** The session answers as if nothing had happened. */
async function expectUsable(): Promise<void> {
  client.send(query("select 'usable' as u"));
  const got = await client.ready();
  expect(types(got)).toBe("TDCZ");
}

describe("a refused FunctionCall", () => {
  it("alone: one error with the refusal's object, then ready", async () => {
    client.send(functionCall(effect));
    const got = await client.ready();
    expect(types(got)).toBe("EZ");
    expect(got[1]?.body.toString()).toBe("I");
    expect(field(got[0], "S")).toBe("ERROR");
    expect(field(got[0], "C")).toBe("0A000");
    expect(field(got[0], "H")).toContain("SELECT");
    const detail = JSON.parse(field(got[0], "D") ?? "");
    expect(detail).toMatchObject({
      v: 1,
      decision: "deny",
      code: "FUNCTION_CALL",
      retryable: false,
      approval: null,
    });
    const shown = (await postern.records()).find((r) => r.request === detail.request_id);
    expect(shown?.type).toBe("statement.intent");
    await expectUsable();
    expect(await rows()).toEqual([]);
    await expectDenied();
  });

  it("in a transaction block: the block is aborted, as by any error", async () => {
    client.send(query("begin; insert into t values (1)"));
    await client.ready();
    client.send(functionCall(effect));
    const got = await client.ready();
    expect(types(got)).toBe("EZ");
    expect(got[1]?.body.toString()).toBe("E");
    client.send(query("select 1"));
    expect(field((await client.ready())[0], "C")).toBe("25P02");
    client.send(functionCall(effect));
    expect(types(await client.ready())).toBe("EZ");
    client.send(query("rollback"));
    await client.ready();
    expect(await rows()).toEqual([]);
    await expectUsable();
    await expectDenied(2);
  });

  it("in the middle of a pipeline: what stood before it in the implicit transaction is undone, as by any failing Query there", async () => {
    client.send(
      parse("", "insert into t values (1)"),
      bind("", ""),
      execute(""),
      functionCall(effect),
      parse("", "insert into t values (2)"),
      bind("", ""),
      execute(""),
      sync,
    );
    // As PostgreSQL answers a failing Query there: the error ends the batch with a ReadyForQuery of its own.
    const first = await client.ready();
    expect(types(first)).toBe("12CEZ");
    const second = await client.ready();
    expect(types(second)).toBe("12CZ");
    expect(await rows()).toEqual([2]);
    await expectUsable();
    await expectDenied();
  });

  it("behind an error of the same batch: skipped with it, and the client gets the error that came first", async () => {
    client.send(parse("", "select 1/0"), bind("", ""), execute(""), functionCall(effect), sync);
    const got = await client.ready();
    // PostgreSQL folds the constant when it plans, at Bind.
    expect(types(got)).toBe("1EZ");
    expect(
      field(
        got.find((m) => m.type === "E"),
        "C",
      ),
    ).toBe("22012");
    await expectUsable();
    expect(await rows()).toEqual([]);
  });

  it("Flush-driven: the refusal comes without a Sync", async () => {
    client.send(parse("s", "select 1"), flush);
    await client.until((m) => m.type === "1");
    client.send(functionCall(effect));
    expect(types(await client.ready())).toBe("EZ");
    client.send(bind("", "s"), execute(""), flush);
    expect(types(await client.until((m) => m.type === "C"))).toBe("2DC");
    client.send(sync);
    await client.ready();
    await expectUsable();
  });

  it("during COPY FROM STDIN: the copy is ended, its rows are not there", async () => {
    client.send(query("copy t from stdin"));
    await client.until((m) => m.type === "G");
    client.send(copyData("1\n"), functionCall(effect), copyData("2\n"), copyDone);
    const got = await client.ready();
    expect(types(got)).toBe("EZ");
    expect(field(got[0], "C")).toBe("0A000");
    expect(await rows()).toEqual([]);
    await expectUsable();
    await expectDenied();
  });

  it("pipelined behind a COPY FROM STDIN that has not begun: still no loss of step", async () => {
    client.send(
      parse("", "copy t from stdin"),
      bind("", ""),
      execute(""),
      functionCall(effect),
      copyData("1\n"),
      copyDone,
      sync,
    );
    const got = await client.ready();
    expect(types(got)).toBe("12GEZ");
    expect(
      field(
        got.find((m) => m.type === "E"),
        "C",
      ),
    ).toBe("0A000");
    expect(await rows()).toEqual([]);
    await expectUsable();
    await expectDenied();
  });

  it("many at once, between statements that run", async () => {
    const messages: Buffer[] = [];
    for (let i = 0; i < 50; i++) messages.push(query(`insert into t values (${i})`), functionCall(effect));
    client.send(...messages);
    const seen: string[] = [];
    for (let i = 0; i < 100; i++) seen.push(types(await client.ready()));
    expect(seen.join(" ")).toBe(Array.from({ length: 50 }, () => "CZ EZ").join(" "));
    expect((await rows()).length).toBe(50);
    await expectDenied(50);
  });
});

describe("texts over the limit", () => {
  it("are refused without being held in memory, alone and in a batch", async () => {
    const small = await startTestPostern({
      server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
      dbname,
      limits: { statementBytes: 1000 },
    });
    try {
      const c = await rawLogin(small, await small.token());
      c.send(query(`insert into t values (1) -- ${"x".repeat(5_000_000)}`));
      const got = await c.ready();
      expect(types(got)).toBe("EZ");
      expect(field(got[0], "C")).toBe("54000");
      c.send(
        parse("", "insert into t values (2)"),
        bind("", ""),
        execute(""),
        parse("", `select '${"x".repeat(100_000)}'`),
        bind("", ""),
        execute(""),
        sync,
      );
      expect(types(await c.ready())).toBe("12CEZ");
      c.send(query("select 1"));
      expect(types(await c.ready())).toBe("TDCZ");
      expect(await rows()).toEqual([]);
      const denied = (await small.records()).filter(
        (r) => r.type === "statement.outcome" && r.status === "denied",
      );
      expect(denied.length).toBe(2);
      // Exactly at the limit, whatever else the message holds.
      const code = (ms: RawMessage[]) =>
        field(
          ms.find(({ type }) => type === "E"),
          "C",
        ) ?? "ok";
      for (const [bytes, expected] of [
        [999, "ok"],
        [1000, "ok"],
        [1001, "54000"],
        [1004, "54000"],
      ] as const) {
        const sql = `select $1::text || '${"x".repeat(bytes - 21)}'`;
        expect(sql.length).toBe(bytes);
        c.send(query(sql.replace("$1", "''")));
        expect(code(await c.ready())).toBe(expected);
        const named = `a_statement_with_a_name_of_some_length_${bytes}`;
        c.send(parse(named, sql, [25]), bind("", named, ["y"]), execute(""), sync);
        expect(code(await c.ready())).toBe(expected);
      }
      await c.end();
    } finally {
      await small.stop();
    }
  });
});
