/** The sealed parts of intents as the indexer meets them: frame by frame, opened once the frame has ended. */
import { isObject, type Json, type LogPlace, number, originOf, text } from "../read/leaves.ts";
import { Opener, place, type SealedFrame } from "../read/unseal.ts";
import { frameAad, openFrame } from "../seal.ts";
import { ValueKey, valuesOf } from "./values.ts";

/** A frame's plaintext is kept in memory until its end; one that grows larger is given up. */
const maxFrame = 64 * 1024 * 1024;
const newline = 0x0a;
const space = 0x20;

/** Takes a keyed value: the first eight bytes of its digest (values.ts) and its record. */
export type TakeValue = (day: string, high: number, low: number, index: number) => void;

/** Bytes of a salted digest, base64. */
const digestBytes = 44;

/** Intents whose sealed part lies in a frame that has not ended, in the order of the records. */
class Waiting {
  readonly indexes: number[] = [];
  readonly lines: number[] = [];
  private digests = Buffer.allocUnsafe(16 * digestBytes);

  /** The digest stands at `at` of `from`. */
  add(index: number, line: number, from: Uint8Array, at: number): void {
    const used = this.indexes.length * digestBytes;
    if (used === this.digests.length) {
      const bigger = Buffer.allocUnsafe(used * 2);
      this.digests.copy(bigger);
      this.digests = bigger;
    }
    for (let i = 0; i < digestBytes; i++) this.digests[used + i] = from[at + i] ?? 0;
    this.indexes.push(index);
    this.lines.push(line);
  }

  digest(entry: number): string {
    return this.digests.toString("latin1", entry * digestBytes, (entry + 1) * digestBytes);
  }
}

export class SealedValues {
  private readonly opener: Opener;
  private readonly origin: string;
  private readonly found: TakeValue;
  private readonly keys = new Map<string, ValueKey | null>();
  /** By frame. */
  private readonly waiting = new Map<number, Waiting>();
  private current: { readonly number: number; readonly frame: SealedFrame; bytes: number } | null = null;

  /** Throws AuditOpenError when the master key cannot be read. */
  constructor(log: LogPlace, keys: string, found: TakeValue) {
    this.origin = originOf(log) ?? "";
    this.opener = new Opener(log.dir, this.origin, keys);
    this.found = found;
  }

  /** Number of the frame whose end has not been seen; null: none. */
  get open(): number | null {
    return this.current?.number ?? null;
  }

  /** The oldest intent whose values are yet to come; null: none. */
  get oldest(): number | null {
    let oldest: number | null = null;
    for (const { indexes } of this.waiting.values())
      if (oldest === null || (indexes[0] ?? oldest) < oldest) oldest = indexes[0] ?? oldest;
    return oldest;
  }

  intent(leaf: Json, index: number): void {
    const where = place(leaf);
    if (where === null) return;
    const frame = number(where, "frame");
    const line = number(where, "at");
    if (frame === null) this.take(index, where, new Map());
    else if (line !== null)
      this.intentAt(frame, line, index, Buffer.from(text(where, "digest") ?? "", "latin1"), 0);
  }

  /** As intent(), of one whose sealed part is this line of a frame, with the digest that stands at `at` of `from`. */
  intentAt(frame: number, line: number, index: number, from: Uint8Array, at: number): void {
    let waiting = this.waiting.get(frame);
    if (waiting === undefined) {
      waiting = new Waiting();
      this.waiting.set(frame, waiting);
    }
    waiting.add(index, line, from, at);
  }

  frame(frame: number, day: string, piece: string): void {
    if (this.current !== null && this.current.number !== frame) this.end(null);
    this.current ??= { number: frame, frame: { key: day, pieces: [], tag: null }, bytes: 0 };
    if (this.current.bytes > maxFrame) return;
    this.current.bytes += piece.length;
    this.current.frame.pieces.push(Buffer.from(piece, "base64"));
  }

  /** The frame ends: with its tag, or (null) because its writer was killed. */
  end(tag: string | null): void {
    const { current } = this;
    if (current === null) return;
    this.current = null;
    const { number: frame, frame: sealed, bytes } = current;
    if (tag !== null) sealed.tag = Buffer.from(tag, "base64");
    const waiting = this.waiting.get(frame);
    // Frames end in order: nobody waits for an earlier one any more.
    for (const earlier of this.waiting.keys()) if (earlier <= frame) this.waiting.delete(earlier);
    if (waiting === undefined || bytes > maxFrame) return;
    if (tag !== null) this.takeAll(frame, sealed, waiting);
    else
      for (const [entry, index] of waiting.indexes.entries()) {
        const where = { key: sealed.key, frame, at: waiting.lines[entry], digest: waiting.digest(entry) };
        this.take(index, where, new Map([[frame, sealed]]));
      }
    this.opener.forget(frame);
  }

  /** Of a frame whose tag vouches for every line. */
  private takeAll(frame: number, sealed: SealedFrame, { indexes, lines }: Waiting): void {
    const key = this.key(sealed.key);
    const day = this.opener.day(sealed.key);
    if (key === null || day === null) return;
    const aad = frameAad(this.origin, frame, sealed.key);
    const plain = openFrame(day, aad, Buffer.concat(sealed.pieces), sealed.tag);
    if (plain === null) return;
    let line = 0;
    let pos = 0;
    for (let entry = 0; entry < indexes.length; entry++) {
      const wanted = lines[entry] ?? 0;
      if (wanted < line) {
        line = 0;
        pos = 0;
      }
      while (line < wanted && pos < plain.length) {
        const end = plain.indexOf(newline, pos);
        pos = end < 0 ? plain.length : end + 1;
        line++;
      }
      const end = plain.indexOf(newline, pos);
      const from = plain.indexOf(space, pos) + 1;
      if (end < 0 || from < 1 || from > end) continue;
      const content = parse(plain.toString("utf8", from, end));
      if (content !== null) this.digests(key, sealed.key, content, indexes[entry] ?? 0);
    }
  }

  private take(index: number, where: Json, frames: ReadonlyMap<number, SealedFrame>): void {
    const day = text(where, "key") ?? "";
    const key = this.key(day);
    if (key === null) return;
    const opened = this.opener.open({ sealed: where }, frames);
    if (opened?.state === "open") this.digests(key, day, opened.content, index);
  }

  private digests(key: ValueKey, day: string, content: Json, index: number): void {
    for (const value of valuesOf(content)) {
      key.digest(value);
      this.found(day, key.high, key.low, index);
    }
  }

  private key(day: string): ValueKey | null {
    let key = this.keys.get(day);
    if (key === undefined) {
      const sealing = this.opener.day(day);
      key = sealing === null ? null : new ValueKey(sealing);
      this.keys.set(day, key);
    }
    return key;
  }

  /** Forgets what was read of frames: reading begins anew. */
  reset(): void {
    this.waiting.clear();
    this.current = null;
    this.keys.clear();
  }
}

function parse(json: string): Json | null {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
