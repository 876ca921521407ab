/** How lengths of time are spread: bins that widen as times do, since people wait seconds, minutes or hours. */

const second = 1;
const minute = 60 * second;
const hour = 60 * minute;

/** Upper bounds of bins, in seconds; the last has none. */
const bounds = [5, 15, 30, minute, 2 * minute, 5 * minute, 15 * minute, hour, 4 * hour] as const;

export interface Bin {
  /** Seconds; `to` null: everything above. */
  readonly from: number;
  readonly to: number | null;
  readonly label: string;
  readonly count: number;
}

/** Counts of lengths (seconds) by bin; what is negative or no number is left out. */
export function decideBins(seconds: readonly number[]): readonly Bin[] {
  const counts = Array<number>(bounds.length + 1).fill(0);
  for (const value of seconds) {
    if (!(value >= 0) || !Number.isFinite(value)) continue;
    const found = bounds.findIndex((bound) => value < bound);
    const at = found < 0 ? bounds.length : found;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts.map((count, at) => {
    const from = at === 0 ? 0 : (bounds[at - 1] ?? 0);
    const to = bounds[at] ?? null;
    return { from, to, count, label: to === null ? `≥ ${short(from)}` : `< ${short(to)}` };
  });
}

function short(seconds: number): string {
  if (seconds >= hour) return `${seconds / hour} h`;
  return seconds >= minute ? `${seconds / minute} min` : `${seconds} s`;
}

/** The value below which `share` (0 to 1) of the values lie, by the nearest rank; null: there are none. */
export function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? null;
}
