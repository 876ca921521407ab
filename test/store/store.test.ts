/** One suite for both drivers: what a store promises (src/store/types.ts), with two openers of one place. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createEnvelope } from "../../src/store/envelope.ts";
import { createSealer, memoryStore, openStore, type Store, StoreUnavailable } from "../../src/store/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";

interface Driver {
  readonly name: string;
  /** A new, empty place. */
  place(): Promise<Parameters<typeof openStore>[0]>;
}

let folder: string;
let cluster: Database;
const databases: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-store-"));
  cluster = await sharedCluster();
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  for (const name of databases) await cluster.dropDatabase(name);
});

const drivers: Driver[] = [
  {
    name: "sqlite",
    place: async () => ({ kind: "sqlite", path: join(folder, randomBytes(6).toString("hex"), "postern.db") }),
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

async function until(what: () => boolean, ms = 5000): Promise<void> {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error("it did not come about in time");
    await sleep(10);
  }
}

describe.each(drivers)("$name", ({ name, place }) => {
  let at: Awaited<ReturnType<Driver["place"]>>;
  let one: Store;
  let two: Store;
  beforeEach(async () => {
    at = await place();
    // Nodes that start together make the tables once.
    [one, two] = await Promise.all([openStore(at), openStore(at)]);
  });
  afterEach(async () => {
    await Promise.all([one.close(), two.close()]);
  });

  test("insert, get, update, remove", async () => {
    expect(await one.get("c", "k")).toBeNull();
    expect(await one.insert("c", "k", { a: [1, "ü\u0000\ud800", null], b: true })).toBe(true);
    expect(await two.insert("c", "k", 1)).toBe(false);
    const found = await two.get("c", "k");
    expect(found).toMatchObject({
      key: "k",
      value: { a: [1, "ü\u0000\ud800", null], b: true },
      version: 1,
      expires: null,
    });
    expect(await one.get("other", "k")).toBeNull();
    expect(await two.update("c", "k", 2, "no")).toBe(false);
    expect(await two.update("c", "k", 1, "yes")).toBe(true);
    expect(await one.update("c", "k", 1, "late")).toBe(false);
    expect(await one.get("c", "k")).toMatchObject({ value: "yes", version: 2, created: found?.created });
    expect(await one.remove("c", "k", 1)).toBe(false);
    expect(await one.remove("c", "k", 2)).toBe(true);
    expect(await two.remove("c", "k")).toBe(false);
    expect(await two.get("c", "k")).toBeNull();
    expect(await two.update("c", "k", 2, "gone")).toBe(false);
  });

  test("what has expired is not there, and may be replaced", async () => {
    const past = Date.now() - 1;
    expect(await one.insert("c", "k", "old", { expires: past, tags: ["t"] })).toBe(true);
    expect(await one.get("c", "k")).toBeNull();
    expect((await one.list("c", { tags: ["t"], limit: 10 })).items).toEqual([]);
    expect(await one.update("c", "k", 1, "x")).toBe(false);
    expect(await one.remove("c", "k")).toBe(false);
    expect(await two.insert("c", "k", "new", { tags: ["u"] })).toBe(true);
    expect(await one.get("c", "k")).toMatchObject({ value: "new", version: 1 });
    expect((await one.list("c", { tags: ["t"], limit: 10 })).items).toEqual([]);
    expect((await one.list("c", { tags: ["u"], limit: 10 })).items).toHaveLength(1);
    await one.insert("c", "gone", 1, { expires: past });
    expect(await two.sweep()).toBe(1);
    expect(await two.sweep()).toBe(0);
    expect(await one.get("c", "k")).not.toBeNull();
  });

  test("update keeps what it does not name, and drops what it is told to", async () => {
    const later = Date.now() + 60_000;
    await one.insert("c", "k", 1, { tags: ["a", "b"], expires: later });
    await one.update("c", "k", 1, 2);
    expect(await one.get("c", "k")).toMatchObject({ expires: later });
    expect((await one.list("c", { tags: ["a", "b"], limit: 1 })).items).toHaveLength(1);
    await one.update("c", "k", 2, 3, { tags: ["c"], expires: null });
    expect(await one.get("c", "k")).toMatchObject({ expires: null });
    expect((await one.list("c", { tags: ["a"], limit: 1 })).items).toEqual([]);
    expect((await one.list("c", { tags: ["c"], limit: 1 })).items).toHaveLength(1);
  });

  test("lists by tags, in the order of creation, page by page, both ways", async () => {
    for (let i = 0; i < 25; i++)
      await (i % 2 === 0 ? one : two).insert("c", `k${i}`, i, {
        tags: [i % 2 === 0 ? "even" : "odd", i < 20 ? "low" : "high"],
      });
    await one.insert("other", "k", 0, { tags: ["even"] });
    await one.update("c", "k0", 1, 0);
    const walk = async (options: { tags?: string[]; newestFirst?: boolean }) => {
      const values: unknown[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<Store["list"]>> = await two.list("c", { ...options, after, limit: 4 });
        expect(page.items.length).toBeLessThanOrEqual(4);
        values.push(...page.items.map(({ value }) => value));
        after = page.next;
      } while (after !== null);
      return values;
    };
    const all = Array.from({ length: 25 }, (_, i) => i);
    expect(await walk({})).toEqual(all);
    expect(await walk({ newestFirst: true })).toEqual([...all].reverse());
    expect(await walk({ tags: ["even"] })).toEqual(all.filter((i) => i % 2 === 0));
    expect(await walk({ tags: ["odd", "low"], newestFirst: true })).toEqual(
      all.filter((i) => i % 2 === 1 && i < 20).reverse(),
    );
    expect(await walk({ tags: ["odd", "even"] })).toEqual([]);
    expect(await walk({ tags: ["none"] })).toEqual([]);
  });

  test("of many that update one version, one does", async () => {
    await one.insert("c", "k", 0);
    for (let version = 1; version <= 5; version++) {
      const attempts = Array.from({ length: 12 }, (_, i) =>
        (i % 2 === 0 ? one : two).update("c", "k", version, i),
      );
      expect((await Promise.all(attempts)).filter(Boolean)).toHaveLength(1);
    }
    const inserts = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? one : two).insert("c", "new", i));
    expect((await Promise.all(inserts)).filter(Boolean)).toHaveLength(1);
    const removals = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? one : two).remove("c", "new"));
    expect((await Promise.all(removals)).filter(Boolean)).toHaveLength(1);
  });

  test("no increment is lost between two openers", async () => {
    await one.insert("c", "n", 0);
    const add = async (store: Store) => {
      for (;;) {
        const found = await store.get("c", "n");
        if (found === null) throw new Error("gone");
        if (await store.update("c", "n", found.version, Number(found.value) + 1)) return;
      }
    };
    await Promise.all(Array.from({ length: 20 }, (_, i) => add(i % 2 === 0 ? one : two)));
    expect(await one.get("c", "n")).toMatchObject({ value: 20, version: 21 });
  });

  test("watchers hear of every change, their own and others', of their collection", async () => {
    const heard: (string | null)[] = [];
    const others: (string | null)[] = [];
    const stop = two.watch("c", (key) => heard.push(key));
    two.watch("d", (key) => others.push(key));
    two.watch("c", () => {
      throw new Error("a listener's fault");
    });
    // A new connection may have missed something, and says so.
    if (name === "postgres") await until(() => heard.includes(null));
    await one.insert("c", "a", 1);
    await until(() => heard.includes("a"));
    await two.insert("c", "b", 1, { expires: Date.now() + 1 });
    await until(() => heard.includes("b"));
    heard.length = 0;
    await one.update("c", "a", 1, 2);
    await until(() => heard.includes("a"));
    heard.length = 0;
    await one.remove("c", "a");
    await until(() => heard.includes("a"));
    await one.sweep();
    await until(() => heard.includes("b"));
    stop();
    heard.length = 0;
    await one.insert("c", "z", 1);
    await one.insert("d", "y", 1);
    await until(() => others.includes("y"));
    expect(heard).toEqual([]);
    expect(others.filter((key) => key !== null)).toEqual(["y"]);
  });

  test("what it holds is there when it is opened again", async () => {
    await one.insert("c", "k", "kept", { tags: ["t"] });
    await Promise.all([one.close(), two.close()]);
    one = await openStore(at);
    expect((await one.list("c", { tags: ["t"], limit: 1 })).items[0]?.value).toBe("kept");
  });

  test("once closed it refuses", async () => {
    await one.close();
    await one.close();
    await expect(one.get("c", "k")).rejects.toThrow(StoreUnavailable);
    await expect(one.insert("c", "k", 1)).rejects.toThrow(StoreUnavailable);
  });

  test("names, tags and limits are checked before anything is asked", async () => {
    for (const bad of ["", "a b", "ä", "a\0", "x".repeat(201), "a/b", "'"]) {
      await expect(one.get("c", bad)).rejects.toThrow(TypeError);
      await expect(one.insert(bad, "k", 1)).rejects.toThrow(TypeError);
      await expect(one.insert("c", "k", 1, { tags: [bad] })).rejects.toThrow(TypeError);
    }
    await expect(one.list("c", { limit: 0 })).rejects.toThrow(TypeError);
    await expect(one.list("c", { limit: 1001 })).rejects.toThrow(TypeError);
    await expect(one.list("c", { limit: 1, after: "1; drop" })).rejects.toThrow(TypeError);
    const many = Array.from({ length: 17 }, (_, i) => `t${i}`);
    await expect(one.insert("c", "k", 1, { tags: many })).rejects.toThrow(TypeError);
    expect(one.failure).toBeNull();
  });

  test("any JSON comes back as it went in", async () => {
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 3 }), async (value) => {
        const json = JSON.parse(JSON.stringify(value));
        const key = `p${n++}`;
        await one.insert("c", key, json);
        expect((await two.get("c", key))?.value).toEqual(json);
      }),
      { numRuns: 40 },
    );
  });
});

describe("sqlite, the file", () => {
  test("only its owner may read it, and its folder", async () => {
    const path = join(folder, "private", "postern.db");
    const store = await openStore({ kind: "sqlite", path });
    await store.insert("c", "k", 1);
    for (const end of ["", "-wal", "-shm"]) expect((await stat(path + end)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, "private"))).mode & 0o777).toBe(0o700);
    await store.close();
  });

  test("another process's write is waited for; for ever it is not", async () => {
    const path = join(folder, "busy.db");
    const store = await openStore({ kind: "sqlite", path });
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const write = store.insert("c", "k", 1);
    await sleep(200);
    other.exec("COMMIT");
    expect(await write).toBe(true);
    other.exec("BEGIN IMMEDIATE");
    await expect(store.insert("c", "l", 1)).rejects.toThrow(StoreUnavailable);
    expect(store.failure).toBeInstanceOf(StoreUnavailable);
    // Reading goes on: that is what WAL is for.
    expect(await store.get("c", "k")).not.toBeNull();
    other.exec("COMMIT");
    expect(await store.insert("c", "l", 1)).toBe(true);
    expect(store.failure).toBeNull();
    other.close();
    await store.close();
  });

  test("a file that is none, or of a newer Postern, is refused", async () => {
    const path = join(folder, "newer.db");
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    await expect(openStore({ kind: "sqlite", path })).rejects.toThrow(/newer version/);
    await expect(openStore({ kind: "sqlite", path: folder })).rejects.toThrow(StoreUnavailable);
  });

  test("a store in memory", async () => {
    const store = memoryStore();
    expect(await store.insert("c", "k", 1)).toBe(true);
    await store.close();
  });
});

describe("postgres, the server", () => {
  test("says so when it is away, and goes on when it is back; watchers look at everything then", async () => {
    const name = await cluster.createDatabase();
    databases.push(name);
    const store = await openStore({ kind: "postgres", url: cluster.url(name) });
    const heard: (string | null)[] = [];
    store.watch("c", (key) => heard.push(key));
    await until(() => heard.includes(null));
    await cluster.query("postgres", `alter database "${name}" allow_connections false`);
    await cluster.query(
      "postgres",
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
    );
    const fault = await store.get("c", "k").catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(StoreUnavailable);
    expect(String(fault)).not.toContain("127.0.0.1");
    expect(store.failure).toBeInstanceOf(StoreUnavailable);
    heard.length = 0;
    await cluster.query("postgres", `alter database "${name}" allow_connections true`);
    await until(() => heard.includes(null), 15_000);
    await store.insert("c", "k", 1);
    await until(() => heard.includes("k"));
    expect(store.failure).toBeNull();
    await store.close();
  });

  test("a role that may only use the tables can", async () => {
    const name = await cluster.createDatabase();
    databases.push(name);
    await (await openStore({ kind: "postgres", url: cluster.url(name) })).close();
    const role = `store_${randomBytes(4).toString("hex")}`;
    await cluster.query(
      name,
      `create role ${role} login password 'pw'; grant usage on schema postern_store to ${role};
       grant select, insert, update, delete on all tables in schema postern_store to ${role}`,
    );
    const store = await openStore({ kind: "postgres", url: cluster.url(name, role, "pw") });
    expect(await store.insert("c", "k", 1)).toBe(true);
    await store.close();
    await cluster.query(name, `drop owned by ${role}; drop role ${role}`);
  });

  test("an address that is none, and one where nobody answers, tell no secret", async () => {
    for (const url of ["postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@[bad"]) {
      const fault = await openStore({ kind: "postgres", url }).catch((error: unknown) => error);
      expect(fault).toBeInstanceOf(StoreUnavailable);
      expect(String(fault)).not.toMatch(/hunter2|127\.0\.0\.1/);
    }
  });
});

describe("sealing", () => {
  const key = randomBytes(32);
  const sealer = createSealer(createEnvelope([key]));
  test("opens only in its place, unchanged, under its key", () => {
    const sealed = sealer.seal("c", "k", { secret: "x" });
    expect(sealer.open("c", "k", sealed)).toEqual({ secret: "x" });
    expect(sealer.open("c", "l", sealed)).toBeNull();
    expect(sealer.open("d", "k", sealed)).toBeNull();
    const other = randomBytes(32);
    expect(createSealer(createEnvelope([other])).open("c", "k", sealed)).toBeNull();
    expect(createSealer(createEnvelope([other, key])).open("c", "k", sealed)).toEqual({ secret: "x" });
    expect(sealer.open("c", "k", sealed.slice(0, -4))).toBeNull();
    expect(sealer.open("c", "k", "")).toBeNull();
  });
});
