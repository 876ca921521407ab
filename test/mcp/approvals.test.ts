/** Statements that need a person, through MCP: told at once, waited for, run once, and nobody else's to see. */
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Approver } from "../../src/approvals/index.ts";
import { call, eras, type McpHouse, startHouse } from "./support.ts";

const policy = `
version: 1
rules:
  - name: reads
    when: 'statement.effects == ["read"]'
    then: allow
  - name: writes
    when: '"write" in statement.effects'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 15m }
`;

let house: McpHouse;
let steward: Approver;
beforeAll(async () => {
  house = await startHouse({
    schema: "create table orders(id int primary key, paid bool default false)",
    policy,
    approvals: true,
    kinds: [{ kind: "human", when: '"stewards" in claims.groups' }],
  });
  const principal = await house.postern.identity.authenticate(
    await house.postern.token({ sub: "sue", groups: ["stewards", "testers"] }),
  );
  steward = { principal, authTime: Math.floor(Date.now() / 1000) };
});
afterAll(async () => {
  await house?.stop();
});
beforeEach(async () => {
  await house.cluster.query(house.dbname, "delete from orders; insert into orders values (1), (2)");
});

const paid = async (id: number) =>
  (await house.cluster.query(house.dbname, "select paid from orders where id = $1", [id]))[0]?.paid;

/** Each test has an agent of its own: open requests of one agent are few. */
const agent = async (sub: string, era: (typeof eras)[number] = "modern", capabilities = {}) =>
  house.connect(era, await house.postern.token({ sub }), capabilities);

const pay = (client: Client, id: number) =>
  call(client, "query", {
    database: "shop",
    sql: "update orders set paid = true where id = $1",
    params: [id],
    intent: "the customer has paid",
  });

const idOf = (told: Record<string, unknown>) => (told.approval as { id: string }).id;

describe.each(eras)("a client of the %s era", (era) => {
  it("is told to wait, and runs the statement once when people have agreed", async () => {
    const client = await agent(`pays-${era}`, era);
    const told = await pay(client, 1);
    expect(told).toMatchObject({
      error: false,
      status: "approval_required",
      code: "APPROVAL_REQUIRED",
      approval: {
        id: expect.any(String),
        url: expect.stringContaining("https://postern.test/"),
        expires: expect.any(String),
      },
      approvers: [{ groups: ["stewards"], count: 1 }],
      next: expect.stringContaining("approval_wait"),
    });
    expect(await paid(1)).toBe(false);
    const id = idOf(told);
    expect(await call(client, "approval_status", { id })).toMatchObject({ state: "pending" });
    expect(idOf(await pay(client, 1))).toBe(id);
    const waiting = call(client, "approval_wait", { id, seconds: 20 });
    await pause(100);
    const approval = await house.postern.approvals.get(id);
    expect(approval?.claimed).toMatchObject({ intent: "the customer has paid" });
    expect(approval?.via).toBe("mcp");
    await house.postern.approvals.decide(id, steward, "approve");
    expect(await waiting).toMatchObject({
      state: "approved",
      next: expect.stringContaining("same arguments"),
    });
    expect(await pay(client, 1)).toMatchObject({ status: "ok", command: "UPDATE 1" });
    expect(await paid(1)).toBe(true);
    await house.cluster.query(house.dbname, "update orders set paid = false");
    const again = await pay(client, 1);
    expect(again).toMatchObject({ status: "approval_required" });
    expect(idOf(again)).not.toBe(id);
    expect(await paid(1)).toBe(false);
  });
});

describe("an approval", () => {
  it("is for these arguments only, and for this agent only", async () => {
    const client = await agent("changes-its-mind");
    const id = idOf(await pay(client, 1));
    await house.postern.approvals.decide(id, steward, "approve");
    expect(await pay(client, 2)).toMatchObject({ status: "approval_required" });
    const other = await agent("another");
    expect(await pay(other, 1)).toMatchObject({ status: "approval_required" });
    expect([await paid(1), await paid(2)]).toEqual([false, false]);
    expect(await pay(client, 1)).toMatchObject({ status: "ok" });
    expect(await paid(1)).toBe(true);
  });

  it("runs once however many calls come at the same moment", async () => {
    const client = await agent("in-a-hurry");
    const insert = () => call(client, "query", { database: "shop", sql: "insert into orders values (77)" });
    const id = idOf(await insert());
    await house.postern.approvals.decide(id, steward, "approve");
    const all = await Promise.all(Array.from({ length: 6 }, insert));
    expect(all.filter(({ status }) => status === "ok")).toHaveLength(1);
  });

  it("that is denied tells why, and the statement never runs", async () => {
    const client = await agent("is-denied");
    const id = idOf(await pay(client, 1));
    await house.postern.approvals.decide(id, steward, "deny", { reason: "not this one" });
    expect(await call(client, "approval_wait", { id })).toMatchObject({
      state: "denied",
      reasons: ["not this one"],
      next: expect.stringContaining("will not run"),
    });
    expect((await pay(client, 1)).status).not.toBe("ok");
    expect(await paid(1)).toBe(false);
  });

  it("is nobody else's to look at", async () => {
    const id = idOf(await pay(await agent("owner"), 1));
    const other = await agent("curious");
    for (const tool of ["approval_status", "approval_wait"])
      expect(await call(other, tool, { id })).toMatchObject({ error: true, code: "UNKNOWN_APPROVAL" });
    expect(await call(other, "approval_status", { id: "nothing" })).toMatchObject({
      code: "UNKNOWN_APPROVAL",
    });
  });

  it("that nobody decides leaves the wait at its time", async () => {
    const client = await agent("patient");
    const id = idOf(await pay(client, 1));
    expect(await call(client, "approval_wait", { id, seconds: 1 })).toMatchObject({ state: "pending" });
  });
});

describe("a client that can open pages", () => {
  it("is given the page, and its yes there authorises nothing", async () => {
    const pages: string[] = [];
    const client = await agent("opens-pages", "modern", { elicitation: { url: {} } });
    client.setRequestHandler("elicitation/create", (request) => {
      if (request.params.mode === "url") pages.push(request.params.url);
      return { action: "accept" as const };
    });
    const told = await pay(client, 1);
    expect(pages).toEqual([expect.stringContaining("https://postern.test/")]);
    expect(told).toMatchObject({ status: "approval_required" });
    expect(await paid(1)).toBe(false);
    await house.postern.approvals.decide(idOf(told), steward, "approve");
    expect(await pay(client, 1)).toMatchObject({ status: "ok" });
  });
});
