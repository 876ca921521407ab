/**
 * Text of dates and times in binary form, in PostgreSQL's ISO DateStyle, its "postgres" IntervalStyle and, for timestamptz,
 * UTC. Epoch is 2000-01-01 (manual, "Date/Time Types"; date_send, timestamp_send, interval_send). null when malformed or
 * out of the type's range.
 */

const dayMicros = 86_400_000_000n;
/** Julian day 0 and 5874898-01-01, in days from the epoch. */
const firstDay = -2_451_545;
const endDay = 2_147_483_494 - 2_451_545;
const minTimestamp = -211_813_488_000_000_000n;
const endTimestamp = 9_223_371_331_200_000_000n;
const maxInt64 = 0x7fff_ffff_ffff_ffffn;
const minInt64 = -0x8000_0000_0000_0000n;
const maxInt32 = 0x7fff_ffff;
const minInt32 = -0x8000_0000;

export function dateText(b: Buffer): string | null {
  if (b.length !== 4) return null;
  const days = b.readInt32BE(0);
  if (days === maxInt32) return "infinity";
  if (days === minInt32) return "-infinity";
  if (days < firstDay || days >= endDay) return null;
  const { text, before } = civil(days);
  return before ? `${text} BC` : text;
}

export function timestampText(b: Buffer, zone: "" | "+00"): string | null {
  if (b.length !== 8) return null;
  const micros = b.readBigInt64BE(0);
  if (micros === maxInt64) return "infinity";
  if (micros === minInt64) return "-infinity";
  if (micros < minTimestamp || micros >= endTimestamp) return null;
  const inDay = ((micros % dayMicros) + dayMicros) % dayMicros;
  const { text, before } = civil(Number((micros - inDay) / dayMicros));
  return `${text} ${clock(Number(inDay))}${zone}${before ? " BC" : ""}`;
}

export function timeText(b: Buffer): string | null {
  if (b.length !== 8) return null;
  const micros = b.readBigInt64BE(0);
  return micros < 0n || micros > dayMicros ? null : clock(Number(micros));
}

/** The zone is sent in seconds west of Greenwich and printed east of it. */
export function timetzText(b: Buffer): string | null {
  if (b.length !== 12) return null;
  const time = timeText(b.subarray(0, 8));
  const west = b.readInt32BE(8);
  const size = Math.abs(west);
  // Less than 16 hours (TZDISP_LIMIT).
  if (time === null || size >= 16 * 3600) return null;
  let zone = (west <= 0 ? "+" : "-") + two(Math.floor(size / 3600));
  if (size % 3600 !== 0) zone += `:${two(Math.floor(size / 60) % 60)}`;
  if (size % 60 !== 0) zone += `:${two(size % 60)}`;
  return time + zone;
}

export function intervalText(b: Buffer): string | null {
  if (b.length !== 16) return null;
  const micros = b.readBigInt64BE(0);
  const days = b.readInt32BE(8);
  const months = b.readInt32BE(12);
  // PostgreSQL 17.
  if (micros === maxInt64 && days === maxInt32 && months === maxInt32) return "infinity";
  if (micros === minInt64 && days === minInt32 && months === minInt32) return "-infinity";

  const parts: string[] = [];
  let afterNegative = false;
  const units: [number, string][] = [
    [Math.trunc(months / 12), "year"],
    [months % 12, "mon"],
    [days, "day"],
  ];
  for (const [value, unit] of units) {
    if (value === 0) continue;
    parts.push(`${afterNegative && value > 0 ? "+" : ""}${value} ${unit}${value === 1 ? "" : "s"}`);
    afterNegative = value < 0;
  }
  if (micros !== 0n || parts.length === 0) {
    const size = micros < 0n ? -micros : micros;
    const sign = micros < 0n ? "-" : afterNegative ? "+" : "";
    const hours = String(size / 3_600_000_000n).padStart(2, "0");
    parts.push(`${sign}${hours}:${minutes(Number(size % 3_600_000_000n))}`);
  }
  return parts.join(" ");
}

function clock(micros: number): string {
  return `${two(Math.floor(micros / 3_600_000_000))}:${minutes(micros % 3_600_000_000)}`;
}

/** MM:SS with as many decimals as are needed. */
function minutes(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000);
  const fraction = micros % 1_000_000;
  const decimals = fraction === 0 ? "" : `.${String(fraction).padStart(6, "0").replace(/0+$/, "")}`;
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}${decimals}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Days from 2000-01-01 as a date of the proleptic Gregorian calendar; year 0 is 1 BC. */
function civil(days: number): { text: string; before: boolean } {
  // Counted from 0000-03-01, so that the leap day ends its year, in eras of 400 years.
  const day = days + 730_425;
  const era = Math.floor(day / 146_097);
  const dayOfEra = day - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0);
  const before = year <= 0;
  const shown = String(before ? 1 - year : year).padStart(4, "0");
  return { text: `${shown}-${two(month)}-${two(dayOfMonth)}`, before };
}
