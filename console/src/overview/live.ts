/** Counts that go on between two answers of the API: what the event stream has told since the last one. */
import { useMemo, useState } from "react";
import { useServerEvent } from "../lib/events.ts";
import type { Bucket } from "../plots/stack.ts";

/** More than this in one minute is left to the next answer. */
const most = 20_000;

interface Seen {
  /** The answer (its time) that these events came after. */
  readonly since: number;
  readonly events: readonly Bucket[];
}

/** Statements that happened after `since` (milliseconds since the epoch), each as a bucket of its own. */
export function useLiveBuckets(since: number | null): readonly Bucket[] {
  const [seen, setSeen] = useState<Seen>({ since: 0, events: [] });
  useServerEvent("statement", (event) => {
    const time = Date.parse(event.time);
    if (since === null || Number.isNaN(time)) return;
    const values: Record<string, number> = { [event.verdict]: 1 };
    if (event.masked.length > 0) values.masked = 1;
    setSeen((before) => {
      // What an answer has counted is not counted again.
      const kept = before.since === since ? before.events : before.events.filter((one) => one.time > since);
      return { since, events: kept.length >= most || time <= since ? kept : [...kept, { time, values }] };
    });
  });
  return useMemo(() => (since === null ? [] : seen.events.filter((one) => one.time > since)), [seen, since]);
}

export interface LiveLog {
  readonly size: number | null;
  readonly time: string | null;
}

/** The newest checkpoint that the event stream told of. */
export function useLiveLog(): LiveLog | null {
  const [log, setLog] = useState<LiveLog | null>(null);
  useServerEvent("log", (event) => {
    const checkpoint = event.checkpoint;
    if (typeof checkpoint !== "object" || checkpoint === null) return;
    const { size, time } = checkpoint as Readonly<Record<string, unknown>>;
    setLog({ size: typeof size === "number" ? size : null, time: typeof time === "string" ? time : null });
  });
  return log;
}
