/** Hashes of float4 and float8: what ../numbers.ts says of their text, byte by byte. */
import { readDecimal, writeDecimal } from "../decimal.ts";
import { writeDigits } from "../digits.ts";
import { digestRest, numericText } from "./numbers.ts";
import { type Append, ended, minus, type Normal, zero } from "./parts.ts";

/** With more digits two decimals may be one double. */
const maxDigits = 15;

/** The short decimals of a float8, from 1 on, are their own normal form, but for zeros at the end. */
const shortText: Normal = (b, at, end, text, to) => {
  const from = b[at] === minus ? at + 1 : at;
  if (end - from > maxDigits || end === from || b[from] === zero) return -1;
  return numericText(b, at, end, text, to);
};

/** @param bytes size of the type. */
export function floatText(bytes: 4 | 8): Normal {
  return (b, at, end, text, to) => {
    const short = bytes === 8 ? shortText(b, at, end, text, to) : -1;
    if (short >= 0) return short;
    const value = readDecimal(b, at, end);
    if (Number.isNaN(value)) return -1;
    return writeNumber(bytes === 4 ? Math.fround(value) : value, text, to);
  };
}

export function floatBinary(bytes: 4 | 8): Normal {
  return (b, at, end, text, to) => {
    if (end - at !== bytes) return -1;
    return writeNumber(bytes === 4 ? b.readFloatBE(at) : b.readDoubleBE(at), text, to);
  };
}

/** Writes String(value); -0 equals 0. */
function writeNumber(value: number, text: Buffer, to: number): number {
  if (value === 0) return writeDigits(0, text, to);
  const end = writeDecimal(value, text, to);
  if (end >= 0) return end;
  const shown = String(value);
  for (let i = 0; i < shown.length; i++) text[to + i] = shown.charCodeAt(i);
  return to + shown.length;
}

/** Whole numbers, which both formats hold exactly. */
export function appendFloat(bytes: 4 | 8, isText: boolean): Append {
  return (digest, from, out) => {
    const value = digestRest(digest, from, bytes === 4 ? 1e6 : 1e15);
    out.room(20);
    const { buffer, at } = out;
    if (isText) return ended(out, writeDigits(value, buffer, at));
    return ended(out, bytes === 4 ? buffer.writeFloatBE(value, at) : buffer.writeDoubleBE(value, at));
  };
}
