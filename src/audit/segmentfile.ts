/** The segment being written. */
import { closeSync, fdatasyncSync, ftruncateSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { WriteFailed } from "./failure.ts";
import { type AuditIo, syncFolder } from "./files.ts";
import { segmentName } from "./verify/segment.ts";

export class SegmentFile {
  /** Index of its first leaf. */
  first: number;
  /** Bytes it holds, as far as whole writes went. */
  bytes: number;
  /** By performance.now(); of a file that was there before it may be negative. */
  createdMs: number;
  private readonly folder: string;
  private readonly io: AuditIo;
  private fd: number;

  /** Opens segment `first` of the log in `dir` to go on behind `bytes`. Throws what the file system throws. */
  constructor(dir: string, io: AuditIo, first: number, bytes: number) {
    this.folder = join(dir, "segments");
    this.io = io;
    this.first = first;
    this.bytes = bytes;
    const path = join(this.folder, segmentName(first));
    const { birthtimeMs, mtimeMs } = statSync(path);
    const age = Date.now() - (birthtimeMs > 0 ? birthtimeMs : mtimeMs);
    this.createdMs = performance.now() - Math.max(0, age);
    this.fd = openSync(path, "a");
  }

  /** Writes `length` bytes from `offset` of `buffer` in one call. Throws WriteFailed for an error and for less. */
  append(buffer: Buffer, offset: number, length: number): void {
    let written = 0;
    try {
      written = this.io.writeSync(this.fd, buffer, offset, length);
    } catch (error) {
      throw new WriteFailed(error);
    }
    // A full disk shows in Node as a short write without an error.
    if (written !== length) throw new WriteFailed(new Error(`short write: ${written} of ${length} bytes`));
    this.bytes += length;
  }

  sync(done: (error: Error | null) => void): void {
    this.io.fdatasync(this.fd, done);
  }

  /** Cuts off what a failed write left behind. */
  cutBack(): void {
    ftruncateSync(this.fd, this.bytes);
  }

  /** For the last words of a log only: everything else waits for `sync()`. */
  syncNow(): void {
    fdatasyncSync(this.fd);
  }

  /** Goes on in a new segment that begins with leaf `first`. The old one must be durable. */
  rotate(first: number): void {
    closeSync(this.fd);
    this.fd = openSync(join(this.folder, segmentName(first)), "ax", 0o640);
    syncFolder(this.folder);
    this.first = first;
    this.bytes = 0;
    this.createdMs = performance.now();
  }

  close(): void {
    closeSync(this.fd);
  }
}
