/** Time axes: how wide a bucket is, where labels stand and what they say. Times in milliseconds since the epoch. */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Steps that a clock has names for. */
const steps = [
  second,
  5 * second,
  15 * second,
  30 * second,
  minute,
  5 * minute,
  15 * minute,
  30 * minute,
  hour,
  3 * hour,
  6 * hour,
  12 * hour,
  day,
  2 * day,
  7 * day,
  14 * day,
  28 * day,
] as const;

/** The smallest step with which `span` has at most `most` parts. */
export function stepFor(span: number, most: number): number {
  return steps.find((step) => span / step <= most) ?? 28 * day;
}

/** Round local times within [from, to], about `wanted` of them: whole minutes, hours or days by the reader's clock. */
export function timeTicks(from: number, to: number, wanted = 6): readonly number[] {
  const span = to - from;
  if (!(span > 0)) return [];
  const step = stepFor(span, wanted);
  const ticks: number[] = [];
  if (step >= day) {
    // Days are not all 24 hours long where clocks change: the calendar is asked.
    const date = new Date(from);
    date.setHours(0, 0, 0, 0);
    while (date.getTime() <= to && ticks.length < 1000) {
      if (date.getTime() >= from) ticks.push(date.getTime());
      date.setDate(date.getDate() + Math.round(step / day));
    }
    return ticks;
  }
  const offset = new Date(from).getTimezoneOffset() * minute;
  const first = Math.ceil((from - offset) / step) * step + offset;
  for (let tick = first; tick <= to; tick += step) ticks.push(tick);
  return ticks;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const secondsFormat = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** What a tick says on an axis of `span`: "14:00", "14:00:15", or "21 Nov" at midnight and on axes of days. */
export function tickLabel(time: number, span: number): string {
  const date = new Date(time);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (span > 4 * day || (midnight && span > 2 * hour)) return dayFormat.format(date);
  return span < 4 * minute ? secondsFormat.format(date) : clockFormat.format(date);
}

/** What a bucket is called: "21 Nov, 14:00–15:00", or "21 Nov" for a whole day. */
export function bucketLabel(start: number, width: number): string {
  const from = new Date(start);
  if (width >= day) {
    const last = new Date(start + width - 1);
    return width >= 2 * day
      ? `${dayFormat.format(from)} – ${dayFormat.format(last)}`
      : dayFormat.format(from);
  }
  const format = width < minute ? secondsFormat : clockFormat;
  return `${dayFormat.format(from)}, ${format.format(from)}–${format.format(new Date(start + width))}`;
}

/** Span names of the period chooser, as the trail's `since` takes them. */
export const periods = [
  { name: "1h", label: "1 hour", ms: hour },
  { name: "24h", label: "24 hours", ms: day },
  { name: "7d", label: "7 days", ms: 7 * day },
  { name: "30d", label: "30 days", ms: 30 * day },
] as const;
