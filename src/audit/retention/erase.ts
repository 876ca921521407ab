/** Erasure: without its key, what a day sealed is unreadable for good; digests, proofs and signatures stay as they are. */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { replaceDurably, syncFolder, writeAll } from "../files.ts";

export class EraseError extends Error {
  override readonly name = "EraseError";
}

/** Throws EraseError unless `day` (YYYY-MM-DD) is over and its key is there. */
export function checkErasable(dir: string, day: string, now = new Date()): void {
  if (!/^\d{4}-\d\d-\d\d$/.test(day)) throw new EraseError("a day is written as YYYY-MM-DD");
  if (day >= now.toISOString().slice(0, 10))
    throw new EraseError(`${day} (UTC) is not over: its key is in use until then`);
  if (!hasKey(dir, day))
    throw new EraseError(`there is no key of ${day}: nothing was sealed, or it is erased`);
}

export function hasKey(dir: string, day: string): boolean {
  return existsSync(keyPath(dir, day));
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

function markPath(dir: string, day: string): string {
  return join(dir, "keys", `${day}.erase`);
}

/** Notes, durably, that a day is being erased: what a crash cuts off is ended by `unfinished()`. Throws what the file system throws. */
export function markErasure(dir: string, day: string, reason: string): void {
  replaceDurably(markPath(dir, day), `${JSON.stringify({ reason })}\n`, 0o640);
}

export function unmarkErasure(dir: string, day: string): void {
  rmSync(markPath(dir, day), { force: true });
}

/** Erasures that were begun and not ended. Throws what the file system throws. */
export function unfinished(dir: string): { readonly day: string; readonly reason: string }[] {
  const folder = join(dir, "keys");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^\d{4}-\d\d-\d\d\.erase$/.test(name))
    .map((name) => ({ day: name.slice(0, 10), reason: reasonIn(join(folder, name)) }));
}

function reasonIn(path: string): string {
  try {
    const { reason } = JSON.parse(readFileSync(path, "utf8")) as { readonly reason?: unknown };
    return typeof reason === "string" ? reason : "";
  } catch {
    return "";
  }
}
