/**
 * The batch in the making: leaves, their hashes, and the plaintext of its sealed frame, written straight into reused
 * buffers. `finish()` turns it into the bytes of one write. Format: docs/audit-format.md.
 */
import { hash, type KeyObject } from "node:crypto";
import { grow, putLatin1, putUtf8 } from "./record/bytes.ts";
import { SaltPool, saltBytes, saltText } from "./record/random.ts";
import { frameAad, seal } from "./seal.ts";
import type { SegmentStart } from "./verify/segment.ts";

/** Records begin here; the chain value and the last point's line stand right before, so that one call hashes them all. */
export const bodyStart = 4096;
const newline = 0x0a;
const salts = new SaltPool();

export class Batch {
  /** Records under construction at [bodyStart, pos). Replaced when it grows: read it anew after `reserve()`. */
  buf: Buffer = Buffer.allocUnsafeSlow(256 * 1024);
  pos = bodyStart;
  leaves = 0;
  /** 32 bytes a leaf of this batch. */
  hashes: Buffer = Buffer.allocUnsafeSlow(32 * 256);
  /** Number of the frame this batch will carry, and the day whose key seals it. */
  frame: number;
  day = "";
  sealedLines = 0;
  private plain: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  private plainPos = 0;
  /** Where the last point's chain value and line stand, up to `bodyStart`. */
  prefix = bodyStart;
  /** Frame number to fall back to when the batch is discarded. */
  private firstFrame: number;
  private readonly origin: string;
  private readonly inner: Buffer = Buffer.alloc(96, 0x36);
  private readonly outer: Buffer = Buffer.alloc(96, 0x5c);

  constructor(origin: string, tail: Buffer, frame: number) {
    this.origin = origin;
    this.frame = frame;
    this.firstFrame = frame;
    // HMAC (RFC 2104) with its key blocks made once: two one-shot hashes cost half of a createHmac.
    for (let i = 0; i < tail.length; i++) {
      this.inner[i] = (tail[i] ?? 0) ^ 0x36;
      this.outer[i] = (tail[i] ?? 0) ^ 0x5c;
    }
  }

  /** Goes on behind a chain point: its value and its line (empty at the start of a segment). Leaves already gathered stay. */
  follow(point: Pick<SegmentStart, "chain" | "tail">): void {
    this.prefix = bodyStart - 32 - point.tail.length;
    point.chain.copy(this.buf, this.prefix);
    point.tail.copy(this.buf, this.prefix + 32);
  }

  /** Room for `count` more bytes of records. */
  reserve(count: number): void {
    if (this.pos + count > this.buf.length) this.buf = grow(this.buf, this.pos, this.pos + count);
  }

  /** Bytes gathered. */
  get bytes(): number {
    return this.pos - bodyStart + this.plainPos;
  }

  /** Ends the leaf line whose "L" is at `line` and whose newline is the byte before `end`. */
  endLeaf(line: number, end: number): void {
    const buf = this.buf;
    // RFC 6962 section 2.1: the leaf hash takes a zero byte before the leaf; the space of "L " lends its place.
    buf[line + 1] = 0x00;
    const leaf = hash("sha256", buf.subarray(line + 1, end - 1), "binary");
    buf[line + 1] = 0x20;
    const at = this.leaves * 32;
    if (at === this.hashes.length) this.hashes = grow(this.hashes, at, at + 32);
    putLatin1(this.hashes, leaf, at);
    this.leaves++;
    this.pos = end;
  }

  /** Puts a line into the batch's frame: `<base64 salt> <json>`. Gives the line's salted digest; its number is `sealedLines - 1`. */
  sealLine(json: string): string {
    const start = this.plainPos;
    const room = start + saltText + 2 + json.length * 3;
    if (room > this.plain.length) this.plain = grow(this.plain, start, room);
    const plain = this.plain;
    const text = start + saltText + 1;
    const end = text + putUtf8(plain, json, text);
    const salt = salts.next();
    // The raw salt stands before the JSON just long enough to be hashed with it.
    salts.raw.copy(plain, text - saltBytes, salt * saltBytes, (salt + 1) * saltBytes);
    const digest = hash("sha256", plain.subarray(text - saltBytes, end), "base64");
    salts.text.copy(plain, start, salt * saltText, (salt + 1) * saltText);
    plain[text - 1] = 0x20;
    plain[end] = newline;
    this.plainPos = end + 1;
    this.sealedLines++;
    return digest;
  }

  /** A sealed line that goes elsewhere than the frame: the line, without newline, and its salted digest. */
  looseLine(json: string): { readonly line: Buffer; readonly digest: string } {
    const salt = salts.next();
    const raw = salts.raw.subarray(salt * saltBytes, (salt + 1) * saltBytes);
    const body = Buffer.from(json, "utf8");
    const line = Buffer.concat([Buffer.from(`${raw.toString("base64")} `, "latin1"), body]);
    return { line, digest: hash("sha256", Buffer.concat([raw, body]), "base64") };
  }

  /** Writes the S line, if anything is sealed. `dayKey` is asked for the key of `day`. */
  sealFrame(dayKey: (day: string) => KeyObject): void {
    if (this.sealedLines === 0) return;
    const sealed = seal(
      dayKey(this.day),
      frameAad(this.origin, this.frame, this.day),
      this.plain.subarray(0, this.plainPos),
    );
    const line = `S ${this.frame} ${this.day} ${sealed.toString("base64")}\n`;
    this.reserve(line.length + bodyStart);
    this.pos += putLatin1(this.buf, line, this.pos);
    this.frame++;
    this.sealedLines = 0;
    this.plainPos = 0;
  }

  /** The chain value over everything so far. */
  chain(): Buffer {
    return Buffer.from(hash("sha256", this.buf.subarray(this.prefix, this.pos), "binary"), "latin1");
  }

  /** The B line for a chain value: HMAC-SHA-256(tail key, chain value). */
  macLine(chain: Buffer): string {
    this.inner.set(chain, 64);
    putLatin1(this.outer, hash("sha256", this.inner, "binary"), 64);
    return `B ${hash("sha256", this.outer, "base64")}\n`;
  }

  /** Appends a point's line; the batch's bytes are then [bodyStart, bodyStart + length) of `buf`. Gives the length. */
  finish(line: string): number {
    this.reserve(line.length);
    this.pos += putLatin1(this.buf, line, this.pos);
    return this.pos - bodyStart;
  }

  /** Forgets what was gathered; the next leaf follows the same point as this batch did. */
  discard(): void {
    this.pos = bodyStart;
    this.leaves = 0;
    this.plainPos = 0;
    this.sealedLines = 0;
    this.frame = this.firstFrame;
  }

  /** Empties the batch after its write; the next one follows the point just written. */
  clear(chain: Buffer, line: string): void {
    this.prefix = bodyStart - 32 - line.length;
    chain.copy(this.buf, this.prefix);
    putLatin1(this.buf, line, this.prefix + 32);
    this.pos = bodyStart;
    this.leaves = 0;
    this.firstFrame = this.frame;
  }
}
