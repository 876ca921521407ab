/**
 * Hashes ahead: before rows are masked, those of their values that are to be hashed are collected and hashed four at a time;
 * the masks then find the results here. What they do not find, for whatever reason, they hash themselves: only time
 * depends on what is collected, and nothing is written before its hash is there.
 */
import type { Hmac } from "../sha256.ts";
import {
  chosenAt,
  createKernel,
  type Kernel,
  keyBytes,
  keysAt,
  lengthsAt,
  maxItems,
  maxKeys,
  maxMessage,
  messagesAt,
  resultBytes,
  resultsAt,
  textAt,
  textEnd,
  workAt,
  workEnd,
} from "./kernel.ts";

/** Bytes of a digest that are kept. */
const digestBytes = 16;

/** Writes what is hashed for b[at, end) to `text` from `to` on, where `maxNormal` bytes are free. Gives where it ends; -1: nothing. */
export type WriteNormal = (b: Buffer, at: number, end: number, text: Buffer, to: number) => number;
/** No write goes further, nor anything behind `textEnd` + 64. */
const maxNormal = 256;

/** Collects values of one buffer, in the order in which they will be asked for. Used by one masker at a time, from `begin` to `end`. */
export class HashAhead {
  readonly #run: (groups: number) => void;
  /** Holds the results, among other things. */
  readonly bytes: Buffer;
  readonly #words: Int32Array;
  readonly #keys: (Hmac | null)[] = Array<Hmac | null>(maxKeys).fill(null);
  #keyCount = 0;
  #source: Buffer | null = null;
  /** Where each value begins and ends in the source, and the place of its key. */
  readonly #places = new Int32Array(maxItems);
  readonly #ends = new Int32Array(maxItems);
  readonly #chosen = new Uint8Array(maxItems);
  #count = 0;
  #text = textAt;
  /** Something was written there since it was wiped, perhaps behind `#text`. */
  #wasWritten = false;
  /** As many of them have results. */
  #hashed = 0;
  #next = 0;

  constructor(kernel: Kernel) {
    this.#run = kernel.run;
    this.bytes = Buffer.from(kernel.memory);
    this.#words = new Int32Array(kernel.memory);
  }

  /** Begins to collect values of a buffer; those before are forgotten. */
  begin(source: Buffer): void {
    this.end();
    this.#source = source;
  }

  /** Whether a row with so many values to be hashed still fits. */
  fits(values: number): boolean {
    return this.#count + values <= maxItems && this.#text + values * maxMessage <= textEnd;
  }

  /** Collects b[from, to) as what is hashed for the value source[place, end). Does not when there is no room for it. */
  add(hmac: Hmac, place: number, end: number, b: Uint8Array, from: number, to: number): void {
    const size = to - from;
    if (!this.#open(hmac, place, end, size)) return;
    const bytes = this.bytes;
    let at = this.#text;
    for (let i = from; i < to; i++) bytes[at++] = b[i] as number;
    this.#close(size);
  }

  /** The same for what `write` makes of source[place, end). false: it made nothing of it. */
  addNormal(hmac: Hmac, source: Buffer, place: number, end: number, write: WriteNormal): boolean {
    const from = this.#text;
    // What does not fit is hashed by its mask.
    if (from + maxNormal > textEnd + 64 || this.#count >= maxItems) return true;
    this.#wasWritten = true;
    const to = write(source, place, end, this.bytes, from);
    if (to < 0) return false;
    if (this.#open(hmac, place, end, to - from)) this.#close(to - from);
    return true;
  }

  /** The same for text of the characters U+0000 to U+00FF, a byte each. */
  addText(hmac: Hmac, place: number, end: number, text: string): void {
    if (!this.#open(hmac, place, end, text.length)) return;
    for (let i = 0; i < text.length; i++) this.bytes[this.#text + i] = text.charCodeAt(i);
    this.#close(text.length);
  }

  #open(hmac: Hmac, place: number, end: number, size: number): boolean {
    const count = this.#count;
    if (count >= maxItems || size > maxMessage || this.#text + size > textEnd) return false;
    let key = 0;
    while (key < this.#keyCount && this.#keys[key] !== hmac) key++;
    if (key === this.#keyCount) {
      if (key >= maxKeys) return false;
      this.#keys[key] = hmac;
      this.#keyCount++;
      this.#words.set(hmac.states, (keysAt + key * keyBytes) / 4);
    }
    this.#wasWritten = true;
    this.#chosen[count] = key;
    this.#places[count] = place;
    this.#ends[count] = end;
    return true;
  }

  #close(size: number): void {
    const count = this.#count++;
    const words = this.#words;
    words[lengthsAt / 4 + count] = size;
    words[messagesAt / 4 + count] = this.#text;
    words[chosenAt / 4 + count] = keysAt + (this.#chosen[count] as number) * keyBytes;
    this.#text += size;
  }

  /** Hashes what was collected. A single value is left to its mask: four would take no less time. */
  hash(): void {
    const count = this.#count;
    if (count < 2) return;
    const groups = (count + 3) >>> 2;
    this.#words.fill(0, lengthsAt / 4 + count, lengthsAt / 4 + groups * 4);
    this.#run(groups);
    this.#hashed = count;
  }

  /** Gives the number of the result for the value b[place, end); -1: there is none. Values are asked for in their order. */
  find(hmac: Hmac, b: Buffer, place: number, end: number): number {
    if (b !== this.#source) return -1;
    const hashed = this.#hashed;
    let next = this.#next;
    while (next < hashed && (this.#places[next] as number) < place) next++;
    this.#next = next;
    if (next >= hashed || this.#places[next] !== place || this.#ends[next] !== end) return -1;
    return this.#keys[this.#chosen[next] as number] === hmac ? next : -1;
  }

  /** Writes a result's first 12 bytes as 16 characters in base64url to b[at, at + 16). */
  token(result: number, b: Uint8Array, at: number): void {
    const bytes = this.bytes;
    const from = resultsAt + result * resultBytes + digestBytes;
    for (let i = 0; i < 16; i++) b[at + i] = bytes[from + i] as number;
  }

  /** Says where a result's first 16 bytes stand in `bytes`, until others are hashed. */
  digest(result: number): number {
    return resultsAt + result * resultBytes;
  }

  /** Forgets all: the buffer may hold something else from now on. */
  end(): void {
    if (this.#wasWritten) {
      this.#wasWritten = false;
      this.bytes.fill(0, textAt, this.#text + maxNormal);
      this.bytes.fill(0, workAt, workEnd);
      this.bytes.fill(0, keysAt, keysAt + this.#keyCount * keyBytes);
      this.#keys.fill(null, 0, this.#keyCount);
    }
    this.#source = null;
    this.#keyCount = 0;
    this.#count = 0;
    this.#text = textAt;
    this.#hashed = 0;
    this.#next = 0;
  }
}

let shared: HashAhead | null | undefined;

/** Gives the one of this thread; null: there are no vectors here. The first call takes some milliseconds. */
export function sharedAhead(): HashAhead | null {
  if (shared === undefined) {
    const kernel = createKernel();
    shared = kernel === null ? null : new HashAhead(kernel);
  }
  return shared;
}
