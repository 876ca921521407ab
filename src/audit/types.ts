/** What the gateway holds of the audit log: the calls of a statement's walk, as cheap as they can be. */

import type {
  ColumnRecord,
  DecisionRecord,
  Durability,
  OutcomeStatus,
  SessionRecord,
  StatementProtocol,
  StatementRecord,
  TransactionState,
} from "../facts/audit.ts";
import type { Via } from "../facts/session.ts";
import type { Capture } from "./capture/capture.ts";
import type { AuditUnavailable } from "./errors.ts";
import type { ResultDigest } from "./record/digest.ts";
import type { PruneReport } from "./retention/prune.ts";

/** A session's share of its records as ready JSON text. Opaque: made by `AuditLog.session()`. */
export interface SessionContext {
  readonly kind: "session";
  /** From the closing quote of `time` to the opening quote of `request`. */
  readonly head: Buffer;
  /** From the closing quote of `request` to the end of `database`. */
  readonly facts: Buffer;
  /** JSON members sealed with each statement of the session: `,"claimed":{"intent":"…"}` or "". */
  readonly sealed: string;
  /** JSON object sealed with `session.start`; null when there is nothing to seal. */
  readonly start: string | null;
}

/** A statement's share of its intent as ready JSON text. Opaque: made by `AuditLog.statement()`. */
export interface StatementContext {
  readonly kind: "statement";
  /** `,"sql":…,"sealed":` */
  readonly sql: Buffer;
  /** From `,"fingerprint":` to the opening quote of the transaction state. */
  readonly facts: Buffer;
  /** What the last intent of this statement was made of besides; the next one is mostly the same. */
  last: IntentParts | null;
}

/** An intent's text around the place of its sealed part, and what it was made from. */
export interface IntentParts {
  readonly protocol: StatementProtocol;
  readonly index: number;
  readonly transaction: TransactionState;
  readonly name: string;
  readonly portal: string;
  readonly parameters: string;
  readonly decision: DecisionContext;
  /** From the end of the session's facts to the sealed part, from there to the transaction's id, and from there to the end of the leaf. */
  readonly front: Buffer;
  readonly middle: Buffer;
  readonly back: Buffer;
}

/** A decision as ready JSON text, to the end of the intent. Opaque: made by `AuditLog.decision()`. */
export interface DecisionContext {
  readonly kind: "decision";
  readonly text: Buffer;
}

/** A result's columns as ready JSON text. Opaque: made by `AuditLog.columns()`. */
export interface ColumnsContext {
  readonly kind: "columns";
  readonly text: Buffer;
  /** The formats of its values, as RowDescription told them (as in `OutcomeFields.formats`); null: it was not that of rows. */
  readonly formats: readonly number[] | null;
  /** What the last outcome with these columns said of itself; the next one mostly says the same. */
  last: OutcomeParts | null;
}

/** An outcome's text from the index of its intent to the number of rows, and what it was made from. */
export interface OutcomeParts {
  readonly status: OutcomeStatus;
  readonly sqlstate: string | null;
  readonly tag: string | null;
  readonly formats: readonly number[] | null;
  readonly text: Buffer;
}

/** One statement that is about to be forwarded (or was denied). */
export interface IntentFields {
  /** The client message's id (uuid v7 of `uuidv7()`); must need no JSON escape. */
  readonly request: string;
  readonly statement: StatementContext;
  readonly protocol: StatementProtocol;
  /** The statement's place in its message, from 0. */
  readonly index: number;
  readonly transaction: TransactionState;
  /** The message that began the transaction block; must need no JSON escape. null or left out: outside of one. */
  readonly transactionId?: string | null;
  /** Prepared statement and portal names, "" when unnamed. */
  readonly name: string;
  readonly portal: string;
  /** JSON object text, e.g. `{"sql":"…","parameters":["1",null]}` (JSON.stringify's form, no raw newline): goes into the sealed frame. */
  readonly sealed: string;
  /** JSON array text, e.g. `[{"type":"int4"}]`. */
  readonly parameters: string;
  readonly decision: DecisionContext;
}

/** What became of an intent. Times in microseconds, sizes in bytes. */
export interface OutcomeFields {
  readonly request: string;
  /** What `intent()` gave. */
  readonly intent: number;
  readonly status: OutcomeStatus;
  readonly sqlstate: string | null;
  readonly tag: string | null;
  readonly columns: ColumnsContext | null;
  /** Formats of the values as in a Bind message: none: all text; one: of all; else of each column. null or absent: not known, or no rows. */
  readonly formats?: readonly number[] | null;
  readonly rows: number;
  readonly bytes: number;
  /** false: the client did not get all rows (cancel, cut, disconnect). */
  readonly complete: boolean;
  readonly digest: ResultDigest | null;
  readonly rowsAffected: number | null;
  readonly durationUs: number;
  readonly firstRowUs: number | null;
  /** What `Capture.finish()` gave: JSON text; null or absent: nothing was captured. */
  readonly capture?: string | null;
  /** HMAC-SHA-256 over the messages before they were masked, base64; null or absent: nothing was masked. */
  readonly source?: string | null;
  /** Masked cells of each column, NULLs not counted. */
  readonly maskedCells?: readonly number[] | null;
  /** The server never executed it (skipped to Sync after an earlier error). */
  readonly skipped?: boolean;
  /** The approval that it ran under. */
  readonly approval?: string;
}

export interface SessionEndFields {
  readonly reason: string;
  readonly statements: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
}

/**
 * Why a transaction was undone: ROLLBACK, ROLLBACK TO SAVEPOINT, an error in it, an error of COMMIT or Sync themselves (a deferred
 * constraint, a serialization failure), or the end of its session.
 */
export type TransactionCause = "rollback" | "savepoint" | "error" | "commit_failed" | "session_ended";

/** Statements whose outcome was `ok` and that their transaction took back: all of the session from `first` to `last`. */
export interface TransactionFields {
  /** false: whether it was undone could not be seen. */
  readonly undone: boolean;
  /** What `intent()` gave. */
  readonly first: number;
  readonly last: number;
  /** How many of them may have had effects. */
  readonly count: number;
  readonly cause: TransactionCause;
  /** The request that undid it, or failed; null or "": none did. */
  readonly request: string | null;
  readonly sqlstate: string | null;
}

/** One refused connection attempt (the fields of gateway/ports.ts AuthFailure). */
export interface AuthFailureFields {
  readonly code: string;
  readonly cause: string;
  readonly ip: string;
  readonly port: number;
  readonly tls: string | null;
  readonly user: string | null;
  readonly database: string | null;
  readonly application: string | null;
  readonly tokenSha256: string | null;
  /** The door; left out: "wire". */
  readonly via?: Via;
}

/** Records that have become durable, for whoever follows the log live. */
export interface CommittedRecords {
  /** What was written, batch by batch, in order: `count` leaves from index `first` on; see leavesIn(). */
  readonly batches: readonly { readonly bytes: Buffer; readonly first: number; readonly count: number }[];
  /** Some before these were left out: too much was waiting, or the log had failed. */
  readonly missed: boolean;
  /** Covers them: a signed note and its number of leaves. */
  readonly checkpoint: { readonly size: number; readonly note: Buffer };
}

export interface SafeWaiter {
  auditSafe(): void;
  auditFailed(error: AuditUnavailable): void;
}

export interface AuditLog {
  /** `<cluster>/<node>/<worker>`: names this log in checkpoints and in `{log, index}` references. */
  readonly origin: string;
  /** Leaves appended so far, queued ones included: the index of the next leaf. */
  readonly size: number;
  /** The newest checkpoint that is durable: a signed note and the leaves it covers. null: none since the log was opened. */
  readonly checkpoint: { readonly size: number; readonly note: Buffer } | null;
  /** Set while the log cannot be written. It goes on by itself when that works again; what was under way then has failed all the same. */
  readonly failure: AuditUnavailable | null;
  /** Results of which rows were kept since the log was opened, and the bytes that took, compressed. */
  readonly captured: { readonly results: number; readonly bytes: number };
  /** The disk has little room left: sessions under way go on, no new one should begin. */
  readonly low: boolean;

  session(record: SessionRecord): SessionContext;
  /** May be kept and used again. As decision() and columns() it writes a blob when the text is too long for a leaf, and throws AuditUnavailable when that fails. */
  statement(record: StatementRecord): StatementContext;
  decision(record: DecisionRecord): DecisionContext;
  columns(columns: readonly ColumnRecord[], formats?: readonly number[]): ColumnsContext;

  /** Takes the rows of one result as they are delivered; null when the settings want none captured. */
  capture(): Capture | null;

  /** Hot path. Queue a leaf, give its index; it is written in one batch at the end of this event-loop turn. Throws AuditUnavailable. */
  intent(session: SessionContext, intent: IntentFields): number;
  /** Hot path. Never throws AuditUnavailable: gives -1 once the log has failed (the next open records the outcome as unknown). */
  outcome(session: SessionContext, outcome: OutcomeFields): number;
  /** Throws AuditUnavailable. */
  sessionStart(session: SessionContext): number;
  /** Says that statements that were done have been undone, or that nobody could see it. Gives -1 once the log has failed. */
  transactionEnded(session: SessionContext, ended: TransactionFields): number;
  /** Gives -1 once the log has failed. */
  sessionEnd(session: SessionContext, end: SessionEndFields): number;
  /** Gives -1 once the log has failed. */
  authFailed(failure: AuthFailureFields): number;
  /** Any other leaf type of SPEC section 5: log.*, config.changed, admin.action … `fields` may not name v, id, type, time or node; what is in `sealed` goes under the seal. Throws AuditUnavailable. */
  event(
    type: string,
    fields: Readonly<Record<string, unknown>>,
    sealed?: Readonly<Record<string, unknown>>,
  ): number;

  /** Calls back after each fdatasync with what has become durable, until the function given back is called. The listener must not throw. */
  subscribe(listener: (records: CommittedRecords) => void): () => void;
  /**
   * Calls waiter.auditSafe() once everything appended so far is as durable as `level` asks ("process": handed to the
   * operating system; "disk" and "strict": fdatasync'ed under a signed checkpoint), waiter.auditFailed(error) otherwise.
   * Never calls back synchronously.
   */
  whenSafe(level: Durability, waiter: SafeWaiter): void;
  /** Signs with a new key from here on, certified by the present one; gives its verifier key. Rejects with AuditUnavailable or AuditOpenError. */
  rotateKey(): Promise<string>;
  /** Destroys the sealing key of a day (YYYY-MM-DD, UTC) that is over, after recording it (payload.erase). Rejects with EraseError, AuditUnavailable. */
  erase(day: string, reason: string): Promise<void>;
  /** Removes whole segments that ended before `before` (milliseconds since the epoch), after recording their root and range (log.pruned). null: none. */
  prune(before: number, reason: string): Promise<PruneReport | null>;
  /** Everything appended so far is durable and checkpointed. Rejects with AuditUnavailable. */
  settle(): Promise<void>;
  /** Appends log.closed, checkpoints, syncs, frees the lock. Safe to call twice. Rejects with AuditUnavailable when the log had failed (the lock is freed all the same). */
  close(): Promise<void>;
}
