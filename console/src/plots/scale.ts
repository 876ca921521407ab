/** Scales and ticks: pure arithmetic, so that what a plot says can be tested without drawing it. */

/** A round number of the form 1, 2 or 5 times a power of ten that is at least `value`; `value` above 0. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const first = value / power;
  const round = first <= 1 ? 1 : first <= 2 ? 2 : first <= 5 ? 5 : 10;
  return round * power;
}

/**
 * Ticks of an axis for counts from 0 to at least `max`: whole numbers in round, equal steps, about `wanted` of them above 0.
 * The last tick is the top of the axis. Nothing to show gives [0, 1].
 */
export function countTicks(max: number, wanted = 4): readonly number[] {
  if (!(max > 0) || !Number.isFinite(max)) return [0, 1];
  const step = Math.max(1, roundUp(max / wanted));
  const top = Math.ceil(max / step) * step;
  return Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);
}

/** Short form of a count for an axis: 950, 1.2k, 15k, 3M. */
export function shortCount(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && Math.abs(size) < 10 ? 1 : 0;
  return `${Number(size.toFixed(digits))}${units[unit]}`;
}

/** Maps [from, to] to [start, end] linearly; a span of nothing maps to `start`. */
export function linear(from: number, to: number, start: number, end: number): (value: number) => number {
  const factor = to === from ? 0 : (end - start) / (to - from);
  return (value) => start + (value - from) * factor;
}
