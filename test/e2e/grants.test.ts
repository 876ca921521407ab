/** Groups for a while: they count in open sessions from the moment they are given, and no longer than they were given for. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Grant, GrantSource } from "../../src/approvals/index.ts";
import type { Principal } from "../../src/facts/principal.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { person, tables } from "./hold-support.ts";
import { field, query, types } from "./messages.ts";

const policy = `
version: 1
default: deny
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - { name: control, when: 'statement.effects == []', then: allow }
  - { name: oncall-writes, when: '"oncall" in principal.groups', then: allow }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;

const access = [
  {
    groups: ["oncall"],
    databases: ["*"],
    approvers: { groups: ["leads"], count: 1, withinMs: 60_000 },
    maxSeconds: 3600,
    requesters: null,
  },
];

function options(more: Partial<TestOptions> = {}): TestOptions {
  return {
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy,
    approvals: { settings: { access } },
    ...more,
  };
}

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, tables);
  postern = await startTestPostern(options());
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

async function send(client: RawClient, sql: string): Promise<RawMessage[]> {
  client.send(query(sql));
  // Where transactions become READ WRITE the server says so.
  return (await client.ready()).filter(({ type }) => type !== "S");
}

const write = "update accounts set balance = balance + 1 where id = 1";

async function groups(client: RawClient): Promise<string[]> {
  const messages = await send(client, "select current_setting('postern.groups')");
  const text = messages.find(({ type }) => type === "D")?.body.toString("utf8", 6) ?? "[]";
  return JSON.parse(text);
}

async function give(principal: Principal): Promise<string> {
  const wish = { database: "shop", group: "oncall", seconds: 600, reason: "pager 4711" };
  const { id } = await postern.approvals.requestAccess(principal, wish);
  await postern.approvals.decide(id, person("lea", ["leads"]), "approve");
  return id;
}

describe("a granted group", () => {
  it("counts in a session that is open, and ends when it is taken back", async () => {
    const token = await postern.token({ sub: "otto" });
    const principal = await postern.identity.authenticate(token);
    const client = await rawLogin(postern, token);
    expect(types(await send(client, write))).toBe("EZ");
    const id = await give(principal);
    await expect.poll(async () => types(await send(client, write)), { timeout: 15_000 }).toBe("CZ");
    expect(await groups(client)).toEqual(["testers", "oncall"]);
    const other = await rawLogin(postern, await postern.token({ sub: "else" }));
    expect(types(await send(other, write))).toBe("EZ");
    const fresh = await rawLogin(postern, token);
    expect(types(await send(fresh, write))).toBe("CZ");
    expect(await groups(fresh)).toEqual(["testers", "oncall"]);
    await postern.approvals.revoke(id, { ...person("lea", ["leads"]), admin: true }, "over");
    for (const one of [client, fresh]) {
      await expect.poll(async () => types(await send(one, write)), { timeout: 15_000 }).toBe("EZ");
      expect(await groups(one)).toEqual(["testers"]);
    }
    const events = (await postern.records()).filter(
      (leaf) => leaf.type === "admin.action" && leaf.action === "access.in-force",
    );
    expect(events[0]).toMatchObject({ grants: [{ approval: id, group: "oncall" }] });
    expect(events.at(-1)).toMatchObject({ grants: [] });
    for (const one of [client, fresh, other]) await one.end();
  });

  it("held through RESET ALL only by the policy, never by what row policies see", async () => {
    const token = await postern.token({ sub: "resetter" });
    const client = await rawLogin(postern, token);
    await give(await postern.identity.authenticate(token));
    await expect.poll(async () => types(await send(client, write)), { timeout: 15_000 }).toBe("CZ");
    await send(client, "reset all");
    expect(await groups(client)).toEqual(["testers"]);
    await client.end();
  });
});

describe("a grant that ends by itself", () => {
  function timed(): { source: GrantSource; set(grants: readonly Grant[]): void } {
    let held: readonly Grant[] = [];
    const listeners = new Set<() => void>();
    return {
      source: {
        groupsOf: (_, database, nowMs) =>
          held.filter((grant) => grant.database === database && grant.until > nowMs),
        onChange(changed) {
          listeners.add(changed);
          return () => listeners.delete(changed);
        },
      },
      set(grants) {
        held = grants;
        for (const listener of listeners) listener();
      },
    };
  }

  it("to the moment: the next statement is judged without it", async () => {
    const { source, set } = timed();
    const own = await startTestPostern(options({ approvals: { grants: source } }));
    try {
      const client = await rawLogin(own, await own.token());
      await send(client, "select 1");
      const until = Date.now() + 1_500;
      set([{ id: "g1", group: "oncall", database: "shop", until }]);
      expect(types(await send(client, write))).toBe("CZ");
      await sleep(Math.max(0, until - Date.now() + 5));
      expect(types(await send(client, write))).toBe("EZ");
      await client.end();
    } finally {
      await own.stop();
    }
  });

  it("counts in what the caller is told of its access, for as long as it lasts", async () => {
    const { source, set } = timed();
    const own = await startTestPostern(options({ approvals: { grants: source } }));
    try {
      const { access: desk } = own.gateway;
      const stranger = await own.identity.authenticate(await own.token({ groups: ["nobody"] }));
      const tester = await own.identity.authenticate(await own.token());
      const asker = { via: "mcp" as const, application: null, ip: "127.0.0.1", tls: false, claimed: {} };
      const told = async (principal: Principal) => {
        const found = await desk.describe({ ...asker, principal }, "shop");
        const [table] = found?.tables ?? [];
        const one =
          table === undefined ? null : await desk.table({ ...asker, principal }, "shop", table.name);
        expect(one?.table.update).toBe(table?.update);
        return table?.update ?? null;
      };
      expect([desk.databases(stranger), await told(stranger)]).toEqual([[], null]);
      expect(await told(tester)).toBe("no");
      const until = Date.now() + 60_000;
      set([{ id: "g1", group: "oncall", database: "shop", until }]);
      expect(await told(tester)).toBe("yes");
      set([{ id: "g2", group: "testers", database: "shop", until }]);
      expect([desk.databases(stranger), await told(stranger)]).toEqual([["shop"], "no"]);
      set([]);
      expect([desk.databases(stranger), await told(tester)]).toEqual([[], "no"]);
    } finally {
      await own.stop();
    }
  });

  it("ends the session whose login it chose", async () => {
    const { source, set } = timed();
    const own = await startTestPostern(options({ approvals: { grants: source } }));
    try {
      set([{ id: "g1", group: "testers", database: "shop", until: Date.now() + 60_000 }]);
      const client = await rawLogin(own, await own.token({ groups: ["nobody"] }));
      expect(types(await send(client, "select 1"))).toBe("TDCZ");
      set([]);
      const messages = await client.until(() => false);
      expect(field(messages.at(-1), "C")).toBe("57P01");
      const late = await rawLogin(own, await own.token({ groups: ["nobody"] }));
      expect(field(late.messages.at(-1), "C")).toBe("28000");
    } finally {
      await own.stop();
    }
  });
});
