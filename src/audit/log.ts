/** The open audit log: records become leaves here. How they get to disk is commit.ts; how a log is opened, open.ts. */
import type {
  ColumnRecord,
  DecisionRecord,
  Durability,
  SessionRecord,
  StatementRecord,
} from "../facts/audit.ts";
import type { GroupCommit } from "./commit.ts";
import type { AuditUnavailable } from "./errors.ts";
import { dayKey, type LogKeys } from "./keys.ts";
import type { Lock } from "./lock.ts";
import { putLatin1, putNumber, putToken, putUtf8 } from "./record/bytes.ts";
import { putStamp, stampBytes, stampNow } from "./record/clock.ts";
import {
  columnsContext,
  decisionContext,
  type StoreBlob,
  sessionContext,
  statementContext,
} from "./record/contexts.ts";
import { shorten } from "./record/shorten.ts";
import { putUuid, uuidBytes } from "./record/uuid.ts";
import type { OpenIntent } from "./recover.ts";
import { blobAad, seal } from "./seal.ts";
import type {
  AuditLog,
  AuthFailureFields,
  ColumnsContext,
  DecisionContext,
  IntentFields,
  OutcomeFields,
  SafeWaiter,
  SessionContext,
  SessionEndFields,
  StatementContext,
} from "./types.ts";
import { maxLeaf } from "./verify/segment.ts";

/** Sealed content longer than this goes to a blob of its own. */
const maxSealed = 256 * 1024;
/** A parameter list longer than this goes to a blob. */
const longList = 32 * 1024;
const dayMs = 24 * 3600 * 1000;

const head = Buffer.from('L {"v":1,"id":"', "latin1");
const intentType = Buffer.from('","type":"statement.intent","time":"', "latin1");
const outcomeType = Buffer.from('","type":"statement.outcome","time":"', "latin1");
/** Room for the fixed words of a record and its sealed place, generously. */
const wordsRoom = 1024;

function ascii(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** What stands between the variable parts of a record. */
const words = {
  name: ascii('","id":null},"name":'),
  portal: ascii(',"portal":'),
  parameters: ascii('},"parameters":'),
  tag: ascii(',"tag":'),
  result: ascii(',"result":{"columns":'),
  rows: ascii(',"rows":'),
  bytes: ascii(',"bytes":'),
  complete: ascii(',"complete":true,"digests":{"delivered":'),
  incomplete: ascii(',"complete":false,"digests":{"delivered":'),
  digest: ascii('{"alg":"sha256-salted-v1","value":"'),
  affected: ascii(',"source":null},"capture":null},"rows_affected":'),
  duration: ascii(',"duration_us":'),
  firstRow: ascii(',"first_row_us":'),
  sealed: ascii(',"sealed":'),
  sealedDigest: ascii(',"digest":"'),
} as const;

const stateByte = { I: 0x49, T: 0x54, E: 0x45 } as const;

const protocolText = {
  simple: ascii(',"statement":{"protocol":"simple","index":'),
  extended: ascii(',"statement":{"protocol":"extended","index":'),
  "sql-execute": ascii(',"statement":{"protocol":"sql-execute","index":'),
  copy: ascii(',"statement":{"protocol":"copy","index":'),
  cursor: ascii(',"statement":{"protocol":"cursor","index":'),
  function: ascii(',"statement":{"protocol":"function","index":'),
} as const;

const statusText = {
  ok: ascii('},"status":"ok","sqlstate":'),
  error: ascii('},"status":"error","sqlstate":'),
  denied: ascii('},"status":"denied","sqlstate":'),
  cancelled: ascii('},"status":"cancelled","sqlstate":'),
  cut: ascii('},"status":"cut","sqlstate":'),
  unknown: ascii('},"status":"unknown","sqlstate":'),
} as const;

/** An SQLSTATE as JSON; what is none comes from a server that does not keep to the protocol. */
function stateText(sqlstate: string): string {
  return /^[0-9A-Z]{5}$/.test(sqlstate) ? `"${sqlstate}"` : '"XX000"';
}

/** Short ASCII text character by character, other text by a call that costs more than a dozen of them. */
function putText(buf: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > 24) return putUtf8(buf, text, at);
  for (let i = 0; i < length; i++) {
    const c = text.charCodeAt(i);
    if (c > 0x7f) return putUtf8(buf, text, at);
    buf[at + i] = c;
  }
  return length;
}

function putNullable(buf: Buffer, value: number | null, at: number): number {
  return value === null ? putText(buf, "null", at) : putNumber(buf, value, at);
}

export class OpenLog implements AuditLog {
  readonly origin: string;
  private readonly node: string;
  private readonly dir: string;
  private readonly keys: LogKeys;
  private readonly commit: GroupCommit;
  private readonly lock: Lock;
  private readonly outcomeRef: Buffer;
  private dayStart = 0;
  private day = "";
  /** Beginning of the places in the batch's frame. */
  private frameText: Buffer = Buffer.alloc(0);
  private closing: Promise<void> | null = null;

  constructor(origin: string, node: string, dir: string, keys: LogKeys, commit: GroupCommit, lock: Lock) {
    this.origin = origin;
    this.node = node;
    this.dir = dir;
    this.keys = keys;
    this.commit = commit;
    this.lock = lock;
    this.outcomeRef = Buffer.from(`","intent":{"log":${JSON.stringify(origin)},"index":`, "utf8");
    commit.sayClosed = (reason) => void this.append("log.closed", { reason });
  }

  get size(): number {
    return this.commit.size;
  }

  get failure(): AuditUnavailable | null {
    return this.commit.failure;
  }

  session(record: SessionRecord): SessionContext {
    return sessionContext(this.node, record);
  }

  statement(record: StatementRecord): StatementContext {
    return statementContext(record, this.store);
  }

  decision(record: DecisionRecord): DecisionContext {
    return decisionContext(record, this.store);
  }

  columns(columns: readonly ColumnRecord[]): ColumnsContext {
    return columnsContext(columns, this.store);
  }

  intent(session: SessionContext, intent: IntentFields): number {
    const { commit } = this;
    const { batch } = commit;
    commit.admit();
    const { statement, decision, sealed } = intent;
    if (sealed.includes("\n") || intent.parameters.includes("\n"))
      throw new TypeError("sealed and parameters must be JSON text without raw newlines");
    const parameters =
      intent.parameters.length > longList ? this.store(intent.parameters) : intent.parameters;
    const name = intent.name === "" ? '""' : JSON.stringify(intent.name);
    const portal = intent.portal === "" ? '""' : JSON.stringify(intent.portal);
    this.today();
    const place = this.seal(session.sealed === "" ? sealed : addMembers(sealed, session.sealed));
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
    putStamp(buf, p);
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
    p += this.putPlace(place, p);
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
    const index = this.endLeaf(line, p);
    commit.open.add(index);
    return index;
  }

  outcome(session: SessionContext, outcome: OutcomeFields): number {
    const { commit } = this;
    const { batch } = commit;
    if (commit.failure !== null) return -1;
    const { request, sqlstate, columns } = outcome;
    const tag = outcome.tag === null ? "null" : JSON.stringify(outcome.tag);
    this.today();
    const digest = outcome.digest?.finish();
    const place = digest === undefined ? null : this.seal(`{"delivered":"${digest.salt}"}`);
    batch.reserve(
      wordsRoom +
        session.head.length +
        this.outcomeRef.length +
        (columns?.text.length ?? 0) +
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
    putStamp(buf, p);
    p += stampBytes;
    buf.set(session.head, p);
    p += session.head.length;
    p += putToken(buf, request, p);
    buf.set(this.outcomeRef, p);
    p += this.outcomeRef.length;
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
    if (digest === undefined) p += putText(buf, "null", p);
    else {
      buf.set(words.digest, p);
      p += words.digest.length;
      p += putLatin1(buf, digest.value, p);
      buf[p++] = 0x22;
      buf[p++] = 0x7d;
    }
    buf.set(words.affected, p);
    p += words.affected.length;
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
    else p += this.putPlace(place, p);
    buf[p++] = 0x7d;
    buf[p++] = 0x0a;
    commit.open.delete(outcome.intent);
    return this.endLeaf(line, p, false);
  }

  sessionStart(session: SessionContext): number {
    this.commit.admit();
    this.today();
    const place = session.start === null ? "null" : this.placeText(this.seal(session.start));
    return this.appendSession("session.start", session, `,"sealed":${place}`);
  }

  sessionEnd(session: SessionContext, end: SessionEndFields): number {
    if (this.commit.failure !== null) return -1;
    const { reason, statements, bytesIn, bytesOut, durationMs } = end;
    const fields = { reason, statements, bytes_in: bytesIn, bytes_out: bytesOut, duration_ms: durationMs };
    return this.appendSession("session.end", session, `,${JSON.stringify(fields).slice(1, -1)}`);
  }

  authFailed(failure: AuthFailureFields): number {
    if (this.commit.failure !== null) return -1;
    const { code, cause, ip, port, tls, user, database, application, tokenSha256 } = failure;
    return this.append("auth.failed", {
      code,
      cause,
      client: { ip, port, tls, application, user, via: "wire" },
      database: database === null ? null : { name: database },
      token: tokenSha256 === null ? null : { sha256: tokenSha256 },
    });
  }

  event(type: string, fields: Readonly<Record<string, unknown>>): number {
    this.commit.admit();
    if (!/^[a-z]+(\.[a-z_]+)+$/.test(type) || type.startsWith("statement."))
      throw new TypeError(`not an event type: ${type}`);
    for (const name of ["v", "id", "type", "time", "node"])
      if (Object.hasOwn(fields, name)) throw new TypeError(`the field "${name}" is the log's own`);
    return this.append(type, fields);
  }

  /** The outcome of an intent that a crash left without one (SPEC section 5). */
  unknownOutcome(intent: OpenIntent): number {
    const ref = { log: this.origin, index: intent.index };
    return this.append("statement.outcome", {
      session: intent.session,
      request: intent.request,
      intent: ref,
      status: "unknown",
      sqlstate: null,
      tag: null,
      result: null,
      rows_affected: null,
      duration_us: null,
      first_row_us: null,
      sealed: null,
    });
  }

  whenSafe(level: Durability, waiter: SafeWaiter): void {
    this.commit.whenSafe(level, waiter);
  }

  settle(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.commit.whenSafe("disk", { auditSafe: resolve, auditFailed: reject });
    });
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  /** Closes the files of a log that could not be opened after all; the lock is the opener's. */
  abandon(): void {
    this.commit.end();
  }

  private async shut(): Promise<void> {
    try {
      this.event("log.closed", { reason: "shutdown" });
      await this.settle();
    } finally {
      try {
        this.commit.end();
      } finally {
        this.lock.release();
      }
    }
  }

  /** A leaf of any type, from its members. */
  private append(type: string, fields: Readonly<Record<string, unknown>>): number {
    const members = JSON.stringify(fields).slice(1, -1);
    return this.appendText(
      type,
      `"node":${JSON.stringify(this.node)}${members === "" ? "" : ","}${members}}`,
    );
  }

  /** A leaf about a session; `members` begins with a comma. */
  private appendSession(type: string, session: SessionContext, members: string): number {
    // `head` ends where a request's id would begin; the session's own records belong to none.
    const before = session.head.toString("utf8").slice(2, -',"request":"'.length);
    const facts = session.facts.toString("utf8").slice(1);
    return this.appendText(type, `${before}${facts}${members}}`);
  }

  private appendText(type: string, rest: string): number {
    const { batch } = this.commit;
    const time = stampNow();
    batch.reserve(wordsRoom + rest.length * 3);
    const line = batch.pos;
    let p = line;
    batch.buf.set(head, p);
    p += head.length;
    putUuid(batch.buf, p);
    p += uuidBytes;
    p += putUtf8(batch.buf, `","type":"${type}","time":"${time}",${rest}\n`, p);
    return this.endLeaf(line, p);
  }

  /** Ends the leaf begun at `line`; one that is too long for a leaf hands its longest parts to blobs. */
  private endLeaf(line: number, end: number, urgent = true): number {
    const { commit } = this;
    const { batch } = commit;
    let stop = end;
    if (stop - line - 3 > maxLeaf) {
      const text = shorten(batch.buf.toString("utf8", line + 2, stop - 1), maxLeaf, this.store);
      stop = line + 2 + putUtf8(batch.buf, text, line + 2);
      batch.buf[stop++] = 0x0a;
    }
    const index = commit.size;
    batch.endLeaf(line, stop);
    commit.appended(urgent);
    return index;
  }

  /**
   * Seals JSON text into the batch's frame and gives its digest (44 characters), or into a blob and gives its whole place
   * as JSON; `putPlace()` writes either.
   */
  private seal(json: string): string {
    if (json.length > maxSealed / 3 && Buffer.byteLength(json) > maxSealed) return this.sealBlob(json);
    const { batch } = this.commit;
    if (batch.sealedLines === 0) {
      batch.day = this.day;
      this.frameText = Buffer.from(`{"key":"${batch.day}","frame":${batch.frame},"at":`, "latin1");
    }
    return batch.sealLine(json);
  }

  /** Writes the place of the line sealed last. */
  private putPlace(place: string, at: number): number {
    const { batch } = this.commit;
    const { buf } = batch;
    if (place.startsWith("{")) return putLatin1(buf, place, at);
    let p = at;
    buf.set(this.frameText, p);
    p += this.frameText.length;
    p += putNumber(buf, batch.sealedLines - 1, p);
    buf.set(words.sealedDigest, p);
    p += words.sealedDigest.length;
    p += putLatin1(buf, place, p);
    buf[p++] = 0x22;
    buf[p++] = 0x7d;
    return p - at;
  }

  private placeText(place: string): string {
    if (place.startsWith("{")) return place;
    return `${this.frameText.toString("latin1")}${this.commit.batch.sealedLines - 1},"digest":"${place}"}`;
  }

  private sealBlob(json: string): string {
    const { line, digest } = this.commit.batch.looseLine(json);
    return this.guard(() => {
      const key = dayKey(this.dir, this.origin, this.keys.wrap, this.day);
      const name = this.commit.blobs.put(seal(key, blobAad(this.origin, this.day), line));
      return `{"key":"${this.day}","blob":"${name}","digest":"${digest}"}`;
    });
  }

  private readonly store: StoreBlob = (text) => {
    const content = Buffer.from(text, "utf8");
    return this.guard(() => `{"blob":"${this.commit.blobs.put(content)}","bytes":${content.length}}`);
  };

  /** A blob that cannot be written ends the log as a failed write does. */
  private guard(step: () => string): string {
    this.commit.admit();
    try {
      return step();
    } catch (error) {
      throw this.commit.broken(error);
    }
  }

  /** Sets `day` to the present UTC day. */
  private today(): void {
    const now = Date.now();
    if (now >= this.dayStart && now < this.dayStart + dayMs) return;
    this.dayStart = now - (now % dayMs);
    this.day = new Date(now).toISOString().slice(0, 10);
  }
}

/** `{…}` and `,"a":1` make `{…,"a":1}`. */
function addMembers(object: string, members: string): string {
  return object === "{}" ? `{${members.slice(1)}}` : `${object.slice(0, -1)}${members}}`;
}
