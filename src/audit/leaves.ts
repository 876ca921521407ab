/** The `leaves` file: 32 bytes a leaf, made anew from the segments wherever it may be wrong. */
import { closeSync, existsSync, ftruncateSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { AuditOpenError } from "./errors.ts";
import { syncFolder, writeAll } from "./files.ts";
import { readSegment, segmentName } from "./verify/segment.ts";

/**
 * Brings the file to `size` leaves. A log that was closed cleanly is believed by its length; otherwise the last segment's
 * part is written anew (older parts were synced when their segment ended). `firsts`: the segments, ascending. Throws what
 * the file system throws, or AuditOpenError.
 */
export function ensureLeaves(dir: string, firsts: readonly number[], size: number, clean: boolean): void {
  const path = join(dir, "leaves");
  const length = existsSync(path) ? statSync(path).size : 0;
  if (clean && length === size * 32) return;
  const whole = Math.min(Math.floor(length / 32), firsts.at(-1) ?? 0);
  const from = firsts.findLast((first) => first <= whole) ?? 0;
  if (from < (firsts[0] ?? 0))
    throw new AuditOpenError(
      "AUDIT_CORRUPT",
      `${path} lacks hashes of pruned records, which nothing else holds: restore it from a backup of the log`,
    );
  const fd = openSync(path, "a", 0o640);
  try {
    ftruncateSync(fd, from * 32);
    let index = from;
    let hashes: Buffer[] = [];
    for (const first of firsts) {
      if (first < from) continue;
      if (first !== index)
        throw new AuditOpenError("AUDIT_CORRUPT", `${segmentName(first)} should begin with leaf ${index}`);
      const start = { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) };
      const end = readSegment(join(dir, "segments", segmentName(first)), start, {
        leaf(_buf, _start, _end, hash) {
          hashes.push(Buffer.from(hash, "latin1"));
          index++;
          if (hashes.length === 8192) {
            writeAll(fd, Buffer.concat(hashes));
            hashes = [];
          }
          return null;
        },
        frame: () => null,
        point: () => null,
      });
      if (end.fault !== null)
        throw new AuditOpenError(
          "AUDIT_CORRUPT",
          `${segmentName(first)} at byte ${end.fault.at}: ${end.fault.problem}`,
        );
    }
    writeAll(fd, Buffer.concat(hashes));
    if (index !== size)
      throw new AuditOpenError("AUDIT_CORRUPT", `the segments hold ${index} leaves, the log ${size}`);
  } finally {
    closeSync(fd);
  }
  syncFolder(dir);
}
