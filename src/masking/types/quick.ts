/**
 * Byte by byte what others.ts does with dates by way of text, for the forms that nearly all values have. Anything else is left
 * to it: `null` from a quick mask means that it does not know the form.
 */
import type { CellMask } from "../cell.ts";
import type { MaskOutput } from "../output.ts";
import { int32, isDigit, two, uint32 } from "./digits.ts";

type Unit = "year" | "month" | "day";

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

/** Microseconds of a day, in parts of 2^13. */
const dayParts = 86_400_000_000 / 0x2000;

/** date_send and timestamp_send, of the years 1 to 9999. */
export function quickDateBinary(unit: Unit, isDate: boolean) {
  return (b: Buffer, at: number, end: number, out: MaskOutput): number | null => {
    if (end - at !== (isDate ? 4 : 8)) return null;
    // As an Int64 may be no exact double, without its lowest 13 bits, which a whole day has not.
    const days = isDate
      ? int32(b, at)
      : Math.floor((int32(b, at) * 0x8_0000 + (uint32(b, at + 4) >>> 13)) / dayParts);
    // 0001-01-01 and 9999-12-31.
    if (days < -730_119 || days > 2_921_939) return null;
    const first = firstDay(days, unit);
    if (isDate) {
      out.int32(first);
      return 4;
    }
    const parts = first * dayParts;
    const high = Math.floor(parts / 0x8_0000);
    out.int32(high);
    out.int32((parts - high * 0x8_0000) * 0x2000);
    return 8;
  };
}

/** The first day of the unit that a day from 2000-01-01 lies in. */
function firstDay(days: number, unit: Unit): number {
  if (unit === "day") return days;
  const date = new Date((days + 10_957) * 86_400_000);
  if (unit === "month") return days - date.getUTCDate() + 1;
  date.setUTCMonth(0, 1);
  return date.getTime() / 86_400_000 - 10_957;
}
