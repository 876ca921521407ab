/**
 * Writing text into a buffer without a detour. `buf.latin1Write` is what `buf.write(…, "latin1")` ends in; calling it
 * directly halves the cost of the short pieces a record is made of. Neither checks the room left: callers reserve first.
 */
interface RawWrite {
  latin1Write?(text: string, offset: number): number;
  utf8Write?(text: string, offset: number): number;
}
const raw = Buffer.prototype as Buffer & RawWrite;

/** Write text of code points below 256; gives the bytes written. */
export const putLatin1: (buf: Buffer, text: string, at: number) => number =
  typeof raw.latin1Write === "function"
    ? (buf, text, at) => (buf as Buffer & Required<RawWrite>).latin1Write(text, at)
    : (buf, text, at) => buf.write(text, at, "latin1");

/** Write any text as UTF-8; gives the bytes written. */
export const putUtf8: (buf: Buffer, text: string, at: number) => number =
  typeof raw.utf8Write === "function"
    ? (buf, text, at) => (buf as Buffer & Required<RawWrite>).utf8Write(text, at)
    : (buf, text, at) => buf.write(text, at, "utf8");

/** Write a whole number in decimal; anything that is not a small one goes the long way. Gives the bytes written. */
export function putNumber(buf: Buffer, value: number, at: number): number {
  if (!(value >= 0 && value < 1e9) || value % 1 !== 0) return putLatin1(buf, JSON.stringify(value), at);
  let count = 1;
  for (let bound = 10; value >= bound; bound *= 10) count++;
  let rest = value;
  for (let p = at + count - 1; p >= at; p--) {
    const next = (rest / 10) | 0;
    buf[p] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return count;
}

/**
 * Write text that must need no escape inside JSON quotes: letters, digits, "-" and "_" (a UUID). Any other text is written
 * escaped. Gives the bytes written, at most six a character.
 */
export function putToken(buf: Buffer, text: string, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    const plain =
      (c >= 0x30 && c <= 0x39) ||
      (c >= 0x61 && c <= 0x7a) ||
      c === 0x2d ||
      (c >= 0x41 && c <= 0x5a) ||
      c === 0x5f;
    if (!plain) return putUtf8(buf, JSON.stringify(text).slice(1, -1), at);
    buf[at + i] = c;
  }
  return text.length;
}

/** A buffer of at least `needed` bytes that starts with the first `used` bytes of `buf`. */
export function grow(buf: Buffer, used: number, needed: number): Buffer {
  let size = buf.length * 2;
  while (size < needed) size *= 2;
  const bigger = Buffer.allocUnsafeSlow(size);
  buf.copy(bigger, 0, 0, used);
  return bigger;
}
