/** What the server answers next, taken from the queue of expected replies. */
import { ProtocolError } from "../../../protocol/index.ts";
import { settleChange } from "../names.ts";
import { type Expected, Kind, queueHead, shift } from "../queue.ts";
import { type Refusal, refusalError } from "../refuse.ts";
import type { Walk } from "../state.ts";

export const nothing = Buffer.alloc(0);

export function unexpected(type: number): ProtocolError {
  return new ProtocolError(`the server sent message ${type} where none such was expected`);
}

export function headOf(walk: Walk, type: number): Expected {
  const head = queueHead(walk.queue);
  if (head === undefined || head.errored) throw unexpected(type);
  return head;
}

export function take(walk: Walk, kind: Kind, type: number): Expected {
  const head = headOf(walk, type);
  if (head.kind !== kind || head.refusal !== null) throw unexpected(type);
  shift(walk.queue);
  return head;
}

export function takeDescribe(walk: Walk, type: number): Expected {
  const head = headOf(walk, type);
  if ((head.kind !== Kind.describeStatement && head.kind !== Kind.describePortal) || head.refusal !== null)
    throw unexpected(type);
  shift(walk.queue);
  return head;
}

export function copyHead(walk: Walk, type: number): Expected {
  const head = headOf(walk, type);
  if (head.kind !== Kind.execute && head.kind !== Kind.query) throw unexpected(type);
  return head;
}

export function done(walk: Walk, entry: Expected): null {
  settleChange(walk.names, entry);
  unstall(walk, entry);
  return null;
}

/** What stalled goes on once this chunk of the server's is on its way to the client. */
export function unstall(walk: Walk, entry: Expected): void {
  if (walk.stall?.until !== "answered" || walk.stall.entry !== entry) return;
  walk.stall = null;
  walk.wake = true;
}

export function tell(walk: Walk, refusal: Refusal): Buffer {
  walk.watch?.refused(refusal);
  return refusalError(refusal);
}
