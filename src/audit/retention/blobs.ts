/** Blobs that only pruned records named. */
import { existsSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { blobPath } from "../blobs.ts";
import { replaceDurably } from "../files.ts";
import { segmentName } from "../verify/segment.ts";

const mark = Buffer.from('"blob":"', "latin1");
const nameLength = 64;
const piece = 4 * 1024 * 1024;

/** The blobs that the leaves of some segments name. Rejects with what the file system throws. */
export async function blobsIn(dir: string, firsts: readonly number[]): Promise<Set<string>> {
  const names = new Set<string>();
  for (const first of firsts) {
    const file = await open(join(dir, "segments", segmentName(first)), "r");
    try {
      const buf = Buffer.allocUnsafe(piece + mark.length + nameLength);
      for (let at = 0; ; at += piece) {
        const { bytesRead } = await file.read(buf, 0, buf.length, at);
        const read = buf.subarray(0, bytesRead);
        for (let i = read.indexOf(mark); i >= 0; i = read.indexOf(mark, i + 1)) {
          const name = read.toString("latin1", i + mark.length, i + mark.length + nameLength);
          if (/^[0-9a-f]{64}$/.test(name)) names.add(name);
        }
        if (bytesRead < buf.length) break;
      }
    } finally {
      await file.close();
    }
  }
  return names;
}

function waitingPath(dir: string): string {
  return join(dir, "pruned-blobs");
}

/** Blobs of segments pruned earlier that could not go then. */
export function waitingBlobs(dir: string): string[] {
  const path = waitingPath(dir);
  return existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter((name) => /^[0-9a-f]{64}$/.test(name))
    : [];
}

/** Notes what has to go once nothing names it, durably. Throws what the file system throws. */
export function noteWaiting(dir: string, names: readonly string[]): void {
  if (names.length > 0 || existsSync(waitingPath(dir)))
    replaceDurably(waitingPath(dir), `${names.join("\n")}\n`, 0o640);
}

/**
 * Removes those of `names` that nothing of the log names any more: `used` are the names in the segments that stay, `since`
 * (milliseconds since the epoch) the start of this process, which may be about to name once more what it has stored. What
 * has to wait is noted. Gives how many are gone.
 */
export function removeBlobs(
  dir: string,
  names: ReadonlySet<string>,
  used: ReadonlySet<string>,
  since: number,
): number {
  const waiting: string[] = [];
  let removed = 0;
  for (const name of names) {
    if (used.has(name)) continue;
    const path = blobPath(dir, name);
    if (!existsSync(path)) continue;
    if (statSync(path).mtimeMs >= since) waiting.push(name);
    else {
      unlinkSync(path);
      removed++;
    }
  }
  noteWaiting(dir, waiting);
  return removed;
}
