/** Nodes that share a store tell each other of their sessions. */
import { randomBytes } from "node:crypto";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type Peers, startPeers } from "../../src/api/live/peers.ts";
import type { Session } from "../../src/api/schema/sessions.ts";
import { createEnvelope } from "../../src/store/envelope.ts";
import { createSealer, memoryStore, type Store } from "../../src/store/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestApi, type TestApi } from "./support.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const sealer = createSealer(createEnvelope([randomBytes(32)]));

function session(over: Partial<Session> = {}): Session {
  const principal = {
    subject: "agent-7",
    issuer: "https://idp.test",
    provider: "corp",
    email: null,
    kind: "agent" as const,
    groups: [],
    actor: [],
  };
  return {
    id: crypto.randomUUID(),
    node: "a",
    started: new Date().toISOString(),
    lastActive: new Date().toISOString(),
    principal,
    claimed: {},
    client: { ip: "10.0.0.1", application: null, user: "me", via: "wire", tls: null },
    database: "shop",
    login: "reader",
    state: "idle",
    statement: null,
    counters: { statements: 1, denied: 0, errors: 0, bytesIn: 0, bytesOut: 0 },
    approval: null,
    expires: null,
    ...over,
  };
}

describe("what a node tells", () => {
  const open: Peers[] = [];
  let store: Store;
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    await store.close();
  });

  function node(name: string, own: () => readonly Session[], seal = sealer): Peers {
    const peers = startPeers({ store, sealer: seal, node: name, own, publishMs: 20 });
    open.push(peers);
    return peers;
  }

  test("is what others list, sealed, until it says otherwise or leaves", async () => {
    store = memoryStore();
    const sql = `select ${"x".repeat(1000)}`;
    const one = session({ statement: { sql, started: new Date().toISOString(), verdict: "allow" } });
    let mine: Session[] = [one];
    const a = node("a", () => mine);
    const b = node("b", () => []);
    await expect
      .poll(async () => (await b.others()).map(({ id }) => id), { timeout: 10_000 })
      .toEqual([one.id]);
    expect((await b.others())[0]?.statement?.sql).toHaveLength(300);
    // Its own are not told back to it.
    expect(await a.others()).toEqual([]);
    const { items } = await store.list("sessions", { limit: 10 });
    expect(JSON.stringify(items)).not.toContain("agent-7");
    mine = [];
    await expect.poll(() => b.others(), { timeout: 10_000 }).toEqual([]);
    mine = [one];
    await expect.poll(async () => (await b.others()).length, { timeout: 10_000 }).toBe(1);
    await open.shift()?.close();
    await expect.poll(() => b.others(), { timeout: 10_000 }).toEqual([]);
  });

  test("is left out where it was not sealed by a node, or is no session; at most 200 of each are told", async () => {
    store = memoryStore();
    const forged = session({ id: "forged" });
    await store.insert("sessions", "x", { v: 1, node: "evil", sessions: [forged] } as never);
    const foreign = createSealer(createEnvelope([randomBytes(32)]));
    await store.insert(
      "sessions",
      "y",
      foreign.seal("sessions", "y", { v: 1, node: "evil", sessions: [forged] } as never),
    );
    // A document of another node, put in another place.
    await store.insert(
      "sessions",
      "z",
      sealer.seal("sessions", "q", { v: 1, node: "evil", sessions: [forged] } as never),
    );
    await store.insert(
      "sessions",
      "w",
      sealer.seal("sessions", "w", { v: 1, node: "old", sessions: [{ id: 1 }] }),
    );
    const many = Array.from({ length: 250 }, (_, n) =>
      session({ lastActive: new Date(n * 1000).toISOString() }),
    );
    node("a", () => many);
    const b = node("b", () => []);
    await expect.poll(async () => (await b.others()).length, { timeout: 10_000 }).toBe(200);
    const told = await b.others();
    expect(told.some(({ id }) => id === "forged")).toBe(false);
    expect(told[0]?.lastActive).toBe(many.at(-1)?.lastActive);
  });

  test("nothing, when the store does not answer", async () => {
    store = memoryStore();
    const a = node("a", () => [session()]);
    const lost = { ...store, list: () => Promise.reject(new Error("away")) } as Store;
    const b = startPeers({ store: lost, sealer, node: "b", own: () => [], publishMs: 20 });
    expect(await b.others()).toEqual([]);
    await b.close();
    expect(await a.others()).toEqual([]);
  });
});

describe("two gateways with one store", () => {
  let cluster: Database;
  let name: string;
  const nodes: TestApi[] = [];
  beforeAll(async () => {
    cluster = await sharedCluster();
    name = await cluster.createDatabase();
    process.env.PEERS_STORE_URL = `postgres://${cluster.superuser}:${encodeURIComponent(cluster.password)}@${cluster.host}:${cluster.port}/${name}`;
    const key = randomBytes(32).toString("base64");
    process.env.PEERS_STORE_KEY = key;
    const extra = "store: { env: PEERS_STORE_URL }\nstore_keys: [{ env: PEERS_STORE_KEY }]";
    nodes.push(await startTestApi({ extra }), await startTestApi({ extra }));
  });
  afterAll(async () => {
    for (const one of nodes) await one.stop();
    await cluster?.dropDatabase(name);
    delete process.env.PEERS_STORE_URL;
    delete process.env.PEERS_STORE_KEY;
  });

  test("each lists the other's sessions to whom they concern, and ends them", async () => {
    const [here, there] = nodes;
    if (here === undefined || there === undefined) throw new Error("two gateways are needed");
    const client: pg.Client = await here.connect("agent", {}, "-c postern.agent=codex");
    client.on("error", () => {});
    const gone = new Promise<void>((done) => client.once("end", () => done()));
    const list = async (role: "auditor" | "user") => (await there.ask(role, "/api/sessions")).body.items;
    await expect.poll(() => list("auditor"), { timeout: 30_000, interval: 500 }).toHaveLength(1);
    const [found] = await list("auditor");
    expect(found).toMatchObject({
      node: "test",
      principal: { subject: "agent" },
      claimed: { agent: "codex" },
    });
    // Others' are nobody's business.
    expect(await list("user")).toEqual([]);
    expect((await there.ask("user", `/api/sessions/${found.id}`, { method: "DELETE" })).status).toBe(404);
    expect((await there.ask("auditor", `/api/sessions/${found.id}`, { method: "DELETE" })).status).toBe(403);
    expect((await there.ask("admin", `/api/sessions/${found.id}`, { method: "DELETE" })).status).toBe(204);
    await gone;
    await expect.poll(() => list("auditor"), { timeout: 30_000, interval: 500 }).toEqual([]);
  });
});
