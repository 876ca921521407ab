/** One backend message (not a row) matched with what is expected of the server. */
import type { ColumnsContext } from "../../audit/index.ts";
import {
  decodeErrorFields,
  decodeParameterDescription,
  decodeParameterStatus,
  decodeRowDescription,
  ProtocolError,
  sync,
  typeName,
} from "../../protocol/index.ts";
import { conclude, concludeSkipped, concludeUnknown } from "./conclude.ts";
import { dropPortals, settleChange, undo } from "./names.ts";
import {
  copyEndIsQueued,
  dropCopyEnd,
  dropSyncsDuringCopy,
  type Expected,
  expected,
  Kind,
  push,
  queueHead,
  queueLength,
  shift,
  skipToSync,
} from "./queue.ts";
import { refusalError } from "./refuse.ts";
import { onSetting } from "./settings.ts";
import type { Walk } from "./state.ts";

/**
 * Takes a whole message, body at [start, end) of `chunk`. Gives null to forward it unchanged, else the bytes to send in its
 * place (none: swallow). Throws ProtocolError when it is not an answer to anything outstanding.
 */
export function answer(walk: Walk, type: number, chunk: Buffer, start: number, end: number): Buffer | null {
  const { queue } = walk;
  switch (type) {
    case 0x31: // ParseComplete
      return done(walk, take(walk, Kind.parse, type));
    case 0x32: // BindComplete
      return done(walk, take(walk, Kind.bind, type));
    case 0x33: // CloseComplete
      return done(walk, take(walk, Kind.close, type));
    case 0x74: {
      // ParameterDescription: RowDescription or NoData follows for the same Describe.
      const head = headOf(walk, type);
      if (head.kind !== Kind.describeStatement) throw unexpected(type);
      if (head.statement !== null) {
        head.statement.types = decodeParameterDescription(chunk.subarray(start, end)).types;
        head.statement.typesJson = null;
      }
      return null;
    }
    case 0x6e: // NoData
      return done(walk, takeDescribe(walk, type));
    case 0x54: {
      // RowDescription
      const head = headOf(walk, type);
      const columns = columnsOf(walk, chunk, start, end);
      if (head.kind === Kind.query) walk.result.columns = columns;
      else {
        const entry = takeDescribe(walk, type);
        if (entry.statement !== null) entry.statement.columns = columns;
        done(walk, entry);
      }
      return null;
    }
    case 0x43: // CommandComplete
      return commandComplete(walk, chunk.toString("latin1", start, end - 1));
    case 0x49: // EmptyQueryResponse
      return commandComplete(walk, "");
    case 0x73: {
      // PortalSuspended: more rows remain for a later Execute.
      const entry = take(walk, Kind.execute, type);
      conclude(walk, entry, "ok", null, null, false);
      return done(walk, entry);
    }
    case 0x45: // ErrorResponse
      return errorResponse(walk, chunk.subarray(start, end));
    case 0x5a: // ReadyForQuery
      return readyForQuery(walk, chunk, start, end);
    case 0x53: {
      // ParameterStatus
      const { name, value } = decodeParameterStatus(chunk.subarray(start, end));
      onSetting(walk, name, value);
      return null;
    }
    case 0x4e: // NoticeResponse
    case 0x41: // NotificationResponse
      return null;
    case 0x47: {
      // CopyInResponse
      const head = copyHead(walk, type);
      head.copying = true;
      walk.copyIn = !copyEndIsQueued(queue);
      dropSyncsDuringCopy(queue);
      unstall(walk, head);
      return null;
    }
    case 0x48: // CopyOutResponse
      copyHead(walk, type);
      return null;
    case 0x63: // CopyDone
      copyHead(walk, type);
      return null;
    default:
      // Authentication, BackendKeyData, CopyBothResponse … have no place in a session that is under way.
      throw unexpected(type);
  }
}

function unexpected(type: number): ProtocolError {
  return new ProtocolError(`the server sent message ${type} where none such was expected`);
}

function headOf(walk: Walk, type: number): Expected {
  const head = queueHead(walk.queue);
  if (head === undefined || head.errored) throw unexpected(type);
  return head;
}

function take(walk: Walk, kind: Kind, type: number): Expected {
  const head = headOf(walk, type);
  if (head.kind !== kind || head.refusal !== null) throw unexpected(type);
  shift(walk.queue);
  return head;
}

function takeDescribe(walk: Walk, type: number): Expected {
  const head = headOf(walk, type);
  if ((head.kind !== Kind.describeStatement && head.kind !== Kind.describePortal) || head.refusal !== null)
    throw unexpected(type);
  shift(walk.queue);
  return head;
}

function copyHead(walk: Walk, type: number): Expected {
  const head = headOf(walk, type);
  if (head.kind !== Kind.execute && head.kind !== Kind.query) throw unexpected(type);
  return head;
}

function done(walk: Walk, entry: Expected): null {
  settleChange(walk.names, entry);
  unstall(walk, entry);
  return null;
}

/** What stalled goes on once this chunk of the server's is on its way to the client. */
function unstall(walk: Walk, entry: Expected): void {
  if (walk.stall?.until !== "answered" || walk.stall.entry !== entry) return;
  walk.stall = null;
  walk.wake = true;
}

function commandComplete(walk: Walk, tag: string): null {
  const head = headOf(walk, 0x43);
  if (head.refusal !== null && !head.copying) throw unexpected(0x43);
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

function errorResponse(walk: Walk, body: Buffer): Buffer | null {
  const { queue } = walk;
  const head = queueHead(queue);
  const missingSync = walk.copyIn && walk.copySync;
  walk.copyIn = false;
  walk.copySync = false;
  const fields = decodeErrorFields(body);
  const sqlstate = fields.get("C") ?? "XX000";
  const severity = fields.get("V") ?? fields.get("S") ?? "ERROR";
  if (head === undefined || severity === "FATAL" || severity === "PANIC") {
    walk.fatal = true;
    // The server ends the session: what it was working on failed with this error, what is behind it never ran.
    if (head?.run != null && !head.errored) conclude(walk, head, "error", sqlstate, null, false);
    for (let entry = shift(queue); entry !== undefined; entry = shift(queue))
      concludeSkipped(walk, entry, sqlstate);
    return null;
  }
  if (head.kind === Kind.sync) {
    // Sync commits what the batch did; that failed (a deferred constraint, a serialization failure). ReadyForQuery follows.
    head.errored = true;
    walk.counters.errors++;
    return null;
  }
  const { refusal } = head;
  const status = refusal !== null ? "cut" : sqlstate === "57014" ? "cancelled" : "error";
  if (head.run !== null) conclude(walk, head, status, refusal?.sqlstate ?? sqlstate, null, false);
  walk.counters.errors++;
  if (head.kind === Kind.query || head.kind === Kind.functionCall) {
    head.errored = true;
    concludeSkipped(walk, head, sqlstate);
  } else {
    const skipped = skipToSync(queue);
    // No Sync was sent yet: the server throws away whatever comes before it, and so do we.
    if (queueLength(queue) === 0) walk.skipping = !missingSync;
    for (const entry of skipped) {
      if (entry.change !== null) undo(walk.names, entry.change);
      settleChange(walk.names, entry);
      if (entry !== head) concludeSkipped(walk, entry, sqlstate);
      unstall(walk, entry);
    }
  }
  if (missingSync) {
    // The copy had failed before the server could have seen the client's Sync, which now has its answer.
    push(queue, expected(Kind.sync, walk.batch++, null, null, null));
    walk.toServer.write([sync], null, true);
  }
  return refusal === null ? null : refusalError(refusal);
}

function readyForQuery(walk: Walk, chunk: Buffer, start: number, end: number): Buffer | null {
  const head = queueHead(walk.queue);
  const status = chunk[start];
  if (head === undefined || end - start !== 1) throw unexpected(0x5a);
  if (head.kind !== Kind.sync && head.kind !== Kind.query && head.kind !== Kind.functionCall)
    throw unexpected(0x5a);
  if (status === 0x49) walk.transaction = "I";
  else if (status === 0x54) walk.transaction = "T";
  else if (status === 0x45) walk.transaction = "E";
  else throw new ProtocolError("the server sent an unknown transaction status");
  if (head.run !== null && !head.errored) {
    if (head.kind === Kind.functionCall) conclude(walk, head, "ok", null, null, true);
    // The parser told more statements apart than the server answered: what became of them was not seen.
    else concludeUnknown(walk, head);
  }
  shift(walk.queue);
  if (head.batch >= walk.unsettledBatch) walk.unsettledBatch = -1;
  if (walk.transaction === "I") {
    dropPortals(walk.names, head.batch);
    walk.touched = false;
  }
  unstall(walk, head);
  if (queueLength(walk.queue) > 0) return null;
  walk.unsynced = false;
  walk.onIdle();
  return null;
}

/** The same result descriptions come over and over: one pre-serialised record for each, bounded. */
const maxColumnsCache = 4096;
const maxColumnsKey = 16 * 1024;

function columnsOf(walk: Walk, chunk: Buffer, start: number, end: number): ColumnsContext {
  const key = end - start <= maxColumnsKey ? chunk.toString("latin1", start, end) : null;
  if (key !== null) {
    const known = walk.columnsCache.get(key);
    if (known !== undefined) return known;
  }
  const { fields } = decodeRowDescription(chunk.subarray(start, end));
  const columns = walk.audit.columns(
    fields.map((f) => ({ name: f.name, type: typeName(f.typeOid), origin: null, masked: false })),
  );
  if (key !== null) {
    if (walk.columnsCache.size >= maxColumnsCache) walk.columnsCache.clear();
    walk.columnsCache.set(key, columns);
  }
  return columns;
}
