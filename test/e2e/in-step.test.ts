/** States between messages: what is left of one must not be taken for the next one's, nor for another policy's, session's or catalog's. */
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { bind, close, execute, field, functionCall, parse, query, sync, types } from "./messages.ts";

const policy = `
version: 1
labels:
  - label: pii
    columns: ["*.public.people.email", "*.*.*.ssn"]
    mask: redact
default: deny
rules:
  - name: few-rows
    when: '"few" in principal.groups && statement.effects == ["read"]'
    then: allow
    limits: { rows: 3 }
  - name: writers
    when: '"writers" in principal.groups && statement.effects.all(e, e in ["read", "write"])'
    then: allow
    limits: { affected_rows: 2 }
  - name: slow
    when: '"slow" in principal.groups'
    then: allow
    limits: { timeout: 300ms }
  - name: makers
    when: '"makers" in principal.groups'
    then: allow
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table parent(id int primary key); insert into parent values (1);
     create table child(id int, p int references parent deferrable initially deferred);
     create table nums(n int); insert into nums select generate_series(1, 50);
     create table people(id int primary key, name text, email text);
     insert into people values (1, 'ann', 'canary@example.com');
     create table plain(id int, note text, code text); insert into plain values (1, 'canary-note', 'canary-code');
     create table apart(id int); create table heir() inherits (apart); insert into heir values (1)`,
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

const login = async (...groups: string[]): Promise<RawClient> =>
  rawLogin(postern, await postern.token({ groups: ["testers", ...groups] }));

async function say(client: RawClient, ...messages: readonly (string | Buffer)[]): Promise<RawMessage[]> {
  client.send(...messages.map((one) => (typeof one === "string" ? query(one) : one)));
  return client.ready();
}

const code = (messages: readonly RawMessage[]): string | undefined =>
  field(
    messages.find(({ type }) => type === "E"),
    "C",
  );

it("a limited write whose commit fails is answered once, as an error, and what is behind it gets its own answers", async () => {
  const client = await login("writers");
  try {
    expect(types(await say(client, "insert into child values (0, 1)"))).toBe("CZ");
    client.send(query("insert into child values (1, 99)"), query("select 41"), query("select 42"));
    const failed = await client.ready();
    expect([types(failed), code(failed)]).toEqual(["EZ", "23503"]);
    for (const value of ["41", "42"]) {
      const answer = await client.ready();
      expect(types(answer)).toBe("TDCZ");
      expect(answer[1]?.body.toString("latin1").endsWith(value)).toBe(true);
    }
    expect(types(await say(client, "select 43"))).toBe("TDCZ");
  } finally {
    await client.end();
  }
  const outcomes = (await postern.records()).filter(({ type }) => type === "statement.outcome");
  expect(outcomes.slice(-5).map(({ status, sqlstate }) => [status, sqlstate])).toEqual([
    ["ok", null],
    ["error", "23503"],
    ["ok", null],
    ["ok", null],
    ["ok", null],
  ]);
});

it("a row limit holds for all that a cursor gives, by whatever EXECUTE it is fetched", async () => {
  const client = await login("few");
  try {
    await say(client, "begin");
    await say(client, "declare c cursor for select n from nums");
    await say(client, parse("f", "fetch 2 from c"), parse("again", "execute f"), sync);
    const forms = ["execute f", [parse("", "execute f"), bind("", ""), execute(""), sync]] as const;
    const given: string[] = [];
    for (const form of forms)
      given.push(types(await say(client, ...(typeof form === "string" ? [form] : form))));
    expect(given).toEqual(["TDDCZ", "12DEZ"]);
    await say(client, "rollback");
    await say(client, "begin");
    await say(client, "declare c cursor for select n from nums");
    expect(types(await say(client, "execute again"))).toBe("TDDCZ");
    expect(types(await say(client, "fetch 2 from c"))).toBe("TDEZ");
  } finally {
    await client.end();
  }
});

it("what touches nothing is decided by the policy in force, though the catalog is being looked at again", async () => {
  const [maker, client] = [await login("makers"), await login("makers")];
  try {
    await say(client, "select id from people");
    await say(maker, "create table later(i int)");
    postern.setPolicy(
      policy.replace(
        "rules:\n",
        `rules:\n  - { name: quiet, when: '"session" in statement.effects', then: deny }\n`,
      ),
    );
    expect(types(await say(client, "notify x"))).toBe("EZ");
    expect(types(await say(client, "begin"))).toBe("CZ");
    expect(types(await say(client, "rollback"))).toBe("CZ");
  } finally {
    postern.setPolicy(policy);
    await Promise.all([maker.end(), client.end()]);
  }
});

it("a statement that waited for a lock is judged by what its owner has left behind", async () => {
  const client = await login("makers");
  const owner = new pg.Client(cluster.url(dbname));
  await owner.connect();
  try {
    await say(client, "select id from plain");
    for (const [text, change] of [
      ["select ssn from plain", "rename column note to ssn"],
      [
        "select * from plain",
        "add column ssn_old text, drop column ssn; alter table plain rename column code to ssn",
      ],
    ] as const) {
      await owner.query("begin; lock table plain");
      client.send(query(text));
      const answer = client.ready();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await owner.query(`alter table plain ${change}; commit`);
      expect(Buffer.concat((await answer).map(({ body }) => body)).toString("latin1")).not.toContain(
        "canary",
      );
    }
  } finally {
    await Promise.all([client.end(), owner.end()]);
  }
});

it("changes that cannot come into force, or are of one other table, cut nobody's rows off", async () => {
  const [maker, reader] = [await login("makers"), await login("makers")];
  const owner = new pg.Client(cluster.url(dbname));
  await owner.connect();
  const read = async () => types(await say(reader, "select id, email from people"));
  try {
    await say(maker, "begin");
    await say(maker, "create view shown as select name from people");
    await say(maker, "savepoint s");
    await say(maker, "rollback to s");
    expect(await read()).toBe("TDCZ");
    await say(maker, "rollback");
    expect(await read()).toBe("TDCZ");
    await owner.query("begin; lock table only apart");
    maker.send(query("alter table apart add column x int"));
    const altered = maker.ready();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await read()).toBe("TDCZ");
    // It is said of what inherits from it, too.
    expect(types(await say(reader, "select id from heir"))).toBe("TEZ");
    await owner.query("rollback");
    expect(types(await altered)).toBe("CZ");
    expect(await read()).toBe("TDCZ");
    // What names stand for may change with it.
    await owner.query("begin; lock table apart");
    maker.send(query("alter table apart rename to apart_too"));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await read()).toBe("TEZ");
    await owner.query("rollback");
    await maker.ready();
  } finally {
    await Promise.all([maker.end(), reader.end(), owner.end()]);
  }
});

it("a refused Parse without a name takes the statement before it along, as any Parse does", async () => {
  const client = await login("few");
  try {
    const bad = "delete from plain";
    const large = `select '${"x".repeat(5 * 1024 * 1024)}'`;
    for (const refused of [bad, large]) {
      expect(types(await say(client, parse("", "select 1"), parse("kept", "select 2"), sync))).toBe("11Z");
      const answer = await say(client, parse("", refused), sync);
      expect([types(answer), code(answer)]).toEqual(["EZ", refused === bad ? "42501" : "54000"]);
      const old = await say(client, bind("", ""), execute(""), sync);
      expect([types(old), code(old)]).toEqual(["EZ", "26000"]);
      // One with a name leaves all others as they were.
      await say(client, parse("", "select 3"), sync);
      expect(types(await say(client, parse("other", refused), sync))).toBe("EZ");
      expect(types(await say(client, bind("", ""), execute(""), sync))).toBe("2DCZ");
      expect(types(await say(client, bind("", "kept"), execute(""), sync))).toBe("2DCZ");
      await say(client, close("statement", "kept"), sync);
    }
    // In a block that has failed, too.
    await say(client, "begin");
    await say(client, parse("", "select 4"), sync);
    expect(types(await say(client, parse("", bad), sync))).toBe("EZ");
    const again = await say(client, parse("", bad), sync);
    expect([types(again), again.at(-1)?.body.toString()]).toEqual(["EZ", "E"]);
    await say(client, "rollback");
    expect(types(await say(client, "select 5"))).toBe("TDCZ");
  } finally {
    await client.end();
  }
  expect(await cluster.query(dbname, "select count(*)::int as n from plain")).toEqual([{ n: 1 }]);
});

it("a time limit holds for a function that is called by FunctionCall", async () => {
  const client = await login("slow");
  try {
    const [row] = await cluster.query(dbname, "select 'pg_sleep'::regproc::oid::int as oid");
    const answer = await say(client, functionCall(Number(row?.oid), ["20"]));
    expect([types(answer), code(answer)]).toEqual(["EZ", "57014"]);
    expect(types(await say(client, functionCall(Number(row?.oid), ["0"])))).toBe("VZ");
    expect(types(await say(client, "select 1"))).toBe("TDCZ");
  } finally {
    await client.end();
  }
  const ends = (await postern.records()).filter(({ type }) => type === "statement.outcome").slice(-3);
  expect(ends.map(({ status }) => status)).toEqual(["cut", "ok", "ok"]);
});

it("a FunctionCall that is refused is recorded as one", async () => {
  const client = await login("few");
  try {
    const [row] = await cluster.query(dbname, "select 'lo_creat'::regproc::oid::int as oid");
    expect(types(await say(client, functionCall(Number(row?.oid), ["-1"])))).toBe("EZ");
  } finally {
    await client.end();
  }
  const intent = (await postern.records()).findLast(({ type }) => type === "statement.intent");
  expect(intent).toMatchObject({ decision: { verdict: "deny" }, statement: { protocol: "function" } });
});

it("a text that is being read while what it means changes ends the session", async () => {
  await cluster.query(
    dbname,
    `create function backslashes() returns void language plpgsql as
     $$begin perform pg_sleep(0.05); execute 'set standard_conforming_strings = off'; end$$`,
  );
  const { host, port, superuser: user, password } = cluster;
  const open = await startTestPostern({ server: { host, port, user, password }, dbname });
  try {
    const client = await rawLogin(open, await open.token());
    // Read in a worker for longer than the server needs for what is before it.
    const long = `select '\\'; ${"select 1; ".repeat(150_000)} --'`;
    client.send(query("select backslashes()"), query(long));
    const answer = await client.until(({ type, body }) => type === "E" && body.includes("FATAL"), 15_000);
    expect(code(answer)).toBe("0A000");
  } finally {
    await open.stop();
  }
});
