/** Stacked bars as rectangles, from counts. */
import { linear } from "./scale.ts";

export interface Bucket {
  /** Start, milliseconds since the epoch. */
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

/** Buckets that lie `width` apart over [from, to), in order; those that are not given are empty. */
export function fillBuckets(
  given: readonly Bucket[],
  from: number,
  to: number,
  width: number,
): readonly Bucket[] {
  if (!(width > 0) || !(to > from)) return [];
  const known = new Map<number, Record<string, number>>();
  for (const { time, values } of given) {
    const slot = Math.floor(time / width) * width;
    const sum = known.get(slot) ?? {};
    for (const [name, value] of Object.entries(values)) sum[name] = (sum[name] ?? 0) + value;
    known.set(slot, sum);
  }
  const out: Bucket[] = [];
  for (let time = Math.floor(from / width) * width; time < to && out.length < 2000; time += width)
    out.push({ time, values: known.get(time) ?? {} });
  return out;
}

export function total(bucket: Bucket, series: readonly string[]): number {
  return series.reduce((sum, name) => sum + Math.max(0, bucket.values[name] ?? 0), 0);
}

export interface Bar {
  readonly bucket: number;
  readonly series: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/**
 * One rectangle for each bucket and series above 0, the first series at the bottom. `top`: the count at the area's top. A count
 * above 0 is never drawn thinner than one unit: a single denial in a sea of reads must be seen.
 */
export function stackBars(
  buckets: readonly Bucket[],
  series: readonly string[],
  top: number,
  area: Area,
): readonly Bar[] {
  const slot = buckets.length === 0 ? 0 : (area.right - area.left) / buckets.length;
  const gap = slot > 6 ? 2 : slot > 3 ? 1 : 0;
  const height = linear(0, top, 0, area.bottom - area.top);
  const bars: Bar[] = [];
  for (const [at, bucket] of buckets.entries()) {
    let y = area.bottom;
    for (const name of series) {
      const value = bucket.values[name] ?? 0;
      if (!(value > 0)) continue;
      const size = Math.max(1, height(value));
      y -= size;
      bars.push({
        bucket: at,
        series: name,
        x: area.left + at * slot,
        y: Math.max(area.top, y),
        width: slot - gap,
        height: size,
      });
    }
  }
  return bars;
}

/** Which bucket lies under x; null: none. */
export function bucketAt(x: number, count: number, area: Area): number | null {
  if (count === 0 || x < area.left || x >= area.right) return null;
  return Math.min(count - 1, Math.floor(((x - area.left) / (area.right - area.left)) * count));
}

/** Points of a small line over `values` in a box of width × height, one pixel from its edges; "" for fewer than two. */
export function sparkPoints(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return "";
  const top = Math.max(1, ...values);
  const x = linear(0, values.length - 1, 1, width - 1);
  const y = linear(0, top, height - 1, 1);
  return values.map((value, at) => `${round(x(at))},${round(y(value))}`).join(" ");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
