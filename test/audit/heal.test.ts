import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AuditIo } from "../../src/audit/files.ts";
import { type AuditLog, AuditUnavailable, type OpenNews } from "../../src/audit/index.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { conclude, intend, leaves, open, type Place, place, safe, sessionRecord } from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

/** System calls that can be told to fail. */
function failable() {
  const state = { write: null as Error | number | null, sync: null as Error | null, failedSyncs: 0 };
  const io: AuditIo = {
    writeSync(fd, buffer, offset, length) {
      if (state.write instanceof Error) throw state.write;
      return fs.writeSync(fd, buffer, offset, Math.min(length, state.write ?? length), null);
    },
    fdatasync(fd, done) {
      if (state.sync === null) fs.fdatasync(fd, done);
      else {
        state.failedSyncs++;
        setImmediate(done, state.sync);
      }
    },
  };
  return { io, state };
}

const eio = Object.assign(new Error("no"), { code: "EIO" });

async function failed(log: AuditLog): Promise<void> {
  await expect.poll(() => log.failure).toBeInstanceOf(AuditUnavailable);
}
async function works(log: AuditLog): Promise<void> {
  await expect.poll(() => log.failure, { timeout: 8000 }).toBeNull();
  await log.settle();
}

describe("a failed log goes on by itself", () => {
  test.each([
    ["a write that throws", { write: eio }, "EIO"],
    ["a write cut short", { write: 70 }, "ENOSPC"],
    ["an fdatasync that fails", { sync: eio }, "EIO"],
  ] as const)("%s", async (_name, fault, code) => {
    const news: OpenNews[] = [];
    const { io, state } = failable();
    const log = await open(at, { io, careMs: 150, tell: (n) => news.push(n) });
    const session = log.session(sessionRecord);
    const before = intend(log, session);
    await safe(log, "disk");
    Object.assign(state, fault);
    const lost = intend(log, session);
    const rejected = expect(safe(log, "disk")).rejects.toBeInstanceOf(AuditUnavailable);
    await failed(log);
    await rejected;
    expect(() => intend(log, session)).toThrow(AuditUnavailable);
    // A sync that failed is not tried again on the same handle.
    expect(state.failedSyncs).toBe("sync" in fault ? 1 : 0);
    Object.assign(state, { write: null, sync: null });
    await works(log);
    expect(news).toMatchObject([{ kind: "recovered", failure: expect.stringContaining(code) }]);

    // What was under way is over: its late outcomes change nothing, and are nobody else's.
    const size = log.size;
    const next = [intend(log, session), intend(log, session), intend(log, session)];
    expect(conclude(log, session, before)).toBe(-1);
    expect(conclude(log, session, lost)).toBe(-1);
    for (const sent of next) conclude(log, session, sent);
    expect(log.size).toBe(size + 6);
    await log.close();
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
    const all = leaves(at);
    const recovered = all.findIndex((l) => l.type === "log.recovered");
    expect(all[recovered]).toMatchObject({ failure: expect.stringContaining(code) });
    expect(all[recovered - 1].type).toBe("log.opened");
    const outcomes = all.filter((l) => l.type === "statement.outcome");
    const unknown = outcomes.filter((l) => l.status === "unknown").map((l) => l.intent.index);
    expect(unknown).toContain(before.index);
    // Each intent on the record has one outcome, of its own request.
    for (const [index, leaf] of all.entries())
      if (leaf.type === "statement.intent")
        expect(outcomes.filter((o) => o.intent.index === index).map((o) => o.request)).toEqual([
          leaf.request,
        ]);
    for (const sent of next)
      expect(all.filter((l) => l.request === sent.request).map((l) => l.status)).toEqual([undefined, "ok"]);
  });

  test("it stays closed as long as the cause is there, and says so once", async () => {
    const news: OpenNews[] = [];
    const { io, state } = failable();
    const log = await open(at, { io, careMs: 5, tell: (n) => news.push(n) });
    state.sync = eio;
    intend(log, log.session(sessionRecord));
    await failed(log);
    await expect.poll(() => state.failedSyncs, { timeout: 8000 }).toBe(3);
    expect(news).toMatchObject([{ kind: "not-recovered" }]);
    await expect.poll(() => log.failure).not.toBeNull();
    state.sync = null;
    await works(log);
    await expect.poll(() => news.at(-1)?.kind).toBe("recovered");
    await log.close();
    expect(verifyLog(at.dir).ok).toBe(true);
    expect(existsSync(join(at.dir, "ballast"))).toBe(true);
  });

  test("a log that is closed while it has failed stays closed", async () => {
    const { io, state } = failable();
    const log = await open(at, { io, careMs: 5 });
    state.sync = eio;
    intend(log, log.session(sessionRecord));
    await failed(log);
    await expect(log.close()).rejects.toBeInstanceOf(AuditUnavailable);
    state.sync = null;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(log.failure).not.toBeNull();
    await (await open(at)).close();
  });
});

describe("a small disk", () => {
  test("first no new sessions, then nothing; with room again it goes on", { timeout: 30_000 }, async ({
    skip,
  }) => {
    const { spawnSync } = await import("node:child_process");
    const mount = join(at.root, "small");
    mkdirSync(mount);
    const made = spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", mount], { encoding: "utf8" });
    if (made.status !== 0)
      skip(`a small tmpfs cannot be mounted here: ${made.stderr?.trim() ?? made.error?.message}`);
    try {
      const settings = { ...at.settings, dir: join(mount, "audit"), keys: join(at.root, "keys") };
      const small = { ...at, settings, dir: join(mount, "audit", "gw-1", "0") };
      const news: OpenNews[] = [];
      const log = await open(small, { careMs: 20, tell: (n) => news.push(n) });
      const session = log.session(sessionRecord);
      expect(log.low).toBe(false);
      writeFileSync(join(mount, "filler"), Buffer.alloc(3.7 * 1024 * 1024));
      await expect.poll(() => log.low).toBe(true);
      expect(log.failure).toBeNull();
      conclude(log, session, intend(log, session));
      await log.settle();
      const fill = async () => {
        for (;;) {
          intend(log, session, "x".repeat(20_000));
          await safe(log, "process");
        }
      };
      await expect(fill()).rejects.toBeInstanceOf(AuditUnavailable);
      // The freed ballast is no room to go on in.
      await expect.poll(() => news.some((n) => n.kind === "not-recovered")).toBe(true);
      expect(log.failure).not.toBeNull();
      rmSync(join(mount, "filler"));
      await works(log);
      await expect.poll(() => log.low).toBe(false);
      conclude(log, session, intend(log, session));
      await log.close();
      expect(verifyLog(small.dir)).toMatchObject({ ok: true, unsignedTail: null });
      expect(news.map((n) => n.kind)).toEqual(
        expect.arrayContaining(["low", "not-recovered", "recovered", "enough"]),
      );
      expect(leaves(small).map((l) => l.type)).toEqual(
        expect.arrayContaining(["log.closed", "log.recovered"]),
      );
    } finally {
      spawnSync("umount", [mount]);
    }
  });
});

test("of two processes on one folder the second is refused, and the first goes on", {
  timeout: 30_000,
}, async () => {
  const log = await open(at);
  const script = `
    import { openAuditLog } from ${JSON.stringify(join(import.meta.dirname, "../../src/audit/index.ts"))};
    await openAuditLog(${JSON.stringify(at.settings)}, { version: "x" }).then(() => console.log("opened"), (e) => console.log(e.code));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  await once(child, "close");
  expect(said.trim()).toBe("AUDIT_LOCKED");
  intend(log, log.session(sessionRecord));
  await log.close();
  expect(verifyLog(at.dir).ok).toBe(true);
  expect(leaves(at).length).toBe(3);
});
