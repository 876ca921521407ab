/** Several gateways on one store, on both drivers: single use, votes, restarts and grants. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ApprovalError, defaultApprovalSettings, requesterOf } from "../../src/approvals/index.ts";
import { createEnvelope } from "../../src/store/envelope.ts";
import { createSealer, openStore, type Store, type StorePlace } from "../../src/store/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { agent, ask, demand, principal, type Room, room, secretValue, steward } from "./support.ts";

let folder: string;
let cluster: Database;
const databases: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-approvals-"));
  cluster = await sharedCluster();
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  for (const name of databases) await cluster.dropDatabase(name);
});

const drivers: { name: string; place(): Promise<StorePlace> }[] = [
  {
    name: "sqlite",
    place: async () => ({ kind: "sqlite", path: join(folder, `${randomBytes(6).toString("hex")}.db`) }),
  },
  {
    name: "postgres",
    async place() {
      const name = await cluster.createDatabase();
      databases.push(name);
      return { kind: "postgres", url: cluster.url(name) };
    },
  },
];

const settings = {
  ...defaultApprovalSettings,
  access: [
    {
      groups: ["oncall"],
      databases: ["shop"],
      approvers: { groups: ["data-stewards"], count: 1, withinMs: 60_000 },
      maxSeconds: 3600,
      requesters: null,
    },
  ],
};
const sealer = createSealer(createEnvelope([randomBytes(32)]));
const requester = requesterOf(agent);
const { binding, shape } = ask();
const never = new AbortController().signal;

async function until(what: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await what())) {
    if (Date.now() > end) throw new Error("it did not come about in time");
    await sleep(20);
  }
}

describe.each(drivers)("$name", ({ place }) => {
  let at: StorePlace;
  let stores: Store[];
  let one: Room;
  let two: Room;
  const node = async (name: string, more: Parameters<typeof room>[0] = {}): Promise<Room> => {
    const store = await openStore(at);
    stores.push(store);
    return room({ store, node: name, sealer, settings, ...more });
  };
  beforeEach(async () => {
    at = await place();
    stores = [];
    [one, two] = await Promise.all([node("gw-1"), node("gw-2")]);
  });
  afterEach(async () => {
    await Promise.all([one.close(), two.close()]);
    await Promise.all(stores.map((store) => store.close()));
  });

  test("decided on one node, the other goes on", async () => {
    const { id } = await one.approvals.request(ask());
    const waiting = one.approvals.settled(id, never);
    await until(async () => (await two.approvals.list({ state: "pending", limit: 10 })).items.length === 1);
    await two.approvals.decide(id, steward(), "approve");
    expect((await waiting).state).toBe("approved");
    expect(await one.approvals.claim(id, binding, requester)).not.toBeNull();
  });

  test("of many claims on both nodes exactly one gets it", async () => {
    for (let round = 0; round < 3; round++) {
      const { id } = await one.approvals.request(ask({ mode: "ticket" }));
      await two.approvals.decide(id, steward(), "approve");
      const claims = Array.from({ length: 10 }, (_, i) =>
        (i % 2 === 0 ? one : two).approvals.claim(id, binding, requester),
      );
      expect((await Promise.all(claims)).filter((claim) => claim !== null)).toHaveLength(1);
      expect(await two.approvals.findApproved(binding, shape, requester)).toBeNull();
    }
    const used = [...one.said(), ...two.said()].filter((what) => what === "approval.used");
    expect(used).toHaveLength(3);
  });

  test("of a shape's uses no more are given than were allowed", async () => {
    const { id } = await one.approvals.request(ask({ mode: "ticket" }));
    await one.approvals.decide(id, steward(), "approve", { scope: { kind: "shape", uses: 4, seconds: 600 } });
    const other = "9".repeat(64);
    expect((await two.approvals.findApproved(other, shape, requester))?.id).toBe(id);
    const claims = Array.from({ length: 10 }, (_, i) =>
      (i % 2 === 0 ? one : two).approvals.claim(id, other, requester, { shape }),
    );
    expect((await Promise.all(claims)).filter((claim) => claim !== null)).toHaveLength(4);
    expect(await one.approvals.get(id)).toMatchObject({ state: "used", usesLeft: 0 });
  });

  test("two approvers at once: both count, neither twice", async () => {
    const { id } = await one.approvals.request(ask({ demands: [demand({ count: 2 })] }));
    const votes = await Promise.allSettled([
      one.approvals.decide(id, steward("ann"), "approve"),
      two.approvals.decide(id, steward("bob"), "approve"),
      two.approvals.decide(id, steward("ann"), "approve"),
      one.approvals.decide(id, steward("bob", { issuer: "https://adfs", provider: "adfs" }), "approve"),
    ]);
    expect(votes.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    for (const vote of votes)
      if (vote.status === "rejected") expect(["ALREADY_VOTED", "NOT_PENDING"]).toContain(vote.reason.code);
    const found = await two.approvals.get(id);
    expect(found?.state).toBe("approved");
    expect(found?.votes.map(({ approver }) => approver.subject).sort()).toEqual(["ann", "bob"]);
    // The log shows of each vote what the approval was behind it, though both were put on it before either counted.
    const decided = [...one.events, ...two.events].filter(({ type }) => type === "approval.decided");
    const last = new Map(
      decided
        .filter(({ fields }) => fields.void === undefined)
        .map(({ fields }) => [JSON.stringify(fields.approver), fields.state]),
    );
    expect([...last.values()]).toContain("approved");
  });

  test("an approval and a denial at once: one of them stands, and the log says which", async () => {
    const { id } = await one.approvals.request(ask());
    const votes = await Promise.allSettled([
      one.approvals.decide(id, steward("ann"), "approve"),
      two.approvals.decide(id, steward("bob"), "deny", { reason: "no" }),
    ]);
    expect(votes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const state = (await one.approvals.get(id))?.state;
    const decided = [...one.events, ...two.events].filter(({ type }) => type === "approval.decided");
    const counted = decided.filter(
      ({ fields }) =>
        !decided.some((other) => other.fields.void !== undefined && other.fields.verdict === fields.verdict),
    );
    expect(counted.map(({ fields }) => fields.state)).toEqual([state]);
  });

  test("equal tickets are one, also when both nodes are asked at once", async () => {
    const tickets = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        (i % 2 === 0 ? one : two).approvals.request(ask({ mode: "ticket" })),
      ),
    );
    expect(new Set(tickets.map(({ id }) => id)).size).toBe(1);
    const ticket = tickets[0]?.id ?? "";
    await one.approvals.decide(ticket, steward(), "approve");
    expect((await two.approvals.findApproved(binding, null, requester))?.id).toBe(ticket);
    expect(await two.approvals.claim(ticket, binding, requester)).not.toBeNull();
    expect((await two.approvals.request(ask({ mode: "ticket" }))).id).not.toBe(ticket);
  });

  test("a restart: what waited is gone, what people decided stays", async () => {
    const held = await one.approvals.request(ask());
    const ticket = await one.approvals.request(ask({ mode: "ticket" }));
    const open = await one.approvals.request(ask({ mode: "ticket", binding: "e".repeat(64) }));
    await two.approvals.decide(ticket.id, steward(), "approve");
    // Killed: nothing of it is tidied up. The node that takes its name finds what it left.
    const again = await node("gw-1");
    expect(await again.approvals.get(held.id)).toMatchObject({ state: "gone", why: "restart" });
    expect(again.said()).toEqual(["approval.expired restart"]);
    expect(await again.approvals.get(open.id)).toMatchObject({ state: "pending" });
    expect(await again.approvals.claim(ticket.id, binding, requester)).toMatchObject({ state: "used" });
    await expect(two.approvals.decide(held.id, steward(), "approve")).rejects.toMatchObject({
      code: "NOT_PENDING",
    });
    await again.close();
  });

  test("a gateway that stops lets go of what its clients wait for", async () => {
    const { id } = await one.approvals.request(ask());
    const waiting = two.approvals.settled(id, never);
    await one.approvals.close();
    expect(await waiting).toMatchObject({ state: "gone", why: "restart" });
  });

  test("a grant begins and ends on every node at once", async () => {
    const eve = principal("eve");
    const asked = await one.approvals.requestAccess(eve, {
      database: "shop",
      group: "oncall",
      seconds: 600,
      reason: "pager",
    });
    expect(one.approvals.grants.groupsOf(eve, "shop", Date.now())).toEqual([]);
    await two.approvals.decide(asked.id, steward(), "approve");
    const groups = (r: Room, who = eve, database = "shop") =>
      r.approvals.grants.groupsOf(who, database, Date.now()).map(({ group }) => group);
    for (const r of [one, two]) await until(() => groups(r).length === 1);
    expect(groups(one)).toEqual(["oncall"]);
    expect(groups(one, eve, "other")).toEqual([]);
    expect(groups(one, principal("eve", { kind: "agent" }))).toEqual([]);
    expect(groups(one, principal("eve", { actor: [{ subject: "bot", issuer: null }] }))).toEqual([]);
    expect(one.approvals.grants.groupsOf(eve, "shop", Date.now() + 601_000)).toEqual([]);
    let changes = 0;
    one.approvals.grants.onChange(() => changes++);
    await two.approvals.revoke(asked.id, { ...steward("root", { groups: [] }), admin: true }, "over");
    await until(() => changes > 0 && groups(one).length === 0);
    expect([...one.said(), ...two.said()]).toEqual([
      "approval.requested",
      "approval.decided approve",
      "admin.action access.granted",
      "admin.action access.revoked",
    ]);
  });

  test("the store shows no statement, value, name or reason, and believes nobody without the key", async () => {
    const { id } = await one.approvals.request(ask({ message: "a rule's message" }));
    await one.approvals.decide(id, steward(), "approve", { reason: "because of the audit" });
    const { store } = one;
    const { items } = await store.list("approvals", { limit: 10 });
    const text = JSON.stringify(items.map(({ value }) => value));
    for (const word of [secretValue, "update customers", "robot", "because of", "tidy up"])
      expect(text).not.toContain(word);
    // Someone with the store alone makes an approval of their own, or moves one.
    const document = items[0];
    if (document === undefined) throw new Error("no document");
    const forged = crypto.randomUUID();
    await store.insert("approvals", forged, document.value, { tags: ["decided", "live"] });
    expect(await two.approvals.get(forged)).toBeNull();
    expect(await two.approvals.claim(forged, binding, requester)).toBeNull();
    await store.insert(
      "approvals",
      crypto.randomUUID(),
      { v: 1, plain: { state: "approved" } },
      { tags: ["live"] },
    );
    expect((await two.approvals.list({ state: "decided", limit: 10 })).items.map((one) => one.id)).toEqual([
      id,
    ]);
  });

  test("a store that is away: nothing is asked, nothing is used, and what leaves is ended later", async () => {
    const { id } = await one.approvals.request(ask());
    await two.approvals.decide(id, steward(), "approve");
    await one.store.close();
    await expect(one.approvals.request(ask())).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await expect(one.approvals.claim(id, binding, requester)).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
    await one.approvals.leave(id, "disconnect");
    expect(await two.approvals.get(id)).toMatchObject({ state: "approved" });
  });
});

test("ApprovalError says its code", () => {
  expect(new ApprovalError("NOT_FOUND", "x")).toMatchObject({ code: "NOT_FOUND", message: "x" });
});
