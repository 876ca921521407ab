/** A salted digest of what a client was sent: it binds a copy to the record, and says nothing of the rows to who lacks the salt. */
import { createHash, type Hash, hash } from "node:crypto";
import { SaltPool, saltBytes, saltText } from "./random.ts";

const salts = new SaltPool();
const firstSize = 512;
const lastSize = 16384;

/**
 * SHA-256(salt ‖ DataRow messages), algorithm name "sha256-salted-v1". One instance serves a session: `reset()` before each
 * result, `update()` with every delivered DataRow message whole ('D', length, body), in order and in any pieces;
 * `AuditLog.outcome()` takes salt and value. Small results are hashed in one call, which is what most results are.
 */
export class ResultDigest {
  private scratch: Buffer = Buffer.allocUnsafeSlow(firstSize);
  private used = 0;
  private hash: Hash | null = null;
  private salt = "";

  constructor() {
    this.reset();
  }

  /** Starts anew with a fresh salt. */
  reset(): void {
    const at = salts.next();
    salts.raw.copy(this.scratch, 0, at * saltBytes, (at + 1) * saltBytes);
    this.salt = salts.text.toString("latin1", at * saltText, (at + 1) * saltText);
    this.used = saltBytes;
    this.hash = null;
  }

  /** Takes bytes [start, end) of `buffer`; they may be overwritten afterwards. */
  update(buffer: Buffer, start: number, end: number): void {
    const count = end - start;
    if (count > this.scratch.length - this.used) this.makeRoom(count);
    if (count > this.scratch.length - this.used) {
      this.hash?.update(buffer.subarray(start, end));
      return;
    }
    buffer.copy(this.scratch, this.used, start, end);
    this.used += count;
  }

  /** The salt and the value so far, both base64; the digest must be reset before its next use. */
  finish(): { readonly salt: string; readonly value: string } {
    const rest = this.scratch.subarray(0, this.used);
    const value =
      this.hash === null ? hash("sha256", rest, "base64") : this.hash.update(rest).digest("base64");
    return { salt: this.salt, value };
  }

  private makeRoom(count: number): void {
    if (this.hash === null && this.used + count <= lastSize) {
      const bigger = Buffer.allocUnsafeSlow(this.used + count > 2048 ? lastSize : 2048);
      this.scratch.copy(bigger, 0, 0, this.used);
      this.scratch = bigger;
      return;
    }
    this.hash ??= createHash("sha256");
    this.hash.update(this.scratch.subarray(0, this.used));
    this.used = 0;
  }
}
