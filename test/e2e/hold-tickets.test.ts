/** Statements that cannot wait, go ahead in an emergency, or find nobody to ask. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { memoryStore, type Store, StoreUnavailable } from "../../src/store/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { approve, deny, holdPolicy, pending, reaches, tables } from "./hold-support.ts";
import { bind, execute, field, parse, query, sync, types } from "./messages.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let store: Store;
/** What the store answers with; null: as it is. */
let away: Error | null = null;

const many = { requestsPerMinute: 1000, maxPendingPerPrincipal: 100, denials: 1000 };
const ticketPolicy = holdPolicy().replace("within: 30s", "within: 30s, ticket: true");
const glassPolicy = holdPolicy().replace(
  "within: 30s",
  "within: 30s, break_glass: { groups: [oncall], review: [security] }",
);

/** A store that can be taken away. */
function flaky(inner: Store): Store {
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      const method = value.bind(target);
      if (name === "watch" || name === "close") return method;
      return (...args: unknown[]) => (away === null ? method(...args) : Promise.reject(away));
    },
  });
}

function options(more: Partial<TestOptions> = {}): TestOptions {
  return {
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy: holdPolicy(),
    approvals: { settings: many, store },
    kinds: [{ kind: "human", when: '"people" in claims.groups' }],
    ...more,
  };
}

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, tables);
  store = flaky(await memoryStore());
  postern = await startTestPostern(options());
});
afterAll(async () => {
  await postern?.stop();
  await store?.close();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  postern.setPolicy(holdPolicy());
  await cluster.query(dbname, "update accounts set balance = 100; truncate notes");
});

const detail = (message: RawMessage | undefined) => JSON.parse(field(message, "D") ?? "{}");
const errorOf = (messages: readonly RawMessage[]) => messages.find(({ type }) => type === "E");

async function balance(id = 1): Promise<number> {
  const [row] = await cluster.query(dbname, "select balance from accounts where id = $1", [id]);
  return Number(row?.balance);
}

async function session(
  groups: string[] = [],
  settings: Record<string, string> = {},
  claims: Record<string, unknown> = {},
): Promise<RawClient> {
  return rawLogin(postern, await postern.token({ groups: ["testers", ...groups], ...claims }), settings);
}

async function send(client: RawClient, ...messages: Buffer[]): Promise<RawMessage[]> {
  client.send(...messages);
  return client.ready();
}

const withdraw = (id: number) => `update accounts set balance = balance - 10 where id = ${id}`;

describe("a ticket", () => {
  async function refusedWith(client: RawClient, sql: string) {
    const error = errorOf(await send(client, query(sql)));
    expect(field(error, "C")).toBe("42501");
    const said = detail(error);
    expect(said).toMatchObject({ decision: "deny", code: "APPROVAL_REQUIRED", retryable: true });
    expect(field(error, "H")).toContain(said.approval.url);
    return said.approval as { id: string; url: string; expires: string };
  }

  it("by the rule: refused with an address; approved, the same statement runs once, in another session", async () => {
    postern.setPolicy(ticketPolicy);
    const one = await session();
    const ticket = await refusedWith(one, withdraw(1));
    // The same again is the same ticket; another statement is another one.
    expect((await refusedWith(one, withdraw(1))).id).toBe(ticket.id);
    const other = await refusedWith(one, withdraw(2));
    expect(other.id).not.toBe(ticket.id);
    await one.end();
    await approve(postern, ticket.id);
    const two = await session();
    expect(types(await send(two, query(withdraw(1))))).toBe("CZ");
    expect(await balance()).toBe(90);
    expect((await postern.approvals.get(ticket.id))?.state).toBe("used");
    expect((await refusedWith(two, withdraw(1))).id).not.toBe(ticket.id);
    expect(await balance()).toBe(90);
    const outcomes = (await postern.records()).filter(
      (leaf) => leaf.type === "statement.outcome" && leaf.approval === ticket.id,
    );
    expect(outcomes).toMatchObject([{ status: "ok", rows_affected: 1 }]);
    await two.end();
  });

  it("is of no use to another principal, nor to another parameter", async () => {
    postern.setPolicy(ticketPolicy);
    const one = await session();
    const ask = (value: string) => [
      parse("", "update accounts set balance = $1 where id = 1"),
      bind("", "", [value]),
      execute(""),
      sync,
    ];
    const { approval } = detail(errorOf(await send(one, ...ask("5"))));
    await approve(postern, approval.id);
    const stranger = await session([], {}, { sub: "agent-8" });
    expect(detail(errorOf(await send(stranger, ...ask("5")))).code).toBe("APPROVAL_REQUIRED");
    expect(detail(errorOf(await send(one, ...ask("6")))).code).toBe("APPROVAL_REQUIRED");
    expect(await balance()).toBe(100);
    expect(types(await send(one, ...ask("5")))).toBe("12CZ");
    expect(await balance()).toBe(5);
    await one.end();
    await stranger.end();
  });

  it("two sessions with the same ticket at once: one of them runs", async () => {
    postern.setPolicy(ticketPolicy);
    const [one, two] = [await session(), await session()];
    const ticket = await refusedWith(one, withdraw(3));
    await approve(postern, ticket.id);
    const answers = await Promise.all([one, two].map((client) => send(client, query(withdraw(3)))));
    expect(answers.map(types).sort()).toEqual(["CZ", "EZ"]);
    expect(await balance(3)).toBe(90);
    await one.end();
    await two.end();
  });

  it("denied: the same asks anew", async () => {
    postern.setPolicy(ticketPolicy);
    const one = await session();
    const ticket = await refusedWith(one, withdraw(4));
    await deny(postern, ticket.id);
    expect((await refusedWith(one, withdraw(4))).id).not.toBe(ticket.id);
    await one.end();
  });

  it("by the client's wish", async () => {
    const one = await session([], { options: "-c postern.hold=ticket" });
    const ticket = await refusedWith(one, withdraw(5));
    await approve(postern, ticket.id);
    expect(types(await send(one, query(withdraw(5))))).toBe("CZ");
    await one.end();
  });

  it("under another policy it is worth nothing", async () => {
    postern.setPolicy(ticketPolicy);
    const one = await session();
    const ticket = await refusedWith(one, withdraw(6));
    await approve(postern, ticket.id);
    postern.setPolicy(ticketPolicy.replace("within: 30s", "within: 31s"));
    expect((await refusedWith(one, withdraw(6))).id).not.toBe(ticket.id);
    expect(await balance(6)).toBe(100);
    await one.end();
  });
});

describe("break-glass", () => {
  const inEmergency = { options: "-c postern.break_glass=pager\\ 4711:\\ payments\\ stuck" };

  it("by the start-up option: runs at once, loudly recorded, and is looked at afterwards", async () => {
    postern.setPolicy(glassPolicy);
    const one = await session(["people", "oncall"], inEmergency);
    expect(types(await send(one, query(withdraw(1))))).toBe("CZ");
    expect(await balance()).toBe(90);
    const review = await pending(postern, { kind: "review" });
    expect(review).toMatchObject({ kind: "review", demands: [{ groups: ["security"] }] });
    const leaves = await postern.records();
    expect(leaves.findLast(({ type }) => type === "statement.intent")).toMatchObject({
      approval: { id: review.id, approvers: [], break_glass: true },
    });
    expect(leaves.findLast(({ type }) => type === "statement.outcome")).toMatchObject({
      status: "ok",
      approval: review.id,
    });
    expect(leaves.some((leaf) => JSON.stringify(leaf).includes("payments stuck"))).toBe(true);
    await one.end();
  });

  it("by a comment of the statement", async () => {
    postern.setPolicy(glassPolicy);
    const one = await session(["people", "oncall"]);
    const sql = `${withdraw(2)} /*break_glass='pager%204712'*/`;
    expect(types(await send(one, query(sql)))).toBe("CZ");
    expect(types(await send(one, parse("", sql), bind("", ""), execute(""), sync))).toBe("12CZ");
    expect(await balance(2)).toBe(80);
    await one.end();
  });

  it.each([
    ["an agent", ["oncall"], glassPolicy],
    ["a person of another group", ["people"], glassPolicy],
    ["where the rule does not let anybody", ["people", "oncall"], holdPolicy()],
  ])("not for %s: it waits as ever", async (_, groups, policy) => {
    postern.setPolicy(policy);
    const one = await session(groups, inEmergency);
    one.send(query(withdraw(7)));
    const [notice] = await one.until((m) => m.type === "N");
    await deny(postern, detail(notice).approval.id);
    await one.ready();
    expect(await balance(7)).toBe(100);
    await one.end();
  });
});

describe("nobody can be asked", () => {
  it("the store is away when it is asked: denied, and the session goes on", async () => {
    const one = await session();
    away = new StoreUnavailable("away");
    try {
      const error = errorOf(await send(one, query(withdraw(1))));
      expect(field(error, "C")).toBe("58000");
      expect(detail(error)).toMatchObject({ code: "APPROVAL_UNAVAILABLE", retryable: true });
    } finally {
      away = null;
    }
    expect(await balance()).toBe(100);
    expect(types(await send(one, query("select 1")))).toBe("TDCZ");
    await one.end();
  });

  it("the store goes away before the use: it does not run", async () => {
    const one = await session();
    one.send(query(withdraw(1)));
    const waiting = await pending(postern, { mode: "wait" });
    const settled = postern.approvals.settled(waiting.id, new AbortController().signal);
    const gone = settled.then(() => {
      away = new StoreUnavailable("away");
    });
    await approve(postern, waiting.id);
    await gone;
    try {
      const messages = await one.ready();
      const ran = types(messages).includes("C");
      expect(await balance()).toBe(ran ? 90 : 100);
      if (!ran) expect(detail(errorOf(messages)).code).toBe("APPROVAL_UNAVAILABLE");
    } finally {
      away = null;
    }
    await one.end();
  });

  it("a principal that asks too much is told so", async () => {
    const busy = await startTestPostern(
      options({ approvals: { settings: { maxPendingPerPrincipal: 1 } }, policy: ticketPolicy }),
    );
    try {
      const one = await rawLogin(busy, await busy.token());
      await send(one, query(withdraw(1)));
      const error = errorOf(await send(one, query(withdraw(2))));
      expect(field(error, "C")).toBe("53400");
      expect(detail(error)).toMatchObject({ code: "APPROVAL_RATE", retryable: true });
      await one.end();
    } finally {
      await busy.stop();
    }
  });

  it("without approvals it is refused, as it was", async () => {
    const { approvals: _, ...without } = options();
    const alone = await startTestPostern(without);
    try {
      const one = await rawLogin(alone, await alone.token());
      expect(detail(errorOf(await send(one, query(withdraw(1))))).code).toBe("NEEDS_APPROVAL");
      await one.end();
    } finally {
      await alone.stop();
    }
  });
});

describe("the gateway ends", () => {
  it.each(["outside of a block", "in a transaction"])(
    "while it waits, %s: gone, and never runs",
    async (where) => {
      const first = await startTestPostern(options());
      const one = await rawLogin(first, await first.token());
      if (where === "in a transaction") await send(one, query("begin; insert into notes values ('x')"));
      one.send(query(withdraw(8)));
      const waiting = await pending(first, { mode: "wait" });
      const stopped = first.stop();
      const messages = await one.until(() => false);
      expect(messages.map((m) => (m.type === "E" ? field(m, "C") : m.type))).toContain("57P01");
      await stopped;
      const after = await startTestPostern(options());
      try {
        expect((await reaches(after, waiting.id, "gone")).why).toBe("restart");
        await expect(approve(after, waiting.id)).rejects.toMatchObject({ code: "NOT_PENDING" });
        expect(await balance(8)).toBe(100);
        expect(await cluster.query(dbname, "select * from notes")).toEqual([]);
      } finally {
        await after.stop();
      }
    },
  );
});
