/** The wall clock is set back while the log is in use: an hour passes before it is again what it was. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AnchorRunner } from "../../src/audit/anchors/runner.ts";
import { type AuditLog, AuditUnavailable } from "../../src/audit/index.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { conclude, intend, lines, open, type Place, place, safe, sessionRecord } from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place("disk");
});
afterEach(() => {
  vi.restoreAllMocks();
  at.remove();
});

function setBack(): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() - 3_600_000);
}

/** Sessions that always have somebody waiting for the disk, until `done`. */
async function busy(log: AuditLog, done: () => boolean): Promise<void> {
  const session = log.session(sessionRecord);
  const one = async () => {
    while (!done()) {
      const sent = intend(log, session);
      await safe(log, "disk");
      conclude(log, session, sent);
    }
  };
  await Promise.all([one(), one(), one()]);
}

test("a busy log is still put under checkpoints, and where it goes on is still saved", async () => {
  const log = await open(at);
  await busy(log, () => (log.checkpoint?.size ?? 0) > 20);
  setBack();
  const from = log.checkpoint?.size ?? 0;
  const end = performance.now() + 300;
  const sizes = new Set<number>();
  await busy(log, () => {
    sizes.add(log.checkpoint?.size ?? 0);
    return performance.now() > end;
  });
  sizes.delete(from);
  expect(sizes.size).toBeGreaterThan(2);
  await log.close();
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
  expect(lines(at).filter((l) => l.tag === "C").length).toBeGreaterThan(sizes.size);
});

test("a failed log goes on all the same", async () => {
  let failing = false;
  const fs = await import("node:fs");
  const log = await open(at, {
    careMs: 50,
    io: {
      writeSync: (fd, buffer, offset, length) => fs.writeSync(fd, buffer, offset, length, null),
      fdatasync(fd, done) {
        if (failing) setImmediate(done, Object.assign(new Error("no"), { code: "EIO" }));
        else fs.fdatasync(fd, done);
      },
    },
  });
  failing = true;
  intend(log, log.session(sessionRecord));
  await expect.poll(() => log.failure).toBeInstanceOf(AuditUnavailable);
  // It has noticed, and waits for its time.
  await new Promise((resolve) => setTimeout(resolve, 70));
  setBack();
  failing = false;
  await expect.poll(() => log.failure, { timeout: 5000 }).toBeNull();
  await log.close();
});

test("an anchor that failed before is tried again", async () => {
  const kept: number[] = [];
  let failing = true;
  const anchor = {
    name: "test",
    put: async ({ size }: { readonly size: number }) => {
      if (failing) throw new Error("no");
      kept.push(size);
    },
    close: async () => {},
  };
  const runner = new AnchorRunner({ recent: null, ...anchor }, () => {});
  runner.offer({ origin: "a/b/0", size: 1, note: "" });
  await expect.poll(() => runner.failing).toBe(1);
  failing = false;
  setBack();
  await expect
    .poll(
      () => {
        runner.go(performance.now());
        return kept;
      },
      { timeout: 5000 },
    )
    .toEqual([1]);
  await runner.finish(100);
});
