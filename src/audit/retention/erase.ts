/** Erasure: without its key, what a day sealed is unreadable for good; digests, proofs and signatures stay as they are. */

import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { syncFolder, writeAll } from "../files.ts";

export class EraseError extends Error {
  override readonly name = "EraseError";
}

/** Throws EraseError unless `day` (YYYY-MM-DD) is over and its key is there. */
export function checkErasable(dir: string, day: string, now = new Date()): void {
  if (!/^\d{4}-\d\d-\d\d$/.test(day)) throw new EraseError("a day is written as YYYY-MM-DD");
  if (day >= now.toISOString().slice(0, 10))
    throw new EraseError(`${day} (UTC) is not over: its key is in use until then`);
  if (!existsSync(keyPath(dir, day)))
    throw new EraseError(`there is no key of ${day}: nothing was sealed, or it is erased`);
}

function keyPath(dir: string, day: string): string {
  return join(dir, "keys", `${day}.key`);
}

/** Overwrites and removes a day's key, durably. Throws what the file system throws. */
export function destroyKey(dir: string, day: string): void {
  const path = keyPath(dir, day);
  const fd = openSync(path, "r+");
  try {
    writeAll(fd, randomBytes(statSync(path).size));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  unlinkSync(path);
  syncFolder(join(dir, "keys"));
}
