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
  stateText,
  statusText,
  words,
  wordsRoom,
} from "./record/words.ts";
import type { Sealing } from "./sealing.ts";
import type { IntentFields, IntentParts, OutcomeFields, SessionContext } from "./types.ts";

/** A parameter list longer than this goes to a blob. */
const longList = 32 * 1024;

/** Parts longer than this are made anew each time: there may be many statements. */
const maxKept = 4 * 1024;

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
  const { sealed } = intent;
  const parameters =
    intent.parameters.length > longList ? sealing.store(intent.parameters) : intent.parameters;
  const { front, middle, back } = intentParts(intent, parameters);
  const place = sealing.seal(session.sealed === "" ? sealed : addMembers(sealed, session.sealed));
  const salt = batch.lastSalt;
  const { request, transactionId = null } = intent;
  batch.reserve(
    wordsRoom +
      session.head.length +
      session.facts.length +
      front.length +
      middle.length +
      back.length +
      6 * (request.length + (transactionId?.length ?? 0)),
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
  buf.set(front, p);
  p += front.length;
  p += sealing.putPlace(place, p);
  buf.set(middle, p);
  p += middle.length;
  if (transactionId === null) p += putText(buf, "null", p);
  else {
    buf[p++] = 0x22;
    p += putToken(buf, transactionId, p);
    buf[p++] = 0x22;
  }
  buf.set(back, p);
  p += back.length;
  endLeaf(commit, sealing.store, line, p);
  commit.open.set(index, salt);
}

/** The statement's parts for this intent: those of its last one if they are the same. */
function intentParts(intent: IntentFields, parameters: string): IntentParts {
  const { statement, protocol, index, transaction, name, portal, decision } = intent;
  const { last } = statement;
  if (
    last !== null &&
    last.parameters === parameters &&
    last.decision === decision &&
    last.transaction === transaction &&
    last.protocol === protocol &&
    last.index === index &&
    last.name === name &&
    last.portal === portal
  )
    return last;
  const front = Buffer.concat([protocolText[protocol], text(String(index)), statement.sql]);
  const middle = Buffer.concat([statement.facts, text(transaction), words.transaction]);
  const back = Buffer.concat([
    words.name,
    text(JSON.stringify(name)),
    words.portal,
    text(JSON.stringify(portal)),
    words.parameters,
    text(parameters),
    decision.text,
  ]);
  const parts = { protocol, index, transaction, name, portal, parameters, decision, front, middle, back };
  if (front.length + middle.length + back.length <= maxKept) statement.last = parts;
  return parts;
}

function text(value: string): Buffer {
  return Buffer.from(value, "utf8");
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
  const { request } = outcome;
  const said = outcomeText(outcome);
  const kept = keptText(outcome);
  const approval = outcome.approval === undefined ? "" : `,"approval":${JSON.stringify(outcome.approval)}`;
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
      said.length +
      (kept?.length ?? 0) +
      approval.length +
      6 * request.length,
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
  buf.set(said, p);
  p += said.length;
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
  if (kept === null) {
    buf.set(words.affected, p);
    p += words.affected.length;
  } else p += putLatin1(buf, kept, p);
  p += putNullable(buf, outcome.rowsAffected, p);
  buf.set(words.duration, p);
  p += words.duration.length;
  p += putNumber(buf, outcome.durationUs, p);
  buf.set(words.firstRow, p);
  p += words.firstRow.length;
  p += putNullable(buf, outcome.firstRowUs, p);
  if (approval !== "") p += putLatin1(buf, approval, p);
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

/** From the delivered digest to the number of changed rows, of results that were masked or captured; null: neither. ASCII. */
function keptText({ source = null, capture = null, maskedCells = null }: OutcomeFields): string | null {
  if (source === null && capture === null && maskedCells === null) return null;
  const digest = source === null ? "null" : `{"alg":"hmac-sha256-v1","value":"${source}"}`;
  const cells = maskedCells === null ? "" : `,"masked_cells":[${maskedCells.join(",")}]`;
  return `,"source":${digest}},"capture":${capture ?? "null"}${cells}},"rows_affected":`;
}

/** From the index of the intent to the number of rows. */
function outcomeText({ status, sqlstate, tag, columns, formats = null }: OutcomeFields): Buffer {
  const last = columns?.last ?? null;
  if (
    last !== null &&
    last.tag === tag &&
    last.status === status &&
    last.sqlstate === sqlstate &&
    sameFormats(last.formats, formats)
  )
    return last.text;
  const made = Buffer.concat([
    statusText[status],
    text(sqlstate === null ? "null" : stateText(sqlstate)),
    words.tag,
    text(JSON.stringify(tag)),
    words.result,
    columns?.text ?? text("null"),
    ...(columns === null || formats === null ? [] : [text(`,"formats":${JSON.stringify(formats)}`)]),
    words.rows,
  ]);
  if (columns !== null && made.length <= maxKept)
    columns.last = { status, sqlstate, tag, formats, text: made };
  return made;
}

/** Mostly both are empty, or one value for all. */
function sameFormats(a: readonly number[] | null, b: readonly number[] | null): boolean {
  if (a === null || b === null) return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** `{…}` and `,"a":1` make `{…,"a":1}`. */
function addMembers(object: string, members: string): string {
  return object === "{}" ? `{${members.slice(1)}}` : `${object.slice(0, -1)}${members}}`;
}
