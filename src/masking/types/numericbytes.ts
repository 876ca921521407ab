/** numeric_send's form (numeric.c, "Data Types" of the manual's wire protocol) read and written as digits, without strings. */
import type { MaskOutput } from "../output.ts";
import { writeDigits } from "./digits.ts";

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
    if (to > start) to = writeDigits(group, text, to, 4);
    else if (group > 0) to = writeDigits(group, text, to);
  }
  let isZero = to === start;
  if (isZero) text[to++] = zero;
  if (scale > 0) {
    text[to++] = dot;
    const stop = to + scale;
    // Zeros between the point and the first group.
    for (let i = -1; i > power && to < stop; i--) to = writeDigits(0, text, to, 4);
    for (; to < stop; next += 2) to = writeDigits(next < end ? uint16(b, next) : 0, text, to, 4);
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
      at = buffer.writeUInt16BE(group, at);
      if (group > 0) end = at;
      group = 0;
    }
    // A group that the digits leave off in: the rest are zeros.
    if (group > 0) {
      for (; (power & 3) !== 3; power--) group *= 10;
      end = buffer.writeUInt16BE(group, at);
    }
    at = end;
  }
  buffer.writeUInt16BE((at - start - 8) >> 1, start);
  buffer.writeInt16BE(weight, start + 2);
  buffer.writeUInt16BE(0, start + 4);
  buffer.writeUInt16BE(scale, start + 6);
  out.at = at;
  return at - start;
}

function uint16(b: Buffer, at: number): number {
  return ((b[at] as number) << 8) | (b[at + 1] as number);
}
