/**
 * Step `relay`: the server's bytes → the client. Rows pass as the slices they came in, counted and digested but not looked
 * into; other messages are small and are matched with what is expected (queue.ts). A message that makes no sense where it
 * comes ends the session: a relay that has lost its place must not guess.
 */

import { AuditUnavailable } from "../../audit/index.ts";
import type { Durability } from "../../facts/audit.ts";
import { backendLimits, ProtocolError } from "../../protocol/index.ts";
import { admit, withinBytes } from "./admit.ts";
import { cutFunction } from "./answer/back.ts";
import { answer } from "./answer/index.ts";
import { endsCopy, mayEndCopy, uncount } from "./copied.ts";
import { collect, gather, piece } from "./gather.ts";
import { copyMaskerOf, type Guard, maskerOf } from "./guard.ts";
import { Kind, maxQueued, queueHead, queueLength, runningGuard, shift } from "./queue.ts";
import type { Walk } from "./state.ts";

const DATA_ROW = 0x44;
const COPY_DATA = 0x64;
const FUNCTION_RESPONSE = 0x56;
const NOTIFICATION = 0x41;
const PARAMETER_STATUS = 0x53;

/** Bounds on the length field of a row, the lower one with the count of its values. */
const minRow = 6;
const maxRow = backendLimits[DATA_ROW] ?? 0;

/** The server's tree of a statement, and rows of its catalog, are small messages beside this. */
const maxOwnMessage = 64 * 1024 * 1024;

/** Messages that are held back until they are whole are small by nature; rows and copy data are not among them. */
const maxHeldMessage = 16 * 1024 * 1024;

/** Takes what the server sent. Throws ProtocolError on bytes that cannot come here. */
export function relay(walk: Walk, first: Buffer): void {
  walk.counters.bytesOut += first.length;
  let chunk = first;
  if (walk.backend !== null) {
    const whole = gather(walk.backend, chunk);
    if (whole === null) return;
    chunk = whole;
    walk.backend = null;
  }

  const out: Buffer[] = [];
  const before = walk.audit.size;
  const end = chunk.length;
  const { result } = walk;
  let pos = 0;
  let run = 0;
  // Rows that follow each other are digested, or masked, in one piece.
  let rows = -1;
  let masked = -1;
  let guard: Guard | null = null;
  /** Ends a run of rows at `to`. */
  const endRows = (to: number): void => {
    if (rows >= 0) digestRows(walk, chunk, rows, to);
    if (masked >= 0 && guard !== null) {
      const bytes = withinBytes(walk, guard, maskRows(walk, guard, chunk, masked, to));
      digestRows(walk, bytes, 0, bytes.length);
      out.push(bytes);
      run = to;
    }
    rows = -1;
    masked = -1;
  };
  while (pos < end) {
    if (walk.backendSwallow > 0) {
      const n = Math.min(walk.backendSwallow, end - pos);
      walk.backendSwallow -= n;
      pos += n;
      run = pos;
      continue;
    }
    if (walk.backendStream > 0) {
      const n = Math.min(walk.backendStream, end - pos);
      if (walk.backendStreamType !== FUNCTION_RESPONSE && rows < 0) {
        rows = pos;
        const head = queueHead(walk.queue);
        guard = head === undefined ? null : runningGuard(head);
      }
      walk.backendStream -= n;
      pos += n;
      continue;
    }
    if (end - pos < 5) {
      endRows(pos);
      walk.backend = collect(chunk, pos, 5 - (end - pos));
      break;
    }
    const type = chunk[pos] as number;
    const length =
      ((chunk[pos + 1] as number) << 24) |
      ((chunk[pos + 2] as number) << 16) |
      ((chunk[pos + 3] as number) << 8) |
      (chunk[pos + 4] as number);
    if (walk.own !== null) {
      const next = pos + 1 + length;
      checkLength(type, length);
      if (length > maxOwnMessage)
        throw new ProtocolError("the server's answer about a statement is too large");
      if (next > end) {
        if (run < pos) out.push(chunk.subarray(run, pos));
        run = end;
        walk.backend = collect(chunk, pos, next - end);
        break;
      }
      if (run < pos) out.push(chunk.subarray(run, pos));
      // What comes unasked is the client's: notifications, and settings that the operator changed.
      if (type === NOTIFICATION || type === PARAMETER_STATUS) {
        out.push(answer(walk, type, chunk, pos + 5, next) ?? chunk.subarray(pos, next));
      } else if (ownAnswer(walk, type, chunk.subarray(pos + 5, next))) out.push(chunk.subarray(pos, next));
      run = next;
      pos = next;
      continue;
    }
    if (type === DATA_ROW || type === COPY_DATA) {
      if (length < (type === DATA_ROW ? minRow : 4) || length > maxRow)
        throw new ProtocolError("the server sent a row of impossible length");
      const next = pos + 1 + length;
      if (rows < 0 && masked < 0) {
        const head = queueHead(walk.queue);
        if (head === undefined || head.errored || (head.kind !== Kind.execute && head.kind !== Kind.query))
          throw new ProtocolError("the server sent a row where none was expected");
        guard = runningGuard(head);
        if (result.firstRow === 0) result.firstRow = performance.now();
      }
      if (type === COPY_DATA && mayEndCopy(length)) {
        if (next > end) {
          endRows(pos);
          if (run < pos) out.push(chunk.subarray(run, pos));
          run = end;
          walk.backend = collect(chunk, pos, next - end);
          break;
        }
        if (guard?.cut == null && endsCopy(chunk, pos, length)) uncount(walk, guard);
      }
      if (guard !== null) {
        const hides = guard.judgement.plan !== null;
        if (hides && next > end && guard.cut === null) {
          // A row that is to be masked is looked at whole.
          if (length > maxHeldMessage)
            throw new ProtocolError(`a row that must be masked is larger than ${maxHeldMessage} bytes`);
          endRows(pos);
          if (run < pos) out.push(chunk.subarray(run, pos));
          run = end;
          walk.backend = collect(chunk, pos, next - end);
          break;
        }
        if (!admit(walk, guard, hides ? 0 : length + 1)) {
          endRows(pos);
          if (run < pos) out.push(chunk.subarray(run, pos));
          run = pos;
          walk.backendSwallow = 1 + length;
          continue;
        }
        if (hides) {
          if (masked < 0) {
            if (run < pos) out.push(chunk.subarray(run, pos));
            run = pos;
            masked = pos;
          }
          result.rows++;
          pos = next;
          continue;
        }
      }
      if (rows < 0) rows = pos;
      result.rows++;
      if (next > end) {
        walk.backendStream = next - end;
        walk.backendStreamType = type;
        pos = end;
      } else pos = next;
      continue;
    }
    endRows(pos);
    checkLength(type, length);
    if (type === FUNCTION_RESPONSE) {
      const head = queueHead(walk.queue);
      if (head?.kind !== Kind.functionCall)
        throw new ProtocolError("the server sent a function's result where none was expected");
      const cut = cutFunction(walk, head, 1 + length);
      if (cut !== null) {
        if (run < pos) out.push(chunk.subarray(run, pos));
        out.push(cut);
        run = pos;
        walk.backendSwallow = 1 + length;
        continue;
      }
      result.bytes += 1 + length;
      walk.backendStream = 1 + length;
      walk.backendStreamType = type;
      continue;
    }
    const next = pos + 1 + length;
    if (next > end) {
      if (length > maxHeldMessage)
        throw new ProtocolError(`the server sent a message of ${length} bytes that must be read whole`);
      walk.backend = collect(chunk, pos, next - end);
      break;
    }
    let replaced: Buffer | null;
    try {
      replaced = answer(walk, type, chunk, pos + 5, next);
    } catch (error) {
      // What came before it was in order, and ends at a message boundary.
      if (run < pos) out.push(chunk.subarray(run, pos));
      if (out.length > 0) walk.toClient.write(out, null);
      throw error;
    }
    if (replaced !== null) {
      if (run < pos) out.push(chunk.subarray(run, pos));
      if (replaced.length > 0) out.push(replaced);
      run = next;
    }
    pos = next;
  }
  endRows(pos);
  if (run < pos) out.push(piece(chunk, run, pos));
  // Strict: nobody learns of an outcome that is not on the record.
  const unsaid = walk.auditLost && (walk.durability === "strict" || walk.unsaid);
  if (out.length > 0 && !unsaid) deliver(walk, out, before);
  // After what is in order: the error that ends the session must not come in the middle of a row.
  if (walk.auditLost) walk.fail(auditLost, "audit unavailable");
  if (walk.drained !== null && (queueLength(walk.queue) === 0 || walk.copyIn)) {
    const { drained } = walk;
    walk.drained = null;
    drained();
  }
  if (walk.wake) {
    walk.wake = false;
    walk.resume();
  } else if (walk.crowded && queueLength(walk.queue) < maxQueued / 2) walk.readOn();
}

const auditLost = {
  sqlstate: "58030",
  message: "the audit log is unavailable; the session ends, open transactions are rolled back",
};

function deliver(walk: Walk, out: readonly Buffer[], before: number): void {
  // In strict mode the client learns of an outcome only when its record is durable.
  const strict = walk.unsaid || (walk.durability === "strict" && walk.audit.size !== before);
  const level: Durability | null = strict ? "strict" : null;
  walk.unsaid = false;
  if (!walk.toClient.write(out, level, walk.backendStream === 0)) walk.server.pause();
}

function digestRows(walk: Walk, chunk: Buffer, from: number, to: number): void {
  walk.result.bytes += to - from;
  if (walk.digestResults) walk.result.digest.update(chunk, from, to);
  capture(walk, chunk, from, to);
}

/** Rows or lines of a copy as the client may see them: whole messages in chunk[from, to). */
function maskRows(walk: Walk, guard: Guard, chunk: Buffer, from: number, to: number): Buffer {
  const masker =
    chunk[from] === COPY_DATA ? copyMaskerOf(walk, guard) : (guard.masker ?? maskerOf(walk, guard));
  if (walk.digestResults) {
    walk.result.source ??= walk.maskKeys.sourceDigest();
    walk.result.source.update(chunk, from, to);
  }
  masker.maskInto(chunk, from, to, walk.maskOutput);
  return walk.maskOutput.take();
}

/** A message of an exchange of the gateway's own; true: the client waits for it, too. */
function ownAnswer(walk: Walk, type: number, body: Buffer): boolean {
  const { own } = walk;
  if (own === null) return false;
  own.onFrame({ type, body });
  if (type !== 0x5a) return false;
  const status = body[0];
  walk.transaction = status === 0x54 ? "T" : status === 0x45 ? "E" : "I";
  shift(walk.queue);
  walk.own = null;
  own.done();
  return own.tell;
}

/** Keeps delivered rows where the settings ask for it. A part that cannot be stored ends the log, and the session with it. */
function capture(walk: Walk, chunk: Buffer, from: number, to: number): void {
  const { result } = walk;
  if (result.capture === undefined) result.capture = walk.audit.capture();
  if (result.capture === null) return;
  try {
    result.capture.add(chunk, from, to);
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    walk.auditLost = true;
  }
}

function checkLength(type: number, length: number): void {
  const limit = backendLimits[type] ?? 0;
  if (limit === 0) throw new ProtocolError(`the server sent an unknown message type ${type}`);
  if (length < 4 || length > limit)
    throw new ProtocolError(`the server sent message ${type} with impossible length ${length}`);
}
