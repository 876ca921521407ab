/** numeric_send's form (numeric.c, "Data Types" of the manual's wire protocol) read and written as digits, without strings. */
import type { MaskOutput } from "../output.ts";
import { writeDigits, writePadded } from "./digits.ts";

const zero = 0x30;
const dot = 0x2e;
const minus = 0x2d;
const negative = 0x4000;

/**
 * Writes the numeric b[at, end) as numeric_out does to `text` from `from` on, at most `room` characters. Gives where it ends; -1: it is
 * malformed, no finite number, or longer.
 */
export function numericDigits(
  b: Buffer,
  at: number,
  end: number,
  text: Buffer,
  from: number,
  room: number,
): number {
  if (end - at < 8) return -1;
  const count = uint16(b, at);
  const weight = (uint16(b, at + 2) << 16) >> 16;
  const sign = uint16(b, at + 4);
  const scale = uint16(b, at + 6);
  if (end - at !== 8 + count * 2 || (sign !== 0 && sign !== negative)) return -1;
  // With a group of four digits that are cut.
  if (Math.max((weight + 1) * 4, 1) + scale + 6 > room) return -1;
  for (let i = at + 8; i < end; i += 2) if (uint16(b, i) > 9999) return -1;
  let to = from;
  if (sign === negative) text[to++] = minus;
  const start = to;
  let power = count === 0 ? -1 : weight;
  let next = at + 8;
  for (; power >= 0; power--, next += 2) {
    const group = next < end ? uint16(b, next) : 0;
    // No zeros in front.
    if (to > start) to = writePadded(group, text, to, 4);
    else if (group > 0) to = writeDigits(group, text, to);
  }
  let isZero = to === start;
  if (isZero) text[to++] = zero;
  if (scale > 0) {
    text[to++] = dot;
    const stop = to + scale;
    // Zeros between the point and the first group.
    for (let i = -1; i > power && to < stop; i--) to = writePadded(0, text, to, 4);
    for (; to < stop; next += 2) to = writePadded(next < end ? uint16(b, next) : 0, text, to, 4);
    to = stop;
    for (let i = stop - scale; i < stop && isZero; i++) isZero = text[i] === zero;
  }
  if (!isZero || start === from) return to;
  text.copyWithin(from, start, to);
  return to - 1;
}

/** Appends the number text[from, to), digits and perhaps a point in between, as numeric_recv takes it. Gives its size. */
export function packNumeric(text: Buffer, from: number, to: number, out: MaskOutput): number {
  let point = from;
  while (point < to && text[point] !== dot) point++;
  const scale = Math.max(0, to - point - 1);
  let first = from;
  while (first < to && (text[first] === zero || first === point)) first++;
  // Two bytes for each group, of which the first and the last may be of one digit.
  out.room(12 + (to - from));
  const { buffer } = out;
  const start = out.at;
  let at = start + 8;
  let weight = 0;
  if (first < to) {
    // The power of ten of the first digit, and of 10000 of its group.
    let power = first < point ? point - first - 1 : point - first;
    weight = power >> 2;
    let group = 0;
    let end = at;
    for (let i = first; i < to; i++) {
      if (i === point) continue;
      group = group * 10 + (text[i] as number) - zero;
      if ((power-- & 3) !== 0) continue;
      at = writeUint16(group, buffer, at);
      if (group > 0) end = at;
      group = 0;
    }
    // A group that the digits leave off in: the rest are zeros.
    if (group > 0) {
      for (; (power & 3) !== 3; power--) group *= 10;
      end = writeUint16(group, buffer, at);
    }
    at = end;
  }
  writeHead(buffer, start, (at - start - 8) >> 1, weight, scale);
  out.at = at;
  return at - start;
}

/** Most digits behind the point of what packDecimal takes. */
export const maxScale = 12;
/** Groups of four digits in front of the point, of 15 digits. */
const wholeGroups = 4;
const groups = new Int32Array(wholeGroups + maxScale / 4);

/** Appends value / 10^scale, of an integer from 0 on with at most 15 digits, with so many behind the point. Gives its size. */
export function packDecimal(value: number, scale: number, out: MaskOutput): number {
  const unit = 10 ** scale;
  // Exact: the quotient of two such numbers is no nearer to the next integer than doubles can tell.
  const whole = Math.floor(value / unit);
  const used = wholeGroups + ((scale + 3) >> 2);
  split((value - whole * unit) * 10 ** (-scale & 3), wholeGroups, used);
  split(whole, 0, wholeGroups);
  let first = 0;
  while (first < used && groups[first] === 0) first++;
  let end = used;
  while (end > first && groups[end - 1] === 0) end--;
  const size = 8 + (end - first) * 2;
  out.room(size);
  const { buffer } = out;
  let at = writeHead(buffer, out.at, end - first, first < end ? wholeGroups - 1 - first : 0, scale);
  for (let i = first; i < end; i++) at = writeUint16(groups[i] as number, buffer, at);
  out.at = at;
  return size;
}

/** Splits a number into groups[from, to). */
function split(value: number, from: number, to: number): void {
  let left = value;
  for (let i = to - 1; i >= from; i--) {
    const next = Math.floor(left / 10_000);
    groups[i] = left - next * 10_000;
    left = next;
  }
}

function writeHead(b: Buffer, at: number, count: number, weight: number, scale: number): number {
  return writeUint16(scale, b, writeUint16(0, b, writeUint16(weight, b, writeUint16(count, b, at))));
}

function writeUint16(value: number, b: Buffer, at: number): number {
  b[at] = value >>> 8;
  b[at + 1] = value;
  return at + 2;
}

function uint16(b: Buffer, at: number): number {
  return ((b[at] as number) << 8) | (b[at + 1] as number);
}
