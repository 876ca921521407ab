/** Exchanges of the gateway's own on the client's connection to the server, and the moments at which they change nothing for the client. */
import { type Frame, sync } from "../../protocol/index.ts";
import type { Guarding } from "./judgement.ts";
import { inBlock } from "./place.ts";
import { expected, Kind, push, queueLength } from "./queue.ts";
import type { Walk } from "./state.ts";

/** An exchange of the gateway's own on the client's connection to the server; nothing else is outstanding meanwhile. */
export interface OwnExchange {
  /** Its ReadyForQuery is the client's as well. */
  readonly tell: boolean;
  onFrame(frame: Frame): void;
  done(): void;
  lost(): void;
}

/** Runs one request, which must end with one ReadyForQuery, on the client's connection to the server. */
export function exchange(walk: Walk, request: Buffer, onFrame: (frame: Frame) => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    // Its answers are told from the client's by their place alone.
    if (walk.own !== null || queueLength(walk.queue) > 0) throw new Error("the session is not at rest");
    walk.own = { tell: false, onFrame, done: resolve, lost: () => reject(new Error("the session is over")) };
    const entry = expected(Kind.own, walk.batch++, null, null, null);
    // As the client's own Sync would: settings that changed under several texts show here.
    entry.count = walk.texts;
    walk.texts = 0;
    push(walk.queue, entry);
    walk.toServer.write([request], null);
  });
}

/**
 * Ends the implicit transaction of a batch in which nothing ran: nothing but Parse, Describe and Close was sent, and all of it has
 * been answered. There is nothing in it that could be lost: statements outlive it, and only the locks of Parse end (manual,
 * "Extended Query": Sync closes a transaction that no BEGIN opened).
 * @returns false: something ran, or a portal is open, and the batch is as it was.
 */
export async function endParsing(walk: Walk): Promise<boolean> {
  if (walk.transaction !== "I" || walk.lastRun === walk.batch) return false;
  const { unnamed, portals } = walk.names;
  if (unnamed?.batch === walk.batch || [...portals.values()].some(({ batch }) => batch === walk.batch))
    return false;
  await exchange(walk, sync, () => undefined);
  walk.unsynced = false;
  return true;
}

/**
 * Brings a session to rest inside a batch all of whose messages have been answered without an error. Inside of a transaction
 * block Sync commits nothing and takes no portal: drivers that pipeline send BEGIN and all behind it in one batch.
 * @returns false: a Sync of the gateway's own would be felt by the client, and none was sent.
 */
export async function comeToRest(walk: Walk, guard: Guarding): Promise<boolean> {
  // After an error the server waits for the client's own Sync.
  if (walk.skipping || walk.unsettledBatch >= 0 || walk.mustAbort !== null) return false;
  if (!inBlock(walk, guard)) return endParsing(walk);
  await exchange(walk, sync, () => undefined);
  walk.unsynced = false;
  // Whatever ended the block, what was known of the batch no longer holds.
  return walk.transaction === "T";
}
