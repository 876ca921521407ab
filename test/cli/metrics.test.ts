import { describe, expect, test } from "vitest";
import { gatewayMetrics } from "../../src/cli/lib/metrics.ts";

type Arguments = Parameters<typeof gatewayMetrics>;

/** A gateway of which only the trail has anything to say. */
function metrics(trail: Arguments[4], size: number, captured = { results: 0, bytes: 0 }) {
  const gateway = {
    stats: () => ({
      sessions: 0,
      sessionsTotal: 0,
      statements: 0,
      denied: 0,
      errors: 0,
      authFailures: 0,
      bytesIn: 0,
      bytesOut: 0,
    }),
    exposed: () => [],
  } as unknown as Arguments[0];
  const identity = { metrics: {} } as unknown as Arguments[1];
  const audit = { size, captured, failure: null } as unknown as Arguments[2];
  const all = gatewayMetrics(gateway, identity, audit, { states: () => [], unanchored: 0 }, trail);
  return (name: string) => all.find((one) => one.name === name)?.samples;
}

const indexer = (records: number, problem: string | null) =>
  ({ state: { records, caughtUpMs: null, problem, restarts: 0 } }) as Arguments[4]["indexer"];

describe("the trail's metrics", () => {
  test("the index's lag, and that it fails", () => {
    expect(
      metrics({ indexer: indexer(90, null), exports: [] }, 100)("postern_audit_index_lag_records"),
    ).toEqual([{ value: 10 }]);
    const failing = metrics({ indexer: indexer(0, "no room"), exports: [] }, 100);
    expect(failing("postern_audit_index_failing")).toEqual([{ value: 1 }]);
    // The index may hear of records before the counter is read.
    expect(
      metrics({ indexer: indexer(101, null), exports: [] }, 100)("postern_audit_index_lag_records"),
    ).toEqual([{ value: 0 }]);
  });

  test("each export, and captures", () => {
    const one = (name: string, next: number, problem: string | null) => ({
      name,
      state: { next, sent: 5, caughtUpMs: null, problem, lost: 2, rejected: 3 },
      close: async () => undefined,
    });
    const of = metrics(
      { indexer: indexer(0, null), exports: [one("siem", 40, null), one("hook", 0, "it does not answer")] },
      100,
      { results: 7, bytes: 1234 },
    );
    const labels = [{ export: "siem" }, { export: "hook" }];
    expect(of("postern_audit_export_lag_records")).toEqual([
      { labels: labels[0], value: 60 },
      { labels: labels[1], value: 100 },
    ]);
    expect(of("postern_audit_export_failing")?.map(({ value }) => value)).toEqual([0, 1]);
    expect(of("postern_audit_export_missed_total")?.slice(0, 2)).toEqual([
      { labels: { export: "siem", why: "pruned" }, value: 2 },
      { labels: { export: "siem", why: "refused" }, value: 3 },
    ]);
    expect(of("postern_audit_captured_results_total")).toEqual([{ value: 7 }]);
    expect(of("postern_audit_captured_bytes_total")).toEqual([{ value: 1234 }]);
  });
});
