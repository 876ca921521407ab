/** Stretches of bytes that many records repeat, with what they mean. Found by a hash, believed by comparing every byte. */
import { randomInt } from "node:crypto";

interface Entry<Value> {
  readonly bytes: DataView;
  /** Length of the first of the two stretches. */
  readonly cut: number;
  readonly value: Value;
  readonly next: Entry<Value> | null;
  readonly depth: number;
}

/** Entries of the same hash that are kept: whoever makes many gains nothing. */
const maxDepth = 4;
const seed = randomInt(0x7fffffff);

/** Two stretches of a buffer, [a, b) and [c, d), as one key. */
export class Regions<Value> {
  private readonly maxBytes: number;
  private young = new Map<number, Entry<Value>>();
  private old = new Map<number, Entry<Value>>();
  private bytes = 0;

  /** Keeps at least the newest `maxBytes`, at most twice as much. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  find(view: DataView, a: number, b: number, c: number, d: number): Value | null {
    const hash = hashOf(view, c, d, hashOf(view, a, b, seed));
    const young = matching(this.young.get(hash) ?? null, view, a, b, c, d);
    if (young !== null) return young.value;
    const old = matching(this.old.get(hash) ?? null, view, a, b, c, d);
    if (old === null) return null;
    this.put(hash, old.bytes, old.cut, old.value);
    return old.value;
  }

  add(view: DataView, a: number, b: number, c: number, d: number, value: Value): void {
    const kept = new Uint8Array(b - a + d - c);
    kept.set(new Uint8Array(view.buffer, view.byteOffset + a, b - a));
    kept.set(new Uint8Array(view.buffer, view.byteOffset + c, d - c), b - a);
    const hash = hashOf(view, c, d, hashOf(view, a, b, seed));
    this.put(hash, new DataView(kept.buffer), b - a, value);
  }

  private put(hash: number, bytes: DataView, cut: number, value: Value): void {
    if (this.bytes + bytes.byteLength > this.maxBytes) {
      this.old = this.young;
      this.young = new Map();
      this.bytes = 0;
    }
    const next = this.young.get(hash) ?? null;
    const chain = next !== null && next.depth >= maxDepth ? null : next;
    this.young.set(hash, { bytes, cut, value, next: chain, depth: (chain?.depth ?? 0) + 1 });
    this.bytes += bytes.byteLength;
  }

  clear(): void {
    this.young.clear();
    this.old.clear();
    this.bytes = 0;
  }
}

function matching<Value>(
  first: Entry<Value> | null,
  view: DataView,
  a: number,
  b: number,
  c: number,
  d: number,
): Entry<Value> | null {
  for (let entry = first; entry !== null; entry = entry.next)
    if (
      entry.cut === b - a &&
      entry.bytes.byteLength === b - a + d - c &&
      sameBytes(view, a, entry.bytes, 0, b - a) &&
      sameBytes(view, c, entry.bytes, b - a, d - c)
    )
      return entry;
  return null;
}

/** 30 bits, so that it is a small integer everywhere. */
function hashOf(view: DataView, start: number, end: number, from: number): number {
  let h = from;
  let g = end - start;
  let p = start;
  for (; p + 8 <= end; p += 8) {
    h = Math.imul(h ^ view.getInt32(p, true), 0x9e3779b1);
    g = Math.imul(g ^ view.getInt32(p + 4, true), 0x85ebca6b);
    h ^= h >>> 15;
    g ^= g >>> 13;
  }
  for (; p < end; p++) h = Math.imul(h ^ view.getUint8(p), 0x01000193);
  h = Math.imul(h ^ g, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 2;
}

/** Whether `count` bytes of one, from `at`, are those of the other, from `from`. Throws RangeError where either ends before. */
export function sameBytes(one: DataView, at: number, other: DataView, from: number, count: number): boolean {
  let i = 0;
  for (; i + 8 <= count; i += 8)
    if (
      one.getInt32(at + i, true) !== other.getInt32(from + i, true) ||
      one.getInt32(at + i + 4, true) !== other.getInt32(from + i + 4, true)
    )
      return false;
  for (; i < count; i++) if (one.getUint8(at + i) !== other.getUint8(from + i)) return false;
  return true;
}
