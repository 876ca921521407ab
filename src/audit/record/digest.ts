/** A salted digest of what a client was sent: it binds a copy to the record, and says nothing of the rows to who lacks the salt. */
import { createHash, type Hash, hash } from "node:crypto";
import { putLatin1 } from "./bytes.ts";
import { saltBytes } from "./random.ts";

const firstSize = 512;
const lastSize = 16384;

/** What was delivered, on its way to its digest: the last bytes of it, and the sum of those before. */
export interface Delivered {
  readonly rest: Buffer;
  readonly used: number;
  readonly sum: Hash | null;
}

/** Buffers of digests that are done; results come one after the other, and most are small. */
const spare: Buffer[] = [];
const maxSpare = 64;

/**
 * SHA-256(DataRow messages ‖ salt), algorithm name "sha256-salted-v1". One instance serves a session: `update()` with every
 * delivered DataRow message whole ('D', length, body), in order and in any pieces; `AuditLog.outcome()` takes what has
 * gathered and begins anew. Small results are hashed in one call, which is what most results are.
 */
export class ResultDigest {
  private rest: Buffer = spare.pop() ?? Buffer.allocUnsafeSlow(firstSize);
  private used = 0;
  private sum: Hash | null = null;

  /** Starts anew. */
  reset(): void {
    this.used = 0;
    this.sum = null;
  }

  /** Takes bytes [start, end) of `buffer`; they may be overwritten afterwards. */
  update(buffer: Buffer, start: number, end: number): void {
    const count = end - start;
    if (count > this.room()) this.makeRoom(count);
    if (count > this.room()) {
      this.sum?.update(buffer.subarray(start, end));
      return;
    }
    buffer.copy(this.rest, this.used, start, end);
    this.used += count;
  }

  /** Gives what has gathered, and starts anew. */
  take(): Delivered {
    const { rest, used, sum } = this;
    this.rest = spare.pop() ?? Buffer.allocUnsafeSlow(firstSize);
    this.reset();
    return { rest, used, sum };
  }

  /** The salt's place is kept free. */
  private room(): number {
    return this.rest.length - saltBytes - this.used;
  }

  private makeRoom(count: number): void {
    const needed = this.used + count + saltBytes;
    if (this.sum === null && needed <= lastSize) {
      const bigger = Buffer.allocUnsafeSlow(needed > 2048 ? lastSize : 2048);
      this.rest.copy(bigger, 0, 0, this.used);
      this.rest = bigger;
      return;
    }
    this.sum ??= createHash("sha256");
    this.sum.update(this.rest.subarray(0, this.used));
    this.used = 0;
  }
}

/** The digest's value, base64. `salt`: `saltBytes` characters of codes below 256. `delivered` may not be used again. */
export function deliveredDigest({ rest, used, sum }: Delivered, salt: string): string {
  putLatin1(rest, salt, used);
  const end = rest.subarray(0, used + saltBytes);
  const value = sum === null ? hash("sha256", end, "base64") : sum.update(end).digest("base64");
  if (spare.length < maxSpare) spare.push(rest);
  return value;
}
