/** Hashes of dates and times: what ../others.ts says of their text, byte by byte; of the forms that nearly all values have. */
import {
  int32,
  isDigit,
  two,
  uint32,
  writeDigits,
  writeInt64,
  writeInt64Digits,
  writeInteger,
  writePadded,
  writeTwo,
} from "../digits.ts";
import { dayNumber, daysTo2000, spanDays } from "../times.ts";
import { type Append, colon, dot, ended, minus, type Normal, plus, space, zero } from "./parts.ts";

const daySeconds = 86_400;
const second = 1e6;
const high32 = 0x1_0000_0000;
/** Days from 1 March of the year before 0001-01-01. */
const before0001 = 306;
/** Not a number of days. */
const none = -0x8000_0000;

/** Days from 2000-01-01 of the YYYY-MM-DD at `at`; `none`: not of that form. */
function daysAt(b: Buffer, at: number): number {
  const century = two(b, at);
  const year = two(b, at + 2);
  const month = two(b, at + 5);
  const day = two(b, at + 8);
  if (century < 0 || year < 0 || century + year === 0 || b[at + 4] !== minus || b[at + 7] !== minus)
    return none;
  if (month < 1 || month > 12 || day < 1 || day > 31) return none;
  return dayNumber(century * 100 + year, month, day);
}

export const dateText: Normal = (b, at, end, text, to) => {
  const days = end - at === 10 ? daysAt(b, at) : none;
  return days === none ? -1 : writeInteger(days, text, to);
};

/** Of the years 1 to 9999. */
export const dateBinary: Normal = (b, at, end, text, to) => {
  if (end - at !== 4) return -1;
  const days = int32(b, at);
  return days < -daysTo2000 || days >= spanDays - daysTo2000 ? -1 : writeInteger(days, text, to);
};

/** Seconds of the HH:MM:SS at `at`; less than 0: not of that form. */
function secondsAt(b: Buffer, at: number): number {
  const hours = two(b, at);
  const minutes = two(b, at + 3);
  const seconds = two(b, at + 6);
  if (hours < 0 || minutes < 0 || seconds < 0 || b[at + 2] !== colon || b[at + 5] !== colon) return -1;
  return hours * 3600 + minutes * 60 + seconds;
}

/** Where the digits at `at` end. */
function digitsEnd(b: Buffer, at: number, end: number): number {
  let i = at;
  while (i < end && isDigit(b[i])) i++;
  return i;
}

/** Microseconds of the one to six digits b[from, to) behind the point. */
function microsAt(b: Buffer, from: number, to: number): number {
  let micros = 0;
  for (let i = from; i < to; i++) micros = micros * 10 + (b[i] as number) - zero;
  for (let i = to - from; i < 6; i++) micros *= 10;
  return micros;
}

/** Writes seconds * 10^6 + micros; exact even where that is no safe integer. */
function writeMicros(seconds: number, micros: number, text: Buffer, to: number): number {
  const sum = seconds * second + micros;
  if (Number.isSafeInteger(sum)) return writeInteger(sum, text, to);
  if (seconds >= 0) return writePadded(micros, text, writeDigits(seconds, text, to), 6);
  const carry = micros > 0 ? 1 : 0;
  return writePadded(carry * second - micros, text, writeInteger(seconds + carry, text, to), 6);
}

/** YYYY-MM-DD HH:MM:SS[.f to .ffffff][+HH[:MM]]. */
export function timestampText(hasZone: boolean): Normal {
  return (b, at, end, text, to) => {
    if (end - at < 19 || b[at + 10] !== space) return -1;
    const days = daysAt(b, at);
    const clock = secondsAt(b, at + 11);
    if (days === none || clock < 0) return -1;
    let seconds = days * daySeconds + clock;
    let micros = 0;
    let i = at + 19;
    if (i < end && b[i] === dot) {
      const from = i + 1;
      i = digitsEnd(b, from, end);
      if (i === from || i - from > 6) return -1;
      micros = microsAt(b, from, i);
    }
    if (i < end) {
      const sign = b[i];
      const rest = end - i;
      if (!hasZone || (sign !== plus && sign !== minus) || (rest !== 3 && rest !== 6)) return -1;
      const east = two(b, i + 1);
      const more = rest === 6 ? two(b, i + 4) : 0;
      if (east < 0 || more < 0 || (rest === 6 && b[i + 3] !== colon)) return -1;
      const shift = east * 3600 + more * 60;
      seconds += sign === minus ? shift : -shift;
    }
    return writeMicros(seconds, micros, text, to);
  };
}

/** Surely within the type's range. */
const timestampHighs = { least: -49_316_000, most: 2_147_417_000 };

export const timestampBinary: Normal = (b, at, end, text, to) => {
  if (end - at !== 8) return -1;
  const high = int32(b, at);
  if (high < timestampHighs.least || high > timestampHighs.most) return -1;
  return writeInt64Digits(high, uint32(b, at + 4), text, to);
};

const dayMicros = daySeconds * second;

/** HH:MM:SS[.f to .ffffff], up to 24:00:00. */
export const timeText: Normal = (b, at, end, text, to) => {
  const size = end - at;
  const seconds = size >= 8 ? secondsAt(b, at) : -1;
  if (seconds < 0 || (size > 8 && b[at + 8] !== dot)) return -1;
  if (size === 9 || size > 15 || digitsEnd(b, at + 9, end) < end) return -1;
  const micros = seconds * second + (size === 8 ? 0 : microsAt(b, at + 9, end));
  return micros > dayMicros ? -1 : writeDigits(micros, text, to);
};

export const timeBinary: Normal = (b, at, end, text, to) => {
  if (end - at !== 8) return -1;
  const micros = int32(b, at) * high32 + uint32(b, at + 4);
  return micros < 0 || micros > dayMicros ? -1 : writeDigits(micros, text, to);
};

/** What % gives, which for numbers beyond 2^31 calls a function. */
function rest(value: number, divisor: number): number {
  return (value - Math.floor(value / divisor) * divisor) | 0;
}

/** Writes a date, given in days from 0001-01-01. */
function writeDate(days: number, b: Buffer, at: number): number {
  // As in times.ts: years begin on 1 March. Cycles of 400, 100, 4 and 1 years; the longest of each has a day more at its end.
  let left = days + before0001;
  const cycles = (left / 146_097) | 0;
  left -= cycles * 146_097;
  const centuries = Math.min(3, (left / 36_524) | 0);
  left -= centuries * 36_524;
  const fours = (left / 1461) | 0;
  left -= fours * 1461;
  const years = Math.min(3, (left / 365) | 0);
  left -= years * 365;
  const month = ((left * 5 + 2) / 153) | 0;
  const year = cycles * 400 + centuries * 100 + fours * 4 + years + (month >= 10 ? 1 : 0);
  let to = writeTwo((year / 100) | 0, b, at);
  to = writeTwo(year % 100, b, to);
  b[to++] = minus;
  to = writeTwo(month + (month >= 10 ? -9 : 3), b, to);
  b[to++] = minus;
  return writeTwo(left - (((month * 153 + 2) / 5) | 0) + 1, b, to);
}

/** Writes HH:MM:SS. */
function writeClock(seconds: number, b: Buffer, at: number): number {
  let to = writeTwo((seconds / 3600) | 0, b, at);
  b[to++] = colon;
  to = writeTwo(((seconds / 60) | 0) % 60, b, to);
  b[to++] = colon;
  return writeTwo(seconds % 60, b, to);
}

export function appendDate(isText: boolean): Append {
  return (digest, from, out) => {
    const days = rest(uint32(digest, from), spanDays);
    out.room(10);
    const { buffer, at } = out;
    return ended(out, isText ? writeDate(days, buffer, at) : buffer.writeInt32BE(days - daysTo2000, at));
  };
}

export function appendTime(isText: boolean): Append {
  return (digest, from, out) => {
    const seconds = rest(uint32(digest, from), daySeconds);
    out.room(8);
    const { buffer, at } = out;
    return ended(out, isText ? writeClock(seconds, buffer, at) : writeInt64(seconds * second, buffer, at));
  };
}

export function appendTimestamp(isText: boolean, hasZone: boolean): Append {
  return (digest, from, out) => {
    const days = rest(uint32(digest, from), spanDays);
    const clock = rest(uint32(digest, from + 4), daySeconds);
    out.room(22);
    const { buffer } = out;
    // Not exact as a double, but the sum of parts that are.
    if (!isText) return ended(out, writeSeconds(days - daysTo2000, clock, buffer, out.at));
    let to = writeDate(days, buffer, out.at);
    buffer[to++] = space;
    to = writeClock(clock, buffer, to);
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
