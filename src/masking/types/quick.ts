/**
 * Byte by byte what others.ts and numbers.ts do by way of text, for the forms that nearly all values have. Anything else is left
 * to them: `null` from a quick mask means that it does not know the form.
 */
import type { CellMask } from "../cell.ts";
import { MaskOutput } from "../output.ts";
import { isDigit, isUuid, two, uuidLength, writeInteger } from "./digits.ts";
import { mayKeep } from "./partial.ts";

type Unit = "year" | "month" | "day";

const zero = 0x30;
const minus = 0x2d;
const colon = 0x3a;
const dot = 0x2e;
const space = 0x20;

/** Tries `quick`, then `slow`. */
export function quickly(
  quick: (b: Buffer, at: number, end: number, out: MaskOutput) => number | null,
  slow: CellMask,
): CellMask {
  return (b, at, end, out) => quick(b, at, end, out) ?? slow(b, at, end, out);
}

/** `YYYY-MM-DD`, for timestamps `YYYY-MM-DD HH:MM:SS[.ffffff][+HH[:MM]]`, of the years 1 to 9999. */
export function quickDateText(unit: Unit, isDate: boolean) {
  return (b: Buffer, at: number, end: number, out: MaskOutput): number | null => {
    const size = end - at;
    if (size < 10 || size > 40 || isDate !== (size === 10)) return null;
    const month = two(b, at + 5);
    const day = two(b, at + 8);
    const year = two(b, at) * 100 + two(b, at + 2);
    if (two(b, at) < 0 || two(b, at + 2) < 0 || year === 0 || b[at + 4] !== minus || b[at + 7] !== minus)
      return null;
    if (month < 1 || month > 12 || day < 1 || day > 31) return null;
    let zone = end;
    if (!isDate) {
      if (size < 19 || b[at + 10] !== space || b[at + 13] !== colon || b[at + 16] !== colon) return null;
      if (two(b, at + 11) < 0 || two(b, at + 14) < 0 || two(b, at + 17) < 0) return null;
      zone = at + 19;
      if (b[zone] === dot) {
        zone++;
        while (zone < end && isDigit(b[zone])) zone++;
        if (zone - at > 26) return null;
      }
      // Only a sign, hours and minutes: not "BC".
      const rest = end - zone;
      if (rest !== 0 && rest !== 3 && rest !== 6) return null;
      if (rest > 0 && ((b[zone] !== minus && b[zone] !== 0x2b) || two(b, zone + 1) < 0)) return null;
      if (rest === 6 && (b[zone + 3] !== colon || two(b, zone + 4) < 0)) return null;
    }
    out.room(40);
    const start = out.at;
    out.copy(b, at, at + (unit === "year" ? 5 : unit === "month" ? 8 : 10));
    if (unit === "year") out.ascii("01-01");
    else if (unit === "month") out.ascii("01");
    if (!isDate) {
      out.ascii(" 00:00:00");
      out.copy(b, zone, end);
    }
    return out.at - start;
  };
}

const dayMicros = 86_400_000_000;

/** date_send and timestamp_send, of the years 1 to 9999. */
export function quickDateBinary(unit: Unit, isDate: boolean) {
  return (b: Buffer, at: number, end: number, out: MaskOutput): number | null => {
    if (end - at !== (isDate ? 4 : 8)) return null;
    const value = isDate ? b.readInt32BE(at) : readInt64(b, at);
    // Microseconds beyond (the year 2285) are not exact as a double.
    if (!Number.isSafeInteger(value)) return null;
    const days = isDate ? value : Math.floor(value / dayMicros);
    // 0001-01-01 and 9999-12-31.
    if (days < -730_119 || days > 2_921_939) return null;
    const first = firstDay(days, unit);
    if (isDate) {
      out.int32(first);
      return 4;
    }
    const micros = first * dayMicros;
    const high = Math.floor(micros / 0x1_0000_0000);
    out.int32(high);
    out.int32(micros - high * 0x1_0000_0000);
    return 8;
  };
}

/** Exact where it is a safe integer. */
function readInt64(b: Buffer, at: number): number {
  return b.readInt32BE(at) * 0x1_0000_0000 + b.readUInt32BE(at + 4);
}

/** The first day of the unit that a day from 2000-01-01 lies in. */
function firstDay(days: number, unit: Unit): number {
  if (unit === "day") return days;
  const date = new Date((days + 10_957) * 86_400_000);
  if (unit === "month") return days - date.getUTCDate() + 1;
  date.setUTCMonth(0, 1);
  return date.getTime() / 86_400_000 - 10_957;
}

/**
 * Integers and numerics in text form: digits at the ends stay, the others are 0.
 * @param wanted how many by the number of digits.
 */
export function quickDigits(wanted: (digits: number) => { readonly first: number; readonly last: number }) {
  return (b: Buffer, at: number, end: number, out: MaskOutput): number | null => {
    const from = b[at] === minus ? at + 1 : at;
    if (end - from > 40 || from >= end || !isDigit(b[from])) return null;
    let point = -1;
    for (let i = from + 1; i < end; i++) {
      const c = b[i];
      if (c === dot && point < 0 && i + 1 < end) point = i;
      else if (!isDigit(c)) return null;
    }
    const wholeEnd = point < 0 ? end : point;
    // A zero in front of others is not what the server prints.
    if (b[from] === zero && wholeEnd > from + 1) return null;
    const count = end - from - (point < 0 ? 0 : 1);
    const { first, last } = wanted(count);
    const shows = mayKeep(count, first, last);
    out.room(40);
    const { buffer } = out;
    const start = out.at;
    let to = start;
    let seen = 0;
    for (let i = from; i < end; i++) {
      if (i === point) {
        buffer[to++] = dot;
        continue;
      }
      seen++;
      const c = shows && (seen <= first || seen > count - last) ? (b[i] as number) : zero;
      // No zeros in front, but one before the point.
      if (c === zero && to === start && i < wholeEnd - 1) continue;
      buffer[to++] = c;
    }
    out.at = to;
    return to - start;
  };
}

/** The same for the binary format of integers, where they are exact as a double. */
export function quickInteger(
  bytes: 2 | 4 | 8,
  wanted: (digits: number) => { readonly first: number; readonly last: number },
) {
  const mask = quickDigits(wanted);
  const text = Buffer.alloc(24);
  const masked = new MaskOutput();
  const greatest = bytes === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (bytes * 8 - 1) - 1;
  return (b: Buffer, at: number, end: number, out: MaskOutput): number | null => {
    if (end - at !== bytes) return null;
    const value = bytes === 8 ? readInt64(b, at) : b.readIntBE(at, bytes);
    if (!Number.isSafeInteger(value)) return null;
    masked.truncate(0);
    const size = mask(text, 0, writeInteger(value, text, 0), masked);
    if (size === null) return null;
    let shown = 0;
    for (let i = masked.at - size; i < masked.at; i++)
      shown = shown * 10 + (masked.buffer[i] as number) - zero;
    if (shown > greatest) return null;
    if (bytes === 8) {
      const high = Math.floor(shown / 0x1_0000_0000);
      out.int32(high);
      out.int32(shown - high * 0x1_0000_0000);
    } else if (bytes === 4) out.int32(shown);
    else {
      out.byte(shown >>> 8);
      out.byte(shown);
    }
    return bytes;
  };
}

/** uuids in both formats: digits at the ends stay, the others are 0. */
export function quickUuid(format: 0 | 1, first: number, last: number) {
  const shows = mayKeep(32, first, last);
  const kept = (digit: number): boolean => shows && (digit < first || digit >= 32 - last);
  /** Bits of each byte that stay. */
  const bits = Buffer.from(
    Array.from({ length: 16 }, (_, i) => (kept(i * 2) ? 0xf0 : 0) | (kept(i * 2 + 1) ? 0x0f : 0)),
  );
  const dashes = "00000000-0000-0000-0000-000000000000";
  let digit = 0;
  const stays = Array.from(dashes, (c) => c === "-" || kept(digit++));
  return (b: Buffer, at: number, end: number, out: MaskOutput): number | null => {
    if (format === 1) {
      if (end - at !== 16) return null;
      out.room(16);
      for (let i = 0; i < 16; i++) out.buffer[out.at++] = (b[at + i] as number) & (bits[i] as number);
      return 16;
    }
    if (!isUuid(b, at, end)) return null;
    out.room(uuidLength);
    for (let i = 0; i < uuidLength; i++)
      out.buffer[out.at++] = stays[i] === true ? (b[at + i] as number) : zero;
    return uuidLength;
  };
}
