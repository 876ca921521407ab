/** Names as the server keeps them, and messages that wait until it has answered. */
import { serverName } from "../names.ts";
import { type Expected, Kind, queueHead } from "../queue.ts";
import type { Verdict } from "../receive.ts";
import type { Walk } from "../state.ts";

/** The name under which the server keeps what the client calls `name`; null: nobody can tell. */
export function keyOf(walk: Walk, name: string): string | null {
  return serverName(name, walk.utf8 && walk.unsettledBatch < 0);
}

/** This message and what is behind it wait until the server has answered `entry`. */
export function waitFor(walk: Walk, entry: Expected): Verdict {
  walk.stall = { until: "answered", entry };
  return "later";
}

/** Behind the copy of a Query come its other statements: what they do is known when they are answered. */
export function awaitNames(walk: Walk): Verdict {
  const head = queueHead(walk.queue);
  if (head?.kind === Kind.query && head.run?.changes === true)
    walk.stall = { until: "answered", entry: head };
  return "forward";
}

/** Nothing behind this message is looked at before the server has answered it. */
export function awaitAnswer(walk: Walk, entry: Expected): Verdict {
  walk.stall = { until: "answered", entry };
  return "forward-flush";
}
