/** Keeps what can be made anew from the segments: leaf hashes, the place to resume at, the latest checkpoint. */
import { closeSync, fsyncSync, openSync } from "node:fs";
import { join } from "node:path";
import { WriteFailed } from "./failure.ts";
import { replaceFile, writeAll } from "./files.ts";
import { grow } from "./record/bytes.ts";
import { type Resume, writeResume } from "./resume.ts";

export class Keeper {
  /** When `save()` was last called, by performance.now(). */
  savedMs = Number.NEGATIVE_INFINITY;
  private readonly dir: string;
  private readonly tail: Buffer;
  private readonly fd: number;
  private hashes: Buffer = Buffer.allocUnsafeSlow(32 * 1024);
  private used = 0;

  /** `tail`: the key under which `resume` is believed. Throws what the file system throws. */
  constructor(dir: string, tail: Buffer) {
    this.dir = dir;
    this.tail = tail;
    this.fd = openSync(join(dir, "leaves"), "a", 0o640);
  }

  /** Takes the hashes of written leaves. */
  add(hashes: Buffer): void {
    const end = this.used + hashes.length;
    if (end > this.hashes.length) this.hashes = grow(this.hashes, this.used, end);
    hashes.copy(this.hashes, this.used);
    this.used = end;
  }

  /** Whether leaf hashes wait for `save()`. */
  get waiting(): boolean {
    return this.used > 0;
  }

  /** Leaf hashes first: a saved checkpoint never speaks of leaves whose hashes are not there. Throws WriteFailed. */
  save(note: Buffer, resume: Resume): void {
    this.savedMs = performance.now();
    const bytes = this.used;
    this.used = 0;
    try {
      writeAll(this.fd, this.hashes.subarray(0, bytes));
      writeResume(this.dir, this.tail, resume);
      replaceFile(join(this.dir, "checkpoint"), note);
    } catch (error) {
      // A disk that is full here is full for the segment too: the log says so before it ends.
      throw new WriteFailed(error);
    }
  }

  /** Makes the leaf hashes durable. */
  sync(): void {
    fsyncSync(this.fd);
  }

  close(): void {
    closeSync(this.fd);
  }
}
