/** Backups of the log and of its keys that are not of the same time. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fileAnchor } from "../../src/audit/anchors/file.ts";
import type { AuditLog } from "../../src/audit/index.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { conclude, intend, open, type Place, place, sessionRecord } from "./helpers.ts";

let at: Place;
beforeEach(async () => {
  at = place();
  const limits = { segmentBytes: 8000 };
  const log = await open(at, { limits });
  await fill(log, 5);
  await log.close();
  copy(at.settings.dir, "log-before");
  copy(at.settings.keys, "keys-before");
  const again = await open(at, { limits });
  await again.rotateKey();
  await fill(again, 20);
  await again.close();
});
afterEach(() => at.remove());

async function fill(log: AuditLog, count: number): Promise<void> {
  const session = log.session(sessionRecord);
  for (let i = 0; i < count; i++) {
    conclude(log, session, intend(log, session));
    await log.settle();
  }
}

function copy(from: string, to: string): void {
  cpSync(from, join(at.root, to), { recursive: true });
}

function restore(what: "log" | "keys"): void {
  const to = what === "log" ? at.settings.dir : at.settings.keys;
  rmSync(to, { recursive: true });
  cpSync(join(at.root, `${what}-before`), to, { recursive: true });
}

/** Everything in the log's folder that a writer may not touch before it has opened. */
function content(): unknown {
  return ["segments", "quarantine"].map((folder) =>
    existsSync(join(at.dir, folder))
      ? readdirSync(join(at.dir, folder)).map((name) => [name, readFileSync(join(at.dir, folder, name))])
      : null,
  );
}

test("older keys than the log: what the newer key signed is not set aside", async () => {
  restore("keys");
  const before = content();
  await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_KEYS" });
  await expect(open(at, { fork: "restored" })).rejects.toMatchObject({ code: "AUDIT_KEYS" });
  expect(content()).toEqual(before);
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, keys: { length: 2 } });
  // Where all is well but the end of the last segment, the checkpoint beside it tells.
  for (const name of readdirSync(join(at.dir, "segments")).slice(1)) rmSync(join(at.dir, "segments", name));
  await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_KEYS" });
});

test("an older log than the keys is not gone on with under a key that it does not know", async () => {
  const anchors = [fileAnchor(join(at.root, "anchors"))];
  restore("log");
  const before = content();
  await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_KEYS" });
  await expect(open(at, { fork: "restored", anchors })).rejects.toMatchObject({ code: "AUDIT_KEYS" });
  expect(content()).toEqual(before);
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, keys: { length: 1 } });
});

test("with the keys of its time it is gone on with", async () => {
  restore("log");
  restore("keys");
  await (await open(at)).close();
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, keys: { length: 1 } });
});
