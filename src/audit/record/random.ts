/** Random bytes in blocks: one system call serves hundreds of salts and ids. */
import { randomFillSync } from "node:crypto";

/** Bytes of a salt: 24 base64 characters without padding. */
export const saltBytes = 18;
export const saltText = 24;

const perBlock = 512;

/** A stock of salts, raw and as base64; `next()` gives the number of an unused one, valid until the next call. */
export class SaltPool {
  readonly raw: Buffer = Buffer.allocUnsafeSlow(saltBytes * perBlock);
  readonly text: Buffer = Buffer.allocUnsafeSlow(saltText * perBlock);
  private used = perBlock;
  private binary = "";

  /** Salt number `salt`, a character of its code below 256 for each byte. */
  kept(salt: number): string {
    return this.binary.slice(salt * saltBytes, (salt + 1) * saltBytes);
  }

  next(): number {
    if (this.used === perBlock) {
      randomFillSync(this.raw);
      this.text.write(this.raw.toString("base64"), "latin1");
      this.binary = this.raw.toString("latin1");
      this.used = 0;
    }
    return this.used++;
  }
}

/** A stock of plain random bytes. */
export class BytePool {
  readonly bytes: Buffer;
  private used: number;

  constructor(size = 6144) {
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.used = size;
  }

  /** Offset in `bytes` of `count` unused random bytes, valid until the next call. */
  take(count: number): number {
    if (this.used + count > this.bytes.length) {
      randomFillSync(this.bytes);
      this.used = 0;
    }
    const at = this.used;
    this.used += count;
    return at;
  }
}
