/** Files that must be whole or not there. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** The calls of the hot path that can fail in ways worth trying in tests. */
export interface AuditIo {
  writeSync(fd: number, buffer: Buffer, offset: number, length: number): number;
  fdatasync(fd: number, done: (error: Error | null) => void): void;
}

/** Makes the entries of a folder durable. */
export function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes all of `content` or throws. */
export function writeAll(fd: number, content: Buffer): void {
  for (let at = 0; at < content.length; ) {
    const count = writeSync(fd, content, at, content.length - at);
    if (count === 0) throw new Error("short write");
    at += count;
  }
}

/** Creates a file, whole and durable; throws when it exists. */
export function writeNewFile(path: string, content: string | Buffer, mode: number): void {
  if (existsSync(path)) throw new Error(`${path} exists`);
  const fd = openSync(`${path}.tmp`, "w", mode);
  try {
    writeAll(fd, Buffer.from(content as string));
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(`${path}.tmp`);
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.tmp`, path);
  syncFolder(dirname(path));
}

/** Replaces a file in one step; readers see the old or the new content. Not synced: for what can be made anew. */
export function replaceFile(path: string, content: string | Buffer): void {
  const fd = openSync(`${path}.tmp`, "w", 0o640);
  try {
    writeAll(fd, Buffer.from(content as string));
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.tmp`, path);
}

/** Replaces a file in one step, durably. Throws what the file system throws. */
export function replaceDurably(path: string, content: string | Buffer, mode: number): void {
  const fd = openSync(`${path}.tmp`, "w", mode);
  try {
    writeAll(fd, Buffer.from(content as string));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.tmp`, path);
  syncFolder(dirname(path));
}

/**
 * Writes bytes [from, to) of a file over themselves and syncs it. After a failed fsync the system may show bytes that never
 * reached the disk and will not write them again by itself: what is read back must be written anew before it is believed.
 * Throws what the file system throws.
 */
export function writeAnew(path: string, from: number, to: number): void {
  const fd = openSync(path, "r+");
  try {
    const buf = Buffer.allocUnsafe(Math.min(1024 * 1024, Math.max(1, to - from)));
    for (let at = from; at < to; ) {
      const count = readSync(fd, buf, 0, Math.min(buf.length, to - at), at);
      if (count === 0) break;
      for (let done = 0; done < count; ) {
        const wrote = writeSync(fd, buf, done, count - done, at + done);
        if (wrote === 0) throw new Error("short write");
        done += wrote;
      }
      at += count;
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
