/** CommandComplete and ReadyForQuery: a statement or a batch is over. */
import { encodeBackend, encodeReadyForQuery, ProtocolError, sync } from "../../../protocol/index.ts";
import { noteIdle } from "../aftermath.ts";
import { conclude, concludeUnknown } from "../conclude.ts";
import { noteReady } from "../fate.ts";
import { dropPortals } from "../names.ts";
import { dropCopyEnd, expected, Kind, push, queueHead, queueLength, shift } from "../queue.ts";
import { poisonQuery, type Refusal } from "../refuse.ts";
import { reissueEnd } from "../reissue.ts";
import type { Walk } from "../state.ts";
import { cutAtEnd, takenBack } from "./back.ts";
import { done, headOf, nothing, take, unexpected, unstall } from "./heads.ts";

export function commandComplete(walk: Walk, tag: string): Buffer | null {
  const head = headOf(walk, 0x43);
  if (head.refusal !== null && !head.copying) throw unexpected(0x43);
  const cut = cutAtEnd(walk);
  if (cut !== undefined) return cut;
  const back = takenBack(walk, head, tag);
  if (back !== null) return back;
  if (head.special?.reissued === true) {
    // Its commit may still fail, as that of a Query's only statement may before it has a tag.
    head.special.tag = tag;
    walk.toServer.write([...reissueEnd, sync], null);
    return nothing;
  }
  walk.copyIn = false;
  if (head.kind === Kind.query) {
    if (head.copying) dropCopyEnd(walk.queue);
    head.copying = false;
    conclude(walk, head, "ok", null, tag, true);
    return null;
  }
  const entry = take(walk, Kind.execute, 0x43);
  conclude(walk, entry, "ok", null, tag, true);
  return done(walk, entry);
}

export function readyForQuery(walk: Walk, chunk: Buffer, start: number, end: number): Buffer | null {
  const head = queueHead(walk.queue);
  const status = chunk[start];
  if (head === undefined || end - start !== 1) throw unexpected(0x5a);
  if (head.kind !== Kind.sync && head.kind !== Kind.query && head.kind !== Kind.functionCall)
    throw unexpected(0x5a);
  if (status === 0x49) walk.transaction = "I";
  else if (status === 0x54) walk.transaction = "T";
  else if (status === 0x45) walk.transaction = "E";
  else throw new ProtocolError("the server sent an unknown transaction status");
  const tag = head.errored ? null : (head.special?.tag ?? null);
  if (head.run !== null && !head.errored) {
    if (tag !== null) conclude(walk, head, "ok", null, tag, true);
    else if (head.kind === Kind.functionCall) conclude(walk, head, "ok", null, null, true);
    // The parser told more statements apart than the server answered: what became of them was not seen.
    else concludeUnknown(walk, head);
  }
  noteReady(walk);
  shift(walk.queue);
  if (walk.guard !== null && walk.transaction === "I") noteIdle(walk.guard, head.batch);
  if (head.batch >= walk.unsettledBatch) walk.unsettledBatch = -1;
  if (walk.transaction === "I") {
    dropPortals(walk.names, head.batch);
    walk.touched = false;
  }
  unstall(walk, head);
  if (walk.mustAbort !== null) {
    const refusal = walk.mustAbort;
    walk.mustAbort = null;
    if (walk.transaction === "T") return abortHere(walk, refusal);
  }
  const told = tag === null ? null : withTag(tag, walk.transaction);
  if (queueLength(walk.queue) > 0) return told;
  walk.unsynced = false;
  walk.onIdle();
  return told;
}

function withTag(tag: string, transaction: Walk["transaction"]): Buffer {
  return Buffer.concat([encodeBackend({ type: "commandComplete", tag }), encodeReadyForQuery(transaction)]);
}

/** The client was told of an error in a block that the server knows nothing of: it is made to fail, too. */
function abortHere(walk: Walk, refusal: Refusal): Buffer {
  if (queueLength(walk.queue) > 0) {
    walk.fail(
      { sqlstate: refusal.sqlstate, message: refusal.message, hint: refusal.hint },
      "a limit was reached",
    );
    return nothing;
  }
  walk.unsynced = false;
  walk.own = { tell: true, onFrame: () => undefined, done: walk.onIdle, lost: () => undefined };
  push(walk.queue, expected(Kind.own, walk.batch++, null, null, null));
  walk.toServer.write([poisonQuery(refusal.request)], null);
  return nothing;
}
