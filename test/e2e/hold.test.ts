/** A statement that needs approval waits in its client's own session, and runs once, or never. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Leaf, startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { approve, deny, holdPolicy, pending, reaches, tables } from "./hold-support.ts";
import { bind, describe_, execute, field, parse, query, sync, types } from "./messages.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, tables);
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy: holdPolicy(),
    approvals: true,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

beforeEach(async () => {
  await cluster.query(dbname, "update accounts set balance = 100; truncate notes");
  client = await rawLogin(postern, await postern.token());
  return async () => {
    await client.end();
  };
});

async function balance(id = 1): Promise<number> {
  const [row] = await cluster.query(dbname, "select balance from accounts where id = $1", [id]);
  return Number(row?.balance);
}

async function works(): Promise<void> {
  client.send(query("select 1"));
  expect(types(await client.ready())).toBe("TDCZ");
}

async function recordsOf(request: string): Promise<Leaf[]> {
  return (await postern.records()).filter((leaf) => leaf.request === request);
}

const detail = (message: Parameters<typeof field>[0]) => JSON.parse(field(message, "D") ?? "{}");

describe("a simple Query", () => {
  it("approved: the client is told where, and it runs in the same session, once", async () => {
    client.send(query("update accounts set balance = balance - 10 where id = 1"));
    const [notice] = await client.until((m) => m.type === "N");
    expect(field(notice, "C")).toBe("00000");
    expect(field(notice, "M")).toContain("https://postern.test");
    const waiting = await pending(postern);
    expect(detail(notice)).toMatchObject({
      decision: "approve",
      rule: "writes-need-a-person",
      approval: { id: waiting.id, url: waiting.url },
    });
    expect(waiting).toMatchObject({
      mode: "wait",
      state: "pending",
      database: "shop",
      statements: [
        {
          sql: "update accounts set balance = balance - 10 where id = 1",
          kind: "update",
          writes: ["public.accounts"],
        },
      ],
      requester: { subject: "agent-7" },
    });
    expect(await balance()).toBe(100);
    await approve(postern, waiting.id);
    expect(types(await client.ready())).toBe("CZ");
    expect(await balance()).toBe(90);
    await works();
    expect((await postern.approvals.get(waiting.id))?.state).toBe("used");
    const leaves = await recordsOf(waiting.request ?? "");
    expect(leaves.filter(({ type }) => type === "statement.intent")).toMatchObject([
      {
        decision: { verdict: "approve", rule: "writes-need-a-person", code: null },
        approval: { id: waiting.id, approvers: [{ subject: "stella", issuer: "https://idp.test" }] },
      },
    ]);
    expect(leaves.filter(({ type }) => type === "statement.outcome")).toMatchObject([
      { status: "ok", rows_affected: 1, approval: waiting.id },
    ]);
  });

  it("denied: an error with the approver's reason; the session goes on", async () => {
    client.send(query("delete from accounts where id = 2"));
    const waiting = await pending(postern);
    await deny(postern, waiting.id, "wrong account");
    const messages = await client.ready();
    expect(types(messages)).toBe("NEZ");
    expect(field(messages[1], "C")).toBe("42501");
    expect(field(messages[1], "M")).toContain("wrong account");
    expect(detail(messages[1])).toMatchObject({ code: "APPROVAL_DENIED", approval: { id: waiting.id } });
    expect(await balance(2)).toBe(100);
    await works();
    expect(await recordsOf(waiting.request ?? "")).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          type: "statement.intent",
          decision: expect.objectContaining({ verdict: "approve", code: "APPROVAL_DENIED" }),
        }),
        expect.objectContaining({ type: "statement.outcome", status: "denied", sqlstate: "42501" }),
      ]),
    );
  });

  it("the client leaves: it never runs", async () => {
    client.send(query("update accounts set balance = 0 where id = 3"));
    const waiting = await pending(postern);
    client.socket.destroy();
    await reaches(postern, waiting.id, "gone");
    await expect(approve(postern, waiting.id)).rejects.toMatchObject({ code: "NOT_PENDING" });
    expect(await balance(3)).toBe(100);
  });
});

describe("the extended protocol", () => {
  it("holds at the first Bind; Parse and Describe flow", async () => {
    client.send(
      parse("", "update accounts set balance = $1 where id = $2"),
      describe_("statement", ""),
      bind("", "", ["7", "4"]),
      execute(""),
      sync,
    );
    const told = await client.until((m) => m.type === "N");
    expect(types(told)).toBe("1tnN");
    const waiting = await pending(postern);
    expect(waiting.statements[0]?.parameters).toEqual([
      { type: "int4", text: "7" },
      { type: "int4", text: "4" },
    ]);
    await approve(postern, waiting.id);
    expect(types(await client.ready())).toBe("2CZ");
    expect(await balance(4)).toBe(7);
    await works();
  });

  it("a pipeline with an allowed statement in front waits as a whole", async () => {
    client.send(
      parse("", "insert into notes values ('first')"),
      bind("", ""),
      execute(""),
      parse("", "update accounts set balance = 1 where id = 5"),
      bind("", ""),
      execute(""),
      sync,
    );
    const waiting = await pending(postern);
    expect(
      await cluster.query(
        dbname,
        "select * from pg_locks l join pg_class c on c.oid = l.relation where relname = 'notes'",
      ),
    ).toEqual([]);
    await deny(postern, waiting.id);
    const messages = await client.ready();
    expect(types(messages)).toBe("1NEZ");
    expect(await cluster.query(dbname, "select * from notes")).toEqual([]);
    expect(await balance(5)).toBe(100);
    await works();
  });
});
