import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { audit } from "../../src/cli/audit.ts";
import { UsageError } from "../../src/cli/lib/args.ts";
import { conclude, intend, leaves, open, type Place, place, sessionRecord, writeSample } from "./helpers.ts";

let at: Place;
let dir: readonly string[];
beforeAll(async () => {
  at = place();
  await writeSample(at);
  dir = ["--dir", at.settings.dir];
  const log = await open(at);
  const session = log.session({
    ...sessionRecord,
    session: "0198a000-0000-7000-8000-000000000002",
    principal: { ...sessionRecord.principal, subject: "bob", groups: ["dba"], kind: "human", actor: [] },
    claimed: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
  });
  conclude(log, session, intend(log, session, "delete from orders where id = 5; -- \u001b[31mred"));
  intend(log, session);
  log.authFailed({
    code: "TOKEN_EXPIRED",
    cause: "expired \u001b[2J",
    ip: "10.0.0.9",
    port: 1,
    tls: null,
    user: "x",
    database: "shop",
    application: null,
    tokenSha256: null,
  });
  await log.close();
});
afterAll(() => at.remove());

/** Runs a verb in this process; gives its exit code and what it printed. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const real = { out: process.stdout.write, err: process.stderr.write };
  let out = "";
  let err = "";
  process.stdout.write = (chunk: string | Uint8Array) => {
    out += chunk;
    return true;
  };
  process.stderr.write = (chunk: string | Uint8Array) => {
    err += chunk;
    return true;
  };
  try {
    return { code: await audit(args), out, err };
  } finally {
    process.stdout.write = real.out;
    process.stderr.write = real.err;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: records of every shape
const json = (text: string): any[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((l) => JSON.parse(l));

describe("search", () => {
  const count = async (...filters: string[]) =>
    json((await run("search", ...dir, "--json", ...filters)).out).length;

  test("each filter finds what it should and nothing else", async () => {
    const statements = leaves(at).filter((l) => l.type === "statement.intent").length;
    expect(await count("--verdict", "allow")).toBe(statements);
    expect(await count("--subject", "bob")).toBe(2);
    expect(await count("--group", "dba")).toBe(2);
    expect(await count("--group", "nobody")).toBe(0);
    expect(await count("--database", "shop", "--verdict", "allow")).toBe(statements);
    expect(await count("--database", "other")).toBe(0);
    expect(await count("--table", "public.customers")).toBe(statements);
    expect(await count("--table", "customers", "--subject", "bob")).toBe(2);
    expect(await count("--table", "orders")).toBe(0);
    expect(await count("--status", "ok")).toBe(statements - 1);
    expect(await count("--status", "unknown")).toBe(0);
    expect(await count("--run", "run-42", "--verdict", "allow")).toBe(4);
    expect(await count("--run", "0af7651916cd43dd8448eb211c80319c")).toBe(2);
    expect(await count("--run", "0198a000-0000-7000-8000-000000000002")).toBe(2);
    expect(await count("--text", "TOKEN_expired")).toBe(1);
    expect(await count("--text", "delete from")).toBe(0);
    expect(await count("--since", "1h", "--verdict", "allow")).toBe(statements);
    expect(await count("--until", "1h")).toBe(0);
    expect(await count("--since", "2999-01-01")).toBe(0);
    expect(await count("--limit", "3")).toBe(3);
  });

  test("a hit is the record with its place and outcome", async () => {
    const [hit] = json((await run("search", ...dir, "--json", "--status", "ok", "--subject", "bob")).out);
    expect(hit).toMatchObject({
      log: "gw-1/0",
      type: "statement.intent",
      outcome: { status: "ok", intent: { index: hit.index } },
    });
    expect(leaves(at)[hit.index].id).toBe(hit.id);
  });

  test("text for people reads like a sentence, and cannot move the cursor", async () => {
    const { out, code } = await run("search", ...dir);
    expect(code).toBe(0);
    expect(out).toContain(
      "bob (human) asked shop: select email from customers where id = $1 — gave 1 row (12 bytes) in 1.2 ms",
    );
    expect(out).toContain("a connection from 10.0.0.9 to shop was refused: TOKEN_EXPIRED expired \\u001b[2J");
    expect(out).not.toContain("\u001b");
  });

  test("nothing found: exit code 1; wrong usage: UsageError", async () => {
    expect((await run("search", ...dir, "--subject", "nobody")).code).toBe(1);
    for (const wrong of [
      ["--verdict", "maybe"],
      ["--since", "yesterday"],
      ["--limit", "0"],
      ["--nonsense"],
      ["extra"],
    ])
      await expect(run("search", ...dir, ...wrong)).rejects.toBeInstanceOf(UsageError);
    await expect(run("search", "--dir", at.root)).rejects.toBeInstanceOf(UsageError);
    await expect(run("nonsense")).rejects.toBeInstanceOf(UsageError);
    await expect(run()).rejects.toBeInstanceOf(UsageError);
  });
});

describe("show", () => {
  const bobs = () => leaves(at).find((l) => l.type === "statement.intent" && l.principal.subject === "bob");

  test("who, what, decision, outcome and place; sealed parts only when asked for", async () => {
    const closed = await run("show", bobs().request, ...dir);
    expect(closed.code).toBe(0);
    for (const part of [
      "bob (human)",
      "allow by agents-read",
      "gave 1 row",
      "gw-1/0, record",
      "ab".repeat(32),
    ])
      expect(closed.out).toContain(part);
    expect(closed.out).not.toContain("delete from orders");
    const opened = await run("show", bobs().request, ...dir, "--open");
    expect(opened.code).toBe(0);
    expect(opened.out).toContain("delete from orders where id = 5; -- \\u001b[31mred");
    expect(opened.out).toContain('["7"]');
  });

  test("as JSON, by request or by record id", async () => {
    for (const id of [bobs().request, bobs().id]) {
      const { records } = JSON.parse((await run("show", id, ...dir, "--open", "--json")).out);
      expect(records).toMatchObject([
        {
          type: "statement.intent",
          opened: { parameters: ["7"] },
          salt: expect.stringMatching(/^[A-Za-z0-9+/]{24}$/),
          place: { log: "gw-1/0" },
        },
        { type: "statement.outcome", opened: null },
      ]);
    }
  });

  test("without the keys the seal stays closed, and says why", async () => {
    const { code, err } = await run(
      "show",
      bobs().request,
      ...dir,
      "--open",
      "--keys",
      join(at.root, "none"),
    );
    expect(code).toBe(1);
    expect(err).toContain("master.key");
    const wrong = join(at.root, "wrong");
    mkdirSync(wrong, { recursive: true });
    writeFileSync(join(wrong, "master.key"), `${Buffer.alloc(32).toString("base64")}\n`);
    expect((await run("show", bobs().request, ...dir, "--open", "--keys", wrong)).code).toBe(1);
    expect((await run("show", "no such request", ...dir)).code).toBe(1);
  });
});

test("tail shows the latest records in order", async () => {
  const all = leaves(at);
  const { out } = await run("tail", ...dir, "--json", "-n", "5");
  expect(json(out).map((l) => l.id)).toEqual(all.slice(-5).map((l) => l.id));
  expect(json((await run("tail", ...dir, "--json", "-n", "1000")).out).length).toBe(all.length);
  expect((await run("tail", ...dir, "-n", "0")).out).toBe("");
  expect((await run("tail", ...dir)).out).toContain("the log was opened by Postern 0.0.0-test");
});

test("tail -f gives what comes, and whole batches only", { timeout: 30_000 }, async () => {
  const other = place();
  try {
    const log = await open(other);
    const { Follower } = await import("../../src/audit/read/tail.ts");
    const follower = new Follower({ name: "", dir: other.dir });
    expect(follower.last(10).map((e) => e.leaf.type)).toEqual(["log.opened"]);
    const session = log.session(sessionRecord);
    const sent = intend(log, session);
    expect(follower.more()).toEqual([]);
    await log.settle();
    expect(follower.more().map((e) => e.index)).toEqual([sent.index]);
    await log.close();
    const segment = join(other.dir, "segments", "00000000000000000000.log");
    const size = readFileSync(segment).length;
    follower.more();
    appendFileSync(segment, 'L {"half":');
    expect(follower.more()).toEqual([]);
    appendFileSync(segment, "true}\n");
    expect(follower.more()).toEqual([]);
    appendFileSync(segment, `B ${"A".repeat(43)}=\n`);
    expect(follower.more()).toMatchObject([{ offset: size, leaf: { half: true } }]);
  } finally {
    other.remove();
  }
});

describe("verify and prove", () => {
  test("verify: 0 for a good log, 1 and the place for a bad one", async () => {
    const good = await run(
      "verify",
      at.settings.dir,
      "--json",
      "--key",
      join(at.settings.keys, "log.vkey"),
      "--keys",
      at.settings.keys,
      "--checkpoint",
      join(at.dir, "checkpoint"),
    );
    expect(good.code).toBe(0);
    expect(JSON.parse(good.out)).toMatchObject({
      ok: true,
      checkpoint_found: true,
      logs: [{ log: "test/gw-1/0", keyFrom: "given" }],
    });
    expect((await run("verify", at.dir)).out).toMatch(/^OK {3}test\/gw-1\/0: \d+ records/);
    expect((await run("verify", "--dir", at.settings.dir)).out).toMatch(/^OK {3}/);
    await expect(run("verify", at.dir, "--dir", at.dir)).rejects.toBeInstanceOf(UsageError);
    const other = place();
    try {
      await writeSample(other);
      expect((await run("verify", other.dir, "--key", join(at.settings.keys, "log.vkey"))).code).toBe(1);
      const segment = join(other.dir, "segments", "00000000000000000000.log");
      writeFileSync(segment, readFileSync(segment, "utf8").replace("agents-read", "agents-rule"));
      const bad = await run("verify", other.settings.dir);
      expect(bad.code).toBe(1);
      expect(bad.out).toContain("first bad place: ");
    } finally {
      other.remove();
    }
    await expect(run("verify", at.root)).rejects.toBeInstanceOf(UsageError);
    await expect(run("verify", at.dir, "--key", "nonsense")).rejects.toBeInstanceOf(UsageError);
  });

  test("every record can be proven, and a changed proof is refused", async () => {
    const key = join(at.settings.keys, "log.vkey");
    const file = join(at.root, "proof.json");
    for (const { id } of leaves(at)) {
      const { code, out } = await run("prove", id, ...dir);
      expect(code).toBe(0);
      writeFileSync(file, out);
      expect((await run("verify-proof", file, "--key", key)).code).toBe(0);
    }
    const proof = readFileSync(file, "utf8");
    for (const change of [
      proof.replace("shutdown", "shutdowm"),
      proof.replace(/"index": (\d+)/, (_, n) => `"index": ${Number(n) - 1}`),
      proof.replace(/"size": (\d+)/, (_, n) => `"size": ${Number(n) + 1}`),
      proof.replace(/"path": \[[^\]]*\]/, '"path": []'),
      proof.replace("time 20", "time 21"),
      proof.slice(0, 100),
      "[]",
    ]) {
      expect(change).not.toBe(proof);
      writeFileSync(file, change);
      expect((await run("verify-proof", file, "--key", key)).code).toBe(1);
    }
    expect((await run("prove", "no such record", ...dir)).code).toBe(1);
    await expect(run("verify-proof", join(at.root, "missing"))).rejects.toBeInstanceOf(UsageError);
  });
});

test("the program itself: exit codes 0, 1 and 2", () => {
  const postern = (...args: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, "../../bin/postern.js"), "audit", ...args], {
      encoding: "utf8",
    });
  expect(postern("verify", at.settings.dir)).toMatchObject({ status: 0 });
  expect(postern("search", ...dir, "--subject", "nobody")).toMatchObject({ status: 1 });
  expect(postern("verify", join(at.root, "missing"))).toMatchObject({ status: 2 });
  expect(postern("--help")).toMatchObject({ status: 0 });
});
