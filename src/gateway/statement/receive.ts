/**
 * Step `receive`: the client's bytes → frontend messages → what goes to the server. Bytes that need no change are
 * forwarded as the slices they came in, with one write a chunk; a message is put together only when it is looked into.
 */
import type { Durability } from "../../facts/audit.ts";
import { flush, frontendLimits, ProtocolError } from "../../protocol/index.ts";
import { onExecute } from "./extended/execute.ts";
import { onFunctionCall } from "./extended/function.ts";
import { onParse, refuseLargeParse } from "./extended/parse.ts";
import { onBind, onClose, onDescribe } from "./extended/portal.ts";
import { endSegment, onSync } from "./extended/sync.ts";
import { awaitNames } from "./extended/waits.ts";
import { holdCost, maxHeld } from "./forward.ts";
import { collect, gather, piece } from "./gather.ts";
import { gatherOn } from "./heldbatch.ts";
import { lookBehind } from "./holdend.ts";
import { stronger } from "./judgement.ts";
import { maxQueued, pushCopyEnd, queueLength } from "./queue.ts";
import { onQuery, refuseLargeQuery, unflushed } from "./simple.ts";
import type { Walk } from "./state.ts";

/**
 * What became of a message: forwarded as it is; forwarded with a Flush behind it, because its answer is waited for;
 * replaced by other bytes (none: swallowed); or left for later, when the server has answered what is outstanding.
 */
export type Verdict = "forward" | "forward-flush" | "later" | readonly Buffer[];

/** What one pass over a chunk sends on. */
interface Output {
  readonly buffers: Buffer[];
  /** The bytes depend on records that were just appended. */
  level: Durability | null;
  /** The answers depend on them, to be this durable. */
  beside: Durability | null;
}

/**
 * Takes what the client sent. Throws ProtocolError on bytes that are no message of the protocol; the session ends then.
 */
export function receive(walk: Walk, chunk: Buffer): void {
  walk.counters.bytesIn += chunk.length;
  // Nothing counts that comes behind Terminate.
  if (walk.leaving) return;
  awaitCancel(walk);
  if (walk.stall !== null) {
    walk.stalled.push(apart(chunk));
    walk.stalledBytes += chunk.length + holdCost;
    if (walk.stall.until === "approval") lookBehind(walk);
    else if (walk.stall.until === "gathered") gatherOn(walk);
    else if (walk.stalledBytes > maxHeld) walk.client.pause();
    return;
  }
  scan(walk, chunk);
  slowDown(walk);
}

/** A cancel request is under way: what was sent behind it must not be what it hits. */
function awaitCancel(walk: Walk): void {
  if (walk.cancelling > 0 && walk.stall === null) walk.stall = { until: "cancelled" };
}

/** The same bytes without the memory around them: what waits long must not keep more than it is counted as. */
function apart(chunk: Buffer): Buffer {
  if (chunk.buffer.byteLength <= chunk.length + holdCost) return chunk;
  const copy = Buffer.allocUnsafeSlow(chunk.length);
  chunk.copy(copy);
  return copy;
}

function slowDown(walk: Walk): void {
  walk.crowded = queueLength(walk.queue) > maxQueued;
  if (walk.crowded) walk.client.pause();
}

/** Whether more of the client can be taken: the server and the log keep up, and little waits. */
export function ready(walk: Walk): boolean {
  walk.crowded = queueLength(walk.queue) > maxQueued;
  const { toServer, server, stalledBytes, crowded } = walk;
  // While people think, the client is read on: its end must be noticed.
  if (walk.stall?.until === "approval") return true;
  return !crowded && !server.writableNeedDrain && toServer.held <= maxHeld && stalledBytes <= maxHeld;
}

/** Goes on after a stall; the caller has set `walk.stall` to null. */
export function resume(walk: Walk): void {
  while (walk.stall === null && !walk.leaving) {
    if (walk.stalled.length > 0) awaitCancel(walk);
    if (walk.stall !== null) break;
    const chunk = walk.stalled.shift();
    if (chunk === undefined) break;
    walk.stalledBytes -= chunk.length + holdCost;
    scan(walk, chunk);
  }
  slowDown(walk);
  walk.readOn();
}

/** Hands buffers on to the server; the client is not read from while the server does not keep up. */
export function send(walk: Walk, buffers: readonly Buffer[], level: Durability | null): void {
  if (buffers.length > 0 && !walk.toServer.write(buffers, level)) walk.client.pause();
}

function scan(walk: Walk, first: Buffer): void {
  let chunk = first;
  const out: Output = { buffers: [], level: null, beside: null };
  let pos = 0;

  if (walk.frontend !== null) {
    const whole = gather(walk.frontend, chunk);
    if (whole === null) return;
    chunk = whole;
    walk.frontend = null;
    walk.large.free(walk);
  }

  let run = pos;
  const end = chunk.length;
  while (pos < end) {
    if (walk.frontendStream > 0) {
      const n = Math.min(walk.frontendStream, end - pos);
      walk.frontendStream -= n;
      pos += n;
      continue;
    }
    if (walk.frontendSwallow > 0) {
      if (run < pos) out.buffers.push(chunk.subarray(run, pos));
      const n = Math.min(walk.frontendSwallow, end - pos);
      walk.frontendSwallow -= n;
      pos += n;
      run = pos;
      continue;
    }
    if (end - pos < 5) {
      walk.frontend = collect(chunk, pos, 5 - (end - pos));
      break;
    }
    const type = chunk[pos] as number;
    const length = chunk.readInt32BE(pos + 1);
    checkLength(walk, type, length);
    const next = pos + 1 + length;

    if (type === 0x64 /* CopyData */) {
      walk.copySync = false;
      if (walk.skipping || walk.copyRefused) {
        walk.frontendSwallow = 1 + length;
      } else walk.frontendStream = 1 + length;
      continue;
    }
    if (
      !walk.skipping &&
      length > walk.limits.statementBytes &&
      textBytes(type, length) > walk.limits.statementBytes
    ) {
      // Too large to be read: the message is swallowed as it comes and refused in its place.
      if (run < pos) out.buffers.push(chunk.subarray(run, pos));
      out.buffers.push(
        ...(type === 0x51 ? refuseLargeQuery(walk) : refuseLargeParse(walk, nameIn(chunk, pos + 5))),
      );
      out.level = walk.durability;
      run = pos;
      walk.frontendSwallow = 1 + length;
      continue;
    }
    if (next > end) {
      if (!walk.large.take(walk, length))
        throw new ProtocolError("too many large messages are on their way through the gateway", "53200");
      walk.frontend = collect(chunk, pos, next - end);
      break;
    }

    const before = walk.audit.size;
    walk.asked = null;
    walk.beside = false;
    const verdict = dispatch(walk, type, chunk.subarray(pos + 5, next), chunk, pos);
    if (joinsBatch(type) && verdict !== "later" && walk.stall?.until !== "read") walk.unsynced = true;
    if (walk.audit.size !== before) recorded(walk, out);
    if (verdict === "later") {
      if (run < pos) out.buffers.push(chunk.subarray(run, pos));
      run = pos;
      if (unflushed(walk)) out.buffers.push(flush);
    } else {
      if (verdict !== "forward") {
        if (run < pos) out.buffers.push(chunk.subarray(run, verdict === "forward-flush" ? next : pos));
        else if (verdict === "forward-flush") out.buffers.push(chunk.subarray(pos, next));
        if (verdict === "forward-flush") out.buffers.push(flush);
        else out.buffers.push(...verdict);
        run = next;
      }
      pos = next;
    }
    if (walk.leaving) {
      run = pos;
      break;
    }
    if (walk.stall !== null) {
      if (pos < end) {
        const rest = chunk.subarray(pos, end);
        walk.stalled.unshift(rest);
        walk.stalledBytes += rest.length + holdCost;
      }
      break;
    }
  }
  if (run < pos) out.buffers.push(piece(chunk, run, pos));
  send(walk, out.buffers, out.level);
  // What waits before it is sent need not be waited for a second time.
  if (out.beside !== null && out.level === "process") walk.toClient.hold(out.beside);
  if (walk.leaving) walk.onLeaving();
}

/** P, B, C, D and E: up to the next Sync the server takes them as one. A text that is read aside has not been sent yet. */
function joinsBatch(type: number): boolean {
  return type === 0x50 || (type >= 0x42 && type <= 0x45);
}

/** The message at hand is on the log: what is sent of it waits, or else its answer does. */
function recorded(walk: Walk, out: Output): void {
  const asked = walk.asked ?? walk.durability;
  if (walk.beside && asked !== "process") out.beside = stronger(out.beside ?? asked, asked);
  const level = walk.beside ? "process" : asked;
  out.level = stronger(out.level ?? level, level);
}

function checkLength(walk: Walk, type: number, length: number): void {
  const limit = frontendLimits[type] ?? 0;
  if (limit === 0) throw new ProtocolError(`invalid frontend message type ${type}`);
  if (length < 4 || length > limit)
    throw new ProtocolError(`invalid length ${length} of message "${String.fromCharCode(type)}"`);
  if (type !== 0x64 && length > walk.limits.messageBytes) {
    throw new ProtocolError(
      `message "${String.fromCharCode(type)}" of ${length} bytes is larger than the limit of ${walk.limits.messageBytes}`,
      "54000",
    );
  }
}

function dispatch(walk: Walk, type: number, body: Buffer, chunk: Buffer, at: number): Verdict {
  if (walk.skipping && type !== 0x53 && type !== 0x58) return [];
  // What runs may need the end of its copy, or the Sync behind it, to be answered.
  if (walk.closing && type !== 0x53 && type !== 0x58 && type !== 0x63 && type !== 0x66) return [];
  // A client that was told of the refusal need not end its copy.
  if (type !== 0x63 && type !== 0x66) walk.copyRefused = false;
  switch (type) {
    case 0x51: // Q
      endSegment(walk);
      return onQuery(walk, body);
    case 0x50: // P
      return onParse(walk, body);
    case 0x42: // B
      return onBind(walk, body, chunk, at);
    case 0x44: // D
      return onDescribe(walk, body);
    case 0x45: // E
      return onExecute(walk, body, chunk, at);
    case 0x43: // C
      return onClose(walk, body);
    case 0x53: // S
      if (body.length !== 0) throw new ProtocolError("Sync has no body");
      return onSync(walk);
    case 0x48: // H
      if (body.length !== 0) throw new ProtocolError("Flush has no body");
      endSegment(walk);
      return "forward";
    case 0x46: // F
      endSegment(walk);
      return onFunctionCall(walk, body);
    case 0x63: // c
    case 0x66: // f
      if (walk.copyRefused) {
        walk.copyRefused = false;
        return [];
      }
      walk.copyIn = false;
      walk.copySync = false;
      if (queueLength(walk.queue) === 0) return "forward";
      pushCopyEnd(walk.queue, walk.batch);
      return awaitNames(walk);
    case 0x58: // X
      walk.leaving = true;
      return [];
    default:
      throw new ProtocolError(`unexpected frontend message type ${type}`);
  }
}

/** What the name and the types of a Parse take at most, beside a text that is as long as it may be. */
const parseRoom = 2048;

/** Of a Parse that is not read: "" where it gives no name, null where it gives one. */
function nameIn(chunk: Buffer, at: number): "" | null {
  return chunk[at] === 0 ? "" : null;
}

/** What a message of `length` holds of SQL at least; 0: none. Of a Parse it may be more: onParse() counts. */
function textBytes(type: number, length: number): number {
  if (type === 0x51 /* Query */) return length - 5;
  return type === 0x50 /* Parse */ ? length - parseRoom : 0;
}
