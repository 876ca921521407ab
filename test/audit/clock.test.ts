/** Steps of the system clock: nothing of the log waits for a time that is far away, and nothing goes before its time. */
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AnchorRunner } from "../../src/audit/anchors/runner.ts";
import type { AuditIo } from "../../src/audit/files.ts";
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
} from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => {
  vi.useRealTimers();
  at.remove();
});

const day = 86_400_000;

/** The system clock, moved by so many milliseconds; timers and performance.now() go on. */
function step(ms: number): void {
  const now = Date.now() + ms;
  vi.useFakeTimers({ toFake: ["Date"], now });
}

test("a clock that is set back does not end checkpoints under load", async () => {
  const log = await open(at);
  const session = log.session(sessionRecord);
  step(-day);
  const before = lines(at).filter((l) => l.tag === "C").length;
  const size = log.checkpoint?.size ?? 0;
  // Always somebody who waits for the disk, and never a pause.
  for (const end = performance.now() + 400; performance.now() < end; ) {
    conclude(log, session, intend(log, session));
    await safe(log, "disk");
  }
  expect(lines(at).filter((l) => l.tag === "C").length).toBeGreaterThan(before + 2);
  expect(log.checkpoint?.size).toBeGreaterThan(size + 10);
  await log.close();
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
});

test("a log that failed goes on by itself, wherever the clock is set to meanwhile", async () => {
  let broken = false;
  const io: AuditIo = {
    writeSync(fd, buffer, offset, length) {
      if (broken) throw Object.assign(new Error("no"), { code: "EROFS" });
      return fs.writeSync(fd, buffer, offset, length, null);
    },
    fdatasync: fs.fdatasync,
  };
  const log = await open(at, { io, careMs: 20 });
  const session = log.session(sessionRecord);
  broken = true;
  intend(log, session);
  await expect(safe(log, "disk")).rejects.toThrow("EROFS");
  // It has tried once, in vain.
  await sleep(200);
  step(-day);
  broken = false;
  while (log.failure !== null) await sleep(20);
  step(2 * day);
  conclude(log, session, intend(log, session));
  await safe(log, "disk");
  await log.close();
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
  expect(leaves(at).filter((l) => l.type === "log.recovered")).toMatchObject([
    { failure: expect.stringContaining("EROFS") },
  ]);
});

test("retention takes nothing because the clock jumped ahead", async () => {
  const filled = await open(at, { limits: { segmentBytes: 4000 } });
  const session = filled.session(sessionRecord);
  for (let n = 0; n < 20; n++) {
    conclude(filled, session, intend(filled, session));
    await safe(filled, "disk");
  }
  await filled.close();
  const before = segments(at).length;
  expect(before).toBeGreaterThan(2);
  const settings = { ...at.settings, retentionSeconds: 30 * 86_400 };
  const log = await open({ ...at, settings }, { careMs: 200 });
  step(400 * day);
  await sleep(350);
  vi.useRealTimers();
  await log.close();
  expect(leaves(at).some((l) => l.type === "log.pruned")).toBe(false);
  expect(segments(at).length).toBe(before);
});

test("an anchor that failed is tried again, wherever the clock is set to meanwhile", async () => {
  let calls = 0;
  const runner = new AnchorRunner(
    {
      name: "memory",
      async put() {
        if (++calls === 1) throw new Error("no");
      },
      recent: null,
      close: async () => {},
    },
    () => {},
  );
  runner.offer({ origin: "o", size: 1, note: "n" });
  while (runner.failing === 0) await sleep(5);
  step(-day);
  while (runner.anchored === 0) {
    await sleep(50);
    runner.go();
  }
});
