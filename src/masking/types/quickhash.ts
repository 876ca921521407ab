/**
 * Hashes of the most frequent types without a detour through strings: what numbers.ts and others.ts say of their text, byte by
 * byte.
 */
import type { MaskOutput } from "../output.ts";
import { uuidLength, writeDigits, writeHex, writeTwo, writeUuid } from "./digits.ts";
import { hashDigits, type Precision, precisionOf } from "./numbers.ts";
import {
  byteaText,
  dateBinary,
  dateText,
  integerBinary,
  integerText,
  type Normal,
  numericText,
  timestampBinary,
  timestampText,
  uuidBinary,
  uuidText,
} from "./quicknormal.ts";
import { daysTo2000, spanDays } from "./times.ts";

/** Appends what hash makes of a digest. Gives its size. */
type Append = (digest: Buffer, out: MaskOutput) => number;

/** How a type is hashed: by the text of its values' normal form, and with values made of digests. */
export interface QuickHash {
  readonly normal: Normal;
  readonly append: Append;
}

const zero = 0x30;
const minus = 0x2d;
const plus = 0x2b;
const dot = 0x2e;
const colon = 0x3a;
const space = 0x20;
const high32 = 0x1_0000_0000;
const daySeconds = 86_400;
/** Days from 1 March of the year before 0001-01-01. */
const before0001 = 306;

/** What hashes a type in a format; null: only the general way does. */
export function quickHash(name: string, format: 0 | 1, typmod: number): QuickHash | null {
  const text = format === 0;
  switch (name) {
    case "int2":
      return { normal: text ? integerText : integerBinary(2), append: appendInteger(2, text) };
    case "int4":
      return { normal: text ? integerText : integerBinary(4), append: appendInteger(4, text) };
    case "int8":
      return { normal: text ? integerText : integerBinary(8), append: appendInteger(8, text) };
    case "numeric": {
      const precision = precisionOf(typmod);
      const isUsual = precision === null || (precision.precision >= 4 && precision.scale >= 0);
      return text && isUsual ? { normal: numericText, append: appendNumeric(precision) } : null;
    }
    case "uuid":
      return { normal: text ? uuidText : uuidBinary, append: appendUuid(text) };
    case "date":
      return { normal: text ? dateText : dateBinary, append: appendDate(text) };
    case "timestamp":
      return { normal: text ? timestampText(false) : timestampBinary, append: appendTimestamp(text, false) };
    case "timestamptz":
      return { normal: text ? timestampText(true) : timestampBinary, append: appendTimestamp(text, true) };
    case "bytea":
      return text ? { normal: byteaText, append: appendBytea } : null;
    default:
      return null;
  }
}

function appendInteger(bytes: 2 | 4 | 8, isText: boolean): Append {
  return (digest, out) => {
    // The lowest 15, 31 or 53 bits of the first eight bytes.
    const low = digest.readUInt32BE(4);
    const value =
      bytes === 8
        ? (digest.readUInt32BE(0) & 0x1f_ffff) * high32 + low
        : low & (bytes === 4 ? 0x7fff_ffff : 0x7fff);
    out.room(20);
    if (isText) return ended(out, writeDigits(value, out.buffer, out.at));
    if (bytes === 2) return ended(out, out.buffer.writeInt16BE(value, out.at));
    if (bytes === 4) return ended(out, out.buffer.writeInt32BE(value, out.at));
    return ended(out, writeInt64(value, out.buffer, out.at));
  };
}

/** Takes note of what was written up to `end`; gives its size. */
function ended(out: MaskOutput, end: number): number {
  const size = end - out.at;
  out.at = end;
  return size;
}

function writeInt64(value: number, b: Buffer, at: number): number {
  const high = Math.floor(value / high32);
  b.writeInt32BE(high, at);
  return b.writeUInt32BE(value - high * high32, at + 4);
}

const modulus = 1e15;
const modulusHigh = Math.floor(modulus / high32);
const modulusLow = modulus - modulusHigh * high32;

/** The first 64 bits of a digest modulo 10^15. */
export function digestDigits(digest: Buffer): number {
  const high = digest.readUInt32BE(0);
  const low = digest.readUInt32BE(4);
  // Nearly the quotient, which is below 2^15: every product is exact, and the rest is off by one modulus at most.
  const quotient = Math.floor((high * high32 + low) / modulus);
  const rest = (high - quotient * modulusHigh) * high32 + (low - quotient * modulusLow);
  return rest < 0 ? rest + modulus : rest >= modulus ? rest - modulus : rest;
}

function appendNumeric(precision: Precision | null): Append {
  const digits = Math.min(precision?.precision ?? hashDigits, hashDigits);
  const scale = precision?.scale ?? 0;
  const limit = 10 ** digits;
  const shown = Buffer.alloc(32);
  return (digest, out) => {
    const whole = digestDigits(digest);
    const value = whole < limit ? whole : whole % limit;
    if (scale === 0) {
      out.room(20);
      return ended(out, writeDigits(value, out.buffer, out.at));
    }
    const size = writeDigits(value, shown, 0);
    out.room(scale + 20);
    const { buffer } = out;
    let to = out.at;
    for (let i = size - scale; i < 0; i++) {
      if (i === size - scale) {
        buffer[to++] = zero;
        buffer[to++] = dot;
      }
      buffer[to++] = zero;
    }
    for (let i = 0; i < size; i++) {
      if (i === size - scale) {
        if (i === 0) buffer[to++] = zero;
        buffer[to++] = dot;
      }
      buffer[to++] = shown[i] as number;
    }
    return ended(out, to);
  };
}

function appendUuid(isText: boolean): Append {
  const id = Buffer.alloc(16);
  return (digest, out) => {
    for (let i = 0; i < 16; i++) id[i] = digest[i] as number;
    // Version 8 (others.ts).
    id[6] = ((id[6] as number) & 0x0f) | 0x80;
    id[8] = ((id[8] as number) & 0x3f) | 0x80;
    out.room(uuidLength);
    if (isText) return ended(out, writeUuid(id, 0, out.buffer, out.at));
    out.copy(id, 0, 16);
    return 16;
  };
}

/** Writes a date, given in days from 0001-01-01. */
function writeDate(days: number, b: Buffer, at: number): number {
  // As in times.ts: years begin on 1 March. Cycles of 400, 100, 4 and 1 years; the longest of each has a day more at its end.
  let rest = days + before0001;
  const cycles = (rest / 146_097) | 0;
  rest -= cycles * 146_097;
  const centuries = Math.min(3, (rest / 36_524) | 0);
  rest -= centuries * 36_524;
  const fours = (rest / 1461) | 0;
  rest -= fours * 1461;
  const years = Math.min(3, (rest / 365) | 0);
  rest -= years * 365;
  const month = ((rest * 5 + 2) / 153) | 0;
  const year = cycles * 400 + centuries * 100 + fours * 4 + years + (month >= 10 ? 1 : 0);
  let to = writeTwo((year / 100) | 0, b, at);
  to = writeTwo(year % 100, b, to);
  b[to++] = minus;
  to = writeTwo(month + (month >= 10 ? -9 : 3), b, to);
  b[to++] = minus;
  return writeTwo(rest - (((month * 153 + 2) / 5) | 0) + 1, b, to);
}

function appendDate(isText: boolean): Append {
  return (digest, out) => {
    const days = digest.readUInt32BE(0) % spanDays;
    out.room(10);
    const { buffer, at } = out;
    return ended(out, isText ? writeDate(days, buffer, at) : buffer.writeInt32BE(days - daysTo2000, at));
  };
}

function appendTimestamp(isText: boolean, hasZone: boolean): Append {
  return (digest, out) => {
    const days = digest.readUInt32BE(0) % spanDays;
    const clock = digest.readUInt32BE(4) % daySeconds;
    out.room(22);
    const { buffer } = out;
    // Not exact as a double, but the sum of parts that are.
    if (!isText) return ended(out, writeSeconds(days - daysTo2000, clock, buffer, out.at));
    let to = writeDate(days, buffer, out.at);
    buffer[to++] = space;
    to = writeTwo((clock / 3600) | 0, buffer, to);
    buffer[to++] = colon;
    to = writeTwo(((clock / 60) | 0) % 60, buffer, to);
    buffer[to++] = colon;
    to = writeTwo(clock % 60, buffer, to);
    if (hasZone) {
      buffer[to++] = plus;
      to = writeTwo(0, buffer, to);
    }
    return ended(out, to);
  };
}

/** Writes days and seconds from 2000-01-01 as an Int64 of microseconds. */
function writeSeconds(days: number, clock: number, b: Buffer, at: number): number {
  const seconds = days * daySeconds + clock;
  // seconds * 10^6 in two halves: below 2^39 seconds, 20 bits of them at a time.
  const upper = Math.floor(seconds / 0x10_0000) * 1e6;
  const lower = (seconds - Math.floor(seconds / 0x10_0000) * 0x10_0000) * 1e6;
  // upper * 2^20 + lower = high * 2^32 + low
  const carry = Math.floor(upper / 0x1000);
  const low = (upper - carry * 0x1000) * 0x10_0000 + lower;
  const high = carry + Math.floor(low / high32);
  b.writeInt32BE(high, at);
  return b.writeUInt32BE(low - Math.floor(low / high32) * high32, at + 4);
}

const appendBytea: Append = (digest, out) => {
  out.room(34);
  const { buffer, at } = out;
  buffer[at] = 0x5c;
  buffer[at + 1] = 0x78;
  return ended(out, writeHex(digest, 0, 16, buffer, at + 2));
};
