/** Checkpoint and counts. */
import { AuditUnavailable } from "../../audit/index.ts";
import type { Count } from "../../audit/read/overview.ts";
import { ApiError } from "../failure.ts";
import { checkpointOf } from "../live/hub.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { getCheckpoint, getStats } from "../schema/audit.ts";
import { iso } from "../told.ts";
import { asking, readerOf } from "./audit.ts";

const hour = 3_600_000;
const unitMs = { minute: 60_000, hour, day: 24 * hour } as const;
const longestMs = 400 * 24 * hour;
const longestByMinute = 6 * hour;

export function statsRoutes(deps: RestDeps): Route[] {
  const { audit } = deps;
  return [
    route(getCheckpoint, async () => {
      // Before the first one is signed there is nothing to tell: it comes within a second.
      if (audit.checkpoint === null) await audit.settle();
      const found = audit.checkpoint;
      if (found === null) throw new AuditUnavailable("there is no checkpoint");
      const note = found.note.toString("utf8");
      return {
        log: audit.origin,
        note,
        ...checkpointOf(found.note),
        key: deps.logKey(),
        anchors: deps.anchors(),
      };
    }),
    route(getStats, async ({ caller, query }) => {
      const until = query.until ?? Date.now();
      const since = query.since ?? until - 24 * hour;
      const span = until - since;
      if (span <= 0 || span > longestMs)
        throw new ApiError("BAD_REQUEST", "since must be before until, by at most 400 days");
      const bucket = query.bucket ?? (span <= 3 * hour ? "minute" : span <= 8 * 24 * hour ? "hour" : "day");
      if (bucket === "minute" && span > longestByMinute)
        throw new ApiError("BAD_REQUEST", "by the minute at most 6 hours can be told");
      const { subject, database } = query;
      const found = await readerOf(deps).ask(asking(caller), {
        kind: "overview",
        filters: {
          since,
          until,
          bucketMs: unitMs[bucket],
          ...(subject === undefined ? {} : { subject }),
          ...(database === undefined ? {} : { database }),
        },
      });
      const { held } = found;
      return {
        since: iso(since),
        until: iso(until),
        bucketSeconds: unitMs[bucket] / 1000,
        buckets: found.buckets.map(([at, counts]) => ({ time: iso(at), ...counts })),
        statements: found.statements,
        agents: found.agents.map(counted),
        people: found.people.map(counted),
        tables: found.tables.map(counted),
        rules: found.rules.map(counted),
        statuses: { ...found.statuses },
        held: { count: held.length, medianSeconds: quantile(held, 0.5), p95Seconds: quantile(held, 0.95) },
        log: logHealth(deps),
        notices: [...found.notices],
      };
    }),
  ];
}

function counted([name, { count, denied }]: readonly [string, Count]) {
  return { name, count, denied };
}

/** Of milliseconds in ascending order, in seconds; null: there are none. */
function quantile(sorted: readonly number[], part: number): number | null {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  return value === undefined ? null : value / 1000;
}

function logHealth({ audit, anchors }: RestDeps) {
  const states = anchors();
  const ages = states.flatMap(({ ageSeconds }) => (ageSeconds === null ? [] : [ageSeconds]));
  return {
    size: audit.size,
    lastCheckpoint: audit.checkpoint === null ? null : checkpointOf(audit.checkpoint.note).time,
    anchorAgeSeconds: ages.length === 0 ? null : Math.min(...ages),
    unanchored: states.length === 0 ? audit.size : Math.max(...states.map(({ unanchored }) => unanchored)),
    failure: audit.failure === null ? null : "the audit log cannot be written: nothing is forwarded",
  };
}
