/** What a held statement would do is tried out and undone, and shown without protected values. */
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Approval } from "../../src/facts/approval.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { approve, deny, pending, person, tables } from "./hold-support.ts";
import { bind, execute, parse, query, sync } from "./messages.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii, columns: ["*.public.accounts.email"], mask: redact, use: any }
  - { label: secret, columns: ["*.public.accounts.pin"], access: none }
rules:
  - { name: control, when: 'statement.effects == []', then: allow }
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - name: people
    when: 'statement.effects.exists(e, e != "read" && e != "session")'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 60s }
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
    `${tables};
     alter table accounts add pin text default '0000';
     create table orders(id int primary key, account int references accounts on delete cascade);
     insert into orders values (1, 1), (2, 1), (3, 2);
     create table logged(id serial primary key, text text);
     create table watched(id int primary key, text text);
     create function outside() returns trigger language plpgsql as $$
       begin perform dblink_exec('host=elsewhere', 'select 1'); return new; end $$;
     create trigger reaching before insert on watched for each row execute function outside();
     create table plain_trigger(id int primary key, changed timestamptz);
     create function touch() returns trigger language plpgsql as $$
       begin new.changed := now(); return new; end $$;
     create trigger touching before insert or update on plain_trigger for each row execute function touch();
     create function anything() returns int language plpgsql as $$ begin return 1; end $$;
     create function "say it"(t text) returns void language plpgsql as $$ begin perform pg_notify('outside', t); end $$;
     create table veiled(id int primary key);
     create function veil() returns trigger language plpgsql as $$
       begin raise notice '-- all well'; perform pg_notify('outside', 'x'); return new; end $$;
     create trigger veiling after insert on veiled for each row execute function veil();
     create table quoting(id int primary key);
     create function quoter() returns trigger language plpgsql as $$ begin perform "say it"('x'); return new; end $$;
     create trigger quoting after insert on quoting for each row execute function quoter();
     create table outbox(id int);
     create function sends() returns trigger language plpgsql as $$ begin perform pg_notify('outside', 'x'); return new; end $$;
     create trigger sending after insert on outbox for each row execute function sends();
     create table chained(id int primary key);
     create function chain() returns trigger language plpgsql as $$ begin insert into outbox values (new.id); return new; end $$;
     create trigger chaining after insert on chained for each row execute function chain();
     create function speaks(i int) returns boolean language plpgsql as $$
       begin perform pg_notify('outside', i::text); return true; end $$;
     create table checking(id int primary key check (speaks(id)))`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy,
    approvals: { settings: { requestsPerMinute: 1000, maxPendingPerPrincipal: 100, denials: 1000 } },
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

let waiting: Approval;
beforeEach(async () => {
  client = await rawLogin(postern, await postern.token());
});
afterEach(async () => {
  await deny(postern, waiting.id).catch(() => undefined);
  await client.end();
});

async function held(sql: string): Promise<Approval> {
  client.send(query(sql));
  waiting = await pending(postern);
  return waiting;
}

const preview = (id: string) => postern.gateway.preview(id, person("stella"));

async function accounts(): Promise<unknown> {
  return cluster.query(dbname, "select * from accounts order by id");
}

describe("a preview", () => {
  it("of an UPDATE: both versions of its rows, masked; nothing is changed; then it runs as before", async () => {
    const before = await accounts();
    const { id } = await held("update accounts set balance = balance + 1 where id <= 2");
    const shown = await preview(id);
    expect(shown).toMatchObject({ rowsAffected: 2, refused: null, by: "stella@example.com" });
    expect(shown.sample?.columns.map(({ name, masked }) => [name, masked])).toEqual([
      ["id", false],
      ["email", true],
      ["balance", false],
    ]);
    expect(shown.sample?.before.map((row) => [row[0], row[2]])).toEqual([
      ["1", "100"],
      ["2", "100"],
    ]);
    expect(shown.sample?.after.map((row) => [row[0], row[2]])).toEqual([
      ["1", "101"],
      ["2", "101"],
    ]);
    expect(JSON.stringify(shown)).not.toContain('@example.com"]');
    expect(JSON.stringify(shown)).not.toContain("user1@");
    expect(JSON.stringify(shown)).not.toContain("0000");
    expect(await accounts()).toEqual(before);
    expect((await postern.approvals.get(id))?.preview).toEqual(shown);
    await approve(postern, id);
    await client.ready();
    const [row] = await cluster.query(dbname, "select balance from accounts where id = 1");
    expect(row?.balance).toBe(101);
    const asked = (await postern.records()).find(
      (leaf) => leaf.type === "admin.action" && leaf.action === "approval.preview" && leaf.approval === id,
    );
    expect(asked).toMatchObject({ by: { subject: "stella" } });
  });

  it("of a DELETE with rows that go along; the warning says so", async () => {
    const { id, warnings } = await held("delete from accounts where id = 1");
    expect(warnings.find(({ code }) => code === "CASCADE")?.object).toBe("public.orders");
    const shown = await preview(id);
    expect(shown).toMatchObject({ rowsAffected: 1, refused: null });
    expect(shown.sample?.before.length).toBe(1);
    expect(shown.sample?.after).toEqual([]);
    expect((await cluster.query(dbname, "select * from orders")).length).toBe(3);
  });

  it("of an INSERT that takes from a sequence: noted", async () => {
    const { id, warnings } = await held("insert into logged(text) values ('x')");
    expect(warnings.map(({ code }) => code)).toContain("SEQUENCE");
    const shown = await preview(id);
    expect(shown.rowsAffected).toBe(1);
    expect(shown.notes.join()).toContain("sequence");
    expect(shown.sample?.before).toEqual([]);
    expect(shown.sample?.after.map((row) => row[1])).toEqual(["x"]);
    expect(await cluster.query(dbname, "select * from logged")).toEqual([]);
  });

  it("with parameters, and where the statement returns rows of its own", async () => {
    client.send(
      parse("", "update accounts set balance = $1 where id = $2 returning email"),
      bind("", "", ["7", "3"]),
      execute(""),
      sync,
    );
    waiting = await pending(postern);
    const shown = await preview(waiting.id);
    expect(shown).toMatchObject({ rowsAffected: 1, refused: null });
    expect(shown.sample?.before.map((row) => row[2])).toEqual(["100"]);
    expect(shown.sample?.after.map((row) => row[2])).toEqual(["7"]);
    expect(JSON.stringify(shown)).not.toContain("user3@");
  });

  it("under the session's search_path", async () => {
    await cluster.query(
      dbname,
      "create schema if not exists aside; create table if not exists aside.things(id int)",
    );
    client.send(query("set search_path = aside, public"));
    await client.ready();
    const { id, searchPath } = await held("insert into things values (1), (2)");
    expect(searchPath).toContain("aside");
    expect(await preview(id)).toMatchObject({ rowsAffected: 2, refused: null });
  });

  it("where triggers only change rows", async () => {
    const { id, warnings } = await held("insert into plain_trigger values (1)");
    expect(warnings.map(({ code }) => code)).toContain("TRIGGER");
    const shown = await preview(id);
    expect(shown).toMatchObject({ rowsAffected: 1, refused: null });
    expect(shown.sample?.after[0]?.[1]).toMatch(/^\d{4}-/);
  });

  it("says how it would fail, without the error's text", async () => {
    const { id } = await held("insert into accounts values (1, 'private@example.com', 1)");
    const shown = await preview(id);
    expect(shown.refused).toContain("23505");
    expect(JSON.stringify(shown)).not.toContain("private@");
  });

  it("does not wait for locks", async () => {
    const other = new pg.Client({
      host: cluster.host,
      port: cluster.port,
      user: cluster.superuser,
      password: cluster.password,
      database: dbname,
    });
    await other.connect();
    try {
      await other.query("begin; update accounts set balance = 0 where id = 4");
      const { id } = await held("update accounts set balance = 1 where id = 4");
      expect((await preview(id)).refused).toContain("lock");
    } finally {
      await other.end();
    }
  });
});

describe("no preview", () => {
  it.each([
    ["a change of structure", "create table other()", "not run for a preview"],
    ["a trigger that reaches outside", "insert into watched values (1, 'x')", "dblink_exec"],
    ["a trigger with dashes in a text before what it does", "insert into veiled values (1)", "pg_notify"],
    ["a trigger that calls a function with a quoted name", "insert into quoting values (1)", "pg_notify"],
    [
      "a trigger that writes where another one reaches outside",
      "insert into chained values (1)",
      "pg_notify",
    ],
    ["a check that reaches outside", "insert into checking values (1)", "pg_notify"],
    ["TRUNCATE", "truncate orders", "not run for a preview"],
    ["COPY to a file", "copy accounts(id) to '/tmp/postern-preview'", "not run for a preview"],
  ])("of %s", async (_, sql, why) => {
    const { id } = await held(sql);
    const shown = await preview(id);
    expect(shown.refused).toContain(why);
    expect(shown.sample).toBeNull();
  });

  it("for agents, for what is decided, for what is not there", async () => {
    const { id } = await held("update accounts set balance = 1 where id = 5");
    const agent = person("bot");
    await expect(
      postern.gateway.preview(id, { ...agent, principal: { ...agent.principal, kind: "agent" } }),
    ).rejects.toMatchObject({ code: "NOT_APPROVER" });
    await deny(postern, id);
    await client.ready();
    await expect(preview(id)).rejects.toMatchObject({ code: "NOT_PENDING" });
    await expect(preview("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
