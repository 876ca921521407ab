/**
 * Hashes of the most frequent types without a detour through strings: what numbers.ts and others.ts say of their text, byte by
 * byte, for the forms that nearly all values have.
 */
import type { MaskOutput } from "../output.ts";
import {
  isDigit,
  isHex,
  isUuid,
  two,
  uuidLength,
  writeDigits,
  writeHex,
  writeInteger,
  writeTwo,
  writeUuid,
} from "./digits.ts";
import { hashDigits, type Precision, precisionOf } from "./numbers.ts";
import { dayNumber, spanDays } from "./times.ts";

/** How a type is hashed: by the text of its values' normal form, and with values made of digests. */
export interface QuickHash {
  /** Writes the normal form of b[at, end) to `text` (64 bytes). Gives its size; -1: not a form that is known here. */
  normal(b: Buffer, at: number, end: number, text: Buffer): number;
  /** Appends what hash makes of a digest. Gives its size. */
  append(digest: Buffer, out: MaskOutput): number;
}

const zero = 0x30;
const minus = 0x2d;
const plus = 0x2b;
const dot = 0x2e;
const colon = 0x3a;
const space = 0x20;
const high32 = 0x1_0000_0000;
const daySeconds = 86_400;
const dayMicros = daySeconds * 1e6;
/** Days from 0001-01-01 to 2000-01-01. */
const before2000 = 730_119;
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

type Normal = QuickHash["normal"];
type Append = QuickHash["append"];

function copied(b: Buffer, at: number, end: number, text: Buffer): number {
  for (let i = at; i < end; i++) text[i - at] = b[i] as number;
  return end - at;
}

const integerText: Normal = (b, at, end, text) => {
  const from = b[at] === minus ? at + 1 : at;
  if (end === from || end - from > 19) return -1;
  for (let i = from; i < end; i++) if (!isDigit(b[i])) return -1;
  return copied(b, at, end, text);
};

function integerBinary(bytes: 2 | 4 | 8): Normal {
  return (b, at, end, text) => {
    if (end - at !== bytes) return -1;
    const value = bytes === 2 ? b.readInt16BE(at) : bytes === 4 ? b.readInt32BE(at) : int64(b, at);
    return Number.isSafeInteger(value) ? writeInteger(value, text, 0) : -1;
  };
}

/** Exact where it is a safe integer. */
function int64(b: Buffer, at: number): number {
  return b.readInt32BE(at) * high32 + b.readUInt32BE(at + 4);
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

/** Zeros at the end of a fraction say nothing. */
const numericText: Normal = (b, at, end, text) => {
  const from = b[at] === minus ? at + 1 : at;
  if (end - at > 64 || from >= end || !isDigit(b[from])) return -1;
  let point = -1;
  for (let i = from + 1; i < end; i++) {
    if (b[i] === dot && point < 0) point = i;
    else if (!isDigit(b[i])) return -1;
  }
  let to = end;
  if (point >= 0) {
    if (point === end - 1) return -1;
    while (b[to - 1] === zero) to--;
    if (to - 1 === point) to--;
  }
  // -0 is 0.
  if (from > at && to === from + 1 && b[from] === zero) return -1;
  return copied(b, at, to, text);
};

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

const uuidText: Normal = (b, at, end, text) => (isUuid(b, at, end) ? copied(b, at, end, text) : -1);

const uuidBinary: Normal = (b, at, end, text) => (end - at === 16 ? writeUuid(b, at, text, 0) : -1);

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

/** Days from 2000-01-01 of the YYYY-MM-DD at `at`; null: not of that form. */
function daysAt(b: Buffer, at: number): number | null {
  const [century, year] = [two(b, at), two(b, at + 2)];
  const [month, day] = [two(b, at + 5), two(b, at + 8)];
  if (century < 0 || year < 0 || century + year === 0 || b[at + 4] !== minus || b[at + 7] !== minus)
    return null;
  if (month < 1 || month > 12 || day < 1 || day > 31) return null;
  return dayNumber(century * 100 + year, month, day);
}

const dateText: Normal = (b, at, end, text) => {
  const days = end - at === 10 ? daysAt(b, at) : null;
  return days === null ? -1 : writeInteger(days, text, 0);
};

/** Of the years 1 to 9999. */
const dateBinary: Normal = (b, at, end, text) => {
  if (end - at !== 4) return -1;
  const days = b.readInt32BE(at);
  return days < -before2000 || days >= spanDays - before2000 ? -1 : writeInteger(days, text, 0);
};

/** YYYY-MM-DD HH:MM:SS[.f to .ffffff][+HH[:MM]]. */
function timestampText(hasZone: boolean): Normal {
  return (b, at, end, text) => {
    const days = end - at >= 19 ? daysAt(b, at) : null;
    const [hours, minutes, seconds] = [two(b, at + 11), two(b, at + 14), two(b, at + 17)];
    if (days === null || b[at + 10] !== space || b[at + 13] !== colon || b[at + 16] !== colon) return -1;
    if (hours < 0 || minutes < 0 || seconds < 0) return -1;
    let micros = days * dayMicros + (hours * 3600 + minutes * 60 + seconds) * 1e6;
    let i = at + 19;
    if (i < end && b[i] === dot) {
      let fraction = 0;
      let digits = 0;
      for (i++; i < end && isDigit(b[i]); i++, digits++) fraction = fraction * 10 + (b[i] as number) - zero;
      if (digits === 0 || digits > 6) return -1;
      for (; digits < 6; digits++) fraction *= 10;
      micros += fraction;
    }
    if (i < end) {
      const sign = b[i];
      const rest = end - i;
      if (!hasZone || (sign !== plus && sign !== minus) || (rest !== 3 && rest !== 6)) return -1;
      const east = two(b, i + 1);
      const more = rest === 6 ? two(b, i + 4) : 0;
      if (east < 0 || more < 0 || (rest === 6 && b[i + 3] !== colon)) return -1;
      const shift = (east * 3600 + more * 60) * 1e6;
      micros += sign === minus ? shift : -shift;
    }
    return Number.isSafeInteger(micros) ? writeInteger(micros, text, 0) : -1;
  };
}

const timestampBinary: Normal = (b, at, end, text) => {
  if (end - at !== 8) return -1;
  const micros = int64(b, at);
  return Number.isSafeInteger(micros) ? writeInteger(micros, text, 0) : -1;
};

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
    return ended(out, isText ? writeDate(days, buffer, at) : buffer.writeInt32BE(days - before2000, at));
  };
}

function appendTimestamp(isText: boolean, hasZone: boolean): Append {
  return (digest, out) => {
    const days = digest.readUInt32BE(0) % spanDays;
    const clock = digest.readUInt32BE(4) % daySeconds;
    out.room(22);
    const { buffer } = out;
    // Not exact as a double, but the sum of parts that are.
    if (!isText) return ended(out, writeSeconds(days - before2000, clock, buffer, out.at));
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

/** bytea_output = hex. */
const byteaText: Normal = (b, at, end, text) => {
  if (end - at > 64 || (end - at) % 2 !== 0 || b[at] !== 0x5c || b[at + 1] !== 0x78) return -1;
  return isHex(b, at + 2, end) ? copied(b, at, end, text) : -1;
};

const appendBytea: Append = (digest, out) => {
  out.room(34);
  const { buffer, at } = out;
  buffer[at] = 0x5c;
  buffer[at + 1] = 0x78;
  return ended(out, writeHex(digest, 0, 16, buffer, at + 2));
};
