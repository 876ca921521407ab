/** One backend message (not a row) matched with what is expected of the server. */
import { scrubNotice } from "../../../masking/index.ts";
import {
  decodeParameterDescription,
  decodeParameterStatus,
  decodeRowDescription,
  encodeBackend,
} from "../../../protocol/index.ts";
import { conclude } from "../conclude.ts";
import { copyBegins } from "../copied.ts";
import { checkColumns, copyMaskerOf, describe } from "../guard.ts";
import { copyEndIsQueued, dropSyncsDuringCopy, Kind, queueHead, runningGuard } from "../queue.ts";
import { onSetting } from "../settings.ts";
import type { Walk } from "../state.ts";
import { cutAtEnd, isTakenBack, passBehind, takenBack, unsaid } from "./back.ts";
import { columnsOf } from "./columns.ts";
import { commandComplete, readyForQuery } from "./ends.ts";
import { errorResponse, mayBeNamed } from "./failed.ts";
import { copyHead, done, headOf, nothing, take, takeDescribe, unexpected, unstall } from "./heads.ts";

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
      planned(walk);
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
      copyBegins(walk, copyHead(walk, type));
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

/** The head is a Query that went on as messages of the extended protocol: their answers are not the client's. */
function isReissued(walk: Walk): boolean {
  const head = queueHead(walk.queue);
  return head?.special?.reissued === true && !head.errored;
}

/** A Bind was done before it could be cancelled. */
function planned({ queue }: Walk): void {
  const head = queueHead(queue);
  if (head?.kind === Kind.bind) head.refusal = null;
}
