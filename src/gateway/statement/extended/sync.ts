/** Sync, and the end of what stands before it (PostgreSQL manual, "Extended Query", "Pipelining"). */
import { done } from "../judge/one.ts";
import { expected, Kind, push } from "../queue.ts";
import type { Verdict } from "../receive.ts";
import type { Walk } from "../state.ts";

/** A Flush, a Sync, or what is not of the extended protocol. */
export function endSegment(walk: Walk): void {
  walk.gathered = false;
  walk.gatherOver = false;
  walk.pass = null;
}

export function onSync(walk: Walk): Verdict {
  walk.skipping = false;
  endSegment(walk);
  if (walk.guard !== null) done(walk.guard);
  if (walk.copyIn) {
    // While the server reads COPY data it ignores Sync (PostgreSQL manual, "COPY Operations"). It is kept back, lest the
    // copy fails before it arrives, and it ends what the server skips then without our knowing.
    walk.copySync = true;
    return [];
  }
  const entry = expected(Kind.sync, walk.batch++, null, null, null);
  entry.count = walk.texts;
  walk.texts = 0;
  push(walk.queue, entry);
  // Its answer tells how the texts behind it are to be read.
  if (walk.unsettledBatch === entry.batch || walk.guard?.block?.batch === entry.batch)
    walk.stall = { until: "answered", entry };
  return "forward";
}
