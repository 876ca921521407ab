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
import type { LogKeys } from "./keys.ts";
import { appendLeaf } from "./leaf.ts";
import type { Lock } from "./lock.ts";
import { columnsContext, decisionContext, sessionContext, statementContext } from "./record/contexts.ts";
import { Sealing } from "./sealing.ts";
import { type Appender, appendIntent, appendOutcome } from "./statement.ts";
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
import type { OpenIntent } from "./unresolved.ts";

export class OpenLog implements AuditLog, Appender {
  readonly origin: string;
  private readonly node: string;
  readonly commit: GroupCommit;
  readonly sealing: Sealing;
  readonly outcomeRef: Buffer;
  private readonly lock: Lock;
  private closing: Promise<void> | null = null;

  constructor(origin: string, node: string, dir: string, keys: LogKeys, commit: GroupCommit, lock: Lock) {
    this.origin = origin;
    this.node = node;
    this.commit = commit;
    this.sealing = new Sealing(commit, dir, origin, keys);
    this.lock = lock;
    this.outcomeRef = Buffer.from(`","intent":{"log":${JSON.stringify(origin)},"index":`, "utf8");
    commit.sayClosed = (reason) => void this.append("log.closed", { reason });
  }

  get size(): number {
    return this.commit.size;
  }

  get checkpoint(): { readonly size: number; readonly note: Buffer } | null {
    return this.commit.durable;
  }

  get failure(): AuditUnavailable | null {
    return this.commit.failure;
  }

  session(record: SessionRecord): SessionContext {
    return sessionContext(this.node, record);
  }

  statement(record: StatementRecord): StatementContext {
    return statementContext(record, this.sealing.store);
  }

  decision(record: DecisionRecord): DecisionContext {
    return decisionContext(record, this.sealing.store);
  }

  columns(columns: readonly ColumnRecord[]): ColumnsContext {
    return columnsContext(columns, this.sealing.store);
  }

  intent(session: SessionContext, intent: IntentFields): number {
    this.commit.admit();
    return appendIntent(this, session, intent);
  }

  outcome(session: SessionContext, outcome: OutcomeFields): number {
    return this.commit.failure === null ? appendOutcome(this, session, outcome) : -1;
  }

  sessionStart(session: SessionContext): number {
    this.commit.admit();
    const place = session.start === null ? "null" : this.sealing.placeText(this.sealing.seal(session.start));
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
    return appendLeaf(
      this.commit,
      this.sealing.store,
      type,
      `"node":${JSON.stringify(this.node)}${members === "" ? "" : ","}${members}}`,
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
