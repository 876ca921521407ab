/** Times as people read them. All arithmetic in milliseconds since the epoch. */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** ISO 8601 → milliseconds; NaN when it is no time. */
export function at(iso: string): number {
  return Date.parse(iso);
}

/** How long ago (or from now): "now", "12 s ago", "3 min ago", "in 2 h". */
export function relative(then: number, now: number): string {
  if (Number.isNaN(then)) return "unknown";
  const distance = Math.abs(now - then);
  if (distance < 2 * second) return "now";
  const size = duration(distance);
  return then > now ? `in ${size}` : `${size} ago`;
}

/** A length of time in its largest unit: "450 ms", "12 s", "3 min", "2 h", "5 d". */
export function duration(ms: number): string {
  if (ms < second) return `${ms < 10 && ms > 0 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < minute)
    return ms < 10 * second && ms % second !== 0
      ? `${(ms / second).toFixed(1)} s`
      : `${Math.floor(ms / second)} s`;
  if (ms < hour) return `${Math.floor(ms / minute)} min`;
  if (ms < 2 * day) return `${Math.floor(ms / hour)} h`;
  return `${Math.floor(ms / day)} d`;
}

/** Time left as a clock: "14:03", "1:02:09"; "0:00" when it is over. */
export function clock(ms: number): string {
  const left = Math.max(0, Math.ceil(ms / second));
  const hours = Math.floor(left / 3600);
  const minutes = Math.floor(left / 60) % 60;
  const seconds = String(left % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

/** Seconds as words for forms: 3600 → "1 hour". */
export function span(seconds: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
    [1, "second"],
  ];
  for (const [size, name] of units)
    if (seconds >= size && seconds % size === 0)
      return `${seconds / size} ${name}${seconds === size ? "" : "s"}`;
  return `${seconds} seconds`;
}

const timeFormat = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const dateFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** "14:03:22" for today, "21 Nov 14:03:22" for other days, in the reader's time zone. */
export function shortTime(then: number, now: number): string {
  if (Number.isNaN(then)) return "unknown";
  const date = new Date(then);
  const time = timeFormat.format(date);
  return date.toDateString() === new Date(now).toDateString() ? time : `${dateFormat.format(date)} ${time}`;
}
