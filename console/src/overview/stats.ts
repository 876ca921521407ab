/** GET /api/audit/stats, read with care: the counts of a period. */
import { useQuery } from "@tanstack/react-query";
import { api, isRecord } from "../lib/api.ts";
import type { Bucket } from "../plots/stack.ts";

export interface StatsCount {
  readonly name: string;
  readonly count: number;
  /** Those of them that were denied, where that is told. */
  readonly denied: number;
  /** Anything else that tells it apart: what the agent acts for, what a rule does. */
  readonly note: string | null;
}

export interface LogHealth {
  readonly size: number | null;
  /** ISO 8601. */
  readonly lastCheckpoint: string | null;
  readonly anchorAgeSeconds: number | null;
  /** Whether checkpoints are kept elsewhere at all; null: not told. */
  readonly failure: string | null;
}

export interface Stats {
  readonly buckets: readonly Bucket[];
  readonly agents: readonly StatsCount[];
  readonly tables: readonly StatsCount[];
  readonly rules: readonly StatsCount[];
  readonly held: {
    readonly count: number;
    readonly medianSeconds: number | null;
    readonly p95Seconds: number | null;
  };
  readonly log: LogHealth;
}

/** Reads an answer; what is missing is empty. Never throws. */
export function readStats(answer: unknown): Stats {
  const held = field(answer, "held");
  const log = field(answer, "log");
  return {
    buckets: items(answer, "buckets").flatMap((one) => {
      const time = Date.parse(String(one["time"]));
      if (Number.isNaN(time)) return [];
      const values: Record<string, number> = {};
      for (const name of ["allow", "deny", "approve", "masked"]) values[name] = number(one, name) ?? 0;
      return [{ time, values }];
    }),
    agents: items(answer, "agents").flatMap(countOf),
    tables: items(answer, "tables").flatMap(countOf),
    rules: items(answer, "rules").flatMap(countOf),
    held: {
      count: number(held, "count") ?? 0,
      medianSeconds: number(held, "medianSeconds"),
      p95Seconds: number(held, "p95Seconds"),
    },
    log: {
      size: number(log, "size"),
      lastCheckpoint: word(log, "lastCheckpoint"),
      anchorAgeSeconds: number(log, "anchorAgeSeconds"),
      failure: word(log, "failure"),
    },
  };
}

function countOf(one: Readonly<Record<string, unknown>>): readonly StatsCount[] {
  const name = word(one, "name") ?? word(one, "subject") ?? word(one, "table") ?? word(one, "rule");
  const count = number(one, "count") ?? number(one, "statements");
  if (name === null || count === null) return [];
  return [
    {
      name,
      count,
      denied: number(one, "denied") ?? number(one, "deny") ?? 0,
      note: word(one, "then") ?? word(one, "kind"),
    },
  ];
}

function field(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}

function items(value: unknown, name: string): readonly Readonly<Record<string, unknown>>[] {
  const list = field(value, name);
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

function number(value: unknown, name: string): number | null {
  const found = field(value, name);
  return typeof found === "number" && Number.isFinite(found) ? found : null;
}

function word(value: unknown, name: string): string | null {
  const found = field(value, name);
  return typeof found === "string" && found !== "" ? found : null;
}

/** Counts of the last `ms` milliseconds, in buckets of `step` milliseconds; asked again every minute while shown. */
export function useStats(ms: number, step: number) {
  return useQuery({
    queryKey: ["audit", "stats", ms, step],
    queryFn: async ({ signal }) => {
      const until = Date.now();
      const search = new URLSearchParams({
        since: new Date(Math.floor((until - ms) / step) * step).toISOString(),
        until: new Date(until).toISOString(),
        bucket: String(step / 1000),
      });
      return { stats: readStats(await api<unknown>(`/api/audit/stats?${search}`, { signal })), until };
    },
    staleTime: 30_000,
    refetchInterval: 60_000,
  });
}
