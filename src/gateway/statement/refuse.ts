/**
 * Refusing a message so that client and server stay in step: the message is replaced by one that PostgreSQL itself must
 * refuse, and the text of that error by ours (PROTOCOL.md I1). Ordering, roll-back of the implicit transaction,
 * skipping to Sync and the status in ReadyForQuery stay the server's own.
 */
import { randomBytes } from "node:crypto";
import { AuditUnavailable, uuidv7 } from "../../audit/index.ts";
import type { StatementProtocol } from "../../facts/audit.ts";
import { encodeCopyFail, encodeDescribe, encodeError, encodeQuery } from "../../protocol/index.ts";
import { contextOf, intent, opaqueShape } from "./intend.ts";
import type { PreparedStatement } from "./names.ts";
import { expected, Kind, push } from "./queue.ts";
import type { Reason, Walk } from "./state.ts";

export interface Refusal {
  /** SQLSTATE for the client. */
  readonly sqlstate: string;
  /** Stable code of docs/errors.md. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly request: string;
}

/** The ErrorResponse for a refusal (SPEC.md section 4): DETAIL is one line of compact JSON. */
export function refusalError(refusal: Refusal): Buffer {
  const detail = JSON.stringify({
    v: 1,
    decision: "deny",
    code: refusal.code,
    rule: null,
    object: null,
    position: null,
    retryable: refusal.code === "AUDIT_UNAVAILABLE",
    request_id: refusal.request,
    approval: null,
  });
  return encodeError({ code: refusal.sqlstate, message: refusal.message, detail, hint: refusal.hint });
}

/** A name that no client can guess, so that no prepared statement can have it. */
export function poisonName(): string {
  return `__postern_refused_${randomBytes(12).toString("hex")}`;
}

/** Instead of a Query or FunctionCall: a syntax error, which raw parsing finds in any transaction state. */
export function poisonQuery(request: string): Buffer {
  return encodeQuery(`"postern refused ${request}"`);
}

/** Instead of a message of the extended protocol: describes a statement that does not exist. */
export function poisonExtended(name: string): Buffer {
  return encodeDescribe("statement", name);
}

/** In copy-in only CopyFail is possible. */
export function poisonCopy(request: string): Buffer {
  return encodeCopyFail(`postern refused ${request}`);
}

export const tooLarge = (limit: number): Reason => ({
  sqlstate: "54000",
  code: "STATEMENT_TOO_LARGE",
  message: `policy: the statement is larger than the ${limit} bytes that this gateway reads`,
  hint: "Send bulk data with COPY or as parameters, or split the statement.",
});

export const badText: Reason = {
  sqlstate: "08P01",
  code: "PROTOCOL",
  message: "invalid message format",
  hint: "The statement text must end with the message's only NUL byte.",
};

export const badName: Reason = {
  sqlstate: "08P01",
  code: "PROTOCOL",
  message: "policy: the name of a statement or portal is not safe",
  hint: "Use ASCII names, or names of at most 63 bytes with client_encoding UTF8.",
};

export const auditUnavailable: Reason = {
  sqlstate: "58030",
  code: "AUDIT_UNAVAILABLE",
  message: "the audit log is unavailable; the statement was not forwarded",
  hint: "Try again later; the operator finds the cause in the gateway's log.",
};

export const functionCallRefused: Reason = {
  sqlstate: "0A000",
  code: "FUNCTION_CALL",
  message: "policy: the FunctionCall message is not allowed here",
  hint: "Call the function in a SELECT statement.",
};

export const tooManyNames: Reason = {
  sqlstate: "54000",
  code: "TOO_MANY_STATEMENTS",
  message: "policy: this session holds too many prepared statements or portals",
  hint: "Close those that are no longer needed.",
};

/** Records a refusal: an intent that says denied and its outcome. Nothing of it was or will be forwarded. */
export function recordRefusal(
  walk: Walk,
  reason: Reason,
  protocol: StatementProtocol,
  statement: PreparedStatement | null,
): Refusal {
  const request = uuidv7();
  walk.counters.denied++;
  const decision = walk.audit.decision({
    verdict: "deny",
    rule: null,
    rules: [],
    code: reason.code,
    policy: null,
    masked: [],
    limits: {},
  });
  const context = statement?.context ?? contextOf(walk, opaqueShape);
  const sealed = statement === null ? "{}" : `${statement.sealed}}`;
  const index = intent(walk, request, context, protocol, 0, "", "", sealed, "[]", decision);
  walk.audit.outcome(walk.context, {
    request,
    intent: index,
    status: "denied",
    sqlstate: reason.sqlstate,
    tag: null,
    columns: null,
    rows: 0,
    bytes: 0,
    complete: true,
    digest: null,
    rowsAffected: null,
    durationUs: 0,
    firstRowUs: null,
  });
  return { ...reason, request };
}

/** Refuses a Query or FunctionCall: the reply has the shape ErrorResponse, ReadyForQuery. */
export function refuseQuery(
  walk: Walk,
  reason: Reason,
  protocol: StatementProtocol = "simple",
): readonly Buffer[] {
  const refusal = tryRecord(walk, reason, protocol);
  const entry = expected(Kind.query, walk.batch++, null, null, null);
  entry.refusal = refusal;
  push(walk.queue, entry);
  return [poisonQuery(refusal.request)];
}

/** Refuses a message of an extended batch: the server skips to the next Sync, and so do we. */
export function refuseExtended(
  walk: Walk,
  reason: Reason,
  statement: PreparedStatement | null = null,
): readonly Buffer[] {
  const refusal = tryRecord(walk, reason, "extended", statement);
  const entry = expected(Kind.describeStatement, walk.batch, null, null, null);
  entry.refusal = refusal;
  push(walk.queue, entry);
  walk.skipping = true;
  return [poisonExtended(walk.poison)];
}

function tryRecord(
  walk: Walk,
  reason: Reason,
  protocol: StatementProtocol,
  statement: PreparedStatement | null = null,
): Refusal {
  try {
    return recordRefusal(walk, reason, protocol, statement);
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    return { ...auditUnavailable, request: uuidv7() };
  }
}

/** The log did not take an intent: the message is refused unrecorded, since nothing can be recorded. */
export function refuseUnrecorded(walk: Walk, error: unknown, query: boolean): readonly Buffer[] {
  if (!(error instanceof AuditUnavailable)) throw error;
  return query ? refuseQuery(walk, auditUnavailable) : refuseExtended(walk, auditUnavailable);
}
