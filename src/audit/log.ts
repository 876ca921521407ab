/** The open audit log: records become leaves here. How they get to disk is commit.ts; how a log is opened, open.ts. */

import { existsSync } from "node:fs";
import type {
  ColumnRecord,
  DecisionRecord,
  Durability,
  SessionRecord,
  StatementRecord,
} from "../facts/audit.ts";
import { Capture, type StorePart } from "./capture/capture.ts";
import type { LogCare } from "./care.ts";
import type { Signer } from "./checkpoint.ts";
import type { GroupCommit } from "./commit.ts";
import { answerErrands } from "./errands.ts";
import type { AuditUnavailable } from "./errors.ts";
import {
  adoptNextKey,
  dayKey,
  type LogKeys,
  loadKeys,
  nextKeyPath,
  prepareNextKey,
  publicText,
} from "./keys.ts";
import { appendLeaf } from "./leaf.ts";
import type { Lock } from "./lock.ts";
import { Pending } from "./pending.ts";
import { columnsContext, decisionContext, sessionContext, statementContext } from "./record/contexts.ts";
import {
  checkErasable,
  destroyKey,
  hasKey,
  markErasure,
  unfinished,
  unmarkErasure,
} from "./retention/erase.ts";
import { type PruneReport, prune } from "./retention/prune.ts";
import { captureAad, seal } from "./seal.ts";
import { Sealing } from "./sealing.ts";
import type { Appender } from "./statement.ts";
import { Subscribers } from "./subscribe.ts";
import type {
  AuditLog,
  AuthFailureFields,
  ColumnsContext,
  CommittedRecords,
  DecisionContext,
  IntentFields,
  OutcomeFields,
  SafeWaiter,
  SessionContext,
  SessionEndFields,
  StatementContext,
  TransactionFields,
} from "./types.ts";
import type { OpenIntent } from "./unresolved.ts";

/** What an open log is made of. */
export interface LogParts {
  readonly origin: string;
  readonly node: string;
  readonly dir: string;
  readonly keysDir: string;
  readonly keys: LogKeys;
  readonly signer: Signer;
  readonly commit: GroupCommit;
  readonly lock: Lock;
  /** Rows kept of each result. */
  readonly captureRows: number;
  /** Age from which segments are pruned; null: never. */
  readonly retentionMs: number | null;
  /** Opens the files of a log that has failed anew, and gives how it goes on; the new log's first records are `begin`. Throws when that is not possible yet. */
  reopen(keys: LogKeys, old: GroupCommit): { readonly commit: GroupCommit; begin(log: OpenLog): void };
}

const pruneEveryMs = 3_600_000;
/** An intent's handle is its index plus this much for each time that the log was opened anew before it. */
const lifeSpan = 2 ** 42;

export class OpenLog implements AuditLog, Appender {
  readonly origin: string;
  private readonly parts: LogParts;
  private keys: LogKeys;
  commit: GroupCommit;
  sealing: Sealing;
  readonly outcomeRef: Buffer;
  readonly captured = { results: 0, bytes: 0 };
  private pending: Pending;
  private readonly subscribers = new Subscribers();
  /** How often the log was opened anew after a failure: what was appended before is not to be taken for what is now. */
  private life = 0;
  private care: LogCare | null = null;
  private readonly since = Date.now();
  private pruneAt = 0;
  private lastDurable: { readonly size: number; readonly note: Buffer } | null = null;
  private rotating: Promise<string> | null = null;
  private closing: Promise<void> | null = null;

  constructor(parts: LogParts) {
    this.parts = parts;
    this.origin = parts.origin;
    this.keys = parts.keys;
    this.commit = parts.commit;
    this.sealing = new Sealing(parts.commit, parts.dir, parts.origin, parts.keys);
    this.outcomeRef = Buffer.from(`","intent":{"log":${JSON.stringify(parts.origin)},"index":`, "utf8");
    this.pending = new Pending(this);
    this.follow();
  }

  private follow(): void {
    this.commit.unbuilt = this.pending;
    this.commit.watcher = this.subscribers;
    this.commit.sayClosed = (reason) => void this.append("log.closed", { reason });
  }

  /** From here on the log is looked after. */
  tend(care: LogCare): void {
    this.care = care;
  }

  get dir(): string {
    return this.parts.dir;
  }

  get size(): number {
    return this.commit.size;
  }

  get checkpoint(): { readonly size: number; readonly note: Buffer } | null {
    return this.commit.durable ?? this.lastDurable;
  }

  get low(): boolean {
    return this.care?.low ?? false;
  }

  get failure(): AuditUnavailable | null {
    return this.commit.failure;
  }

  /** Goes on after a failure, when writing works again. Throws when it does not. */
  heal(): void {
    if (this.closing !== null || this.commit.failure === null) return;
    const old = this.commit;
    this.subscribers.forget();
    const { commit, begin } = this.parts.reopen(this.keys, old);
    this.lastDurable = old.durable ?? this.lastDurable;
    this.commit = commit;
    this.sealing = new Sealing(commit, this.parts.dir, this.origin, this.keys);
    this.pending = new Pending(this);
    this.life++;
    this.follow();
    begin(this);
  }

  /** What was asked for by files: a signing key that waits to be certified. */
  async errands(): Promise<void> {
    if (existsSync(nextKeyPath(this.parts.keysDir))) await this.rotateKey();
    await this.endErasures();
    await answerErrands(this.dir, (errand) =>
      errand.do === "erase"
        ? this.erase(errand.day, errand.reason)
        : this.prune(errand.before, errand.reason),
    );
    const { retentionMs } = this.parts;
    if (retentionMs === null || performance.now() < this.pruneAt) return;
    this.pruneAt = performance.now() + pruneEveryMs;
    await this.prune(Date.now() - retentionMs, "audit.retention");
  }

  async erase(day: string, reason: string): Promise<void> {
    checkErasable(this.dir, day);
    // The record comes first; were this to end behind it, the record would speak of a key that is still there.
    markErasure(this.dir, day, reason);
    this.event("payload.erase", { day, reason });
    await this.settle();
    destroyKey(this.dir, day);
    unmarkErasure(this.dir, day);
  }

  /** Ends erasures that a crash cut off: on the record once more, for it may not have come that far. */
  private async endErasures(): Promise<void> {
    for (const { day, reason } of unfinished(this.dir))
      if (!hasKey(this.dir, day)) unmarkErasure(this.dir, day);
      // After a step of the clock the day may not be over: then it has to wait.
      else if (day < new Date().toISOString().slice(0, 10)) await this.erase(day, reason);
  }

  async prune(before: number, reason: string): Promise<PruneReport | null> {
    await this.settle();
    const oldest = this.commit.open.keys().next().value;
    return prune(
      {
        dir: this.dir,
        ring: this.keys.ring,
        keep: oldest ?? this.commit.size,
        nextFrame: () => this.commit.batch.frame,
        since: this.since,
        record: async (fields) => {
          this.event("log.pruned", fields);
          await this.settle();
        },
      },
      before,
      reason,
    );
  }

  /**
   * Certifies the next signing key (made now, unless one waits) in the log, under the present one, and signs with it from
   * then on. Gives its verifier key. Rejects with AuditUnavailable or AuditOpenError; then the present key stays.
   */
  rotateKey(): Promise<string> {
    this.rotating ??= this.rotate().finally(() => {
      this.rotating = null;
    });
    return this.rotating;
  }

  private async rotate(): Promise<string> {
    const { keysDir, signer } = this.parts;
    const signing = prepareNextKey(keysDir);
    const next = publicText(this.origin, signing);
    const previous = this.keys.vkey;
    this.event("key.rotated", { previous, next });
    await this.settle();
    adoptNextKey(keysDir, previous, next);
    signer.use(next, signing);
    this.keys = loadKeys(keysDir, this.origin, false);
    return next;
  }

  session(record: SessionRecord): SessionContext {
    return sessionContext(this.parts.node, record);
  }

  statement(record: StatementRecord): StatementContext {
    return statementContext(record, this.sealing.store);
  }

  decision(record: DecisionRecord): DecisionContext {
    return decisionContext(record, this.sealing.store);
  }

  columns(columns: readonly ColumnRecord[], formats?: readonly number[]): ColumnsContext {
    return columnsContext(columns, this.sealing.store, formats);
  }

  capture(): Capture | null {
    const { captureRows } = this.parts;
    if (captureRows <= 0) return null;
    this.captured.results++;
    return new Capture(this.storePart, captureRows);
  }

  private readonly storePart: StorePart = (compressed) => {
    this.commit.admit();
    try {
      const day = new Date().toISOString().slice(0, 10);
      const key = dayKey(this.parts.dir, this.origin, this.keys.wrap, day);
      this.captured.bytes += compressed.length;
      return { key: day, blob: this.commit.blobs.put(seal(key, captureAad(this.origin, day), compressed)) };
    } catch (error) {
      throw this.commit.broken(error);
    }
  };

  intent(session: SessionContext, intent: IntentFields): number {
    this.commit.admit();
    return this.pending.intent(session, intent) + this.life * lifeSpan;
  }

  outcome(session: SessionContext, outcome: OutcomeFields): number {
    if (this.commit.failure !== null) return -1;
    if (this.life === 0) return this.pending.outcome(session, outcome);
    // What was forwarded before the log failed has its outcome: unknown.
    if (Math.floor(outcome.intent / lifeSpan) !== this.life) return -1;
    return this.pending.outcome(session, { ...outcome, intent: outcome.intent % lifeSpan });
  }

  sessionStart(session: SessionContext): number {
    this.commit.admit();
    this.pending.build();
    const place = session.start === null ? "null" : this.sealing.placeText(this.sealing.seal(session.start));
    return this.appendSession("session.start", session, `,"sealed":${place}`);
  }

  transactionEnded(session: SessionContext, ended: TransactionFields): number {
    if (this.commit.failure !== null) return -1;
    const { undone, first, last, count, cause, request, sqlstate } = ended;
    const fields = {
      request: request === "" ? null : request,
      cause,
      // What is no SQLSTATE comes from a server that does not keep to the protocol.
      sqlstate: sqlstate === null || /^[0-9A-Z]{5}$/.test(sqlstate) ? sqlstate : "XX000",
      intents: { log: this.origin, first: first % lifeSpan, last: last % lifeSpan, count },
    };
    const type = undone ? "transaction.rolled_back" : "transaction.unknown";
    return this.appendSession(type, session, `,${JSON.stringify(fields).slice(1, -1)}`);
  }

  sessionEnd(session: SessionContext, end: SessionEndFields): number {
    if (this.commit.failure !== null) return -1;
    const { reason, statements, bytesIn, bytesOut, durationMs } = end;
    const fields = { reason, statements, bytes_in: bytesIn, bytes_out: bytesOut, duration_ms: durationMs };
    return this.appendSession("session.end", session, `,${JSON.stringify(fields).slice(1, -1)}`);
  }

  authFailed(failure: AuthFailureFields): number {
    if (this.commit.failure !== null) return -1;
    const { code, cause, ip, port, tls, user, database, application, tokenSha256, via = "wire" } = failure;
    return this.append("auth.failed", {
      code,
      cause,
      client: { ip, port, tls, application, user, via },
      database: database === null ? null : { name: database },
      token: tokenSha256 === null ? null : { sha256: tokenSha256 },
    });
  }

  event(
    type: string,
    fields: Readonly<Record<string, unknown>>,
    sealed: Readonly<Record<string, unknown>> = {},
  ): number {
    this.commit.admit();
    if (!/^[a-z]+(\.[a-z_]+)+$/.test(type) || type.startsWith("statement."))
      throw new TypeError(`not an event type: ${type}`);
    for (const name of ["v", "id", "type", "time", "node"])
      if (Object.hasOwn(fields, name)) throw new TypeError(`the field "${name}" is the log's own`);
    if (Object.keys(sealed).length === 0) return this.append(type, fields);
    this.pending.build();
    const place = this.sealing.placeText(this.sealing.seal(JSON.stringify(sealed)));
    return this.append(type, { ...fields, sealed: JSON.parse(place) });
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

  subscribe(listener: (records: CommittedRecords) => void): () => void {
    return this.subscribers.add(listener);
  }

  whenSafe(level: Durability, waiter: SafeWaiter): void {
    this.commit.whenSafe(level, waiter);
  }

  settle(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.commit.whenSigned({ auditSafe: resolve, auditFailed: reject });
    });
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  /** Closes the files of a log that could not be opened after all; the lock is the opener's. */
  abandon(): void {
    this.care?.stop();
    this.commit.end();
  }

  private async shut(): Promise<void> {
    this.care?.stop();
    try {
      await this.rotating?.catch(() => {});
      this.event("log.closed", { reason: "shutdown" });
      await this.settle();
    } finally {
      try {
        this.commit.end();
      } finally {
        this.parts.lock.release();
      }
    }
  }

  /** A leaf of any type, from its members. */
  private append(type: string, fields: Readonly<Record<string, unknown>>): number {
    const members = JSON.stringify(fields).slice(1, -1);
    return appendLeaf(
      this.commit,
      this.sealing.store,
      type,
      `"node":${JSON.stringify(this.parts.node)}${members === "" ? "" : ","}${members}}`,
    );
  }

  /** A leaf about a session; `members` begins with a comma. */
  private appendSession(type: string, session: SessionContext, members: string): number {
    // `head` ends where a request's id would begin; the session's own records belong to none.
    const before = session.head.toString("utf8").slice(2, -',"request":"'.length);
    const facts = session.facts.toString("utf8").slice(1);
    return appendLeaf(this.commit, this.sealing.store, type, `${before}${facts}${members}}`);
  }
}
