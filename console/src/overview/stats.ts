/** GET /api/audit/stats: the counts of a period. */
import { useQuery } from "@tanstack/react-query";
import type { Stats } from "../generated/api.ts";
import { api } from "../lib/api.ts";
import type { Bucket } from "../plots/stack.ts";

export type { Stats };
export type StatsCount = Stats["agents"][number];

/** Widths that the API counts by, with the longest period that is drawn in them. */
const widths = [
  { name: "minute", ms: 60_000, most: 6 * 3_600_000 },
  { name: "hour", ms: 3_600_000, most: 8 * 86_400_000 },
  { name: "day", ms: 86_400_000, most: Number.POSITIVE_INFINITY },
] as const;

export interface Counted {
  readonly stats: Stats;
  readonly buckets: readonly Bucket[];
  /** Width of a bucket, milliseconds. */
  readonly step: number;
  /** When they were counted, milliseconds since the epoch. */
  readonly until: number;
}

/** Counts of the last `ms` milliseconds; asked again every minute while shown. */
export function useStats(ms: number, enabled = true) {
  const width = widths.find(({ most }) => ms <= most) ?? widths[2];
  return useQuery({
    queryKey: ["audit", "stats", ms],
    enabled,
    queryFn: async ({ signal }): Promise<Counted> => {
      const until = Date.now();
      const search = new URLSearchParams({ since: new Date(until - ms).toISOString(), bucket: width.name });
      const stats = await api<Stats>(`/api/audit/stats?${search}`, { signal });
      return { stats, buckets: bucketsOf(stats), step: stats.bucketSeconds * 1000 || width.ms, until };
    },
    staleTime: 30_000,
    refetchInterval: 60_000,
  });
}

/** Buckets as plots take them; those without a readable time are left out. */
export function bucketsOf(stats: Pick<Stats, "buckets">): readonly Bucket[] {
  return stats.buckets.flatMap(({ time, allow, approve, deny, masked }) => {
    const start = Date.parse(time);
    return Number.isNaN(start) ? [] : [{ time: start, values: { allow, approve, deny, masked } }];
  });
}
