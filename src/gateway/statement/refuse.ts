/**
 * Refusing a message so that client and server stay in step: the message is replaced by one that PostgreSQL itself must
 * refuse, and the text of that error by ours (PROTOCOL.md I1). Ordering, roll-back of the implicit transaction,
 * skipping to Sync and the status in ReadyForQuery stay the server's own.
 */
import { randomBytes } from "node:crypto";
import type { DecisionContext } from "../../audit/index.ts";
import { AuditUnavailable, uuidv7 } from "../../audit/index.ts";
import type { StatementProtocol } from "../../facts/audit.ts";
import {
  encodeBackend,
  encodeCopyFail,
  encodeDescribe,
  encodeError,
  encodeParse,
  encodeQuery,
} from "../../protocol/index.ts";
import { allowedInstead } from "./advice.ts";
import type { ApprovalMention } from "./holdreasons.ts";
import { contextOf, intent, opaqueShape, sealedOf } from "./intend.ts";
import type { Judgement, ServerRefusal } from "./judgement.ts";
import type { PreparedStatement } from "./names.ts";
import { expected, Kind, push } from "./queue.ts";
import { remember } from "./refusals.ts";
import type { Reason, Walk } from "./state.ts";

export interface Refusal {
  /** SQLSTATE for the client. */
  readonly sqlstate: string;
  /** Stable code of docs/errors.md. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly request: string;
  /** The policy's rule; null: the default, or the gateway itself. */
  readonly rule?: string | null;
  /** What it is about: a column, a function, a relation, a setting. */
  readonly object?: string | null;
  readonly retryable?: boolean;
  /** The approval that it waited for, or that it may come again under. */
  readonly approval?: ApprovalMention;
  /** Who may approve it, where people may. */
  readonly approvers?: readonly { readonly groups: readonly string[]; readonly count: number }[];
  /** What would be allowed in its place. */
  readonly allowed?: string;
  /** What to do now. */
  readonly next?: string;
  /** How often the principal was refused the same of late, this time included; left out: the first time. */
  readonly repeated?: number;
  /** The server's own error, when it was asked and refused: the client gets that. */
  readonly server?: ServerRefusal;
}

/** The ErrorResponse for a refusal (SPEC.md section 4): DETAIL is one line of compact JSON. */
export function refusalError(refusal: Refusal): Buffer {
  const { server } = refusal;
  if (server !== undefined) return encodeBackend({ type: "error", fields: server.fields });
  const detail = JSON.stringify({
    v: 1,
    decision: "deny",
    code: refusal.code,
    rule: refusal.rule ?? null,
    object: refusal.object ?? null,
    position: null,
    retryable: refusal.retryable ?? refusal.code === "AUDIT_UNAVAILABLE",
    request_id: refusal.request,
    approval: refusal.approval ?? null,
    ...(refusal.approvers === undefined ? {} : { approvers: refusal.approvers }),
    ...(refusal.allowed === undefined ? {} : { allowed: refusal.allowed }),
    ...(refusal.repeated === undefined ? {} : { repeated: refusal.repeated }),
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

/**
 * Instead of a Parse without a name, which takes the place of the one before it whether it succeeds or not (PostgreSQL manual, "Extended
 * Query"): a syntax error, too. Otherwise the old statement could be bound where the new one was meant.
 */
function poisonParse(request: string): Buffer {
  return encodeParse("", `"postern refused ${request}"`);
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
  judgement: Judgement | null = null,
  request: string = uuidv7(),
): Refusal {
  walk.counters.denied++;
  const decision = judgement?.decisionRecord ?? denial(walk, reason.code, reason.rule);
  const context = judgement?.statementRecord ?? contextOf(walk, statement?.shape ?? opaqueShape);
  const sealed = statement === null ? "{}" : `${sealedOf(walk, statement)}}`;
  const comment = statement?.comment ?? null;
  const index = intent(walk, request, context, protocol, 0, "", "", sealed, "[]", decision, comment);
  recordDenied(walk, request, index, reason.sqlstate);
  return { ...toldAs(walk, reason, statement), request };
}

/** A refusal with what helps whoever was refused. */
function toldAs(walk: Walk, reason: Reason, statement: PreparedStatement | null): Reason {
  const allowed = reason.allowed ?? allowedInstead(reason.code);
  return remember(walk, allowed === undefined ? reason : { ...reason, allowed }, statement);
}

/** A denial that no verdict of the policy is behind; `rule`: whose rate or budget is used up. */
function denial(walk: Walk, code: string, rule: string | null = null): DecisionContext {
  return walk.audit.decision({
    verdict: "deny",
    rule,
    rules: [],
    code,
    policy: walk.guard?.policies.current.digest ?? null,
    masked: [],
    limits: {},
  });
}

/** Records all statements of a message as denied: none of it runs. `at`: the one that is told about. */
export function recordMessage(
  walk: Walk,
  statements: readonly PreparedStatement[],
  judgements: readonly Judgement[],
  at: number,
  reason: Reason,
  request: string = uuidv7(),
  extended = false,
): Refusal {
  walk.counters.denied++;
  for (const [index, statement] of statements.entries()) {
    const judgement = judgements[index];
    const refused = judgement?.refusal != null || index === at;
    const decision = refused
      ? judgement?.refusal == null
        ? denial(walk, reason.code, reason.rule)
        : judgement.decisionRecord
      : denial(walk, "OTHER_PART_DENIED");
    const context = judgement?.statementRecord ?? contextOf(walk, statement.shape);
    const protocol = extended ? "extended" : protocolOf(statement.shape);
    const leaf = intent(
      walk,
      request,
      context,
      protocol,
      index,
      "",
      "",
      `${sealedOf(walk, statement)}}`,
      "[]",
      decision,
      statement.comment,
    );
    recordDenied(walk, request, leaf, judgement?.refusal?.sqlstate ?? reason.sqlstate);
  }
  return { ...toldAs(walk, reason, statements[at] ?? null), request };
}

/** What came as a message of its own. */
function protocolOf({ kind, copy }: PreparedStatement["shape"]): StatementProtocol {
  return kind === "function" ? "function" : copy === null ? "simple" : "copy";
}

function recordDenied(walk: Walk, request: string, index: number, sqlstate: string): void {
  walk.audit.outcome(walk.context, {
    request,
    intent: index,
    status: "denied",
    sqlstate,
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
}

/** Sends a message that must fail in the place of a Query or FunctionCall. */
export function poisonMessage(walk: Walk, refusal: Refusal): readonly Buffer[] {
  const entry = expected(Kind.query, walk.batch++, null, null, null);
  entry.refusal = refusal;
  push(walk.queue, entry);
  return [poisonQuery(refusal.request)];
}

/** The same in the place of a message of an extended batch; `unnamed`: of a Parse without a name. */
export function poisonBatch(walk: Walk, refusal: Refusal, unnamed = false): readonly Buffer[] {
  const entry = expected(Kind.describeStatement, walk.batch, null, null, null);
  entry.refusal = refusal;
  push(walk.queue, entry);
  walk.skipping = true;
  return [unnamed ? poisonParse(refusal.request) : poisonExtended(walk.poison)];
}

/** Refuses a Query or FunctionCall: the reply has the shape ErrorResponse, ReadyForQuery. */
export function refuseQuery(
  walk: Walk,
  reason: Reason,
  protocol: StatementProtocol = "simple",
): readonly Buffer[] {
  return poisonMessage(walk, tryRecord(walk, reason, protocol));
}

/** Refuses a Query whose statements were judged; `at`: the first that may not run. */
export function refuseStatements(
  walk: Walk,
  statements: readonly PreparedStatement[],
  judgements: readonly Judgement[],
  at: number,
  reason: Reason,
  request?: string,
): readonly Buffer[] {
  let refusal: Refusal;
  try {
    refusal = recordMessage(walk, statements, judgements, at, reason, request);
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    refusal = { ...auditUnavailable, request: uuidv7() };
  }
  return poisonMessage(walk, refusal);
}

/** Refuses a message of an extended batch: the server skips to the next Sync, and so do we. */
export function refuseExtended(
  walk: Walk,
  reason: Reason,
  statement: PreparedStatement | null = null,
  judgement: Judgement | null = null,
): readonly Buffer[] {
  return poisonBatch(walk, tryRecord(walk, reason, "extended", statement, judgement));
}

/** Refuses a Parse of the statement `name`, "" for the one without a name. */
export function refuseParse(
  walk: Walk,
  name: string,
  reason: Reason,
  statement: PreparedStatement | null = null,
  judgement: Judgement | null = null,
): readonly Buffer[] {
  return poisonBatch(walk, tryRecord(walk, reason, "extended", statement, judgement), name === "");
}

function tryRecord(
  walk: Walk,
  reason: Reason,
  protocol: StatementProtocol,
  statement: PreparedStatement | null = null,
  judgement: Judgement | null = null,
): Refusal {
  try {
    return recordRefusal(walk, reason, protocol, statement, judgement);
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
