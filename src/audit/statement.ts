/**
 * The hot path: statement.intent and statement.outcome (SPEC section 5), written piece by piece into the batch. Fixed parts are
 * ready bytes; joining strings first would cost three times as much as writing them one after the other.
 * When they are built: pending.ts.
 */
import type { GroupCommit } from "./commit.ts";
import { endLeaf } from "./leaf.ts";
import { putLatin1, putNumber, putToken } from "./record/bytes.ts";
import { putStamp, stampBytes } from "./record/clock.ts";
import { type Delivered, deliveredDigest } from "./record/digest.ts";
import { putUuid, uuidBytes } from "./record/uuid.ts";
import {
  head,
  intentType,
  outcomeType,
  protocolText,
  putNullable,
  putText,
  stateByte,
  stateText,
  statusText,
  words,
  wordsRoom,
} from "./record/words.ts";
import type { Sealing } from "./sealing.ts";
import type { IntentFields, OutcomeFields, SessionContext } from "./types.ts";

/** A parameter list longer than this goes to a blob. */
const longList = 32 * 1024;

export interface Appender {
  readonly commit: GroupCommit;
  readonly sealing: Sealing;
  /** From the closing quote of an outcome's request to the index of its intent. */
  readonly outcomeRef: Buffer;
}

/** Builds the leaf of an intent of the given index, which began at `time` (microseconds). Throws AuditUnavailable when it is long and its blob cannot be stored. */
export function buildIntent(
  to: Appender,
  session: SessionContext,
  intent: IntentFields,
  time: number,
  index: number,
): void {
  const { commit, sealing } = to;
  const { batch } = commit;
  const { statement, decision, sealed } = intent;
  const parameters =
    intent.parameters.length > longList ? sealing.store(intent.parameters) : intent.parameters;
  const name = intent.name === "" ? '""' : JSON.stringify(intent.name);
  const portal = intent.portal === "" ? '""' : JSON.stringify(intent.portal);
  const place = sealing.seal(session.sealed === "" ? sealed : addMembers(sealed, session.sealed));
  const salt = batch.lastSalt;
  const { request } = intent;
  batch.reserve(
    wordsRoom +
      session.head.length +
      session.facts.length +
      statement.sql.length +
      statement.facts.length +
      decision.text.length +
      6 * request.length +
      3 * (name.length + portal.length + parameters.length),
  );
  const buf = batch.buf;
  const line = batch.pos;
  let p = line;
  buf.set(head, p);
  p += head.length;
  putUuid(buf, p);
  p += uuidBytes;
  buf.set(intentType, p);
  p += intentType.length;
  putStamp(buf, time, p);
  p += stampBytes;
  buf.set(session.head, p);
  p += session.head.length;
  p += putToken(buf, request, p);
  buf.set(session.facts, p);
  p += session.facts.length;
  const protocol = protocolText[intent.protocol];
  buf.set(protocol, p);
  p += protocol.length;
  p += putNumber(buf, intent.index, p);
  buf.set(statement.sql, p);
  p += statement.sql.length;
  p += sealing.putPlace(place, p);
  buf.set(statement.facts, p);
  p += statement.facts.length;
  buf[p++] = stateByte[intent.transaction];
  buf.set(words.name, p);
  p += words.name.length;
  p += putText(buf, name, p);
  buf.set(words.portal, p);
  p += words.portal.length;
  p += putText(buf, portal, p);
  buf.set(words.parameters, p);
  p += words.parameters.length;
  p += putText(buf, parameters, p);
  buf.set(decision.text, p);
  p += decision.text.length;
  endLeaf(commit, sealing.store, line, p);
  commit.open.set(index, salt);
}

/** Builds the leaf of an outcome of `time` (microseconds); `delivered`: what its digest is made of. Throws AuditUnavailable when it is long and its blob cannot be stored. */
export function buildOutcome(
  to: Appender,
  session: SessionContext,
  outcome: OutcomeFields,
  delivered: Delivered | null,
  time: number,
): void {
  const { commit, sealing } = to;
  const { batch } = commit;
  const { request, sqlstate, columns } = outcome;
  const tag = outcome.tag === null ? "null" : JSON.stringify(outcome.tag);
  let salt = commit.open.get(outcome.intent);
  let place: string | null = null;
  if (delivered !== null && salt === undefined) {
    // Not the first outcome of its intent: it brings a salt of its own.
    place = sealing.seal("{}");
    salt = batch.lastSalt;
  }
  const digest = delivered === null || salt === undefined ? null : deliveredDigest(delivered, salt);
  batch.reserve(
    wordsRoom +
      session.head.length +
      to.outcomeRef.length +
      (columns?.text.length ?? 0) +
      (outcome.capture?.length ?? 0) +
      6 * request.length +
      3 * tag.length,
  );
  const buf = batch.buf;
  const line = batch.pos;
  let p = line;
  buf.set(head, p);
  p += head.length;
  putUuid(buf, p);
  p += uuidBytes;
  buf.set(outcomeType, p);
  p += outcomeType.length;
  putStamp(buf, time, p);
  p += stampBytes;
  buf.set(session.head, p);
  p += session.head.length;
  p += putToken(buf, request, p);
  buf.set(to.outcomeRef, p);
  p += to.outcomeRef.length;
  p += putNumber(buf, outcome.intent, p);
  const status = statusText[outcome.status];
  buf.set(status, p);
  p += status.length;
  p += putText(buf, sqlstate === null ? "null" : stateText(sqlstate), p);
  buf.set(words.tag, p);
  p += words.tag.length;
  p += putText(buf, tag, p);
  buf.set(words.result, p);
  p += words.result.length;
  if (columns === null) p += putText(buf, "null", p);
  else {
    buf.set(columns.text, p);
    p += columns.text.length;
  }
  buf.set(words.rows, p);
  p += words.rows.length;
  p += putNumber(buf, outcome.rows, p);
  buf.set(words.bytes, p);
  p += words.bytes.length;
  p += putNumber(buf, outcome.bytes, p);
  const complete = outcome.complete ? words.complete : words.incomplete;
  buf.set(complete, p);
  p += complete.length;
  if (digest === null) p += putText(buf, "null", p);
  else {
    buf.set(words.digest, p);
    p += words.digest.length;
    p += putLatin1(buf, digest, p);
    buf[p++] = 0x22;
    buf[p++] = 0x7d;
  }
  if (outcome.capture == null) {
    buf.set(words.affected, p);
    p += words.affected.length;
  } else {
    buf.set(words.captured, p);
    p += words.captured.length;
    p += putLatin1(buf, outcome.capture, p);
    buf.set(words.affectedAfter, p);
    p += words.affectedAfter.length;
  }
  p += putNullable(buf, outcome.rowsAffected, p);
  buf.set(words.duration, p);
  p += words.duration.length;
  p += putNumber(buf, outcome.durationUs, p);
  buf.set(words.firstRow, p);
  p += words.firstRow.length;
  p += putNullable(buf, outcome.firstRowUs, p);
  if (outcome.skipped === true) p += putLatin1(buf, ',"skipped":true', p);
  buf.set(words.sealed, p);
  p += words.sealed.length;
  if (place === null) p += putText(buf, "null", p);
  else p += sealing.putPlace(place, p);
  buf[p++] = 0x7d;
  buf[p++] = 0x0a;
  commit.open.delete(outcome.intent);
  endLeaf(commit, sealing.store, line, p);
}

/** `{…}` and `,"a":1` make `{…,"a":1}`. */
function addMembers(object: string, members: string): string {
  return object === "{}" ? `{${members.slice(1)}}` : `${object.slice(0, -1)}${members}}`;
}
