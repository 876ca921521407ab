/** What becomes of a held statement, in the hands of real drivers: the database, the session behind it, the trail, and never twice. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Approval } from "../../src/facts/approval.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";
import { cleanUp, type Driver, type DriverSession, drivers } from "./hold-clients.ts";
import { approve, deny, holdPolicy, pending, reaches, tables } from "./hold-support.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let store: Store;
/** Whose holds end after a second. */
let hasty: TestPostern;

function options(): TestOptions {
  return {
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy: holdPolicy(
      "60s",
      "  - { name: settings, when: 'statement.effects == [\"session\"]', then: allow }\n",
    ),
    approvals: { settings: { requestsPerMinute: 1000, maxPendingPerPrincipal: 100, denials: 1000 }, store },
  };
}
const policyWithin = (within: string) => options().policy?.replace("within: 60s", `within: ${within}`) ?? "";

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, tables);
  store = await memoryStore();
  postern = await startTestPostern(options());
  hasty = await startTestPostern({ ...options(), policy: policyWithin("1s") });
});
afterAll(async () => {
  await postern?.stop();
  await hasty?.stop();
  await store?.close();
  await cluster?.dropDatabase(dbname);
  await cleanUp();
});
beforeEach(async () => {
  postern.setPolicy(options().policy ?? "");
  await cluster.query(dbname, "update accounts set balance = 100; truncate notes");
});

async function balance(id = 1): Promise<number> {
  const [row] = await cluster.query(dbname, "select balance from accounts where id = $1", [id]);
  return Number(row?.balance);
}

const withdraw = "update accounts set balance = balance - 10 where id = 1";
const cancelled = { sqlstate: "57014" };

/** Exactly one outcome is on the record for what was held. */
async function outcomesOf({ request }: Approval, on = postern): Promise<unknown[]> {
  return (await on.records())
    .filter((leaf) => leaf.request === request && leaf.type === "statement.outcome")
    .map(({ status }) => status);
}

async function opened(driver: Driver, on: TestPostern, expiresIn = 300): Promise<DriverSession> {
  const token = await on.idp.mint({ sub: `agent of ${driver.name}`, groups: ["testers"] }, { expiresIn });
  return driver.open(on, token);
}

/** What waits of this driver's agent, where several work at once. */
async function pendingOf(driver: Driver, on: TestPostern): Promise<Approval> {
  let found: Approval | undefined;
  await expect
    .poll(
      async () => {
        const { items } = await on.approvals.list({ state: "pending", kind: "statement", limit: 100 });
        found = items.findLast(({ requester }) => requester.subject === `agent of ${driver.name}`);
        return found === undefined;
      },
      { timeout: 15_000, interval: 20 },
    )
    .toBe(false);
  if (found === undefined) throw new Error("nothing waits for approval");
  return found;
}

describe.each(drivers)("$name", (driver) => {
  const test = it.skipIf(driver.missing !== null);
  if (driver.missing !== null)
    it.skip(`is not installed: apt-get install ${driver.missing}`, () => undefined);
  let session: DriverSession;

  beforeEach(async () => {
    if (driver.missing !== null) return;
    session = await opened(driver, postern);
    return async () => {
      await session.end();
    };
  });

  async function works(): Promise<void> {
    expect(await session.run("select 1")).toMatchObject({ sqlstate: null });
  }

  test("approve", async () => {
    const done = session.run(withdraw);
    const waiting = await pending(postern);
    expect(await balance()).toBe(100);
    await approve(postern, waiting.id);
    expect(await done).toMatchObject({ sqlstate: null });
    expect(await balance()).toBe(90);
    expect(await outcomesOf(waiting)).toEqual(["ok"]);
    await works();
  });

  test("deny", async () => {
    const done = session.run(withdraw);
    const waiting = await pending(postern);
    await deny(postern, waiting.id, "not this one");
    const said = await done;
    expect(said.sqlstate).toBe("42501");
    if (said.message !== "") expect(said.message).toContain("not this one");
    expect(await balance()).toBe(100);
    expect(await outcomesOf(waiting)).toEqual(["denied"]);
    await works();
  });

  test("cancel", async () => {
    const done = session.run(withdraw);
    const waiting = await pending(postern);
    await session.cancel();
    const said = await done;
    if (driver.survivesCancel) expect(said).toMatchObject(cancelled);
    await reaches(postern, waiting.id, "gone");
    expect(await balance()).toBe(100);
    expect(await outcomesOf(waiting)).toEqual(["denied"]);
    if (driver.survivesCancel) await works();
  });

  test("disconnect", async () => {
    const done = session.run(withdraw);
    const waiting = await pending(postern);
    session.kill();
    await reaches(postern, waiting.id, "gone");
    await expect(approve(postern, waiting.id)).rejects.toMatchObject({ code: "NOT_PENDING" });
    expect(await balance()).toBe(100);
    expect(await outcomesOf(waiting)).toEqual(["denied"]);
    await done;
  });

  test("in transaction", async () => {
    await session.begin();
    await session.run("insert into notes values ('before')");
    const done = session.run(withdraw);
    const waiting = await pending(postern);
    expect(waiting.transaction?.open).toBe(true);
    expect(waiting.transaction?.locks.join()).toContain("public.notes");
    await approve(postern, waiting.id);
    expect(await done).toMatchObject({ sqlstate: null });
    expect(await session.commit()).toMatchObject({ sqlstate: null });
    expect([await balance(), (await cluster.query(dbname, "select * from notes")).length]).toEqual([90, 1]);
    await works();
  });

  test("in transaction, denied: all of it is undone", async () => {
    await session.begin();
    await session.run("insert into notes values ('before')");
    const done = session.run(withdraw);
    await deny(postern, (await pending(postern)).id);
    expect(await done).toMatchObject({ sqlstate: "42501" });
    expect(await session.rollback()).toMatchObject({ sqlstate: null });
    expect([await balance(), (await cluster.query(dbname, "select * from notes")).length]).toEqual([100, 0]);
    await works();
  });

  test("first in its transaction", async () => {
    await session.begin();
    const done = session.run(withdraw);
    const waiting = await pending(postern);
    expect(waiting.mode).toBe("wait");
    await approve(postern, waiting.id);
    expect(await done).toMatchObject({ sqlstate: null });
    await session.commit();
    expect(await balance()).toBe(90);
  });

  test("pipelined", async () => {
    const done = session.together([
      "insert into notes values ('first')",
      withdraw,
      "insert into notes values ('last')",
    ]);
    let asked = 0;
    let over = false;
    void done.then(() => {
      over = true;
    });
    while (!over) {
      const { items } = await postern.approvals.list({ state: "pending", kind: "statement", limit: 10 });
      const [waiting] = items.filter(({ session: own }) => own !== null);
      if (waiting !== undefined) {
        expect(waiting.mode).toBe("wait");
        asked++;
        await approve(postern, waiting.id).catch(() => undefined);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await done).toMatchObject({ sqlstate: null });
    expect(asked).toBeGreaterThan(0);
    expect([await balance(), (await cluster.query(dbname, "select * from notes")).length]).toEqual([90, 2]);
    await works();
  });

  test("prepared with other parameters: a new request", async () => {
    const sql =
      driver.name === "pgjdbc"
        ? "update accounts set balance = ? where id = 2"
        : driver.name === "psycopg 3"
          ? "update accounts set balance = %s where id = 2"
          : "update accounts set balance = $1 where id = 2";
    const seen = new Set<string>();
    for (const value of [1, 2, 2]) {
      const done = session.run(sql, [value]);
      const waiting = await pending(postern);
      seen.add(waiting.id);
      await approve(postern, waiting.id);
      expect(await done).toMatchObject({ sqlstate: null });
      expect(await balance(2)).toBe(value);
    }
    expect(seen.size).toBe(3);
  });

  test("policy changed meanwhile", async () => {
    const done = session.run(withdraw);
    const first = await pending(postern);
    postern.setPolicy(policyWithin("59s"));
    await approve(postern, first.id);
    await expect.poll(async () => (await pending(postern)).id, { timeout: 15_000 }).not.toBe(first.id);
    expect(await balance()).toBe(100);
    postern.setPolicy(
      "version: 1\ndefault: deny\nrules:\n  - { name: r, when: 'statement.effects == [\"read\"]', then: allow }\n",
    );
    await approve(postern, (await pending(postern)).id);
    expect(await done).toMatchObject({ sqlstate: "42501" });
    expect(await balance()).toBe(100);
    await works();
  });

  test("two approvers at once", async () => {
    const done = session.run(withdraw);
    const waiting = await pending(postern);
    await Promise.allSettled([
      approve(postern, waiting.id, "stella"),
      approve(postern, waiting.id, "stefan"),
    ]);
    expect(await done).toMatchObject({ sqlstate: null });
    expect(await balance()).toBe(90);
    expect(await outcomesOf(waiting)).toEqual(["ok"]);
    await works();
  });

  test("gateway restarted while holding", async () => {
    const first = await startTestPostern(options());
    const own = await opened(driver, first);
    const done = own.run(withdraw);
    const waiting = await pending(first);
    await first.stop();
    expect((await done).sqlstate).not.toBeNull();
    const gone = await reaches(postern, waiting.id, "gone");
    expect(gone.why).toBe("restart");
    await expect(approve(postern, waiting.id)).rejects.toMatchObject({ code: "NOT_PENDING" });
    expect(await balance()).toBe(100);
    await own.end();
  });
});

// These wait for clocks: all drivers at once.
describe.each([
  [
    "time-out",
    async (driver: Driver) => {
      const session = await opened(driver, hasty);
      const done = session.run(withdraw);
      const waiting = await pendingOf(driver, hasty);
      expect(await done).toMatchObject({ sqlstate: "42501" });
      await reaches(hasty, waiting.id, "expired");
      expect(await balance()).toBe(100);
      expect(await outcomesOf(waiting, hasty)).toEqual(["denied"]);
      expect(await session.run("select 1")).toMatchObject({ sqlstate: null });
      await session.end();
    },
  ],
  [
    "token expired meanwhile",
    async (driver: Driver) => {
      const session = await opened(driver, postern, 8);
      const done = session.run(withdraw);
      const waiting = await pendingOf(driver, postern);
      await reaches(postern, waiting.id, "gone");
      expect((await done).sqlstate).not.toBeNull();
      expect(await balance()).toBe(100);
      expect(await outcomesOf(waiting)).toEqual(["denied"]);
      await session.end();
    },
  ],
] as const)("%s", (_name, check) => {
  for (const driver of drivers)
    it.skipIf(driver.missing !== null).concurrent(driver.name, () => check(driver));
});
