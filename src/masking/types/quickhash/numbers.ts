/** Hashes of integers and numerics: what ../numbers.ts says of their text, byte by byte. */
import {
  int32,
  isDigit,
  uint32,
  writeDigits,
  writeInt64,
  writeInt64Digits,
  writeInteger,
} from "../digits.ts";
import { hashDigits, type Precision } from "../numbers.ts";
import { maxScale, numericDigits, packDecimal, packNumeric } from "../numericbytes.ts";
import { type Append, copied, dot, ended, minus, type Normal, zero } from "./parts.ts";

const high32 = 0x1_0000_0000;

export const integerText: Normal = (b, at, end, text, to) => {
  const from = b[at] === minus ? at + 1 : at;
  if (end === from || end - from > 19) return -1;
  for (let i = from; i < end; i++) if (!isDigit(b[i])) return -1;
  return copied(b, at, end, text, to);
};

export function integerBinary(bytes: 2 | 4 | 8): Normal {
  return (b, at, end, text, to) => {
    if (end - at !== bytes) return -1;
    if (bytes === 8) return writeInt64Digits(int32(b, at), uint32(b, at + 4), text, to);
    return writeInteger(bytes === 2 ? b.readInt16BE(at) : int32(b, at), text, to);
  };
}

export function appendInteger(bytes: 2 | 4 | 8, isText: boolean): Append {
  return (digest, from, out) => {
    // The lowest 15, 31 or 53 bits of the first eight bytes.
    const low = uint32(digest, from + 4);
    const value =
      bytes === 8
        ? (uint32(digest, from) & 0x1f_ffff) * high32 + low
        : low & (bytes === 4 ? 0x7fff_ffff : 0x7fff);
    out.room(20);
    if (isText) return ended(out, writeDigits(value, out.buffer, out.at));
    if (bytes === 2) return ended(out, out.buffer.writeInt16BE(value, out.at));
    if (bytes === 4) return ended(out, out.buffer.writeInt32BE(value, out.at));
    return ended(out, writeInt64(value, out.buffer, out.at));
  };
}

/** Longer numerics are left to the general way. */
const maxNumeric = 64;

/** Zeros at the end of a fraction say nothing. */
export const numericText: Normal = (b, at, end, text, to) => {
  const from = b[at] === minus ? at + 1 : at;
  if (end - at > maxNumeric || from >= end || !isDigit(b[from])) return -1;
  let point = -1;
  for (let i = from + 1; i < end; i++) {
    if (b[i] === dot && point < 0) point = i;
    else if (!isDigit(b[i])) return -1;
  }
  if (point === end - 1) return -1;
  const stop = withoutZeros(b, point, end);
  // -0 is 0.
  if (from > at && stop === from + 1 && b[from] === zero) return -1;
  return copied(b, at, stop, text, to);
};

export const numericBinary: Normal = (b, at, end, text, to) => {
  const stop = numericDigits(b, at, end, text, to, maxNumeric);
  if (stop < 0) return -1;
  let point = stop - 1;
  while (point > to && text[point] !== dot) point--;
  return withoutZeros(text, point > to ? point : -1, stop);
};

/** Where the number ends whose fraction begins behind `point`; -1: it has none. */
function withoutZeros(b: Buffer, point: number, end: number): number {
  if (point < 0) return end;
  let to = end;
  while (b[to - 1] === zero) to--;
  return to - 1 === point ? to - 1 : to;
}

const modulus = 1e15;
const modulusHigh = Math.floor(modulus / high32);
const modulusLow = modulus - modulusHigh * high32;

/** The first 64 bits of a digest modulo 10^15. */
export function digestDigits(digest: Buffer, from: number): number {
  const high = uint32(digest, from);
  const low = uint32(digest, from + 4);
  // Nearly the quotient, which is below 2^15: every product is exact, and the rest is off by one modulus at most.
  const quotient = Math.floor((high * high32 + low) / modulus);
  const rest = (high - quotient * modulusHigh) * high32 + (low - quotient * modulusLow);
  return rest < 0 ? rest + modulus : rest >= modulus ? rest - modulus : rest;
}

/** The same modulo a lesser power of ten. */
export function digestRest(digest: Buffer, from: number, limit: number): number {
  const value = digestDigits(digest, from);
  // Not %, which calls a function for doubles. The quotient is exact where it is whole, else below the next.
  return value < limit ? value : value - Math.floor(value / limit) * limit;
}

/** @param precision null: any. Its scale is not negative. */
export function appendNumeric(precision: Precision | null, isText: boolean): Append {
  const digits = Math.min(precision?.precision ?? hashDigits, hashDigits);
  const scale = precision?.scale ?? 0;
  const limit = 10 ** digits;
  const shown = Buffer.alloc(32);
  const number = Buffer.alloc(scale + 20);
  return (digest, from, out) => {
    const value = digestRest(digest, from, limit);
    if (!isText && scale <= maxScale) return packDecimal(value, scale, out);
    if (!isText) return packNumeric(number, 0, writeDecimal(value, scale, shown, number, 0), out);
    out.room(scale + 20);
    return ended(out, writeDecimal(value, scale, shown, out.buffer, out.at));
  };
}

/** Writes value / 10^scale with so many digits behind the point. Gives the index behind it. */
function writeDecimal(value: number, scale: number, shown: Buffer, b: Buffer, at: number): number {
  if (scale === 0) return writeDigits(value, b, at);
  const size = writeDigits(value, shown, 0);
  let to = at;
  for (let i = size - scale; i < 0; i++) {
    if (i === size - scale) {
      b[to++] = zero;
      b[to++] = dot;
    }
    b[to++] = zero;
  }
  for (let i = 0; i < size; i++) {
    if (i === size - scale) {
      if (i === 0) b[to++] = zero;
      b[to++] = dot;
    }
    b[to++] = shown[i] as number;
  }
  return to;
}
