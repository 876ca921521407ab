/** Delivered rows, kept: as the client was sent them, compressed and sealed, in blobs that the outcome names. */
import { zstdCompressSync } from "node:zlib";

/** Where parts of a capture go: sealed under a day's key, by their SHA-256. Throws AuditUnavailable. */
export type StorePart = (compressed: Buffer) => { readonly key: string; readonly blob: string };

/** Rows of this many bytes make a part. */
const partBytes = 1024 * 1024;
/** What is kept of one result at most: 256 parts, which one leaf can name. */
export const maxCaptureBytes = 256 * partBytes;

/**
 * Takes the DataRow messages of one result. `add()` every delivered slice, in order and in any pieces, as ResultDigest takes
 * them; then `finish()` gives the reference for the outcome. Not to be used again.
 */
export class Capture {
  private readonly store: StorePart;
  private readonly maxRows: number;
  private readonly maxBytes: number;
  private readonly head = Buffer.alloc(5);
  private headUsed = 0;
  /** Bytes of the present message that are still to come. */
  private left = 0;
  private full = false;
  private rows = 0;
  private bytes = 0;
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private readonly parts: { readonly key: string; readonly blob: string }[] = [];

  constructor(store: StorePart, maxRows: number, maxBytes = maxCaptureBytes) {
    this.store = store;
    this.maxRows = maxRows;
    this.maxBytes = maxBytes;
  }

  /** Takes bytes [start, end) of `buffer`, which may be overwritten afterwards. Throws AuditUnavailable when a part cannot be stored. */
  add(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && !this.full) {
      if (this.left === 0) {
        const count = Math.min(5 - this.headUsed, end - at);
        buffer.copy(this.head, this.headUsed, at, at + count);
        this.headUsed += count;
        at += count;
        if (this.headUsed === 5) this.begin();
      } else {
        const count = Math.min(this.left, end - at);
        this.keep(Buffer.from(buffer.subarray(at, at + count)));
        this.left -= count;
        at += count;
      }
    }
  }

  private begin(): void {
    const length = this.head.readUInt32BE(1);
    this.headUsed = 0;
    if (this.rows >= this.maxRows || this.bytes + 1 + length > this.maxBytes) {
      this.full = true;
      return;
    }
    this.rows++;
    this.bytes += 1 + length;
    this.left = length - 4;
    this.keep(Buffer.from(this.head));
  }

  private keep(bytes: Buffer): void {
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
    if (this.pendingBytes >= partBytes) this.flush();
  }

  private flush(): void {
    if (this.pendingBytes === 0) return;
    const plain = Buffer.concat(this.pending);
    this.pending = [];
    this.pendingBytes = 0;
    this.parts.push(this.store(zstdCompressSync(plain)));
  }

  /**
   * JSON text for `OutcomeFields.capture`: `{"rows","bytes","complete","parts":[{"key","blob"}]}`; null when no row came.
   * `complete`: every row that was delivered is there. Throws AuditUnavailable.
   */
  finish(): string | null {
    if (this.rows === 0) return null;
    this.flush();
    const { rows, bytes, parts } = this;
    const complete = !this.full && this.left === 0 && this.headUsed === 0;
    return JSON.stringify({ rows, bytes: bytes - this.left, complete, parts });
  }
}
