/** The files beside the segments: leaf hashes and blobs. */
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { Bad } from "./report.ts";

/** A blob is read piecewise. */
const piece = 1024 * 1024;

/** The `leaves` file beside the segments: 32 bytes a leaf, possibly some leaves behind. */
export class LeafFile {
  private readonly fd: number;
  private readonly count: number;
  private index = 0;
  private readonly chunk: Buffer = Buffer.allocUnsafeSlow(32 * 2048);

  private constructor(fd: number, count: number) {
    this.fd = fd;
    this.count = count;
  }

  static open(path: string): LeafFile | null {
    if (!existsSync(path)) return null;
    const size = statSync(path).size;
    return new LeafFile(openSync(path, "r"), Math.floor(size / 32));
  }

  /** Whether the next hash is `bytes`; true when the file does not reach so far. */
  next(bytes: Buffer): boolean {
    if (this.index >= this.count) return true;
    const at = (this.index % 2048) * 32;
    if (at === 0) readSync(this.fd, this.chunk, 0, this.chunk.length, this.index * 32);
    this.index++;
    return this.chunk.compare(bytes, 0, 32, at, at + 32) === 0;
  }

  /** The next hash, valid until the next call; null behind the end. */
  take(): Buffer | null {
    if (this.index >= this.count) return null;
    const at = (this.index % 2048) * 32;
    if (at === 0) readSync(this.fd, this.chunk, 0, this.chunk.length, this.index * 32);
    this.index++;
    return this.chunk.subarray(at, at + 32);
  }

  finish(leaves: number): void {
    if (this.count > leaves)
      throw new Bad(
        "leaves",
        leaves * 32,
        leaves,
        `${this.count} leaf hashes, but ${leaves} leaves: cut off`,
      );
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Checks every blob against its name. Throws Bad. */
export function checkBlobs(dir: string): void {
  const root = join(dir, "blobs");
  if (!existsSync(root)) return;
  for (const group of readdirSync(root).sort()) {
    for (const name of readdirSync(join(root, group)).sort()) {
      const file = `blobs/${group}/${name}`;
      // A name that ends in .tmp is a write that a crash cut off; nothing refers to it.
      if (name.endsWith(".tmp")) continue;
      if (!/^[0-9a-f]{64}$/.test(name) || name.slice(0, 2) !== group)
        throw new Bad(file, 0, null, "a file that is no blob");
      if (fileHash(join(root, group, name)) !== name)
        throw new Bad(file, 0, null, "the blob's content is not what its name says");
    }
  }
}

function fileHash(path: string): string {
  const fd = openSync(path, "r");
  try {
    const sum = createHash("sha256");
    const buf = Buffer.allocUnsafe(piece);
    for (let count = readSync(fd, buf, 0, piece, null); count > 0; count = readSync(fd, buf, 0, piece, null))
      sum.update(buf.subarray(0, count));
    return sum.digest("hex");
  } finally {
    closeSync(fd);
  }
}
