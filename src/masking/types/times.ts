/**
 * Dates and times in PostgreSQL's ISO style (manual, "Date/Time Output"; other DateStyles become NULL) and as numbers counted
 * from 2000-01-01 (their binary formats).
 */

const iso =
  /^(\d{4,7})-(\d\d)-(\d\d)(?:([ T])(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::?(\d\d)(?::(\d\d))?)?|(Z))?)?( BC)?$/;
const dayMicros = 86_400_000_000n;
/** Julian day 0 in days from the epoch; timestamps may lie one zone before it (MIN_TIMESTAMP). */
const firstDay = -2_451_545;
const endDay = 2_147_483_494 - 2_451_545;
const minTimestamp = -211_813_488_000_000_000n;
const endTimestamp = 9_223_371_331_200_000_000n;

/**
 * Sets the lesser parts of a date or timestamp to their first value, in the zone it is printed with. "infinity" stays.
 * @returns null when it is not in ISO form.
 */
export function truncateIso(text: string, unit: "year" | "month" | "day"): string | null {
  if (text === "infinity" || text === "-infinity") return text;
  const parts = iso.exec(text);
  if (parts === null) return null;
  const [, year = "", month = "", day = "", separator, , , , , , , , , utc, era = ""] = parts;
  const shown = `${year}-${unit === "year" ? "01" : month}-${unit === "day" ? day : "01"}`;
  if (separator === undefined) return shown + era;
  const zone = utc ?? zoneText(parts);
  return `${shown}${separator}00:00:00${zone}${era}`;
}

function zoneText([, , , , , , , , , sign, hours = "", minutes, seconds]: RegExpExecArray): string {
  if (sign === undefined) return "";
  return `${sign}${hours}${minutes === undefined ? "" : `:${minutes}`}${seconds === undefined ? "" : `:${seconds}`}`;
}

/** Days of a date, null when it is none of PostgreSQL's; "infinity" is the greatest Int32, "-infinity" the least. */
export function dateDays(text: string): number | null {
  if (text === "infinity") return 0x7fff_ffff;
  if (text === "-infinity") return -0x8000_0000;
  const parts = iso.exec(text);
  if (parts === null || parts[4] !== undefined) return null;
  const days = daysOf(parts);
  return days === null || days < firstDay || days >= endDay ? null : days;
}

/** Microseconds of a timestamp, in UTC where it has a zone; null when it is none. */
export function timestampMicros(text: string): bigint | null {
  if (text === "infinity") return 0x7fff_ffff_ffff_ffffn;
  if (text === "-infinity") return -0x8000_0000_0000_0000n;
  const parts = iso.exec(text);
  if (parts === null || parts[4] === undefined) return null;
  const days = daysOf(parts);
  if (days === null) return null;
  const clock = clockMicros(parts[5], parts[6], parts[7], parts[8]);
  const [, , , , , , , , , sign, hours, minutes = "0", seconds = "0"] = parts;
  const east = sign === undefined ? 0 : Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  const micros = BigInt(days) * dayMicros + BigInt(clock) - BigInt(sign === "-" ? -east : east) * 1_000_000n;
  return micros < minTimestamp || micros >= endTimestamp ? null : micros;
}

/** Microseconds of a time of day (up to 24:00:00), null when it is none. */
export function timeMicros(text: string): number | null {
  const parts = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text);
  if (parts === null) return null;
  const micros = clockMicros(parts[1], parts[2], parts[3], parts[4]);
  return micros > 86_400_000_000 ? null : micros;
}

/** Text of a date of the years 1 to 9999, given in days from 0001-01-01. */
export function dateOfDays(days: number): string {
  const date = new Date(-62_135_596_800_000 + days * 86_400_000);
  return date.toISOString().slice(0, 10);
}

/** Days from 0001-01-01 to 9999-12-31, both counted. */
export const spanDays = 3_652_059;
/** Days from 0001-01-01 to 2000-01-01. */
export const daysTo2000 = 730_119;

function clockMicros(hours = "0", minutes = "0", seconds = "0", fraction = ""): number {
  const whole = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return whole * 1_000_000 + Number(fraction.padEnd(6, "0"));
}

/** Days from 2000-01-01 in the proleptic Gregorian calendar; 1 BC is year 0. */
function daysOf([, yearText, monthText, dayText, , , , , , , , , , , era]: RegExpExecArray): number | null {
  const month = Number(monthText);
  const day = Number(dayText);
  if (month < 1 || month > 12 || day < 1 || day > 31) return null;
  const shown = Number(yearText);
  if (shown === 0) return null;
  return dayNumber(era === undefined ? shown : 1 - shown, month, day);
}

const moved = 25_000;

/** Days from 2000-01-01 to a date with a day of 1 to 31 (of a shorter month: as if it went on). */
export function dayNumber(calendarYear: number, month: number, day: number): number {
  // Counted from 1 March, so that the leap day ends its year, in cycles of 400 years; moved by some of them, so that the year is
  // positive, and divided as integers.
  const year = calendarYear - (month <= 2 ? 1 : 0) + moved * 400;
  const cycle = (year / 400) | 0;
  const yearOfCycle = year - cycle * 400;
  const dayOfYear = (((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) | 0) + day - 1;
  const dayOfCycle = yearOfCycle * 365 + ((yearOfCycle / 4) | 0) - ((yearOfCycle / 100) | 0) + dayOfYear;
  return (cycle - moved) * 146_097 + dayOfCycle - 730_425;
}
