/** The sealed parts of intents as the indexer meets them: frame by frame, opened once the frame has ended. */
import type { KeyObject } from "node:crypto";
import { type Json, type LogPlace, number, originOf, text } from "../read/leaves.ts";
import { Opener, place, type SealedFrame } from "../read/unseal.ts";
import { searchKey, valueMac, valuesOf } from "./values.ts";

/** A frame's plaintext is kept in memory until its end; one that grows larger is given up. */
const maxFrame = 64 * 1024 * 1024;

export interface KeyedValue {
  readonly day: string;
  readonly mac: Buffer;
  readonly index: number;
}

export class SealedValues {
  private readonly opener: Opener;
  private readonly keys = new Map<string, KeyObject | null>();
  private waiting: { readonly index: number; readonly place: Json }[] = [];
  private current: { readonly number: number; readonly frame: SealedFrame; bytes: number } | null = null;
  private found: KeyedValue[] = [];

  /** Throws AuditOpenError when the master key cannot be read. */
  constructor(log: LogPlace, keys: string) {
    this.opener = new Opener(log.dir, originOf(log) ?? "", keys);
  }

  /** Number of the frame whose end has not been seen; null: none. */
  get open(): number | null {
    return this.current?.number ?? null;
  }

  intent(leaf: Json, index: number): void {
    const where = place(leaf);
    if (where === null) return;
    const frame = number(where, "frame");
    if (frame === null) this.take({ index, place: where }, new Map());
    else this.waiting.push({ index, place: where });
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
    if (tag !== null) current.frame.tag = Buffer.from(tag, "base64");
    const frames = new Map([[current.number, current.frame]]);
    const later: typeof this.waiting = [];
    for (const entry of this.waiting) {
      const wanted = number(entry.place, "frame") ?? -1;
      if (wanted === current.number) {
        if (current.bytes <= maxFrame) this.take(entry, frames);
      } else if (wanted > current.number) later.push(entry);
    }
    this.waiting = later;
    this.opener.forget(current.number);
  }

  private take(
    entry: { readonly index: number; readonly place: Json },
    frames: ReadonlyMap<number, SealedFrame>,
  ): void {
    const day = text(entry.place, "key") ?? "";
    const key = this.key(day);
    if (key === null) return;
    const opened = this.opener.open({ sealed: entry.place }, frames);
    if (opened?.state !== "open") return;
    for (const value of valuesOf(opened.content))
      this.found.push({ day, mac: valueMac(key, value), index: entry.index });
  }

  private key(day: string): KeyObject | null {
    let key = this.keys.get(day);
    if (key === undefined) {
      const sealing = this.opener.day(day);
      key = sealing === null ? null : searchKey(sealing);
      this.keys.set(day, key);
    }
    return key;
  }

  /** Forgets what was read of frames: reading begins anew. */
  reset(): void {
    this.waiting = [];
    this.current = null;
    this.found = [];
    this.keys.clear();
  }

  /** What was found since the last call. */
  takeFound(): KeyedValue[] {
    const { found } = this;
    this.found = [];
    return found;
  }
}
