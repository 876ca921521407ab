/**
 * Replication connections: their grammar is not SQL and their stream has no statements, so they pass unread where the
 * owner allows them at all (`replication: true`), on the record as one statement that lasts as long as the tunnel.
 */
import { uuidv7 } from "../audit/index.ts";
import { conclude } from "./statement/conclude.ts";
import { contextOf, intent, opaqueShape, prepare, run } from "./statement/intend.ts";
import { expected, Kind, push, shift } from "./statement/queue.ts";
import type { Walk } from "./statement/state.ts";

/** Joins both streams. `first`: bytes of the client that have come already. */
export function tunnel(walk: Walk, first: Buffer, guarded: (step: () => void) => void): void {
  const statement = prepare(walk, "", { ...opaqueShape, kind: "replication" }, null);
  const request = uuidv7();
  guarded(() => {
    const index = intent(walk, request, contextOf(walk, statement.shape), "simple", 0, "", "", "{}", "[]");
    const streamed = run(request, [
      { intent: index, statement: null, sql: null, guard: null, harmless: true, formats: null },
    ]);
    push(walk.queue, expected(Kind.query, walk.batch, streamed, null, null));
    walk.counters.statements++;
    walk.toServer.write(first.length > 0 ? [first] : [], walk.durability);
  });
  walk.client.on("data", (chunk: Buffer) => {
    walk.counters.bytesIn += chunk.length;
    if (!walk.toServer.write([chunk], null)) walk.client.pause();
  });
  walk.server.on("data", (chunk: Buffer) => {
    walk.counters.bytesOut += chunk.length;
    walk.result.bytes += chunk.length;
    if (!walk.toClient.write([chunk], null, false)) walk.server.pause();
  });
  // Before the session hears of it, and takes what has no outcome for unknown.
  walk.server.prependOnceListener("end", () => {
    const entry = shift(walk.queue);
    if (entry !== undefined) conclude(walk, entry, "ok", null, null, true);
  });
}
