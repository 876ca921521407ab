/**
 * The batch in the making: leaves, their hashes, and the plaintext of its sealed frame, written straight into reused
 * buffers. `finish()` turns it into the bytes of one write. Format: docs/audit-format.md.
 */
import { type CipherGCM, hash, type KeyObject } from "node:crypto";
import { grow, putLatin1, putUtf8 } from "./record/bytes.ts";
import { SaltPool, saltBytes, saltText } from "./record/random.ts";
import { beginFrame, frameAad } from "./seal.ts";
import type { SegmentStart } from "./verify/segment.ts";

/** In `links`: leaf hashes begin here; the chain value and the last point's line stand right before, so that one call hashes them all. */
const linksStart = 4096;
/** Room for the line of a point. */
const pointRoom = 4096;
const newline = 0x0a;
const salts = new SaltPool();

/** A sealed frame in the making: it takes the sealed lines of all batches up to the next checkpoint. */
interface Frame {
  readonly number: number;
  readonly day: string;
  /** null until its first piece is written. */
  cipher: CipherGCM | null;
  lines: number;
  /** A piece of it is in the segment. */
  written: boolean;
}

export class Batch {
  /** Lines under construction at [0, pos). Replaced when it grows: read it anew after `reserve()`. */
  buf: Buffer = Buffer.allocUnsafeSlow(128 * 1024);
  pos = 0;
  leaves = 0;
  /** What the chain takes in, from `prefix` on: its last value, the last point's line, 32 bytes a leaf, the other lines. */
  private links: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  private prefix = linksStart;
  /** Lines of frames in this batch. */
  private frameLines = "";
  /** Number of the next frame to be begun. */
  frame: number;
  private open: Frame | null = null;
  /** A frame of yesterday's key, to be closed before a new one begins. */
  private stale: CipherGCM | null = null;
  private closing = false;
  private plain: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  private plainPos = 0;
  private readonly origin: string;
  private readonly inner: Buffer = Buffer.alloc(96, 0x36);
  private readonly outer: Buffer = Buffer.alloc(96, 0x5c);

  constructor(origin: string, tail: Buffer, frame: number) {
    this.origin = origin;
    this.frame = frame;
    // HMAC (RFC 2104) with its key blocks made once: two one-shot hashes cost half of a createHmac.
    for (let i = 0; i < tail.length; i++) {
      this.inner[i] = (tail[i] ?? 0) ^ 0x36;
      this.outer[i] = (tail[i] ?? 0) ^ 0x5c;
    }
  }

  /** Goes on behind a chain point: its value and its line (empty at the start of a segment). Leaves already gathered stay. */
  follow(point: Pick<SegmentStart, "chain" | "tail">): void {
    this.prefix = linksStart - 32 - point.tail.length;
    point.chain.copy(this.links, this.prefix);
    point.tail.copy(this.links, this.prefix + 32);
  }

  /** Leaf hashes of this batch, 32 bytes each; valid until the batch is emptied. */
  hashes(): Buffer {
    return this.links.subarray(linksStart, linksStart + this.leaves * 32);
  }

  /** What the next segment's chain starts from when the last point ends this one: SHA-256(its value ‖ its line). */
  final(): Buffer {
    return Buffer.from(hash("sha256", this.links.subarray(this.prefix, linksStart), "hex"), "hex");
  }

  /** Room for `count` more bytes of records. */
  reserve(count: number): void {
    if (this.pos + count > this.buf.length) this.buf = grow(this.buf, this.pos, this.pos + count);
  }

  /** Bytes gathered. */
  get bytes(): number {
    return this.pos + this.plainPos;
  }

  /** Ends the leaf line whose "L" is at `line` and whose newline is the byte before `end`. */
  endLeaf(line: number, end: number): void {
    const buf = this.buf;
    // RFC 6962 section 2.1: the leaf hash takes a zero byte before the leaf; the space of "L " lends its place.
    buf[line + 1] = 0x00;
    const leaf = hash("sha256", buf.subarray(line + 1, end - 1), "binary");
    buf[line + 1] = 0x20;
    const at = linksStart + this.leaves * 32;
    if (at + 32 > this.links.length) this.links = grow(this.links, at, at + 32);
    putLatin1(this.links, leaf, at);
    this.leaves++;
    this.pos = end;
  }

  /**
   * The frame that the next sealed line goes to, begun if need be: one lasts until the next checkpoint, or until the day's
   * key changes between two batches.
   */
  openFrame(day: string): { readonly number: number; readonly day: string } {
    let frame = this.open;
    if (frame === null || (frame.day !== day && this.plainPos === 0)) {
      if (frame !== null) this.stale = frame.cipher;
      frame = { number: this.frame++, day, cipher: null, lines: 0, written: false };
      this.open = frame;
    }
    return frame;
  }

  /** Salt of the line sealed last, a character of its code below 256 for each byte. */
  lastSalt = "";

  /** Number of the line sealed last in its frame. */
  get lastLine(): number {
    return (this.open?.lines ?? 0) - 1;
  }

  /** Puts a line into the open frame: `<base64 salt> <json>`. Gives the line's salted digest; its number is `lastLine`. */
  sealLine(json: string): string {
    const start = this.plainPos;
    const room = start + saltText + 2 + json.length * 3;
    if (room > this.plain.length) this.plain = grow(this.plain, start, room);
    const plain = this.plain;
    const text = start + saltText + 1;
    const end = text + putUtf8(plain, json, text);
    const salt = salts.next();
    this.lastSalt = salts.kept(salt);
    // The raw salt stands before the JSON just long enough to be hashed with it.
    salts.raw.copy(plain, text - saltBytes, salt * saltBytes, (salt + 1) * saltBytes);
    const digest = hash("sha256", plain.subarray(text - saltBytes, end), "base64");
    salts.text.copy(plain, start, salt * saltText, (salt + 1) * saltText);
    plain[text - 1] = 0x20;
    plain[end] = newline;
    this.plainPos = end + 1;
    if (this.open !== null) this.open.lines++;
    return digest;
  }

  /** A sealed line that goes elsewhere than the frame: the line, without newline, and its salted digest. */
  looseLine(json: string): { readonly line: Buffer; readonly digest: string } {
    const salt = salts.next();
    this.lastSalt = salts.kept(salt);
    const raw = salts.raw.subarray(salt * saltBytes, (salt + 1) * saltBytes);
    const body = Buffer.from(json, "utf8");
    const line = Buffer.concat([Buffer.from(`${raw.toString("base64")} `, "latin1"), body]);
    return { line, digest: hash("sha256", Buffer.concat([raw, body]), "base64") };
  }

  /** Writes an S line with this batch's piece of the frame, if anything is sealed. `dayKey` is asked for the key of a day. */
  sealPiece(dayKey: (day: string) => KeyObject): void {
    const frame = this.open;
    if (frame === null || this.plainPos === 0) return;
    if (this.stale !== null) this.putTag(this.stale);
    this.stale = null;
    const plain = this.plain.subarray(0, this.plainPos);
    let piece: string;
    if (frame.cipher === null) {
      const begun = beginFrame(dayKey(frame.day), frameAad(this.origin, frame.number, frame.day));
      frame.cipher = begun.cipher;
      piece = Buffer.concat([begun.nonce, begun.cipher.update(plain)]).toString("base64");
    } else piece = frame.cipher.update(plain).toString("base64");
    this.putLine(`S ${frame.number} ${frame.day} ${piece}\n`);
    this.plainPos = 0;
  }

  /** Writes the T line that closes the open frame, if there is one: a checkpoint comes next. */
  closeFrame(): void {
    if (this.stale !== null) this.putTag(this.stale);
    this.stale = null;
    if (this.open?.cipher == null) return;
    this.putTag(this.open.cipher);
    this.closing = true;
  }

  private putTag(cipher: CipherGCM): void {
    cipher.final();
    this.putLine(`T ${cipher.getAuthTag().toString("base64")}\n`);
  }

  private putLine(line: string): void {
    this.reserve(line.length + pointRoom);
    this.pos += putLatin1(this.buf, line, this.pos);
    this.frameLines += line;
  }

  /** The chain value over everything so far. */
  chain(): Buffer {
    const lines = this.frameLines;
    let end = linksStart + this.leaves * 32;
    if (end + lines.length > this.links.length) this.links = grow(this.links, end, end + lines.length);
    end += putLatin1(this.links, lines, end);
    return Buffer.from(hash("sha256", this.links.subarray(this.prefix, end), "binary"), "latin1");
  }

  /** The B line for a chain value: HMAC-SHA-256(tail key, chain value). */
  macLine(chain: Buffer): string {
    this.inner.set(chain, 64);
    putLatin1(this.outer, hash("sha256", this.inner, "binary"), 64);
    return `B ${hash("sha256", this.outer, "base64")}\n`;
  }

  /** Appends a point's line; the batch's bytes are then [0, length) of `buf`. Gives the length. */
  finish(line: string): number {
    this.reserve(line.length);
    this.pos += putLatin1(this.buf, line, this.pos);
    return this.pos;
  }

  /** Forgets what was gathered; the next leaf follows the same point as this batch did. */
  discard(): void {
    this.pos = 0;
    this.leaves = 0;
    this.frameLines = "";
    this.plainPos = 0;
    // A frame with a piece in the segment stays without its end; one without was never there.
    if (this.open !== null && !this.open.written) this.frame = this.open.number;
    this.open = null;
    this.stale = null;
    this.closing = false;
  }

  /** Empties the batch after its write; the next one follows the point just written. */
  clear(chain: Buffer, line: string): void {
    this.prefix = linksStart - 32 - line.length;
    chain.copy(this.links, this.prefix);
    putLatin1(this.links, line, this.prefix + 32);
    this.pos = 0;
    this.leaves = 0;
    this.frameLines = "";
    if (this.closing) this.open = null;
    else if (this.open?.cipher != null) this.open.written = true;
    this.closing = false;
  }
}
