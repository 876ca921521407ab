/** Tasks (SEP-2663): a held statement is followed by a handle, runs once when people have agreed, and is nobody else's. */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Approver } from "../../src/approvals/index.ts";
import { createEnvelope } from "../../src/store/envelope.ts";
import { createSealer, memoryStore, type Store } from "../../src/store/index.ts";
import { call, type McpHouse, openDoor, startHouse } from "./support.ts";

const extension = "io.modelcontextprotocol/tasks";
const version = "2026-07-28";
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
let store: Store;
let other: Awaited<ReturnType<typeof openDoor>>;
let steward: Approver;
beforeAll(async () => {
  store = memoryStore();
  const tasks = { store, sealer: createSealer(createEnvelope([Buffer.alloc(32, 3)])) };
  house = await startHouse({
    schema: "create table orders(id int primary key, paid bool default false, runs int default 0)",
    policy,
    approvals: true,
    kinds: [{ kind: "human", when: '"stewards" in claims.groups' }],
    deps: { tasks },
  });
  // A second node's endpoint: it shares nothing with the first but the store.
  other = await openDoor(house.postern, {}, { approvals: house.postern.approvals, tasks });
  const principal = await house.postern.identity.authenticate(
    await house.postern.token({ sub: "sue", groups: ["stewards", "testers"] }),
  );
  steward = { principal, authTime: Math.floor(Date.now() / 1000) };
});
afterAll(async () => {
  await other?.stop();
  await house?.stop();
  await store?.close();
});
beforeEach(async () => {
  await house.cluster.query(house.dbname, "delete from orders; insert into orders values (1), (2)");
});

const row = async (id: number) =>
  (await house.cluster.query(house.dbname, "select paid, runs from orders where id = $1", [id]))[0];

type Fields = Readonly<Record<string, unknown>>;
interface Answer {
  readonly status: number;
  readonly result: Fields;
  readonly error: { readonly code?: number; readonly message?: string; readonly data?: unknown };
}

const follows = { extensions: { [extension]: {} } };
const opens = { ...follows, elicitation: { url: {} } };

/** One JSON-RPC request as the revision of 2026 has it. */
async function rpc(
  sub: string,
  method: string,
  params: Fields,
  {
    capabilities = follows,
    url = house.url,
    act,
  }: { capabilities?: Fields; url?: string; act?: string } = {},
): Promise<Answer> {
  const token = await house.postern.token({ sub, ...(act === undefined ? {} : { act: { sub: act } }) });
  const named = params.taskId ?? params.name;
  const response = await fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${token}`,
      "mcp-protocol-version": version,
      "mcp-method": method,
      ...(typeof named === "string" ? { "mcp-name": named } : {}),
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 7,
      method,
      params: {
        ...params,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": version,
          "io.modelcontextprotocol/clientInfo": { name: "test-agent", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": capabilities,
        },
      },
    }),
  });
  const body = (await response.json()) as { id?: unknown; result?: Fields; error?: Answer["error"] };
  expect(body.id).toBe(7);
  return { status: response.status, result: body.result ?? {}, error: body.error ?? {} };
}

const pay = (sub: string, id: number, options: Parameters<typeof rpc>[3] = {}, rows = 100) =>
  rpc(
    sub,
    "tools/call",
    {
      name: "query",
      arguments: {
        database: "shop",
        sql: "update orders set paid = true, runs = runs + 1 where id = $1 returning id, paid",
        params: [id],
        max_rows: rows,
        intent: "the customer has paid",
      },
    },
    options,
  );
const get = (sub: string, taskId: unknown, options: Parameters<typeof rpc>[3] = {}) =>
  rpc(sub, "tasks/get", { taskId }, options);
const cancel = (sub: string, taskId: unknown) => rpc(sub, "tasks/cancel", { taskId });
const approvalOf = ({ result }: Answer) =>
  ((result._meta as Fields)["postern/approval"] as { id: string; url: string }).id;
const structured = ({ result }: Answer) => (result.result as { structuredContent: Fields }).structuredContent;

describe("a client that follows tasks", () => {
  it("is given a handle at once, and the result when people have agreed; it runs once", async () => {
    const made = await pay("follower", 1);
    expect(made.result).toEqual({
      resultType: "task",
      taskId: expect.stringMatching(/^task_[\w-]{43}$/),
      status: "working",
      statusMessage: expect.stringMatching(
        /one person of stewards can approve it at https:\/\/postern\.test\//,
      ),
      createdAt: expect.any(String),
      lastUpdatedAt: expect.any(String),
      ttlMs: expect.any(Number),
      pollIntervalMs: 5000,
      _meta: expect.objectContaining({
        "postern/approval": expect.objectContaining({ id: expect.any(String) }),
        "io.modelcontextprotocol/serverInfo": expect.objectContaining({ name: "postern" }),
      }),
    });
    const { taskId } = made.result;
    expect(made.result.ttlMs).toBeGreaterThanOrEqual(15 * 60_000);
    const waiting = await get("follower", taskId);
    expect(waiting.result).toMatchObject({ resultType: "complete", status: "working", taskId });
    expect(waiting.result).not.toHaveProperty("result");
    expect(await row(1)).toEqual({ paid: false, runs: 0 });
    const approval = await house.postern.approvals.get(approvalOf(made));
    expect(approval).toMatchObject({ via: "mcp", claimed: { intent: "the customer has paid" } });

    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    const done = await get("follower", taskId);
    expect(done.result).toMatchObject({ resultType: "complete", status: "completed", taskId });
    expect(structured(done)).toMatchObject({ status: "ok", command: "UPDATE 1", rows: [[1, true]] });
    expect((done.result.result as Fields).content).toEqual([
      { type: "text", text: JSON.stringify(structured(done)) },
    ]);
    expect(await row(1)).toEqual({ paid: true, runs: 1 });
    // The answer may be lost on its way: it can be had again, on any node, and nothing runs again.
    for (const url of [house.url, other.url])
      expect(structured(await get("follower", taskId, { url }))).toEqual(structured(done));
    expect(await row(1)).toEqual({ paid: true, runs: 1 });
  });

  it("is told by the server that there are tasks", async () => {
    const client = await house.connect("modern", await house.postern.token(), follows);
    expect(client.getServerCapabilities()).toMatchObject({ extensions: { [extension]: {} } });
  });

  it("can be the official client", async () => {
    const client = await house.connect("modern", await house.postern.token({ sub: "official" }), follows);
    const made = await pay("official", 2);
    const { taskId } = made.result;
    const task = z.looseObject({ status: z.string() });
    const look = () => client.request({ method: "tasks/get", params: { taskId } } as never, task as never);
    expect(await look()).toMatchObject({ status: "working" });
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    expect(await look()).toMatchObject({
      status: "completed",
      result: { structuredContent: { status: "ok", command: "UPDATE 1" } },
    });
  });

  it("is given the same handle when it sends the same call again, and its own for another", async () => {
    const [one, same, wider] = [
      await pay("repeats", 1),
      await pay("repeats", 1),
      await pay("repeats", 1, {}, 5),
    ];
    expect(same.result.taskId).toBe(one.result.taskId);
    expect(wider.result.taskId).not.toBe(one.result.taskId);
    await house.postern.approvals.decide(approvalOf(one), steward, "approve");
    expect(structured(await get("repeats", one.result.taskId))).toMatchObject({ status: "ok" });
    const late = await get("repeats", wider.result.taskId);
    expect(late.result.status).toBe("completed");
    expect(structured(late)).toMatchObject({ status: "denied", code: "APPROVAL_EXPIRED" });
    expect(await row(1)).toEqual({ paid: true, runs: 1 });
  });

  it("finds it run once however many questions come at the same moment, on however many nodes", async () => {
    const made = await pay("in-a-hurry", 2);
    const { taskId } = made.result;
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        get("in-a-hurry", taskId, { url: i % 2 === 0 ? house.url : other.url }),
      ),
    );
    for (const { result } of all) expect(["working", "completed"]).toContain(result.status);
    let last = await get("in-a-hurry", taskId);
    for (let i = 0; i < 50 && last.result.status === "working"; i++) {
      await pause(100);
      last = await get("in-a-hurry", taskId);
    }
    expect(structured(last)).toMatchObject({ status: "ok", command: "UPDATE 1" });
    expect(await row(2)).toEqual({ paid: true, runs: 1 });
  });

  it("is told of a denial as the call itself would have been", async () => {
    const made = await pay("denied", 1);
    await house.postern.approvals.decide(approvalOf(made), steward, "deny", { reason: "not this one" });
    const over = await get("denied", made.result.taskId);
    expect(over.result).toMatchObject({ status: "completed", result: { isError: true } });
    expect(structured(over)).toMatchObject({
      decision: "deny",
      code: "APPROVAL_DENIED",
      reasons: ["not this one"],
      retryable: false,
    });
    expect(await row(1)).toEqual({ paid: false, runs: 0 });
  });

  it("gets what needs no approval as ever, and errors of the database in the task's result", async () => {
    const read = await rpc("reads", "tools/call", {
      name: "query",
      arguments: { database: "shop", sql: "select 1 as one" },
    });
    expect(read.result).toMatchObject({ resultType: "complete", structuredContent: { rows: [[1]] } });
    const made = await rpc("reads", "tools/call", {
      name: "query",
      arguments: { database: "shop", sql: "update orders set id = 1 where id = 2" },
    });
    expect(made.result.resultType).toBe("task");
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    const over = await get("reads", made.result.taskId);
    expect(over.result.status).toBe("completed");
    expect(structured(over)).toMatchObject({ status: "error", sqlstate: "23505" });
  });
});

describe("cancelling", () => {
  it("withdraws the request, and what was agreed to afterwards does not run", async () => {
    const made = await pay("withdraws", 1);
    const { taskId } = made.result;
    const ack = await cancel("withdraws", taskId);
    expect(ack.result).toMatchObject({ resultType: "complete" });
    expect((await get("withdraws", taskId)).result).toMatchObject({ status: "cancelled" });
    expect(await house.postern.approvals.get(approvalOf(made))).toMatchObject({ state: "revoked" });
    await expect(house.postern.approvals.decide(approvalOf(made), steward, "approve")).rejects.toThrow();
    expect((await cancel("withdraws", taskId)).error).toEqual({});
    expect(await row(1)).toEqual({ paid: false, runs: 0 });
  });

  it("of an approved task that nobody has asked for yet stops it, too", async () => {
    const made = await pay("changes-its-mind", 1);
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    await cancel("changes-its-mind", made.result.taskId);
    expect((await get("changes-its-mind", made.result.taskId)).result.status).toBe("cancelled");
    expect(await pay("changes-its-mind", 1)).toMatchObject({ result: { resultType: "task" } });
    expect(await row(1)).toEqual({ paid: false, runs: 0 });
  });

  it("of one of two tasks leaves the other its approval", async () => {
    const [one, two] = [await pay("two-of-a-kind", 1), await pay("two-of-a-kind", 1, {}, 7)];
    await cancel("two-of-a-kind", one.result.taskId);
    await house.postern.approvals.decide(approvalOf(two), steward, "approve");
    expect(structured(await get("two-of-a-kind", two.result.taskId))).toMatchObject({ status: "ok" });
    expect(await row(1)).toEqual({ paid: true, runs: 1 });
  });

  it("of a statement that runs on another node ends it there", async () => {
    const made = await rpc("stops-it", "tools/call", {
      name: "query",
      arguments: {
        database: "shop",
        sql: "update orders set paid = true where id = 1 and pg_sleep(40) is not null",
      },
    });
    expect(made.result.resultType).toBe("task");
    const { taskId } = made.result;
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    const asking = get("stops-it", taskId);
    let now = await get("stops-it", taskId, { url: other.url });
    for (let i = 0; i < 50 && now.result.statusMessage !== "It runs."; i++) {
      await pause(50);
      now = await get("stops-it", taskId, { url: other.url });
    }
    expect(now.result).toMatchObject({ status: "working", statusMessage: "It runs." });
    expect((await rpc("stops-it", "tasks/cancel", { taskId }, { url: other.url })).error).toEqual({});
    const over = await asking;
    expect(over.result.status).toBe("completed");
    expect(structured(over)).toMatchObject({ code: "CANCELLED" });
    expect(await row(1)).toEqual({ paid: false, runs: 0 });
  });
});

describe("a task", () => {
  it("is nobody else's: not another principal's, not another agent's of the same person", async () => {
    const made = await pay("owner", 1, { act: "bot-1" });
    const { taskId } = made.result;
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    for (const [sub, options] of [
      ["curious", {}],
      ["owner", {}],
      ["owner", { act: "bot-2" }],
    ] as const)
      for (const method of ["tasks/get", "tasks/cancel", "tasks/update"]) {
        const { error } = await rpc(sub, method, { taskId, inputResponses: {} }, options);
        const none = await rpc(sub, method, { taskId: `${String(taskId)}x`, inputResponses: {} }, options);
        expect(error).toEqual({ code: -32602, message: expect.any(String) });
        // As for one that never was.
        expect(error).toEqual(none.error);
      }
    expect(await row(1)).toEqual({ paid: false, runs: 0 });
    expect(structured(await get("owner", taskId, { act: "bot-1" }))).toMatchObject({ status: "ok" });
  });

  it("is opened for nobody who does not say with the call that it follows tasks", async () => {
    const made = await pay("plain", 1, { capabilities: {} });
    expect(made.result).toMatchObject({
      resultType: "complete",
      structuredContent: { status: "approval_required", next: expect.stringContaining("approval_wait") },
    });
    const { taskId } = (await pay("plain", 1)).result;
    for (const method of ["tasks/get", "tasks/cancel", "tasks/update"]) {
      const { error, status } = await rpc(
        "plain",
        method,
        { taskId, inputResponses: {} },
        { capabilities: {} },
      );
      expect([status, error.code]).toEqual([400, -32021]);
      expect(error.data).toEqual({ requiredCapabilities: { extensions: { [extension]: {} } } });
    }
    const listen = await rpc(
      "plain",
      "subscriptions/listen",
      { notifications: { taskIds: [taskId] } },
      { capabilities: {} },
    );
    expect([listen.status, listen.error.code]).toEqual([400, -32021]);
  });

  it("does not exist for clients of 2025", async () => {
    const client = await house.connect("legacy", await house.postern.token({ sub: "old" }), follows);
    expect(
      await call(client, "query", { database: "shop", sql: "update orders set paid = true" }),
    ).toMatchObject({ status: "approval_required" });
    const response = await fetch(`${house.url}/mcp`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${await house.postern.token({ sub: "old" })}`,
        "mcp-protocol-version": "2025-11-25",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tasks/get", params: { taskId: "task_x" } }),
    });
    expect(await response.text()).toContain("-32601");
  });

  it("runs with what its caller may do when it runs, and asks people anew for what has changed", async () => {
    const made = await pay("later", 1);
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    house.postern.setPolicy(policy.replace("version: 1", "version: 1\n# changed"));
    try {
      const again = await get("later", made.result.taskId);
      expect(again.result).toMatchObject({ status: "working" });
      expect(await row(1)).toEqual({ paid: false, runs: 0 });
      const { items } = await house.postern.approvals.list({ state: "pending", limit: 100 });
      const fresh = items.find(({ requester }) => requester.subject === "later");
      expect(fresh).toBeDefined();
      expect(fresh?.id).not.toBe(approvalOf(made));
      await house.postern.approvals.decide(fresh?.id ?? "", steward, "approve");
      expect(structured(await get("later", made.result.taskId))).toMatchObject({ status: "ok" });
    } finally {
      house.postern.setPolicy(policy);
    }
  });

  it("lies in the store sealed, under a name that is not its id", async () => {
    const made = await pay("sealed", 1);
    const { items } = await store.list("mcp-tasks", { limit: 1000 });
    expect(items.length).toBeGreaterThan(0);
    const text = JSON.stringify(items);
    expect(text).not.toContain(String(made.result.taskId));
    expect(text).not.toContain("update orders");
  });
});

describe("a client that follows tasks and opens pages", () => {
  it("is asked by the task to open the approval's, and its yes authorises nothing", async () => {
    const made = await pay("opens", 1, { capabilities: opens });
    expect(made.result.resultType).toBe("task");
    const { taskId } = made.result;
    const asked = await get("opens", taskId, { capabilities: opens });
    const key = `approval-${approvalOf(made)}`;
    expect(asked.result).toMatchObject({
      status: "input_required",
      inputRequests: {
        [key]: {
          method: "elicitation/create",
          params: { mode: "url", url: expect.stringContaining("https://postern.test/approvals/") },
        },
      },
    });
    // Who cannot open pages is not asked to.
    expect((await get("opens", taskId)).result.status).toBe("working");
    const say = (inputResponses: Fields) =>
      rpc("opens", "tasks/update", { taskId, inputResponses }, { capabilities: opens });
    expect((await say({ other: { action: "accept" } })).result).toMatchObject({ resultType: "complete" });
    expect((await get("opens", taskId, { capabilities: opens })).result.status).toBe("input_required");
    expect((await say({ [key]: { action: "accept" } })).error).toEqual({});
    const waiting = await get("opens", taskId, { capabilities: opens });
    expect(waiting.result).toMatchObject({ status: "working" });
    expect(waiting.result).not.toHaveProperty("inputRequests");
    expect(await row(1)).toEqual({ paid: false, runs: 0 });
    await house.postern.approvals.decide(approvalOf(made), steward, "approve");
    expect(structured(await get("opens", taskId))).toMatchObject({ status: "ok" });
  });
});
