import { afterEach, describe, expect, it } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import { openRevocations, type Revocations } from "../../src/identity/tokens/revoked.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function setUp(): Promise<{ list: Revocations; store: Store }> {
  const store = memoryStore();
  const list = await openRevocations(store);
  closing.push(
    () => store.close(),
    () => list.close(),
  );
  return { list, store };
}

const now = Math.floor(Date.now() / 1000);
const by = { subject: "root", issuer: "https://idp.example" };

function who(over: Partial<Principal> = {}): Principal {
  return {
    subject: "erin",
    issuer: "https://idp.example",
    email: null,
    kind: "human",
    groups: [],
    actor: [],
    provider: "corp",
    claims: { sub: "raw-erin", sid: "s1", client_id: "postern-cli" },
    token: { jti: "j1", sha256: "a".repeat(64), issued: now - 60, expires: now + 3600 },
    ...over,
  };
}
const fresh = { jti: "j2", sha256: "b".repeat(64), issued: now + 60, expires: now + 3600 };

describe("who is met by a revocation", () => {
  it.each([
    ["subject", "erin", who(), who({ subject: "ada" })],
    ["agent", "claude", who({ actor: [{ subject: "claude", issuer: null }] }), who()],
    ["agent", "postern-cli", who(), who({ claims: { client_id: "other" } })],
    [
      "agent",
      "bot",
      who({ kind: "agent", subject: "bot" }),
      who({ kind: "human", subject: "bot", claims: {} }),
    ],
    ["token", "j1", who(), who({ token: fresh })],
    ["token", "a".repeat(64), who(), who({ token: fresh })],
    [
      "token",
      "j1",
      who({ token: { ...fresh, from: [{ jti: "j1", sha256: "a".repeat(64), issued: now }] } }),
      who({ token: fresh }),
    ],
    ["sid", "s1", who(), who({ claims: { sid: "s2" } })],
    ["sub", "raw-erin", who(), who({ claims: { sub: "raw-ada" } })],
    ["everything", "", who(), null],
  ] as const)("%s %s", async (kind, value, met, spared) => {
    const { list } = await setUp();
    expect(list.find(met, "wire")).toBeNull();
    const added = await list.add({ kind, value, reason: "test", by });
    expect(list.find(met, "wire")?.id).toBe(added.id);
    expect(list.find(met, null)?.id).toBe(added.id);
    if (spared !== null) expect(list.find(spared, "wire")).toBeNull();
    expect(await list.lift(added.id)).toBe(true);
    expect(list.find(met, "wire")).toBeNull();
  });

  it("is of one issuer when it names one", async () => {
    const { list } = await setUp();
    await list.add({ kind: "subject", value: "erin", issuer: "https://other.example", reason: "", by });
    expect(list.find(who(), "wire")).toBeNull();
    expect(list.find(who({ issuer: "https://other.example" }), "wire")).not.toBeNull();
  });

  it("blocks fresh tokens too, unless it only ends what was issued before", async () => {
    const { list } = await setUp();
    const block = await list.add({ kind: "subject", value: "erin", reason: "", by });
    expect(list.find(who({ token: fresh }), "wire")).not.toBeNull();
    await list.lift(block.id);
    await list.add({ kind: "subject", value: "erin", mode: "before", reason: "", by });
    expect(list.find(who(), "wire")).not.toBeNull();
    expect(list.find(who({ token: fresh }), "wire")).toBeNull();
    // A token that was exchanged afterwards for one of before is one of before.
    const exchanged = { ...fresh, from: [{ jti: null, sha256: "c".repeat(64), issued: now - 60 }] };
    expect(list.find(who({ token: exchanged }), "wire")).not.toBeNull();
    // Nobody knows when it was issued: it counts as old.
    expect(list.find(who({ token: { ...fresh, issued: null } }), "wire")).not.toBeNull();
  });

  it("lets a person with a fresh login reach the console after everything was revoked, and nobody else", async () => {
    const { list } = await setUp();
    await list.add({ kind: "everything", reason: "incident", by });
    expect(list.find(who({ token: fresh }), "api")).toBeNull();
    expect(list.find(who(), "api")).not.toBeNull();
    expect(list.find(who({ token: fresh }), "wire")).not.toBeNull();
    expect(list.find(who({ token: fresh }), "mcp")).not.toBeNull();
    expect(list.find(who({ token: fresh, kind: "agent" }), "api")).not.toBeNull();
    expect(list.find(who({ token: fresh }), null)).not.toBeNull();
  });

  it("ends by itself when it was given a time", async () => {
    const { list } = await setUp();
    await list.add({ kind: "subject", value: "erin", expires: Date.now() + 50, reason: "", by });
    expect(list.find(who(), "wire")).not.toBeNull();
    await new Promise((done) => setTimeout(done, 80));
    expect(list.find(who(), "wire")).toBeNull();
  });
});

describe("the list on several nodes", () => {
  it("reaches another node, and tells its listeners", async () => {
    const { list, store } = await setUp();
    const other = await openRevocations(store);
    closing.push(() => other.close());
    const told = new Promise<void>((done) => other.onChange(done));
    const added = await list.add({ kind: "subject", value: "erin", reason: "", by });
    await told;
    expect(other.find(who(), "wire")?.id).toBe(added.id);
    await list.lift(added.id);
    await expect.poll(() => other.find(who(), "wire")).toBeNull();
  });

  it("cannot be opened without the store, and what is not understood in it is passed over", async () => {
    const { store } = await setUp();
    await store.insert("revocations", "odd", { v: 9, kind: "moon" });
    const other = await openRevocations(store);
    closing.push(() => other.close());
    expect(other.all).toEqual([]);
    await store.close();
    await expect(openRevocations(store)).rejects.toThrow();
    await expect(other.add({ kind: "everything", reason: "", by })).rejects.toThrow();
  });
});
