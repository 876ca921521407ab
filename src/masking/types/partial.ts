/**
 * Partial masks of text: enough to tell values apart in a conversation, not to use them. At most a third of the characters
 * is shown, and nothing of short values. The hidden part has a fixed width but where the shape is one of digits.
 */
import type { CellMask } from "../cell.ts";
import type { MaskOutput } from "../output.ts";
import { isAscii, measureEnds } from "./characters.ts";

const star = 0x2a;
const at_ = 0x40;
const dot = 0x2e;
/** Longer values have no shape. */
const maxShape = 254;
const maxDigitShape = 40;
/** Values below this show nothing. */
const minShown = 6;
const minDigits = 7;

/** Characters between digits of card and phone numbers: space + - . / ( ) */
const separators = new Set([0x20, 0x2b, 0x2d, 0x2e, 0x2f, 0x28, 0x29]);
/** 1 digit, 2 separator, 0 anything else. */
const digitClass = new Uint8Array(256);
for (let c = 0x30; c <= 0x39; c++) digitClass[c] = 1;
for (const c of separators) digitClass[c] = 2;

/** Masks text by its shape: e-mail `j***@***.com`, digits `**** **** **** 1111`, else `Ja***n`. */
export const partialText: CellMask = (b, at, end, out) => {
  const size = end - at;
  if (size <= maxShape) {
    if (!isAscii(b, at, end)) return partialUnicode(b, at, end, out);
    const sign = emailSign(b, at, end);
    if (sign >= 0) return partialEmail(b, at, end, sign, out);
    const digits = size <= maxDigitShape ? countDigits(b, at, end) : 0;
    if (digits >= minDigits) return partialDigits(b, at, end, digits, out);
  } else if (!isAscii(b, at, at + 8) || !isAscii(b, end - 8, end)) return partialUnicode(b, at, end, out);
  const shown = shownOf(size);
  return ends(b, at, end, shown.first, shown.last, 3, out);
};

/** Masks text but its first and last characters; all of it where less than a third, or than two, would stay hidden. */
export function keepText(first: number, last: number): CellMask {
  const wanted = (count: number) => (mayKeep(count, first, last) ? { first, last } : null);
  return (b, at, end, out) => {
    const size = end - at;
    if (isAscii(b, at, end)) {
      if (!mayKeep(size, first, last)) return hideAll(out);
      return ends(b, at, end, first, last, Math.min(3, size - first - last), out);
    }
    const measured = measureEnds(b, at, end, wanted);
    if (measured === null) return hideAll(out);
    return ends(b, at, end, measured.head, measured.tail, Math.min(3, measured.count - first - last), out);
  };
}

/** Whether `first` and `last` of `count` characters may be shown. */
export function mayKeep(count: number, first: number, last: number): boolean {
  const hidden = count - first - last;
  return hidden >= 2 && hidden * 3 >= count;
}

/** Appends the mask that shows nothing. */
export function hideAll(out: MaskOutput): number {
  out.ascii("***");
  return 3;
}

function shownOf(count: number): { first: number; last: number } {
  const shown = count < minShown ? 0 : Math.min(4, Math.floor(count / 3));
  return { first: Math.ceil(shown / 2), last: Math.floor(shown / 2) };
}

function partialUnicode(b: Buffer, at: number, end: number, out: MaskOutput): number {
  const measured = measureEnds(b, at, end, shownOf);
  if (measured === null) return hideAll(out);
  return ends(b, at, end, measured.head, measured.tail, 3, out);
}

/** Appends `head` and `tail` bytes of the value with stars between. */
function ends(
  b: Buffer,
  at: number,
  end: number,
  head: number,
  tail: number,
  stars: number,
  out: MaskOutput,
): number {
  out.room(head + stars + tail);
  const { buffer } = out;
  let to = out.at;
  for (let i = at; i < at + head; i++) buffer[to++] = b[i] as number;
  for (let i = 0; i < stars; i++) buffer[to++] = star;
  for (let i = end - tail; i < end; i++) buffer[to++] = b[i] as number;
  out.at = to;
  return head + stars + tail;
}

/** Where the @ of an e-mail address stands: one, with something before and a domain with a dot behind; -1 none. */
function emailSign(b: Buffer, at: number, end: number): number {
  let sign = -1;
  let lastDot = -1;
  for (let i = at; i < end; i++) {
    const c = b[i] as number;
    if (c <= 0x20) return -1;
    if (c === at_) {
      if (sign >= 0) return -1;
      sign = i;
    } else if (c === dot) lastDot = i;
  }
  return sign > at && lastDot > sign + 1 && lastDot < end - 1 ? sign : -1;
}

/** `j***@***.com`; the last label only where it is a short word and a third is not passed. */
function partialEmail(b: Buffer, at: number, end: number, sign: number, out: MaskOutput): number {
  const size = end - at;
  if (size < minShown) return hideAll(out);
  let lastDot = end - 1;
  while (b[lastDot] !== dot) lastDot--;
  let label = end - lastDot - 1;
  for (let i = lastDot + 1; i < end; i++) {
    const c = (b[i] as number) | 0x20;
    if (c < 0x61 || c > 0x7a) label = 0;
  }
  if (label < 2 || label > 4 || (1 + label) * 3 > size) label = 0;
  // An address without its first letter when one letter stands before the @: it would be the whole name.
  const first = sign - at > 1 ? 1 : 0;
  out.room(16);
  const { buffer } = out;
  let to = out.at;
  if (first === 1) buffer[to++] = b[at] as number;
  for (let i = 0; i < 3; i++) buffer[to++] = star;
  buffer[to++] = at_;
  for (let i = 0; i < 3; i++) buffer[to++] = star;
  if (label > 0) for (let i = lastDot; i < end; i++) buffer[to++] = b[i] as number;
  const written = to - out.at;
  out.at = to;
  return written;
}

function countDigits(b: Buffer, at: number, end: number): number {
  let digits = 0;
  for (let i = at; i < end; i++) {
    const kind = digitClass[b[i] as number];
    if (kind === 0) return 0;
    if (kind === 1) digits++;
  }
  return digits;
}

/** Stars for all digits but the last four at most, separators stay. */
function partialDigits(b: Buffer, at: number, end: number, digits: number, out: MaskOutput): number {
  const size = end - at;
  out.room(size);
  const { buffer } = out;
  let hidden = digits - Math.min(4, Math.floor(digits / 3));
  let to = out.at;
  for (let i = at; i < end; i++) {
    const c = b[i] as number;
    buffer[to++] = digitClass[c] === 1 && hidden-- > 0 ? star : c;
  }
  out.at = to;
  return size;
}
