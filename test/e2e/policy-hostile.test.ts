/**
 * Attacks on the place where a policy is enforced: statements that try to run without a judgement of their own, rows that try
 * to pass their mask, limits that are walked around, errors that tell what is protected.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { bind, close, describe_, execute, field, parse, query, sync, types } from "./messages.ts";

const policy = `
version: 1
labels:
  - label: pii
    columns: ["*.public.people.email"]
    mask: redact
default: deny
rules:
  - name: reads
    when: '!principal.groups.exists(g, g in ["few", "slow"]) && statement.effects.all(e, e == "read")'
    then: allow
  - name: few-rows
    when: '"few" in principal.groups && statement.effects.all(e, e in ["read", "write"])'
    then: allow
    limits: { rows: 3 }
  - name: slow
    when: '"slow" in principal.groups && statement.effects == ["read"]'
    then: allow
    limits: { timeout: 700ms }
  - name: writers
    when: '"writers" in principal.groups && "write" in statement.effects && statement.effects.all(e, e in ["read", "write"])'
    then: allow
    limits: { affected_rows: 2 }
  - name: makers
    when: '"makers" in principal.groups'
    then: allow
  - name: no-secrets
    when: '"public.secret" in statement.reads'
    then: deny
  - name: frozen
    when: '"public.frozen" in statement.writes'
    then: deny
  - name: only-in-blocks
    when: '"public.blocks" in statement.reads && !statement.in_transaction'
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
    `create table t(a int primary key, b text);
     create table secret(x text); insert into secret values ('s3cret');
     create table frozen(x int, y int generated always as identity); insert into frozen values (1);
     create table blocks(x int); insert into blocks values (1);
     create table people(id int primary key, name text, email text, age int check (age >= 0));
     insert into people values (1, 'ann', 'canary@example.com', 30), (2, 'bob', 'canary2@example.com', 40);
     create schema other;
     create table other.secret(x text); insert into other.secret values ('harmless');
     create table other.people(id int primary key, name text, email text, age int);
     insert into other.people values (1, 'zed', 'nobody', 1)`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

const login = async (...groups: string[]): Promise<RawClient> =>
  rawLogin(postern, await postern.token({ groups: ["testers", ...groups] }));

beforeEach(async () => {
  await cluster.query(dbname, "truncate t; insert into t select g, 'v' || g from generate_series(1, 10) g");
  client = await login();
  return async () => {
    await client.end();
  };
});

const all = (messages: readonly RawMessage[]) => messages.map((m) => m.body.toString("latin1")).join("\n");
const code = (messages: readonly RawMessage[]) => {
  const error = messages.find((m) => m.type === "E");
  return JSON.parse(field(error, "D") ?? "{}").code as string | undefined;
};

/** Sends, and waits for one ReadyForQuery. */
async function run(who: RawClient, ...messages: Buffer[]): Promise<RawMessage[]> {
  who.send(...messages);
  return who.ready();
}
const runs = (who: RawClient, ...texts: string[]) =>
  texts.reduce<Promise<RawMessage[]>>(async (before, text) => {
    await before;
    return run(who, query(text));
  }, Promise.resolve([]));

async function hidesSecret(who: RawClient, messages: readonly RawMessage[]): Promise<void> {
  expect(all(messages)).not.toContain("s3cret");
  expect(types(messages)).not.toContain("D");
  expect(types(await runs(who, "rollback", "set search_path = public", "select 1"))).toBe("TDCZ");
}

describe("names that mean something else when they are used", () => {
  it("a portal was bound under another search_path than it is executed under", async () => {
    await runs(client, "set search_path = other", "begin");
    await run(client, parse("s", "select x from secret"), sync);
    await runs(client, "set search_path = public");
    client.send(bind("p", "s"), sync);
    const bound = await client.ready();
    if (types(bound) === "2Z") await runs(client, "set search_path = other");
    const messages = types(bound) === "2Z" ? await run(client, execute("p"), sync) : bound;
    await hidesSecret(client, messages);
  });

  it("a portal outlives what it was bound under where nothing it means has changed", async () => {
    await runs(client, "begin");
    expect(
      types(await run(client, parse("", "select a from public.t"), bind("p", ""), execute("p", 2), sync)),
    ).toBe("12DDsZ");
    await runs(client, "set search_path = other");
    expect(types(await run(client, execute("p", 2), sync))).toBe("DDsZ");
    await runs(client, "set search_path = public");
    expect(types(await run(client, execute("p", 2), sync))).toBe("DDsZ");
    await runs(client, "rollback");
  });

  it("a cursor was declared under another search_path than it is fetched under", async () => {
    await runs(client, "begin", "declare c cursor for select email from people", "set search_path = other");
    const messages = await run(client, parse("", "fetch 1 from c"), bind("", ""), execute(""), sync);
    expect(all(messages)).not.toContain("canary");
    await client.end();
    client = await login();
  });

  it("EXECUTE behind SET in one message", async () => {
    await runs(client, "set search_path = other", "prepare s as select x from secret");
    await hidesSecret(client, await run(client, query("set search_path = public; execute s")));
  });

  it("a name that the same message gives to another statement", async () => {
    await runs(
      client,
      "prepare p as select name from people where false union all select name from people where false",
    );
    const messages = await run(
      client,
      query(
        "deallocate p; prepare p as select email from people union all select email from people; execute p",
      ),
    );
    expect(all(messages)).not.toContain("canary");
  });

  for (const [what, before, back] of [
    [
      "ROLLBACK TO",
      ["begin", "savepoint a", "set search_path = other", "select count(x) from secret"],
      "rollback to a",
    ],
    [
      "ROLLBACK AND CHAIN",
      ["begin", "set search_path = other", "select count(x) from secret"],
      "rollback and chain",
    ],
    [
      "ROLLBACK and BEGIN in one message",
      ["begin", "set search_path = other", "select count(x) from secret"],
      "rollback; begin",
    ],
  ] as const)
    it(`a setting that ${what} brought back`, async () => {
      expect(types(await runs(client, "set search_path = public", ...before))).toBe("TDCZ");
      await runs(client, back);
      const messages = await run(client, query("select count(x), max(x) from secret"));
      await hidesSecret(client, messages);
    });

  it("a setting that a ROLLBACK on its way brings back", async () => {
    await runs(
      client,
      "set search_path = public",
      "begin",
      "set search_path = other",
      "select count(x), max(x) from secret",
    );
    client.send(Buffer.concat([query("rollback"), query("select count(x), max(x) from secret")]));
    await client.ready();
    await hidesSecret(client, await client.ready());
  });

  it("a view that ROLLBACK TO brought back", async () => {
    const maker = await login("makers");
    await cluster.query(dbname, "create or replace view v as select x from secret");
    await runs(maker, "begin", "savepoint a", "create or replace view v as select b as x from t");
    expect(types(await runs(maker, "select count(x), max(x) from v"))).toBe("TDCZ");
    await runs(maker, "rollback to a");
    const messages = await runs(maker, "select count(x), max(x) from v");
    await hidesSecret(maker, messages);
    await maker.end();
  });

  it("DDL that is on its way when an earlier message is answered", async () => {
    const maker = await login("makers");
    await cluster.query(dbname, "create table plain(x text)");
    await runs(maker, "select count(x), max(x) from plain");
    maker.send(
      Buffer.concat([
        query("select count(*) from generate_series(1, 1000000)"),
        query(
          "begin; alter table secret rename to s2; alter table plain rename to s3; alter table s2 rename to plain; commit",
        ),
      ]),
    );
    await maker.ready();
    maker.send(query("select count(x), max(x) from plain"));
    await maker.ready();
    const messages = await maker.ready();
    const [row] = await cluster.query(dbname, "select count(*)::int as n from plain");
    await cluster.query(dbname, "drop table if exists s3; alter table plain rename to secret");
    expect(row?.n).toBe(1);
    // Judged as what it reads now; its name has changed, so the rule on the name says nothing.
    expect((await postern.records()).findLast((one) => one.type === "statement.intent")).toMatchObject({
      statement: { reads: ["public.plain"] },
    });
    expect(types(messages)).toBe("TDCZ");
    await maker.end();
  });

  it("a view that others replaced, in a session with temporary tables", async () => {
    const maker = await login("makers");
    await cluster.query(dbname, "create or replace view w as select b as x from t");
    await runs(maker, "create temp table mine(x int)");
    expect(types(await runs(maker, "select count(x), max(x) from w"))).toBe("TDCZ");
    const second = await login("makers");
    await runs(second, "create or replace view w as select name as x from people");
    await runs(second, "select 1");
    await runs(maker, "select count(x), max(x) from w");
    expect((await postern.records()).findLast((one) => one.type === "statement.intent")).toMatchObject({
      statement: { reads: ["public.people", "public.w"] },
    });
    await second.end();
    await maker.end();
  });

  it("a table made by EXECUTE does not take protected values along", async () => {
    const maker = await login("makers");
    await runs(maker, "prepare p as select email from people");
    const made = await runs(maker, "create temp table copied as execute p");
    expect(types(made)).toBe("EZ");
    expect(all(await runs(maker, "select * from copied"))).not.toContain("canary");
    await maker.end();
  });

  it("whether a transaction is open is not told by what is still on its way", async () => {
    expect(types(await runs(client, "select x from blocks"))).toBe("EZ");
    await runs(client, "begin");
    expect(types(await runs(client, "select x from blocks"))).toBe("TDCZ");
    client.send(Buffer.concat([query("commit"), query("select x from blocks")]));
    await client.ready();
    expect(types(await client.ready())).toBe("EZ");
  });
});

describe("records", () => {
  it("each statement of a message that is refused has its own", async () => {
    const messages = await runs(
      client,
      "select a, 7 as fresh from t; select b from t; select x, 8 as fresh from secret",
    );
    expect(types(messages)).toBe("EZ");
    expect(code(messages)).toBe("POLICY_DENIED");
    const intents = (await postern.records())
      .filter((one) => one.type === "statement.intent")
      .slice(-3) as unknown as {
      statement: { sql: string };
      decision: { verdict: string; code: string };
    }[];
    expect(
      intents.map(({ statement, decision }) => [statement.sql, decision.verdict, decision.code]),
    ).toEqual([
      ["select a, ? as fresh from t", "deny", "OTHER_PART_DENIED"],
      ["select b from t", "deny", "OTHER_PART_DENIED"],
      ["select x, ? as fresh from secret", "deny", "POLICY_DENIED"],
    ]);
  });

  it("a statement that could not be understood beside one that is refused", async () => {
    const messages = await runs(client, "select a, 9 as newer from t; set session authorization postgres");
    expect(code(messages)).toBe("SETTING_REFUSED");
    const intents = (await postern.records())
      .filter((one) => one.type === "statement.intent")
      .slice(-2) as unknown as {
      statement: { kind: string };
      decision: { code: string };
    }[];
    expect(intents.map(({ statement, decision }) => [statement.kind, decision.code])).toEqual([
      ["select", "OTHER_PART_DENIED"],
      ["session", "SETTING_REFUSED"],
    ]);
  });
});

describe("a setting that a row of pg_settings names", () => {
  const sets = "select set_config(name, 'off', false) from pg_settings where name = 'jit'";

  it("is set, as pg_dump does it", async () => {
    expect(types(await runs(client, sets))).toBe("TDCZ");
    expect(all(await runs(client, "show jit"))).toContain("off");
  });

  it("is refused where another relation is called so", async () => {
    const maker = await login("makers");
    expect(types(await runs(maker, "create temp table pg_settings as select 'role'::text as name"))).toBe(
      "CZ",
    );
    expect(code(await runs(maker, sets))).toBe("SETTING_REFUSED");
    expect(types(await runs(maker, sets.replace("from ", "from pg_catalog.")))).toBe("TDCZ");
    await maker.end();
  });
});

describe("limits that are walked around", () => {
  it("changed rows: an Execute that gives only some of what it changed", async () => {
    const writer = await login("writers");
    const messages = await run(
      writer,
      parse("", "update t set b = 'over' returning a"),
      bind("", ""),
      execute("", 1),
      sync,
    );
    expect(types(messages)).toMatch(/^12D*EZ$/);
    const [row] = await cluster.query(dbname, "select count(*)::int as n from t where b = 'over'");
    expect(row?.n).toBe(0);
    await writer.end();
  });

  it("changed rows: the unnamed statement behind a Query that was sent on otherwise", async () => {
    const writer = await login("writers");
    await run(writer, parse("", "select 1"), sync);
    expect(types(await runs(writer, "update t set b = 'over' where a > 0"))).toBe("EZ");
    // Still the client's own: PostgreSQL would have forgotten it, which a careful client cannot tell.
    expect(types(await run(writer, bind("", ""), execute(""), sync))).toBe("2DCZ");
    const [row] = await cluster.query(dbname, "select count(*)::int as n from t where b = 'over'");
    expect(row?.n).toBe(0);
    await writer.end();
  });

  it("rows: what was written by a statement that was cut off is not there", async () => {
    const few = await login("few");
    for (const send of [
      [query("insert into t select g, 'new' from generate_series(100, 120) g returning a")],
      [
        parse("", "insert into t select g, 'new' from generate_series(100, 120) g returning a"),
        bind("", ""),
        execute(""),
        sync,
      ],
    ]) {
      const messages = await run(few, ...send);
      expect(types(messages)).toMatch(/EZ$/);
      expect(code(messages)).toBe("ROW_LIMIT");
      const [row] = await cluster.query(dbname, "select count(*)::int as n from t");
      expect(row?.n).toBe(10);
    }
    expect(types(await runs(few, "select 1"))).toBe("TDCZ");
    await few.end();
  });
});

describe("a pipeline whose first statement is cut off", () => {
  it("does nothing of what stands behind, and names what the server names", async () => {
    const few = await login("few");
    await run(few, parse("", "select 'before'"), sync);
    for (const behind of [
      [
        parse("", "select 'behind'"),
        parse("kept", "insert into t values (99, 'x')"),
        bind("", "kept"),
        describe_("portal", ""),
      ],
      [parse("", "select 'behind'"), parse("", "selec"), bind("", "")],
    ]) {
      few.send(
        parse("q", "select a from t"),
        bind("", "q"),
        execute(""),
        ...behind,
        execute(""),
        parse("", "select 'last'"),
        sync,
      );
      const messages = await few.ready();
      expect(types(messages), all(messages)).toBe("12DDDEZ");
      expect(code(messages)).toBe("ROW_LIMIT");
      expect(types(await run(few, close("statement", "q"), close("statement", "kept"), sync))).toBe("33Z");
      const unnamed = await run(few, bind("", ""), execute(""), sync);
      const [row] = await cluster.query(dbname, "select count(*)::int as n from t");
      expect(row?.n).toBe(10);
      // What ran is what the record says.
      const ran = /before|behind|last/.exec(all(unnamed))?.[0];
      const intent = (await postern.records()).findLast(
        (one) => one.type === "statement.intent",
      ) as unknown as {
        seal: unknown;
      };
      // A Parse that fails takes the unnamed statement along, if the server came to it.
      if (ran === undefined && behind.length === 3) expect(all(unnamed)).toContain("C26000");
      else expect(ran).toBe("behind");
      expect(JSON.stringify(intent)).not.toContain("insert");
    }
    await few.end();
  });
});

describe("what utility statements write", () => {
  it("COPY FROM and TRUNCATE are writes of their tables, as the server finds them", async () => {
    const maker = await login("makers");
    for (const text of [
      "copy frozen from stdin",
      "copy frozen(x) from stdin",
      "copy frozen(x, y) from stdin where x > 1",
      "truncate frozen",
      "truncate t, only public.frozen",
    ]) {
      const messages = await runs(maker, text);
      expect(types(messages), text).toBe("EZ");
      expect(code(messages), text).toBe("POLICY_DENIED");
    }
    await runs(maker, "set search_path = other");
    expect(field((await runs(maker, "truncate frozen"))[0], "C")).toBe("42P01");
    await runs(maker, "set search_path = public");
    expect(types(await runs(maker, "truncate t"))).toBe("CZ");
    await maker.end();
  });
});

describe("errors that tell", () => {
  it("the row that a CHECK refused holds a protected column", async () => {
    const writer = await login("writers");
    const messages = await runs(writer, "update people set age = -1 where id = 1");
    expect(types(messages)).toBe("EZ");
    expect(field(messages[0], "C")).toBe("23514");
    expect(all(messages)).not.toContain("canary");
    await writer.end();
  });

  it("also behind the answer to an earlier message", async () => {
    const writer = await login("writers");
    await runs(writer, "select id from people", "select 1");
    writer.send(
      Buffer.concat([
        query("select count(*) from generate_series(1, 1000000)"),
        query("update people set age = -1 where id = 1"),
      ]),
    );
    await writer.ready();
    const messages = await writer.ready();
    expect(field(messages[0], "C")).toBe("23514");
    expect(all(messages)).not.toContain("canary");
    await writer.end();
  });
});

describe("what must still work", () => {
  it("an empty statement in the extended protocol", async () => {
    expect(
      types(await run(client, parse("", ""), bind("", ""), describe_("portal", ""), execute(""), sync)),
    ).toBe("12nIZ");
  });

  it("a transaction that begins in one batch with its first statement, behind SET", async () => {
    await runs(client, "set search_path = public");
    expect(
      types(
        await run(
          client,
          parse("", "begin"),
          bind("", ""),
          execute(""),
          parse("", "select a from t where a = 1"),
          bind("", ""),
          execute(""),
          sync,
        ),
      ),
    ).toBe("12C12DCZ");
    await runs(client, "rollback");
  });

  it("a time limit is each statement's own", async () => {
    const slow = await login("slow");
    const text = "select count(*) from generate_series(1, 300000) a";
    const one = Buffer.concat([parse("", text), bind("", ""), execute(""), sync]);
    slow.send(...Array.from({ length: 10 }, () => one));
    for (let i = 0; i < 10; i++) expect(types(await slow.ready())).toBe("12DCZ");
    await slow.end();
  });

  it("what waits for the gateway while the server reads COPY data", async () => {
    const maker = await login("makers");
    await runs(maker, "set search_path = public");
    maker.send(query("copy t from stdin"), parse("", "select 1"));
    expect(types(await maker.until((m) => m.type === "E"))).toMatch(/^GE$/);
    await maker.end();
  });

  it("many statements of different shapes in one message", async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `select ${"1 + ".repeat(i)} 1`);
    expect(types(await runs(client, texts.join("; ")))).toBe(`${"TDC".repeat(20)}Z`);
  });

  it("statements too large to be read beside other work", async () => {
    const text = `select a, '${"x".repeat(100_000)}' from t where a = 1`;
    expect(types(await runs(client, text))).toBe("TDCZ");
    expect(types(await run(client, parse("", text), bind("", ""), execute(""), sync))).toBe("12DCZ");
  });

  it("the unnamed statement is the client's own, whatever the gateway asked meanwhile", async () => {
    await runs(client, "select 1");
    await run(
      client,
      parse("", "select a from t where a = 1"),
      parse("n", "set search_path = public"),
      bind("x", "n"),
      execute("x"),
      close("portal", "x"),
      sync,
    );
    expect(types(await run(client, bind("", ""), execute(""), sync))).toBe("2DCZ");
  });
});
