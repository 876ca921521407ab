/** Scales, ticks and bars: what a plot says is arithmetic. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideBins, quantile } from "../../console/src/plots/histogram.ts";
import { countTicks, linear, shortCount } from "../../console/src/plots/scale.ts";
import { bucketAt, fillBuckets, sparkPoints, stackBars, total } from "../../console/src/plots/stack.ts";
import { bucketLabel, stepFor, tickLabel, timeTicks } from "../../console/src/plots/time.ts";

const hour = 3_600_000;

describe("ticks of counts", () => {
  test("are whole, equal steps from 0 to at least the largest count", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e12 }), fc.integer({ min: 2, max: 8 }), (max, wanted) => {
        const ticks = countTicks(max, wanted);
        expect(ticks[0]).toBe(0);
        expect(ticks.at(-1)).toBeGreaterThanOrEqual(max);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(wanted + 2);
        const step = ticks[1] ?? 0;
        expect(Number.isInteger(step)).toBe(true);
        for (const [at, tick] of ticks.entries()) expect(tick).toBeCloseTo(at * step, 5);
      }),
    );
  });

  test("of nothing are an axis all the same", () => {
    expect(countTicks(0)).toEqual([0, 1]);
    expect(countTicks(Number.NaN)).toEqual([0, 1]);
    expect(countTicks(Number.POSITIVE_INFINITY)).toEqual([0, 1]);
    expect(countTicks(1)).toEqual([0, 1]);
    expect(countTicks(7)).toEqual([0, 2, 4, 6, 8]);
  });

  test("are written short", () => {
    expect([0, 950, 1200, 15_000, 999_999, 3_000_000].map(shortCount)).toEqual([
      "0",
      "950",
      "1.2k",
      "15k",
      "1000k",
      "3M",
    ]);
  });
});

describe("time axes", () => {
  test("ticks lie in the span, in order, and not more than wanted by much", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
        fc.integer({ min: 30_000, max: 90 * 24 * hour }),
        (from, span) => {
          const ticks = timeTicks(from, from + span, 6);
          expect(ticks.length).toBeLessThanOrEqual(7);
          for (const [at, tick] of ticks.entries()) {
            expect(tick).toBeGreaterThanOrEqual(from);
            expect(tick).toBeLessThanOrEqual(from + span);
            if (at > 0) expect(tick).toBeGreaterThan(ticks[at - 1] ?? 0);
          }
        },
      ),
    );
  });

  test("hours fall on whole hours of the reader's clock", () => {
    const from = new Date(2026, 10, 22, 9, 17).getTime();
    const ticks = timeTicks(from, from + 6 * hour, 6);
    expect(ticks.map((t) => tickLabel(t, 6 * hour))).toEqual([
      "10:00",
      "11:00",
      "12:00",
      "13:00",
      "14:00",
      "15:00",
    ]);
    expect(stepFor(24 * hour, 48)).toBe(hour / 2);
  });

  test("a bucket is called by its span", () => {
    const start = new Date(2026, 10, 22, 14).getTime();
    expect(bucketLabel(start, hour)).toBe("22 Nov, 14:00–15:00");
    expect(bucketLabel(new Date(2026, 10, 22).getTime(), 24 * hour)).toBe("22 Nov");
    expect(timeTicks(5, 5)).toEqual([]);
  });
});

describe("stacked bars", () => {
  const series = ["allow", "approve", "deny"];
  const area = { left: 0, right: 100, top: 0, bottom: 100 };
  const bucket = fc.record({
    time: fc.integer({ min: 0, max: 99 }).map((n) => n * 1000),
    values: fc.record({ allow: fc.nat(500), approve: fc.nat(50), deny: fc.nat(20) }),
  });

  test("buckets that are not given are empty; nothing is counted twice or lost", () => {
    fc.assert(
      fc.property(fc.array(bucket, { maxLength: 50 }), (given) => {
        const filled = fillBuckets(given, 0, 100_000, 5000);
        expect(filled.map(({ time }) => time)).toEqual(Array.from({ length: 20 }, (_, i) => i * 5000));
        const sum = (list: readonly { values: Readonly<Record<string, number>> }[], name: string) =>
          list.reduce((all, one) => all + (one.values[name] ?? 0), 0);
        for (const name of series) expect(sum(filled, name)).toBe(sum(given, name));
      }),
    );
    expect(fillBuckets([], 10, 5, 1)).toEqual([]);
    expect(fillBuckets([], 0, 10, 0)).toEqual([]);
  });

  test("stand on each other, inside the area, as high as their counts", () => {
    fc.assert(
      fc.property(fc.array(bucket, { minLength: 1, maxLength: 20 }), (given) => {
        const top = Math.max(1, ...given.map((b) => total(b, series)));
        const bars = stackBars(given, series, top, area);
        for (const bar of bars) {
          expect(bar.height).toBeGreaterThanOrEqual(1);
          expect(bar.y).toBeGreaterThanOrEqual(0);
          expect(bar.x + bar.width).toBeLessThanOrEqual(100.001);
          const count =
            (given[bar.bucket]?.values as Readonly<Record<string, number>> | undefined)?.[bar.series] ?? 0;
          expect(count).toBeGreaterThan(0);
          if ((count / top) * 100 >= 1) expect(bar.height).toBeCloseTo((count / top) * 100, 6);
        }
        expect(bars.length).toBe(
          given.flatMap((b) => series.filter((s) => (b.values[s as "deny"] ?? 0) > 0)).length,
        );
      }),
    );
  });

  test("one denial in a sea of reads is seen", () => {
    const bars = stackBars([{ time: 0, values: { allow: 100_000, deny: 1 } }], series, 100_000, area);
    expect(bars.find(({ series: name }) => name === "deny")?.height).toBe(1);
  });

  test("a pointer finds the bar under it", () => {
    expect(bucketAt(0, 10, area)).toBe(0);
    expect(bucketAt(99.9, 10, area)).toBe(9);
    expect(bucketAt(100, 10, area)).toBeNull();
    expect(bucketAt(-1, 10, area)).toBeNull();
    expect(bucketAt(5, 0, area)).toBeNull();
  });

  test("small lines stay in their box", () => {
    expect(sparkPoints([1], 10, 10)).toBe("");
    expect(sparkPoints([0, 5, 10], 12, 12)).toBe("1,11 6,6 11,1");
    expect(linear(3, 3, 1, 9)(3)).toBe(1);
  });
});

describe("time to decide", () => {
  test("every length falls in one bin", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: 100 }), (seconds) => {
        expect(decideBins(seconds).reduce((sum, bin) => sum + bin.count, 0)).toBe(seconds.length);
      }),
    );
    expect(decideBins([-1, Number.NaN, Number.POSITIVE_INFINITY]).every((bin) => bin.count === 0)).toBe(true);
    expect(
      decideBins([4, 5, 59, 60, 1e9])
        .filter((bin) => bin.count > 0)
        .map((bin) => bin.label),
    ).toEqual(["< 5 s", "< 15 s", "< 1 min", "< 2 min", "≥ 4 h"]);
  });

  test("quantiles are values that were there", () => {
    expect(quantile([], 0.5)).toBeNull();
    expect(quantile([3, 1, 2], 0.5)).toBe(2);
    expect(quantile([1, 2, 3, 4], 0.95)).toBe(4);
  });
});
