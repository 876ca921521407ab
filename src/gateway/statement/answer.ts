/** One backend message (not a row) matched with what is expected of the server. */
import type { ColumnsContext } from "../../audit/index.ts";
import { columnText } from "../../catalog/index.ts";
import { scrubError, scrubNotice } from "../../masking/index.ts";
import {
  decodeErrorFields,
  decodeParameterDescription,
  decodeParameterStatus,
  decodeRowDescription,
  encodeBackend,
  flush,
  ProtocolError,
  sync,
  typeName,
} from "../../protocol/index.ts";
import type { View } from "../analyst/index.ts";
import { noteIdle } from "./ask.ts";
import { conclude, concludeSkipped, concludeUnknown } from "./conclude.ts";
import { causeOf, noteFailed, noteReady } from "./fate.ts";
import { checkColumns, copyMaskerOf, describe, notCountable, tooManyAffected } from "./guard.ts";
import { textWithoutNames, withoutNames } from "./hidden.ts";
import type { Judgement } from "./judgement.ts";
import { dropPortals, settleChange, undo } from "./names.ts";
import {
  copyEndIsQueued,
  dropCopyEnd,
  dropSyncsDuringCopy,
  type Expected,
  expected,
  firstRun,
  Kind,
  push,
  queueHead,
  queueLength,
  runningGuard,
  shift,
  skipToSync,
} from "./queue.ts";
import { poisonExtended, poisonQuery, type Refusal, refusalError } from "./refuse.ts";
import { reissueEnd } from "./reissue.ts";
import { onSetting } from "./settings.ts";
import type { Walk } from "./state.ts";

/**
 * Takes a whole message, body at [start, end) of `chunk`. Gives null to forward it unchanged, else the bytes to send in its
 * place (none: swallow). Throws ProtocolError when it is not an answer to anything outstanding.
 */
export function answer(walk: Walk, type: number, chunk: Buffer, start: number, end: number): Buffer | null {
  const { queue } = walk;
  if (unsaid.has(type) && isTakenBack(walk)) return passBehind(walk, type);
  switch (type) {
    case 0x31: // ParseComplete
      if (isReissued(walk)) return nothing;
      return done(walk, take(walk, Kind.parse, type));
    case 0x32: // BindComplete
      if (isReissued(walk)) return nothing;
      return done(walk, take(walk, Kind.bind, type));
    case 0x33: // CloseComplete
      if (isReissued(walk)) return nothing;
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
    case 0x6e: {
      // NoData
      if (isReissued(walk)) return nothing;
      const entry = takeDescribe(walk, type);
      done(walk, entry);
      return entry.special?.swallow === true ? nothing : null;
    }
    case 0x54: {
      // RowDescription
      const head = headOf(walk, type);
      const judged =
        head.kind === Kind.query ? (runningGuard(head)?.judgement ?? null) : (head.statement?.judged ?? null);
      const columns = columnsOf(walk, chunk, start, end, judged);
      if (head.kind === Kind.query) {
        walk.result.columns = columns;
        const guard = runningGuard(head);
        if (guard !== null) describe(walk, guard, decodeRowDescription(chunk.subarray(start, end)).fields);
        return null;
      }
      const entry = takeDescribe(walk, type);
      if (entry.statement !== null) entry.statement.columns = columns;
      const portal = entry.special?.portal ?? null;
      if (portal !== null) {
        portal.fields = decodeRowDescription(chunk.subarray(start, end)).fields;
        if (portal.bound !== null) checkColumns(portal.bound, portal.fields);
      }
      done(walk, entry);
      return entry.special?.swallow === true ? nothing : null;
    }
    case 0x43: // CommandComplete
      return commandComplete(walk, chunk.toString("latin1", start, end - 1));
    case 0x49: // EmptyQueryResponse
      return commandComplete(walk, "");
    case 0x73: {
      // PortalSuspended: more rows remain for a later Execute.
      const cut = cutAtEnd(walk);
      if (cut !== undefined) return cut;
      // All of it is done, though the client asked for some of its rows only; nothing tells how many were changed.
      const back = takenBack(walk, headOf(walk, type), "");
      if (back !== null) return back;
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
      return walk.guard !== null && walk.guard.scrub >= 0
        ? scrubNotice(chunk.subarray(start, end), queueHead(queue)?.run?.request ?? "", (_field, name) =>
            mayBeNamed(walk.guard?.view ?? null, name),
          )
        : null;
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
    case 0x63: {
      // CopyDone
      const guard = runningGuard(copyHead(walk, type));
      // A copy that was cut off ends with an error, whether or not the server was done with it by then.
      if (guard?.cut != null && guard.swallowed) return nothing;
      if (guard === null || guard.judgement.plan === null) return null;
      const rest = copyMaskerOf(walk, guard).end();
      return rest === null ? null : Buffer.concat([rest, encodeBackend({ type: "copyDone" })]);
    }
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

const nothing = Buffer.alloc(0);

/** ParseComplete, BindComplete, CloseComplete, ParameterDescription, RowDescription, NoData. */
const unsaid: ReadonlySet<number> = new Set([0x31, 0x32, 0x33, 0x74, 0x54, 0x6e]);

/**
 * The answer to a message behind a statement that is being taken back: the client does not get it, as it would not behind
 * an error, but the server did what it says.
 */
function passBehind({ queue, names }: Walk, type: number): Buffer {
  const entry = queue.items[queue.head + 1];
  if (entry === undefined) throw unexpected(type);
  if (type !== 0x74) {
    queue.items.splice(queue.head + 1, 1);
    settleChange(names, entry);
  }
  return nothing;
}

/** The head is an Execute that is over, and whose refusal is on its way. */
function isTakenBack(walk: Walk): boolean {
  const head = queueHead(walk.queue);
  return head !== undefined && head.kind === Kind.execute && head.refusal !== null && !head.copying;
}

/**
 * How the batch can be made to fail behind the Execute at the head, before anything else of it runs: "refuse" it; it "fails"
 * by itself, for a refusal is on its way. null: a statement or the Sync is on its way.
 */
function endingBehind({ queue }: Walk): "refuse" | "fails" | null {
  for (let i = queue.head + 1; i < queue.items.length; i++) {
    const entry = queue.items[i];
    if (entry === undefined || entry.run !== null || entry.kind === Kind.sync) return null;
    if (entry.refusal !== null) return "fails";
  }
  return "refuse";
}

/** The head is a Query that went on as messages of the extended protocol: their answers are not the client's. */
function isReissued(walk: Walk): boolean {
  const head = queueHead(walk.queue);
  return head?.special?.reissued === true && !head.errored;
}

/**
 * The server has ended a statement of which the client may not have everything: its end becomes the error. undefined: it is
 * not cut off. What the transaction holds must fail with it, or the session ends.
 */
function cutAtEnd(walk: Walk): Buffer | undefined {
  const head = queueHead(walk.queue);
  if (head === undefined) return undefined;
  const guard = runningGuard(head);
  if (guard === null || guard.cut === null) return undefined;
  const { cut } = guard;
  if (!guard.swallowed) {
    // It was done before it could be cancelled, and the client has all of it.
    guard.cut = null;
    return undefined;
  }
  if (head.special?.reissued === true) {
    head.refusal = cut;
    walk.toServer.write([poisonExtended(walk.poison), sync], null);
    return nothing;
  }
  const ending = head.kind === Kind.execute && !walk.copyIn ? endingBehind(walk) : null;
  if (ending !== null) {
    head.refusal = cut;
    if (ending === "fails") return nothing;
    // What the client sends before its Sync is skipped, as behind every error.
    walk.skipping = true;
    walk.toServer.write([poisonExtended(walk.poison), flush], null);
    return nothing;
  }
  const wrote = guard.judgement.facts.effects.includes("write");
  const last = head.run === null || head.run.at === head.run.parts.length - 1;
  const behind = walk.queue.items[walk.queue.head + 1];
  const onlySync = head.kind === Kind.query || behind === undefined || behind.kind === Kind.sync;
  if (wrote || !last || !onlySync) {
    conclude(walk, head, "cut", cut.sqlstate, null, false);
    walk.fail({ sqlstate: cut.sqlstate, message: cut.message, hint: cut.hint }, "a limit was reached");
    return nothing;
  }
  conclude(walk, head, "cut", cut.sqlstate, null, false);
  walk.counters.errors++;
  walk.mustAbort = cut;
  if (head.kind === Kind.query) head.errored = true;
  else {
    shift(walk.queue);
    done(walk, head);
    if (behind === undefined) walk.skipping = true;
  }
  return tell(walk, cut);
}

/** The server has changed more rows than it may: what it did is made to fail. null: it has not. */
function takenBack(walk: Walk, head: Expected, tag: string): Buffer | null {
  const guard = runningGuard(head);
  const limit = guard?.judgement.decision?.limits.affectedRows ?? null;
  if (guard === null || limit === null || !guard.judgement.facts.effects.includes("write")) return null;
  const rows = Number(/ (\d+)$/.exec(tag)?.[1] ?? Number.NaN);
  if (rows <= limit) return null;
  if (head.special?.alone !== true) {
    walk.fail(
      { sqlstate: "XX000", message: "internal error: a limit on changed rows was not kept" },
      "a limit on changed rows was not kept",
    );
    return nothing;
  }
  head.refusal = {
    ...(Number.isNaN(rows) ? notCountable : tooManyAffected(guard, rows)),
    request: head.run?.request ?? "",
  };
  walk.toServer.write([poisonExtended(walk.poison), ...(head.special.reissued ? [sync] : [flush])], null);
  return nothing;
}

function commandComplete(walk: Walk, tag: string): Buffer | null {
  const head = headOf(walk, 0x43);
  if (head.refusal !== null && !head.copying) throw unexpected(0x43);
  const cut = cutAtEnd(walk);
  if (cut !== undefined) return cut;
  const back = takenBack(walk, head, tag);
  if (back !== null) return back;
  if (head.special?.reissued === true) walk.toServer.write([...reissueEnd, sync], null);
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
    return scrubbed(walk, body, head?.run?.request);
  }
  if (head.kind === Kind.sync) {
    // Sync commits what the batch did; that failed (a deferred constraint, a serialization failure). ReadyForQuery follows.
    head.errored = true;
    walk.counters.errors++;
    noteFailed(walk, "commit_failed", sqlstate, "");
    return scrubbed(walk, body, head?.run?.request);
  }
  if (head.special?.reissued === true && head.refusal === null) walk.toServer.write([sync], null);
  // Planning, too, takes its time: then it is the Bind that fails.
  const running = sqlstate === "57014" ? firstRun(queue) : null;
  const cut = running === null ? null : (runningGuard(running)?.cut ?? null);
  const refusal = head.refusal ?? cut;
  const failing = head.run?.parts[head.run.at] ?? null;
  noteFailed(
    walk,
    failing === null ? "error" : causeOf(failing),
    refusal?.sqlstate ?? sqlstate,
    head.run?.request ?? refusal?.request ?? "",
  );
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
  return refusal === null ? scrubbed(walk, body, head.run?.request) : tell(walk, refusal);
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
  if (queueLength(walk.queue) > 0) return null;
  walk.unsynced = false;
  walk.onIdle();
  return null;
}

function tell(walk: Walk, refusal: Refusal): Buffer {
  walk.watch?.refused(refusal);
  return refusalError(refusal);
}

/** The server's error as the client may see it; null: as it is. */
function scrubbed(walk: Walk, body: Buffer, request = ""): Buffer | null {
  const { guard } = walk;
  if (guard === null) return null;
  if (guard.scrub >= 0) return scrubError(body, request, (_field, name) => mayBeNamed(guard.view, name));
  const fields = decodeErrorFields(body);
  const kept = withoutNames(guard.view, fields);
  return kept === fields ? null : encodeBackend({ type: "error", fields: kept });
}

/** A column's name, or a constraint's that was made from it. */
function mayBeNamed(view: View | null, name: string): boolean {
  return textWithoutNames(view, name) === name;
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

/** The same result descriptions come over and over: one pre-serialised record for each, bounded. */
const maxColumnsCache = 4096;
const maxColumnsKey = 16 * 1024;

function columnsOf(
  walk: Walk,
  chunk: Buffer,
  start: number,
  end: number,
  judged: Judgement | null,
): ColumnsContext {
  const plan = judged?.plan ?? null;
  const catalog = judged?.view?.catalog ?? null;
  const hidden = plan === null ? "" : plan.columns.map((column) => (column === null ? 0 : 1)).join("");
  const key =
    end - start <= maxColumnsKey
      ? `${catalog === null ? "" : catalog.epoch}|${hidden}|${chunk.toString("latin1", start, end)}`
      : null;
  if (key !== null) {
    const known = walk.columnsCache.get(key);
    if (known !== undefined) return known;
  }
  const { fields } = decodeRowDescription(chunk.subarray(start, end));
  const columns = walk.audit.columns(
    fields.map((f, i) => ({
      name: f.name,
      type: typeName(f.typeOid),
      origin: catalog === null || f.table === 0 ? null : columnText(catalog, f.table, f.column),
      masked: plan?.columns[i] != null,
    })),
  );
  if (key !== null) {
    if (walk.columnsCache.size >= maxColumnsCache) walk.columnsCache.clear();
    walk.columnsCache.set(key, columns);
  }
  return columns;
}
