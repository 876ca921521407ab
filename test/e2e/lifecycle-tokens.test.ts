/** Postern tokens at the wire, and sessions that are ended before their clients end them. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestIdp } from "../support/idp.ts";
import { startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";
import { rawLogin } from "../support/raw.ts";
import { bind, execute, field, parse, query } from "./messages.ts";

let cluster: Database;
let dbname: string;
let options: TestOptions;
let store: Store;
let idp: Awaited<ReturnType<typeof startTestIdp>>;
let one: TestPostern;
let two: TestPostern;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  store = memoryStore();
  idp = await startTestIdp();
  options = {
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    store,
    idp,
    auth: ["scram", "password"],
    limits: { warnSeconds: 2, finishSeconds: 900 },
  };
  one = await startTestPostern(options);
  two = await startTestPostern(options);
});
afterAll(async () => {
  await one?.stop();
  await two?.stop();
  await idp?.close();
  await store?.close();
  await cluster?.dropDatabase(dbname);
});

let tries = 0;

async function eventually(test: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  for (let i = 0; i < seconds * 50; i++) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect.fail(`did not come true within ${seconds} seconds`);
}

interface Ended {
  readonly code: string | undefined;
  readonly message: string;
}

/** A client whose end can be waited for. */
async function connect(p: TestPostern, password: string, user = "anyone") {
  const client = new pg.Client({ host: p.host, port: p.port, user, database: "shop", password });
  const notices: string[] = [];
  const over = Promise.withResolvers<Ended>();
  client.on("notice", (notice) => notices.push(notice.message ?? ""));
  client.on("error", (error: Error & { code?: string }) =>
    over.resolve({ code: error.code, message: error.message }),
  );
  await client.connect();
  return { client, notices, over: over.promise };
}

const refused = { code: "28P01" };
const mint = (claims: Record<string, unknown> = {}, seconds = 300) =>
  idp.mint({ sub: "agent-7", groups: ["testers"], ...claims }, { expiresIn: seconds });

async function issue(
  claims: Record<string, unknown> = {},
  request: Parameters<NonNullable<TestPostern["tokens"]>["issue"]>[1] = {},
) {
  const principal = await one.identity.authenticate(await mint(claims, 3600));
  if (one.tokens === null) throw new Error("no tokens");
  return one.tokens.issue(principal, request);
}

/** The one session of a subject on a node. */
function sessionOf(p: TestPostern, subject: string) {
  return [...p.gateway.sessions.values()].find((session) => session.principal.subject === subject);
}

async function endReason(p: TestPostern, id: string): Promise<string> {
  let reason = "";
  await eventually(async () => {
    const leaf = (await p.records()).find((r) => r.type === "session.end" && r.session === id);
    reason = String(leaf?.reason ?? "");
    return leaf !== undefined;
  });
  return reason;
}

describe("a pgt_ token at the wire", () => {
  it("is a password on any node, and by SCRAM its text never crosses the wire", async () => {
    const token = await issue({ sub: "scrammer" });
    for (const node of [one, two]) {
      const { client } = await connect(node, token.token);
      expect((await client.query("select current_setting('postern.subject') as who")).rows).toEqual([
        { who: "scrammer" },
      ]);
      await client.end();
      // node-postgres takes up SCRAM when it is offered.
      const by = await connect(node, token.token, token.user);
      expect((await by.client.query("select current_setting('postern.subject') as who")).rows).toEqual([
        { who: "scrammer" },
      ]);
      await by.client.end();
    }
  });

  it("is refused for another database, another place, with a wrong proof, or when nobody knows it", async () => {
    const hr = await issue({ sub: "erin" }, { database: "hr" });
    const api = await issue({ sub: "erin" }, { audience: ["api", "mcp"] });
    const good = await issue({ sub: "erin" });
    const unknown = `pgt_${"A".repeat(12)}`;
    for (const [password, user] of [
      [hr.token, "anyone"],
      [hr.token, hr.user],
      [api.token, "anyone"],
      [api.token, api.user],
      [hr.token, good.user],
      [good.token, unknown],
      [good.token.replace(/.$/, good.token.endsWith("a") ? "b" : "a"), "anyone"],
    ] as const)
      await expect(connect(one, password, user)).rejects.toMatchObject(refused);
    const codes = (await one.records()).filter((r) => r.type === "auth.failed").map((r) => r.code);
    expect(codes).toEqual(
      expect.arrayContaining(["TOKEN_DATABASE", "TOKEN_AUDIENCE", "TOKEN_PROOF", "TOKEN_MALFORMED"]),
    );
  });

  it("answers an unknown user with the same salt each time", async () => {
    const salt = async (user: string) => {
      const client = await rawLoginScram(one, user);
      return /s=([^,]+)/.exec(client)?.[1];
    };
    const first = await salt("pgt_abcdefghijkl");
    expect(first).toMatch(/^[A-Za-z0-9+/]{22}==$/);
    expect(await salt("pgt_abcdefghijkl")).toBe(first);
    expect(await salt("pgt_abcdefghijkm")).not.toBe(first);
  });

  it("stands nowhere in the records, not even when it was typed as the user", async () => {
    const { token, id } = await issue({ sub: "clumsy" });
    const { client } = await connect(one, token, token);
    await client.query("select 1");
    await client.end();
    const text = JSON.stringify(await one.records());
    expect(text).toContain(`pgt_${id}`);
    expect(text).not.toContain(token.slice(17));
  });
});

/** Begins SCRAM for a user and gives the server's first message. */
async function rawLoginScram(p: TestPostern, user: string): Promise<string> {
  const net = await import("node:net");
  const { encodeFrontend, encodeStartup } = await import("../../src/protocol/index.ts");
  const { rawClient } = await import("../support/raw.ts");
  const socket = net.connect({ host: p.host, port: p.port });
  const client = rawClient(socket);
  client.send(
    encodeStartup(
      new Map([
        ["user", user],
        ["database", "shop"],
      ]),
    ),
  );
  await client.until((m) => m.type === "R");
  client.send(
    encodeFrontend({
      type: "saslInitialResponse",
      mechanism: "SCRAM-SHA-256",
      data: Buffer.from("n,,n=,r=abcdefghijklmnop"),
    }),
  );
  const [answer] = await client.until((m) => m.type === "R");
  socket.destroy();
  return answer?.body.subarray(4).toString() ?? "";
}

describe("revocation", () => {
  it("by subject ends a session in the middle of its statement on every node, and lets nobody in until it is lifted", async ({
    onTestFinished,
  }) => {
    // A try of its own: what an earlier one revoked may still be.
    const eve = `eve-${++tries}`;
    onTestFinished(async () => {
      for (const each of one.revocations?.all ?? [])
        if (each.value === eve) await one.revocations?.lift(each.id);
    });
    const watcher = await connect(one, await mint({ sub: "watcher" }));
    const sleeping = async (): Promise<number> => {
      const { rows } = await watcher.client.query(
        "select count(*)::int as n from pg_stat_activity where datname = current_database() and query like 'select pg_sleep(60)%' and state = 'active'",
      );
      return rows[0].n;
    };
    const on = await Promise.all(
      [one, two].map(async (p) => ({ p, ...(await connect(p, await mint({ sub: eve }))) })),
    );
    const running = on.map(({ client }) =>
      client.query("select pg_sleep(60)").then(
        () => "done",
        (error) => error,
      ),
    );
    await eventually(async () => (await sleeping()) === 2);
    const ids = [one, two].map((p) => sessionOf(p, eve)?.id ?? "");
    const revocation = await one.revocations?.add({
      kind: "subject",
      value: eve,
      reason: "stolen laptop",
      by: null,
    });
    // The driver gives the FATAL to the query that runs.
    for (const result of running) expect(await result).toMatchObject({ code: "57P01" });
    // The statements really ended in the server, and the record says how.
    for (const [index, p] of [one, two].entries()) {
      expect(await endReason(p, ids[index] ?? "")).toMatch(/^revoked \(subject/);
      const outcomes = (await p.records()).filter(
        (r) => r.type === "statement.outcome" && r.session === ids[index],
      );
      expect(outcomes).toMatchObject([{ status: "cancelled", sqlstate: "57014" }]);
    }
    await eventually(async () => (await sleeping()) === 0);
    await watcher.client.end();
    for (const p of [one, two])
      await expect(connect(p, await mint({ sub: eve }))).rejects.toMatchObject(refused);
    await one.revocations?.lift(revocation?.id ?? "");
    for (const p of [one, two])
      await eventually(async () => {
        try {
          await (await connect(p, await mint({ sub: eve }))).client.end();
          return true;
        } catch {
          return false;
        }
      });
  });

  it("of a token ends what was exchanged for it, and spares other logins of the same person", async () => {
    const stolen = await mint({ sub: "tom", jti: "stolen-1" }, 3600);
    const principal = await one.identity.authenticate(stolen);
    const derived = await one.tokens?.issue(principal, {});
    const a = await connect(two, derived?.token ?? "");
    const b = await connect(two, await mint({ sub: "tom" }));
    await one.revocations?.add({ kind: "token", value: "stolen-1", reason: "leaked", by: null });
    expect(await a.over).toMatchObject({ code: "57P01" });
    expect((await b.client.query("select 1 as n")).rows).toEqual([{ n: 1 }]);
    await b.client.end();
    await expect(connect(one, derived?.token ?? "")).rejects.toMatchObject(refused);
    await expect(connect(one, stolen)).rejects.toMatchObject(refused);
  });

  it("by agent ends what it does for anybody", async () => {
    const acting = await mint({ sub: "uma", act: { sub: "rogue-bot" } });
    const a = await connect(one, acting);
    const b = await connect(one, await mint({ sub: "uma" }));
    await two.revocations?.add({ kind: "agent", value: "rogue-bot", reason: "runs wild", by: null });
    expect(await a.over).toMatchObject({ code: "57P01" });
    await b.client.query("select 1");
    await b.client.end();
  });

  it("leaves no gap between a login and its session", async () => {
    // Sessions that begin while the revocation is written, on the other node: none may survive it.
    const tries = Array.from({ length: 10 }, async () => {
      try {
        return await connect(two, await mint({ sub: "racer" }));
      } catch {
        return null;
      }
    });
    await one.revocations?.add({ kind: "subject", value: "racer", reason: "race", by: null });
    for (const found of await Promise.all(tries)) if (found !== null) await found.over;
    await eventually(() => sessionOf(two, "racer") === undefined);
  });

  it("rolls an open transaction back", async () => {
    const setup = await connect(one, await mint({ sub: "admin" }));
    await setup.client.query("create table if not exists kept(n int)");
    const { client, over } = await connect(one, await mint({ sub: "half" }));
    await client.query("begin");
    await client.query("insert into kept values (1)");
    await one.revocations?.add({ kind: "subject", value: "half", reason: "x", by: null });
    expect(await over).toMatchObject({ code: "57P01" });
    await eventually(async () => (await setup.client.query("select * from kept")).rows.length === 0);
    await setup.client.end();
  });
});

describe("ending a session", () => {
  it("from another node", async () => {
    const { over } = await connect(two, await mint({ sub: "far" }));
    const id = sessionOf(two, "far")?.id ?? "";
    expect(one.gateway.endSession(id, "too far")).toBe(false);
    expect(await one.gateway.lifecycle.endAnywhere(id, "cleaning up")).toBe("told");
    expect(await over).toMatchObject({ code: "57P01" });
    expect(await endReason(two, id)).toBe("cleaning up");
  });
});

// Each waits for a clock, with sessions of its own.
describe.concurrent("the end of a session's time", () => {
  it("lets the running statement finish, warns before, and rolls back what is open", async () => {
    const token = await mint({ sub: "late" }, 4);
    const { client, notices, over } = await connect(one, token);
    await eventually(() => notices.length > 0);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(/^this session ends .*: its token expires$/);
    await client.query("begin");
    const { rows } = await client.query("select pg_sleep(4), 'whole' as answer");
    expect(rows[0].answer).toBe("whole");
    expect(await over).toMatchObject({
      code: "57P01",
      message: expect.stringContaining("token has expired"),
    });
  });

  it("takes nothing new, however much is sent", async () => {
    const client = await rawLogin(one, await mint({ sub: "pusher" }, 2));
    const id = sessionOf(one, "pusher")?.id ?? "";
    client.send(query("select pg_sleep(3)"));
    const more = setInterval(() => client.send(query("select 'more'")), 50);
    const messages = await client.until(() => false, 15_000);
    clearInterval(more);
    const last = messages.at(-1);
    expect(last?.type).toBe("E");
    expect(field(last, "C")).toBe("57P01");
    const intents = (await one.records()).filter((r) => r.type === "statement.intent" && r.session === id);
    const outcomes = (await one.records()).filter((r) => r.type === "statement.outcome" && r.session === id);
    // Those that came in time ran to their end; nothing was begun behind that.
    expect(outcomes.length).toBe(intents.length);
    expect(outcomes.every((r) => r.status === "ok")).toBe(true);
  });

  it("ends a session that never sends Sync", async () => {
    const client = await rawLogin(one, await mint({ sub: "unsynced" }, 2));
    client.send(parse("", "select 1"), bind("", ""), execute(""), Buffer.from("H\0\0\0\x04", "latin1"));
    const messages = await client.until(() => false, 10_000);
    expect(field(messages.at(-1), "C")).toBe("57P01");
    expect(messages.map((m) => m.type).join("")).toMatch(/^12DC.*E$/);
  });

  it("lets a COPY that runs be ended by its client", async () => {
    const setup = await connect(one, await mint({ sub: "admin" }));
    await setup.client.query("create table if not exists copied(n int)");
    const client = await rawLogin(one, await mint({ sub: "copier" }, 2));
    client.send(query("copy copied from stdin"));
    await client.until((m) => m.type === "G");
    await new Promise((done) => setTimeout(done, 3_500));
    const data = Buffer.from("1\n2\n");
    const head = Buffer.alloc(5);
    head.write("d");
    head.writeInt32BE(4 + data.length, 1);
    client.send(head, data, Buffer.from("c\0\0\0\x04", "latin1"), query("select 'more'"));
    const messages = await client.until(() => false, 10_000);
    expect(messages.map((m) => m.type).join("")).toBe("CZE");
    expect((await setup.client.query("select count(*)::int as n from copied")).rows).toEqual([{ n: 2 }]);
    await setup.client.end();
  });

  it("is put off by a fresh token of the same principal, and by no other", async () => {
    const { client, over } = await connect(one, await mint({ sub: "stayer" }, 4));
    const id = sessionOf(one, "stayer")?.id ?? "";
    const who = async (claims: Record<string, unknown>, seconds = 300): Promise<Principal> =>
      one.identity.authenticate(await mint(claims, seconds));
    const { lifecycle } = one.gateway;
    expect(lifecycle.renew(id, await who({ sub: "other" }))).toMatchObject({
      ok: false,
      why: "another principal",
    });
    expect(lifecycle.renew(id, await who({ sub: "stayer", act: { sub: "bot" } }))).toMatchObject({
      ok: false,
      why: "another principal",
    });
    expect(lifecycle.renew(id, await who({ sub: "stayer", groups: ["testers", "dba"] }))).toMatchObject({
      ok: false,
      why: "changed",
    });
    expect(lifecycle.renew(id, await who({ sub: "stayer", department: "new" }))).toMatchObject({
      ok: false,
      why: "changed",
    });
    expect(lifecycle.renew("none", await who({ sub: "stayer" }))).toMatchObject({
      ok: false,
      why: "unknown",
    });
    const fresh = await who({ sub: "stayer", jti: "fresh-1" }, 9);
    expect(lifecycle.renew(id, fresh)).toMatchObject({ ok: true, expires: fresh.token.expires });
    await new Promise((done) => setTimeout(done, 5_500));
    expect((await client.query("select 'still here' as n")).rows).toEqual([{ n: "still here" }]);
    // The token it was renewed with can be revoked like the first one.
    await two.revocations?.add({ kind: "token", value: "fresh-1", reason: "x", by: null });
    expect(await over).toMatchObject({ code: "57P01" });
    const record = (await one.records()).find((r) => r.action === "session.renewed");
    expect(record).toMatchObject({ type: "admin.action", session: id, token: { jti: "fresh-1" } });
  });

  it("comes from limits.session_seconds when that is earlier, and no token puts it off", async () => {
    const short = await startTestPostern({ ...options, limits: { sessionSeconds: 3, warnSeconds: 0 } });
    try {
      const { over } = await connect(short, await mint({ sub: "shorty" }, 300));
      const session = sessionOf(short, "shorty");
      expect(session?.deadline.cause).toBe("limit");
      expect(
        short.gateway.lifecycle.renew(
          session?.id ?? "",
          await short.identity.authenticate(await mint({ sub: "shorty" }, 600)),
        ).ok,
      ).toBe(true);
      expect(await over).toMatchObject({
        code: "57P01",
        message: expect.stringContaining("as long as a session may"),
      });
    } finally {
      await short.stop();
    }
  });

  it("cuts off a statement that goes on for too long behind it", async () => {
    const short = await startTestPostern({ ...options, limits: { finishSeconds: 1 } });
    try {
      const { client } = await connect(short, await mint({ sub: "runner" }, 2));
      const running = client.query("select pg_sleep(60)").then(
        () => "done",
        (error: unknown) => error,
      );
      expect(await running).toMatchObject({ code: "57P01" });
    } finally {
      await short.stop();
    }
  });
});
