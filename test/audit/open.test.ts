import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AuditOpenError, AuditUnavailable } from "../../src/audit/index.ts";
import { readMasterKey, tailKey } from "../../src/audit/keys.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import {
  conclude,
  intend,
  leaves,
  lines,
  open,
  type Place,
  place,
  safe,
  segments,
  sessionRecord,
  writeSample,
} from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

const lastSegment = () => join(at.dir, "segments", segments(at).at(-1) ?? "");

/** Opens and closes the log, gives the leaves that this added. */
async function reopened() {
  const log = await open(at);
  await log.close();
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
  const all = leaves(at);
  return all.slice(all.findLastIndex((l) => l.type === "log.opened"));
}

describe("opening", () => {
  test("a new log makes its keys, readable by their owner only, and the public key in both places", async () => {
    await (await open(at)).close();
    const { keys } = at.settings;
    expect(readdirSync(keys).sort()).toEqual(["log.vkey", "master.key", "signing.key"]);
    expect(statSync(keys).mode & 0o777).toBe(0o700);
    for (const secret of ["master.key", "signing.key"])
      expect(statSync(join(keys, secret)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(keys, "log.vkey"), "utf8")).toBe(readFileSync(join(at.dir, "log.vkey"), "utf8"));
    expect(readFileSync(join(keys, "log.vkey"), "utf8")).toMatch(/^test\/gw-1\/0\+[0-9a-f]{8}\+/);
  });

  test("a log that is open is refused to a second writer, and free again when closed", async () => {
    const log = await open(at);
    await expect(open(at)).rejects.toMatchObject({
      code: "AUDIT_LOCKED",
      message: expect.stringMatching(/another process is writing/),
    });
    await log.close();
    await (await open(at)).close();
  });

  test("names that would leave the folder or break a checkpoint are refused", async () => {
    for (const node of ["", "..", "a/b", "a b", "a+b", "x".repeat(64)])
      await expect(open({ ...at, settings: { ...at.settings, node } }), node).rejects.toMatchObject({
        code: "AUDIT_SETTINGS",
      });
  });

  test("a log never gets new keys silently", async () => {
    await (await open(at)).close();
    const signing = join(at.settings.keys, "signing.key");
    const pem = readFileSync(signing);
    rmSync(signing);
    await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_KEYS" });
    expect(existsSync(signing)).toBe(false);
    writeFileSync(signing, pem.toString().replace("PRIVATE", "PUBLIC"));
    await expect(open(at)).rejects.toBeInstanceOf(AuditOpenError);
    rmSync(at.settings.keys, { recursive: true });
    await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_KEYS" });
  });

  test("the tree goes on over restarts", async () => {
    await writeSample(at);
    const size = leaves(at).length;
    const [opened] = await reopened();
    expect(opened).toMatchObject({ type: "log.opened", previous: { size } });
    expect(verifyLog(at.dir).size).toBe(size + 2);
  });

  test("without the place to resume at, the log is read from its beginning; without leaf hashes they are made anew", async () => {
    await writeSample(at);
    const whole = readFileSync(join(at.dir, "leaves"));
    for (const damage of [
      () => rmSync(join(at.dir, "resume")),
      () => writeFileSync(join(at.dir, "resume"), "{}\nnonsense\n"),
      () => rmSync(join(at.dir, "leaves")),
      () => truncateSync(join(at.dir, "leaves"), 45),
      () => appendFileSync(join(at.dir, "leaves"), Buffer.alloc(64)),
      () => rmSync(join(at.dir, "checkpoint")),
      () => rmSync(join(at.dir, "ballast")),
    ]) {
      damage();
      await reopened();
      expect(readFileSync(join(at.dir, "leaves")).subarray(0, whole.length).equals(whole)).toBe(true);
    }
  });
});

describe("what a crash leaves behind", () => {
  /** A log whose writer has vanished behind two batches under a MAC: one open intent, one resolved. */
  async function crashed(): Promise<{ open: number; resolved: number }> {
    const other = place();
    try {
      const log = await open(other, { limits: { syncMs: 1_000_000 } });
      const session = log.session(sessionRecord);
      const resolved = intend(log, session);
      await safe(log, "process");
      conclude(log, session, resolved);
      const unresolved = intend(log, session);
      await safe(log, "process");
      // What is on disk at this moment is what a kill would leave.
      mkdirSync(at.dir, { recursive: true });
      const { cpSync } = await import("node:fs");
      cpSync(other.dir, at.dir, { recursive: true, filter: (f) => !f.endsWith("lock") });
      cpSync(other.settings.keys, at.settings.keys, { recursive: true });
      await log.close();
      return { open: unresolved.index, resolved: resolved.index };
    } finally {
      other.remove();
    }
  }

  test("batches under the MAC are adopted, their open intents get the outcome unknown", async () => {
    const { open: index } = await crashed();
    expect(lines(at).at(-1)?.tag).toBe("B");
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: { leaves: 3 } });
    const added = await reopened();
    expect(added.map((l) => l.type)).toEqual([
      "log.opened",
      "log.recovered",
      "statement.outcome",
      "log.closed",
    ]);
    expect(added[1]).toMatchObject({ adopted: 3, quarantined: null, unresolved: 1, checkpoint: { size: 1 } });
    expect(added[2]).toMatchObject({
      intent: { log: "test/gw-1/0", index },
      status: "unknown",
      result: null,
    });
    expect((await reopened()).map((l) => l.type)).toEqual(["log.opened", "log.closed"]);
  });

  test("the same when the log has to be read from its beginning", async () => {
    const { open: index } = await crashed();
    rmSync(join(at.dir, "resume"));
    expect((await reopened())[2]).toMatchObject({ intent: { index }, status: "unknown" });
  });

  test("an intent that was open before the place to resume at is resolved too", async () => {
    const log = await open(at, { limits: { segmentBytes: 3000 } });
    const session = log.session(sessionRecord);
    const forgotten = intend(log, session);
    await log.settle();
    for (let i = 0; i < 6; i++) {
      conclude(log, session, intend(log, session));
      await log.settle();
    }
    expect(segments(at).length).toBeGreaterThan(2);
    await log.close();
    const added = await reopened();
    expect(added.filter((l) => l.type === "statement.outcome")).toMatchObject([
      { intent: { index: forgotten.index }, status: "unknown" },
    ]);
  });

  test.each([
    ["half a line", (f: string) => appendFileSync(f, 'L {"v":1,"id":"')],
    ["zeros", (f: string) => appendFileSync(f, Buffer.alloc(5000))],
    ["zeros in whole lines", (f: string) => appendFileSync(f, "\0\n\0\n")],
    ["a batch without its end", (f: string) => appendFileSync(f, 'L {"v":1}\n')],
    [
      "a batch with a foreign MAC",
      (f: string) => appendFileSync(f, `L {"v":1}\nB ${Buffer.alloc(32).toString("base64")}\n`),
    ],
    [
      "random bytes",
      (f: string) => appendFileSync(f, Buffer.from(Array.from({ length: 999 }, () => Math.random() * 256))),
    ],
  ])("%s at the end: set aside, never deleted", async (_name, damage) => {
    await crashed();
    const whole = statSync(lastSegment()).size;
    damage(lastSegment());
    const torn = readFileSync(lastSegment()).subarray(whole);
    // Whether a batch without checkpoint is ours can be told with the tail key only.
    expect(verifyLog(at.dir, { tailKey: tailKey(readMasterKey(at.settings.keys), "test/gw-1/0") }).ok).toBe(
      false,
    );
    const added = await reopened();
    const file = added[1].quarantined.files[0];
    expect(added[1]).toMatchObject({
      type: "log.recovered",
      adopted: 3,
      quarantined: { bytes: torn.length },
    });
    expect(readFileSync(join(at.dir, file)).equals(torn)).toBe(true);
  });

  test("a segment cut anywhere behind its last checkpoint opens with the batches that are whole", async () => {
    await crashed();
    const file = lastSegment();
    const bytes = readFileSync(file);
    const ends = lines(at).flatMap((l) => (l.tag === "B" || l.tag === "C" ? [l.at + l.text.length + 3] : []));
    const firstEnd = ends[0] ?? 0;
    for (let cut = bytes.length - 1; cut >= firstEnd; cut -= 97) {
      rmSync(at.root, { recursive: true });
      await crashed();
      truncateSync(lastSegment(), Math.min(cut, statSync(lastSegment()).size));
      await reopened();
    }
  });

  test("an empty segment left by a crash in mid-rotation", async () => {
    await writeSample(at);
    const size = leaves(at).length;
    writeFileSync(join(at.dir, "segments", `${String(size).padStart(20, "0")}.log`), "");
    expect((await reopened())[0]).toMatchObject({ type: "log.opened", previous: { size } });
    expect(segments(at).length).toBe(3);
  });
});

describe("what is not a crash is not repaired", () => {
  async function refused(code: string): Promise<void> {
    const before = segments(at).map((s) => readFileSync(join(at.dir, "segments", s)));
    await expect(open(at)).rejects.toMatchObject({ code });
    expect(segments(at).map((s) => readFileSync(join(at.dir, "segments", s)))).toEqual(before);
  }

  test("a changed byte before the last checkpoint", async () => {
    await writeSample(at);
    rmSync(join(at.dir, "resume"));
    const file = lastSegment();
    writeFileSync(file, readFileSync(file, "utf8").replace("client left", "client lift"));
    await refused("AUDIT_CORRUPT");
  });

  test("a deleted line in an earlier segment", async () => {
    await writeSample(at);
    rmSync(join(at.dir, "resume"));
    const file = join(at.dir, "segments", segments(at)[0] ?? "");
    writeFileSync(file, readFileSync(file, "utf8").split("\n").toSpliced(2, 1).join("\n"));
    await refused("AUDIT_CORRUPT");
  });

  test("a log cut at a checkpoint, with a newer checkpoint beside it", async () => {
    await writeSample(at);
    const file = lastSegment();
    const text = readFileSync(file, "utf8").split(/(?<=\n)/);
    writeFileSync(file, text.slice(0, text.findIndex((l) => l.startsWith("C ")) + 1).join(""));
    await refused("AUDIT_ROLLED_BACK");
  });

  test("a foreign file among the segments", async () => {
    await writeSample(at);
    writeFileSync(join(at.dir, "segments", "notes.txt"), "");
    await refused("AUDIT_CORRUPT");
  });
});

describe("failure", () => {
  const enough = { fdatasync: (_fd: number, done: (e: Error | null) => void) => setImmediate(done, null) };

  /** System calls of which the `n`th write is cut to `length` bytes (or throws `error`). */
  async function failing(n: number, outcome: { length: number } | { error: Error }) {
    const fs = await import("node:fs");
    let writes = 0;
    return {
      ...enough,
      writeSync(fd: number, buffer: Buffer, offset: number, length: number): number {
        writes++;
        if (writes !== n) return fs.writeSync(fd, buffer, offset, length, null);
        if ("error" in outcome) throw outcome.error;
        return fs.writeSync(fd, buffer, offset, Math.min(outcome.length, length), null);
      },
    };
  }

  test.each([0, 1, 100])(
    "a write cut short after %i bytes: everyone is told, and the log says why it ends",
    async (length) => {
      const log = await open(at, { io: await failing(3, { length }) });
      const session = log.session(sessionRecord);
      intend(log, session);
      await safe(log, "process");
      const lost = intend(log, session);
      const waits = [safe(log, "process"), safe(log, "disk"), log.settle()];
      for (const result of await Promise.allSettled(waits))
        expect(result).toMatchObject({ status: "rejected", reason: { code: "AUDIT_UNAVAILABLE" } });
      expect(log.failure).toBeInstanceOf(AuditUnavailable);
      expect(() => intend(log, session)).toThrow(AuditUnavailable);
      expect(() => log.sessionStart(session)).toThrow(AuditUnavailable);
      expect(conclude(log, session, lost)).toBe(-1);
      await expect(safe(log, "process")).rejects.toBeInstanceOf(AuditUnavailable);
      await expect(log.close()).rejects.toBeInstanceOf(AuditUnavailable);
      expect(existsSync(join(at.dir, "ballast"))).toBe(false);
      expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
      const all = leaves(at);
      expect(all.some((l) => l.request === lost.request)).toBe(false);
      expect(all.at(-1)).toMatchObject({ type: "log.closed", reason: "audit log failed: ENOSPC" });
      const added = await reopened();
      expect(added.map((l) => l.type)).toEqual([
        "log.opened",
        "log.recovered",
        "statement.outcome",
        "log.closed",
      ]);
      expect(existsSync(join(at.dir, "ballast"))).toBe(true);
    },
  );

  test("a write that throws", async () => {
    const log = await open(at, {
      io: await failing(2, { error: Object.assign(new Error("no"), { code: "EIO" }) }),
    });
    intend(log, log.session(sessionRecord));
    await expect(safe(log, "process")).rejects.toMatchObject({ message: expect.stringContaining("EIO") });
    await expect(log.close()).rejects.toBeInstanceOf(AuditUnavailable);
    await reopened();
  });

  test("an fdatasync that fails is never tried again", async () => {
    const fs = await import("node:fs");
    let syncs = 0;
    const log = await open(at, {
      io: {
        writeSync: (fd, buffer, offset, length) => fs.writeSync(fd, buffer, offset, length, null),
        fdatasync: (_fd, done) =>
          setImmediate(done, ++syncs === 1 ? null : Object.assign(new Error("no"), { code: "EIO" })),
      },
    });
    intend(log, log.session(sessionRecord));
    await expect(safe(log, "disk")).rejects.toMatchObject({ message: expect.stringContaining("EIO") });
    expect(log.failure).not.toBeNull();
    await expect(log.settle()).rejects.toBeInstanceOf(AuditUnavailable);
    await expect(log.close()).rejects.toBeInstanceOf(AuditUnavailable);
    expect(syncs).toBe(2);
    await reopened();
  });

  test("an fdatasync that does not return", { timeout: 20_000 }, async () => {
    const fs = await import("node:fs");
    let syncs = 0;
    const log = await open(at, {
      limits: { stallMs: 100 },
      io: {
        writeSync: (fd, buffer, offset, length) => fs.writeSync(fd, buffer, offset, length, null),
        fdatasync: (_fd, done) => {
          if (++syncs === 1) setImmediate(done, null);
        },
      },
    });
    intend(log, log.session(sessionRecord));
    await expect(safe(log, "disk")).rejects.toBeInstanceOf(AuditUnavailable);
    await expect(log.close()).rejects.toBeInstanceOf(AuditUnavailable);
  });

  test("a full disk", async ({ skip }) => {
    const { spawnSync } = await import("node:child_process");
    const mount = join(at.root, "small");
    mkdirSync(mount);
    const made = spawnSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", mount], { encoding: "utf8" });
    if (made.status !== 0)
      skip(`a small tmpfs cannot be mounted here: ${made.stderr?.trim() ?? made.error?.message}`);
    try {
      const settings = { ...at.settings, dir: join(mount, "audit"), keys: join(mount, "keys") };
      const small = { ...at, settings, dir: join(mount, "audit", "gw-1", "0") };
      const log = await open(small);
      const session = log.session(sessionRecord);
      let acknowledged = 0;
      const fill = async () => {
        for (;;) {
          intend(log, session, "x".repeat(20_000));
          await safe(log, "process");
          acknowledged++;
        }
      };
      await expect(fill()).rejects.toBeInstanceOf(AuditUnavailable);
      await expect(log.close()).rejects.toBeInstanceOf(AuditUnavailable);
      expect(acknowledged).toBeGreaterThan(10);
      expect(verifyLog(small.dir)).toMatchObject({ ok: true, unsignedTail: null });
      const all = leaves(small);
      expect(all.filter((l) => l.type === "statement.intent").length).toBe(acknowledged);
      expect(all.at(-1)).toMatchObject({ type: "log.closed", reason: "audit log failed: ENOSPC" });
    } finally {
      spawnSync("umount", [mount]);
    }
  });
});

describe("waiting", () => {
  test("nobody is called back synchronously, whatever the state", async () => {
    const log = await open(at);
    let inside = true;
    const calls: Promise<boolean>[] = [];
    for (const level of ["process", "disk", "strict", "disk"] as const)
      calls.push(
        new Promise((resolve) =>
          log.whenSafe(level, { auditSafe: () => resolve(inside), auditFailed: () => resolve(true) }),
        ),
      );
    intend(log, log.session(sessionRecord));
    inside = false;
    expect(await Promise.all(calls)).toEqual([false, false, false, false]);
    await log.close();
    inside = true;
    const late = new Promise((resolve) =>
      log.whenSafe("process", {
        auditSafe: () => resolve("safe"),
        auditFailed: () => resolve(inside ? "inside" : "told"),
      }),
    );
    inside = false;
    expect(await late).toBe("told");
  });

  test("process: with the operating system; disk: under a checkpoint, when one is due", async () => {
    const log = await open(at, { limits: { syncMs: 1_000_000, signMs: 0 } });
    const session = log.session(sessionRecord);
    const sent = intend(log, session);
    expect(leaves(at).length).toBe(1);
    await safe(log, "process");
    expect(leaves(at).at(sent.index)?.request).toBe(sent.request);
    expect(lines(at).at(-1)?.tag).toBe("B");
    await safe(log, "disk");
    expect(lines(at).at(-1)?.tag).toBe("C");
    await log.close();
    await log.close();
  });

  test("a batch with the operating system is synced soon after, without anybody asking", async () => {
    const log = await open(at, { limits: { syncMs: 5 } });
    intend(log, log.session(sessionRecord));
    await safe(log, "process");
    await expect.poll(() => lines(at).at(-1)?.tag).toBe("C");
    await log.close();
  });

  test("fdatasyncs that follow each other closely share a checkpoint", async () => {
    const log = await open(at, { limits: { signMs: 60_000, syncMs: 60_000 } });
    const session = log.session(sessionRecord);
    const signed = lines(at).filter((l) => l.tag === "C").length;
    for (let i = 0; i < 3; i++) {
      intend(log, session);
      await safe(log, "disk");
      expect(lines(at).at(-1)?.tag).toBe("B");
    }
    expect(lines(at).filter((l) => l.tag === "C")).toHaveLength(signed);
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: { leaves: 3 } });
    // Nothing new: only the checkpoint is missing.
    await log.settle();
    expect(lines(at).at(-1)?.tag).toBe("C");
    expect(log.checkpoint?.size).toBe(log.size);
    // A batch that the operating system has already: the fdatasync needs no line of its own.
    intend(log, session);
    await safe(log, "process");
    const count = lines(at).length;
    await safe(log, "disk");
    expect(lines(at)).toHaveLength(count);
    await log.close();
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
  });

  test("what is on disk without a checkpoint gets one soon, without anybody asking", async () => {
    const log = await open(at, { limits: { signMs: 60_000, syncMs: 5 } });
    intend(log, log.session(sessionRecord));
    await safe(log, "disk");
    await expect.poll(() => lines(at).at(-1)?.tag).toBe("C");
    await expect.poll(() => log.checkpoint?.size).toBe(log.size);
    await log.close();
  });

  test("an idle log says so in a checkpoint", async () => {
    const log = await open(at, { limits: { idleMs: 1 } });
    await expect
      .poll(() => lines(at).filter((l) => l.tag === "C").length, { timeout: 5000 })
      .toBeGreaterThan(1);
    expect(leaves(at).length).toBe(1);
    await log.close();
    expect(verifyLog(at.dir).ok).toBe(true);
  });

  test("segments end with a checkpoint and begin where the last one ended", async () => {
    const log = await open(at, { limits: { segmentBytes: 2000 } });
    const session = log.session(sessionRecord);
    for (let i = 0; i < 20; i++) {
      conclude(log, session, intend(log, session));
      await safe(log, i % 2 === 0 ? "disk" : "process");
    }
    await log.close();
    expect(segments(at).length).toBeGreaterThan(3);
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, size: 42 });
    await reopened();
  });
});
