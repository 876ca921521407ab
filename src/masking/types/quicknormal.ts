/** Normal forms of values, which are what is hashed, read byte by byte; of the forms that nearly all values have. */
import { isDigit, isHex, isUuid, two, writeInteger, writeUuid } from "./digits.ts";
import { dayNumber, daysTo2000, spanDays } from "./times.ts";

/** Writes the normal form of b[at, end) to `text` (64 bytes). Gives its size; -1: not a form that is known here. */
export type Normal = (b: Buffer, at: number, end: number, text: Buffer) => number;

const zero = 0x30;
const minus = 0x2d;
const plus = 0x2b;
const dot = 0x2e;
const colon = 0x3a;
const space = 0x20;
const dayMicros = 86_400 * 1e6;

function copied(b: Buffer, at: number, end: number, text: Buffer): number {
  for (let i = at; i < end; i++) text[i - at] = b[i] as number;
  return end - at;
}

export const integerText: Normal = (b, at, end, text) => {
  const from = b[at] === minus ? at + 1 : at;
  if (end === from || end - from > 19) return -1;
  for (let i = from; i < end; i++) if (!isDigit(b[i])) return -1;
  return copied(b, at, end, text);
};

export function integerBinary(bytes: 2 | 4 | 8): Normal {
  return (b, at, end, text) => {
    if (end - at !== bytes) return -1;
    const value = bytes === 2 ? b.readInt16BE(at) : bytes === 4 ? b.readInt32BE(at) : int64(b, at);
    return Number.isSafeInteger(value) ? writeInteger(value, text, 0) : -1;
  };
}

/** Exact where it is a safe integer. */
function int64(b: Buffer, at: number): number {
  return b.readInt32BE(at) * 0x1_0000_0000 + b.readUInt32BE(at + 4);
}

/** Zeros at the end of a fraction say nothing. */
export const numericText: Normal = (b, at, end, text) => {
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

export const uuidText: Normal = (b, at, end, text) => (isUuid(b, at, end) ? copied(b, at, end, text) : -1);

export const uuidBinary: Normal = (b, at, end, text) => (end - at === 16 ? writeUuid(b, at, text, 0) : -1);

/** Days from 2000-01-01 of the YYYY-MM-DD at `at`; null: not of that form. */
function daysAt(b: Buffer, at: number): number | null {
  const [century, year] = [two(b, at), two(b, at + 2)];
  const [month, day] = [two(b, at + 5), two(b, at + 8)];
  if (century < 0 || year < 0 || century + year === 0 || b[at + 4] !== minus || b[at + 7] !== minus)
    return null;
  if (month < 1 || month > 12 || day < 1 || day > 31) return null;
  return dayNumber(century * 100 + year, month, day);
}

export const dateText: Normal = (b, at, end, text) => {
  const days = end - at === 10 ? daysAt(b, at) : null;
  return days === null ? -1 : writeInteger(days, text, 0);
};

/** Of the years 1 to 9999. */
export const dateBinary: Normal = (b, at, end, text) => {
  if (end - at !== 4) return -1;
  const days = b.readInt32BE(at);
  return days < -daysTo2000 || days >= spanDays - daysTo2000 ? -1 : writeInteger(days, text, 0);
};

/** YYYY-MM-DD HH:MM:SS[.f to .ffffff][+HH[:MM]]. */
export function timestampText(hasZone: boolean): Normal {
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

export const timestampBinary: Normal = (b, at, end, text) => {
  if (end - at !== 8) return -1;
  const micros = int64(b, at);
  return Number.isSafeInteger(micros) ? writeInteger(micros, text, 0) : -1;
};

/** bytea_output = hex. */
export const byteaText: Normal = (b, at, end, text) => {
  if (end - at > 64 || (end - at) % 2 !== 0 || b[at] !== 0x5c || b[at + 1] !== 0x78) return -1;
  return isHex(b, at + 2, end) ? copied(b, at, end, text) : -1;
};
