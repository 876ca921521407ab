/** A statement that needs approval waits in its client's own session, and runs once, or never. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { encodeCancelRequest, encodeFrontend } from "../../src/protocol/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Leaf, startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { approve, deny, holdPolicy, pending, person, reaches, tables } from "./hold-support.ts";
import { bind, describe_, execute, field, flush, parse, query, sync, types } from "./messages.ts";

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
    approvals: { settings: { requestsPerMinute: 1000, maxPendingPerPrincipal: 100, denials: 1000 } },
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

beforeEach(async () => {
  postern.setPolicy(holdPolicy());
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

async function works(on = client): Promise<void> {
  on.send(query("select 1"));
  expect(types(await on.ready())).toBe("TDCZ");
}

async function recordsOf(request: string | null): Promise<Leaf[]> {
  return (await postern.records()).filter((leaf) => leaf.request === request);
}

const detail = (message: RawMessage | undefined) => JSON.parse(field(message, "D") ?? "{}");
const codeOf = (messages: readonly RawMessage[]) => {
  const error = messages.find(({ type }) => type === "E");
  return [field(error, "C"), detail(error).code];
};

/** A refusal of what was held is on the record as an intent and an outcome, and nothing else of it. */
async function recordedDenied(request: string | null, code: string): Promise<void> {
  const leaves = await recordsOf(request);
  expect(leaves.find(({ type }) => type === "statement.intent")).toMatchObject({
    decision: { verdict: "approve", code },
  });
  expect(leaves.filter(({ type }) => type === "statement.outcome")).toMatchObject([{ status: "denied" }]);
}

async function cancel(on: RawClient): Promise<void> {
  const key = on.messages.find(({ type }) => type === "K")?.body ?? Buffer.alloc(8);
  const socket = net.connect({ host: postern.host, port: postern.port });
  await new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("error", () => undefined);
    socket.end(encodeCancelRequest(key.readInt32BE(0), key.subarray(4)));
  });
}

const withdraw = (id: number) => `update accounts set balance = balance - 10 where id = ${id}`;

describe("a simple Query", () => {
  it("approved: the client is told where, and it runs in the same session, once", async () => {
    client.send(query(withdraw(1)));
    const [notice] = await client.until((m) => m.type === "N");
    expect(field(notice, "C")).toBe("00000");
    expect(field(notice, "M")).toContain("https://postern.test");
    const waiting = await pending(postern);
    expect(detail(notice)).toMatchObject({
      decision: "approve",
      rule: "writes-need-a-person",
      request_id: waiting.request,
      approval: { id: waiting.id, url: waiting.url },
    });
    expect(waiting).toMatchObject({
      mode: "wait",
      database: "shop",
      statements: [{ sql: withdraw(1), kind: "update", writes: ["public.accounts"] }],
      requester: { subject: "agent-7" },
      transaction: null,
    });
    expect(waiting.estimate?.rows).toBeGreaterThan(0);
    const [session] = [...postern.gateway.sessions.values()].map((one) => one.describe());
    expect(session).toMatchObject({
      state: "waiting for approval",
      approval: waiting.id,
      statement: { verdict: "approve", sql: expect.stringContaining("update accounts") },
    });
    expect(await balance()).toBe(100);
    await approve(postern, waiting.id);
    expect(types(await client.ready())).toBe("CZ");
    expect(await balance()).toBe(90);
    await works();
    expect((await postern.approvals.get(waiting.id))?.state).toBe("used");
    const leaves = await recordsOf(waiting.request);
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
    await recordedDenied(waiting.request, "APPROVAL_DENIED");
  });

  it("nobody decides in time: it never runs", async () => {
    postern.setPolicy(holdPolicy("1s"));
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    expect(codeOf(await client.ready())).toEqual(["42501", "APPROVAL_EXPIRED"]);
    await reaches(postern, waiting.id, "expired");
    await expect(approve(postern, waiting.id)).rejects.toMatchObject({ code: "NOT_PENDING" });
    expect(await balance()).toBe(100);
    await recordedDenied(waiting.request, "APPROVAL_EXPIRED");
    await works();
  });

  it("cancelled by the client: 57014, as PostgreSQL says it", async () => {
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    await client.until((m) => m.type === "N");
    await cancel(client);
    const messages = await client.ready();
    expect(types(messages)).toBe("EZ");
    expect(codeOf(messages)).toEqual(["57014", "APPROVAL_CANCELLED"]);
    await reaches(postern, waiting.id, "gone");
    expect(await balance()).toBe(100);
    await recordedDenied(waiting.request, "APPROVAL_CANCELLED");
    await works();
  });

  it("waits with all statements of its message; denied, none has run", async () => {
    client.send(query(`insert into notes values ('a'); ${withdraw(1)}; select 1`));
    const waiting = await pending(postern);
    expect(waiting.statements.map(({ kind }) => kind)).toEqual(["insert", "update", "select"]);
    expect(waiting.warnings.map(({ code }) => code)).toContain("MANY_STATEMENTS");
    await deny(postern, waiting.id);
    expect(codeOf(await client.ready())).toEqual(["42501", "APPROVAL_DENIED"]);
    expect(await cluster.query(dbname, "select * from notes")).toEqual([]);
    client.send(query(`insert into notes values ('a'); ${withdraw(1)}; select 1`));
    await approve(postern, (await pending(postern)).id);
    expect(types(await client.ready())).toBe("NCCTDCZ");
    expect(await balance()).toBe(90);
  });

  it("beside a statement that is denied: nobody is asked", async () => {
    const { items: before } = await postern.approvals.list({ state: "decided", limit: 100 });
    client.send(query(`${withdraw(1)}; create table x()`));
    expect(codeOf(await client.ready())).toEqual(["42501", "NO_RULE"]);
    expect((await postern.approvals.list({ state: "pending", limit: 10 })).items).toEqual([]);
    expect((await postern.approvals.list({ state: "decided", limit: 100 })).items.length).toBe(before.length);
  });

  it("what is sent behind it waits its turn", async () => {
    client.send(query(withdraw(1)), query("select balance from accounts where id = 1"));
    await approve(postern, (await pending(postern)).id);
    await client.ready();
    const row = (await client.ready()).find(({ type }) => type === "D");
    expect(row?.body.toString("latin1")).toContain("90");
  });

  it("what cannot be understood is denied, not held", async () => {
    client.send(query("do $$ begin perform 1; end $$"));
    const [, code] = codeOf(await client.ready());
    expect(code).not.toMatch(/^APPROVAL/);
  });
});

describe("the client leaves", () => {
  const leaving: readonly (readonly [string, (on: RawClient) => void])[] = [
    ["its connection breaks", (on) => on.socket.destroy()],
    ["Terminate", (on) => on.send(encodeFrontend({ type: "terminate" }))],
    [
      "Terminate behind other messages",
      (on) => on.send(query("select 1"), parse("", "select 2"), sync, encodeFrontend({ type: "terminate" })),
    ],
    ["end of stream", (on) => on.socket.end()],
  ];
  it.each(leaving)("%s: it never runs", async (_, leave) => {
    const own = await rawLogin(postern, await postern.token());
    own.send(query(withdraw(3)));
    const waiting = await pending(postern);
    await own.until((m) => m.type === "N");
    leave(own);
    await reaches(postern, waiting.id, "gone");
    await expect(approve(postern, waiting.id)).rejects.toMatchObject({ code: "NOT_PENDING" });
    await own.until(() => false);
    expect(await balance(3)).toBe(100);
    await recordedDenied(waiting.request, "APPROVAL_GONE");
  });

  it("in the same chunk as the statement", async () => {
    const own = await rawLogin(postern, await postern.token());
    own.send(query(withdraw(3)), encodeFrontend({ type: "terminate" }));
    await own.until(() => false);
    expect((await postern.approvals.list({ state: "pending", limit: 10 })).items).toEqual([]);
    expect(await balance(3)).toBe(100);
  });

  it("right after people agreed: once, or never, and the record says which", async () => {
    const own = await rawLogin(postern, await postern.token());
    own.send(query(withdraw(3)));
    const waiting = await pending(postern);
    await Promise.all([approve(postern, waiting.id), Promise.resolve(own.socket.destroy())]);
    await sleep(1_000);
    const outcomes = (await recordsOf(waiting.request)).filter(({ type }) => type === "statement.outcome");
    expect(outcomes.length).toBe(1);
    const ran = outcomes[0]?.status === "ok";
    expect(await balance(3)).toBe(ran ? 90 : 100);
  });

  it("sends too much behind it: refused, and the session goes on", async () => {
    const much = "x".repeat(1024 * 1024);
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    for (let i = 0; i < 5; i++) client.send(query(`insert into notes values ('${much}')`));
    expect(codeOf(await client.ready())).toEqual(["54000", "APPROVAL_OVERFLOW"]);
    for (let i = 0; i < 5; i++) expect(types(await client.ready())).toBe("CZ");
    await reaches(postern, waiting.id, "gone");
    expect(await balance()).toBe(100);
  });
});

describe("the extended protocol", () => {
  const update = "update accounts set balance = $1 where id = $2";

  it("holds at the first Bind; Parse and Describe flow, and lock nothing meanwhile", async () => {
    client.send(parse("", update), describe_("statement", ""), bind("", "", ["7", "4"]), execute(""), sync);
    expect(types(await client.until((m) => m.type === "N"))).toBe("1tnN");
    const waiting = await pending(postern);
    expect(waiting.statements[0]?.parameters).toEqual([
      { type: "int4", text: "7" },
      { type: "int4", text: "4" },
    ]);
    const locks = "select 1 from pg_locks where relation = 'accounts'::regclass";
    expect(await cluster.query(dbname, locks)).toEqual([]);
    await approve(postern, waiting.id);
    expect(types(await client.ready())).toBe("2CZ");
    expect(await balance(4)).toBe(7);
    const leaves = await recordsOf(waiting.request);
    expect(leaves.find(({ type }) => type === "statement.outcome")).toMatchObject({
      status: "ok",
      approval: waiting.id,
    });
    await works();
  });

  it("with other parameters asks anew; the same again, too", async () => {
    client.send(parse("up", update), sync);
    await client.ready();
    const seen = new Set<string>();
    for (const value of ["1", "2", "2"]) {
      client.send(bind("", "up", [value, "4"]), execute(""), sync);
      const waiting = await pending(postern);
      seen.add(waiting.id);
      await approve(postern, waiting.id);
      expect(types(await client.ready())).toBe("N2CZ");
      expect(await balance(4)).toBe(Number(value));
    }
    expect(seen.size).toBe(3);
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
    expect(waiting.statements.map(({ kind }) => kind)).toEqual(["insert", "update"]);
    expect(
      await cluster.query(dbname, "select mode from pg_locks where relation = 'notes'::regclass"),
    ).toEqual([]);
    await deny(postern, waiting.id);
    expect(types(await client.ready())).toBe("1NEZ");
    expect(await cluster.query(dbname, "select * from notes")).toEqual([]);
    expect(await balance(5)).toBe(100);
    await works();
  });

  it("a pipeline, approved: every statement of it runs once, in one transaction", async () => {
    client.send(
      parse("", "insert into notes values ('first')"),
      bind("", ""),
      execute(""),
      parse("", update),
      bind("", "", ["1", "5"]),
      execute(""),
      bind("", "", ["2", "6"]),
      execute(""),
      sync,
    );
    const waiting = await pending(postern);
    expect(waiting.statements.length).toBe(3);
    await approve(postern, waiting.id);
    expect(types(await client.ready())).toBe("1N2C12C2CZ");
    expect([await balance(5), await balance(6)]).toEqual([1, 2]);
    expect((await cluster.query(dbname, "select * from notes")).length).toBe(1);
    const { items } = await postern.approvals.list({ state: "pending", limit: 10 });
    expect(items).toEqual([]);
  });

  it("a batch that comes in pieces is gathered", async () => {
    client.send(parse("", "insert into notes values ('a')"), bind("", ""));
    await sleep(50);
    client.send(execute(""));
    await sleep(50);
    const late = Buffer.concat([parse("", update), bind("", "", ["3", "7"]), execute(""), sync]);
    client.send(late.subarray(0, 30));
    await sleep(50);
    client.send(late.subarray(30));
    const waiting = await pending(postern);
    expect(waiting.statements.length).toBe(2);
    expect(waiting.mode).toBe("wait");
    await approve(postern, waiting.id);
    await client.ready();
    expect(await balance(7)).toBe(3);
  });

  it("behind what has run already in its batch: a ticket, and all is undone", async () => {
    client.send(parse("", "insert into notes values ('b')"), bind("", ""), execute(""), flush);
    await client.until((m) => m.type === "C");
    client.send(parse("", update), bind("", "", ["3", "8"]), execute(""), sync);
    const messages = await client.ready();
    expect(codeOf(messages)).toEqual(["42501", "APPROVAL_REQUIRED"]);
    const waiting = await pending(postern);
    expect(waiting.mode).toBe("ticket");
    expect(await cluster.query(dbname, "select * from notes")).toEqual([]);
    await approve(postern, waiting.id);
    client.send(parse("", update), bind("", "", ["3", "8"]), execute(""), sync);
    expect(types(await client.ready())).toBe("12CZ");
    expect(await balance(8)).toBe(3);
    client.send(parse("", update), bind("", "", ["3", "8"]), execute(""), sync);
    await deny(postern, (await pending(postern)).id);
    await client.ready();
  });

  it("a portal that is read in parts is one use", async () => {
    client.send(
      query("begin"),
      parse("", "update accounts set balance = 5 where id < 4 returning id"),
      bind("p", ""),
      execute("p", 2),
      sync,
    );
    const waiting = await pending(postern);
    await approve(postern, waiting.id);
    await client.ready();
    expect(types(await client.ready())).toMatch(/2DDsZ$/);
    client.send(execute("p", 2), sync);
    expect(types(await client.ready())).toBe("DCZ");
    client.send(query("commit"));
    await client.ready();
    expect(await balance(3)).toBe(5);
  });

  it("cancelled: the batch is skipped to its Sync", async () => {
    client.send(parse("", update), bind("", "", ["3", "8"]), execute(""), sync);
    const waiting = await pending(postern);
    await client.until((m) => m.type === "N");
    await cancel(client);
    expect(codeOf(await client.ready())).toEqual(["57014", "APPROVAL_CANCELLED"]);
    await reaches(postern, waiting.id, "gone");
    await works();
  });
});

describe("in a transaction", () => {
  it("its age and locks are shown; approved, it goes on; the rest of it is kept", async () => {
    client.send(query("begin; insert into notes values ('t')"));
    await client.ready();
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    expect(waiting.transaction?.open).toBe(true);
    expect(waiting.transaction?.ageMs).toBeGreaterThan(0);
    expect(waiting.transaction?.locks.join()).toContain("public.notes");
    expect(waiting.warnings.map(({ code }) => code)).toContain("IN_TRANSACTION");
    await approve(postern, waiting.id);
    expect((await client.ready()).at(-1)?.body.toString()).toBe("T");
    client.send(query("commit"));
    await client.ready();
    expect(await balance()).toBe(90);
    expect((await cluster.query(dbname, "select * from notes")).length).toBe(1);
  });

  it("denied: the block is aborted, as by any error", async () => {
    client.send(query("begin; insert into notes values ('t')"));
    await client.ready();
    client.send(query(withdraw(1)));
    await deny(postern, (await pending(postern)).id);
    expect((await client.ready()).at(-1)?.body.toString()).toBe("E");
    client.send(query(withdraw(1)));
    expect(codeOf(await client.ready())[0]).toBe("25P02");
    expect((await postern.approvals.list({ state: "pending", limit: 10 })).items).toEqual([]);
    client.send(query("commit"));
    expect((await client.ready())[0]?.body.toString("latin1")).toContain("ROLLBACK");
    expect(await cluster.query(dbname, "select * from notes")).toEqual([]);
    await works();
  });

  it("the server's limit on idle transactions shortens the wait, and the client is told", async () => {
    client.send(query("set idle_in_transaction_session_timeout = '3s'; begin; select 1"));
    await client.ready();
    client.send(query(withdraw(1)));
    const [notice] = await client.until((m) => m.type === "N");
    expect(field(notice, "H")).toContain("2 s only");
    expect(codeOf(await client.ready())).toEqual(["42501", "APPROVAL_EXPIRED"]);
    client.send(query("rollback"));
    await client.ready();
    await works();
  });

  it("BEGIN in the same batch waits with it, as pgjdbc sends it", async () => {
    client.send(
      parse("", "begin"),
      bind("", ""),
      execute(""),
      parse("", withdraw(1)),
      bind("", ""),
      execute(""),
      sync,
    );
    const waiting = await pending(postern);
    expect(waiting.mode).toBe("wait");
    await approve(postern, waiting.id);
    expect((await client.ready()).at(-1)?.body.toString()).toBe("T");
    client.send(query("commit"));
    await client.ready();
    expect(await balance()).toBe(90);
  });
});

describe("what has changed meanwhile", () => {
  async function changed(how: () => Promise<void> | void, sql = withdraw(1)): Promise<string[]> {
    client.send(query(sql));
    const first = await pending(postern);
    await how();
    await approve(postern, first.id);
    return [first.id];
  }

  it("the policy denies it now", async () => {
    const [id = ""] = await changed(() =>
      postern.setPolicy(holdPolicy("30s", "  - { name: never, when: 'true', then: deny }\n")),
    );
    expect(codeOf(await client.ready())).toEqual(["42501", "POLICY_DENIED"]);
    await reaches(postern, id, "gone");
    expect(await balance()).toBe(100);
  });

  it("the policy has another digest: people are asked anew", async () => {
    const [first] = await changed(() => postern.setPolicy(holdPolicy("29s")));
    const second = await pending(postern);
    expect(second.id).not.toBe(first);
    expect(await balance()).toBe(100);
    await approve(postern, second.id);
    expect(types(await client.ready())).toBe("NNCZ");
    expect(await balance()).toBe(90);
  });

  it("the policy allows it now: it runs without", async () => {
    await changed(() => postern.setPolicy("version: 1\ndefault: allow\nrules: []\n"));
    expect(types(await client.ready())).toBe("NCZ");
    expect(await balance()).toBe(90);
  });

  it("a function that it calls, a trigger of its table: people are asked anew", async () => {
    await cluster.query(
      dbname,
      `create or replace function fee(n int) returns int language sql immutable as 'select n'`,
    );
    const sql = "update accounts set balance = balance - fee(10) where id = 1";
    const [first] = await changed(async () => {
      await cluster.query(
        dbname,
        `create or replace function fee(n int) returns int language sql immutable as 'select 10 * n'`,
      );
    }, sql);
    const second = await pending(postern);
    expect(second.id).not.toBe(first);
    await cluster.query(
      dbname,
      `create function watch() returns trigger language plpgsql as $$ begin return new; end $$;
       create trigger watching before update on accounts for each row execute function watch()`,
    );
    await approve(postern, second.id);
    let third = await pending(postern);
    while (third.id === second.id) third = await pending(postern);
    expect(third.warnings.map(({ code }) => code)).toContain("TRIGGER");
    await cluster.query(dbname, "drop trigger watching on accounts; drop function watch()");
    await deny(postern, third.id);
    await client.ready();
    expect(await balance()).toBe(100);
  });

  it("data may change: what is bound is the statement", async () => {
    await changed(async () => {
      await cluster.query(dbname, "update accounts set balance = 500 where id = 1");
    });
    await client.ready();
    expect(await balance()).toBe(490);
  });

  it("the token has expired: it never runs", async () => {
    const own = await rawLogin(
      postern,
      await postern.idp.mint({ sub: "agent-7", groups: ["testers"] }, { expiresIn: 3 }),
    );
    own.send(query(withdraw(2)));
    const waiting = await pending(postern);
    await own.until(() => false);
    await reaches(postern, waiting.id, "gone");
    expect(await balance(2)).toBe(100);
    await recordedDenied(waiting.request, "APPROVAL_EXPIRED");
  });
});

describe("people", () => {
  it("two at once: one vote decides, and it runs once", async () => {
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    const votes = await Promise.allSettled([
      approve(postern, waiting.id, "stella"),
      approve(postern, waiting.id, "stefan"),
    ]);
    expect(votes.filter(({ status }) => status === "fulfilled").length).toBeGreaterThan(0);
    await client.ready();
    expect(await balance()).toBe(90);
  });

  it("one for, one against, at once: it runs once or never", async () => {
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    await Promise.allSettled([
      approve(postern, waiting.id, "stella"),
      deny(postern, waiting.id, "no", "stefan"),
    ]);
    const messages = await client.ready();
    const denied = types(messages).includes("E");
    expect(await balance()).toBe(denied ? 100 : 90);
    expect((await postern.approvals.get(waiting.id))?.state).toBe(denied ? "denied" : "used");
  });

  it("two are needed: the first vote alone runs nothing", async () => {
    postern.setPolicy(holdPolicy().replace("count: 1", "count: 2"));
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    await approve(postern, waiting.id, "stella");
    await sleep(300);
    expect(await balance()).toBe(100);
    await approve(postern, waiting.id, "stefan");
    await client.ready();
    expect(await balance()).toBe(90);
    const leaves = await recordsOf(waiting.request);
    const intent = leaves.find(({ type }) => type === "statement.intent") as unknown as {
      approval: { approvers: { subject: string }[] };
    };
    expect(intent.approval.approvers.map(({ subject }) => subject)).toEqual(["stella", "stefan"]);
  });

  it("for this shape: the same with other values passes, as often as was said", async () => {
    client.send(query(withdraw(1)));
    const waiting = await pending(postern);
    await postern.approvals.decide(waiting.id, person("stella"), "approve", {
      scope: { kind: "shape", uses: 2, seconds: 600 },
    });
    await client.ready();
    client.send(query(withdraw(2)));
    expect(types(await client.ready())).toBe("CZ");
    expect([await balance(1), await balance(2)]).toEqual([90, 90]);
    client.send(query(withdraw(3)));
    const again = await pending(postern);
    await deny(postern, again.id);
    await client.ready();
    expect(await balance(3)).toBe(100);
  });
});
