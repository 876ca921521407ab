/** Characters as a reader sees them, in UTF-8 bytes: a mask must not show half of one, nor count bytes. */
import { isUtf8 } from "node:buffer";

/** Number of bytes at both ends that show `first` and `last` characters, and whether enough stays hidden. */
export interface Ends {
  readonly head: number;
  readonly tail: number;
  /** Characters; of a long value at least as many as this. */
  readonly count: number;
}

const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
/** Only the ends of longer values are cut into characters. */
const whole = 4096;
const window = 1024;
/** A letter with a heap of combining marks is no character to show: it may hold the whole value. */
const maxCharacterBytes = 32;

/** true: only ASCII, where bytes are characters. */
export function isAscii(b: Uint8Array, at: number, end: number): boolean {
  for (let i = at; i < end; i++) if ((b[i] as number) >= 0x80) return false;
  return true;
}

/**
 * Measures the first and last characters of b[at, end), which is not plain ASCII.
 * @param wanted how many of each to show, by the number of characters.
 * @returns null: nothing can be shown.
 */
export function measureEnds(
  b: Buffer,
  at: number,
  end: number,
  wanted: (count: number) => { readonly first: number; readonly last: number } | null,
): Ends | null {
  if (!isUtf8(b.subarray(at, end))) return null;
  let front: string[];
  let back: string[];
  let count: number;
  if (end - at <= whole) {
    front = characters(b.toString("utf8", at, end));
    back = front;
    count = front.length;
  } else {
    front = characters(b.toString("utf8", at, boundary(b, at + window)));
    back = characters(b.toString("utf8", boundary(b, end - window), end));
    // Where the window ends may be the middle of a character.
    front.pop();
    back.shift();
    count = front.length + back.length;
  }
  const show = wanted(count);
  if (show === null || show.first > front.length || show.last > back.length) return null;
  const head = bytesOf(front.slice(0, show.first));
  const tail = bytesOf(show.last === 0 ? [] : back.slice(-show.last));
  return head < 0 || tail < 0 ? null : { head, tail, count };
}

/** Number of code points, which is what PostgreSQL counts for varchar(n). */
export function codePoints(b: Uint8Array, at: number, end: number): number {
  let count = 0;
  for (let i = at; i < end; i++) if (((b[i] as number) & 0xc0) !== 0x80) count++;
  return count;
}

function characters(text: string): string[] {
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

function boundary(b: Buffer, from: number): number {
  let at = from;
  while (at < b.length && ((b[at] as number) & 0xc0) === 0x80) at++;
  return at;
}

function bytesOf(shown: readonly string[]): number {
  let bytes = 0;
  for (const character of shown) {
    const size = Buffer.byteLength(character, "utf8");
    if (size > maxCharacterBytes) return -1;
    bytes += size;
  }
  return bytes;
}
