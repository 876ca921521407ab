/** Moments as options give them. */

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "2026-11-22", "2026-11-22T10:00:00Z", or so long ago: "90s", "15m", "6h", "7d" → milliseconds since the epoch; null: neither. */
export function parseMoment(value: string, now: number): number | null {
  const ago = /^(\d{1,6})([smhd])$/.exec(value);
  const unit = units[ago?.[2] ?? ""];
  if (unit !== undefined) return now - Number(ago?.[1]) * unit;
  const time = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

/** "90s", "15m", "6h", "7d" → whole seconds; null: not such a span. */
export function parseSpan(value: string): number | null {
  const match = /^(\d{1,6})([smhd])$/.exec(value);
  const unit = units[match?.[2] ?? ""];
  return unit === undefined ? null : (Number(match?.[1]) * unit) / 1000;
}
