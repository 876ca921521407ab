/** What a caller is told whose statement waited for people, or must wait. */
import type { Approval } from "../../facts/approval.ts";
import type { PolicyDecision } from "../../policy/index.ts";
import { encodeNotice } from "../../protocol/index.ts";
import type { HeldMessage } from "./holding.ts";
import type { Reason } from "./state.ts";

/** What a refusal tells of an approval. */
export interface ApprovalMention {
  readonly id: string;
  readonly url: string | null;
  readonly expires: string;
}

export function mention({ id, url, expires }: Approval): ApprovalMention {
  return { id, url, expires };
}

export const approvalUnavailable: Reason = {
  sqlstate: "58000",
  code: "APPROVAL_UNAVAILABLE",
  message: "policy: the statement needs approval, and nobody can be asked now; it was not run",
  hint: "Try again later; the operator finds the cause in the gateway's log.",
  retryable: true,
};

export const cancelledWhileHeld: Reason = {
  sqlstate: "57014",
  code: "APPROVAL_CANCELLED",
  message: "canceling statement due to user request",
  hint: "The request for approval was withdrawn; the statement was not run.",
};

export const goneWhileHeld: Reason = {
  sqlstate: "42501",
  code: "APPROVAL_GONE",
  message: "policy: the session ended before the statement was approved; it was not run",
  hint: "Connect again, and send it again.",
};

export const tokenOver: Reason = {
  sqlstate: "42501",
  code: "APPROVAL_EXPIRED",
  message: "policy: the token expired before the statement was approved; it was not run",
  hint: "Connect again with a fresh token, and send it again.",
};

export const tooMuchBehind: Reason = {
  sqlstate: "54000",
  code: "APPROVAL_OVERFLOW",
  message: "policy: too much was sent behind a statement that waits for approval; it was not run",
  hint: "Wait for the answer before you send more.",
};

export const tooLongToRead: Reason = {
  sqlstate: "54000",
  code: "APPROVAL_TOO_LARGE",
  message: "policy: the statement needs approval, and its text is too long for people to read",
  hint: "Split it, or send values as parameters.",
};

export const abortedBlock: Reason = {
  sqlstate: "25P02",
  code: "TRANSACTION_ABORTED",
  message: "current transaction is aborted, commands ignored until end of transaction block",
  hint: "Send ROLLBACK.",
};

export const bindAgain: Reason = {
  sqlstate: "42501",
  code: "NEEDS_APPROVAL",
  message: "policy: this portal was opened before its statement needed approval",
  hint: "Bind and execute the statement anew.",
};

/** People have said no. */
export function denied(approval: Approval, rule: string | null): Reason {
  const vote = approval.votes.findLast(({ verdict }) => verdict === "deny");
  const who = vote === undefined ? "nobody" : (vote.approver.email ?? vote.approver.subject);
  const why = vote?.reason == null || vote.reason === "" ? "" : `: ${oneLine(vote.reason)}`;
  return {
    sqlstate: "42501",
    code: "APPROVAL_DENIED",
    message: `policy: ${oneLine(who)} did not approve this statement${why}`,
    hint: "It was not run. Do not send it again as it is: change it, or talk to the approver.",
    rule,
    approval: mention(approval),
  };
}

export function expired(approval: Approval, rule: string | null, note: string | null): Reason {
  return {
    sqlstate: "42501",
    code: "APPROVAL_EXPIRED",
    message: "policy: nobody approved this statement in time; it was not run",
    hint: `${note === null ? "" : `${note} `}Ask the approvers first, then send it again.`,
    rule,
    approval: mention(approval),
  };
}

export function gone(approval: Approval, rule: string | null): Reason {
  return {
    sqlstate: "42501",
    code: "APPROVAL_GONE",
    message: "policy: the request for approval was withdrawn; the statement was not run",
    hint: "Send it again if it is still wanted.",
    rule,
    approval: mention(approval),
  };
}

/** It cannot wait here: it may come again once people have agreed. */
export function ticket(
  approval: Approval,
  decision: PolicyDecision | null,
  why: HeldMessage["ticket"],
): Reason {
  const where = approval.url === null ? `approval ${approval.id}` : approval.url;
  const begun =
    why === "begun"
      ? "Statements before it in the same batch have run already, so that it cannot wait here: send Sync before it. "
      : "";
  return {
    sqlstate: "42501",
    code: "APPROVAL_REQUIRED",
    message: `policy: ${decision?.message ?? "this statement needs approval"}`,
    hint: `${begun}Once it is approved (${where}), send the same statement again: it then runs, once.`,
    rule: decision?.rule ?? null,
    object: decision?.object ?? null,
    ...(decision === null
      ? {}
      : { approvers: decision.approvers.map(({ groups, count }) => ({ groups, count })) }),
    approval: mention(approval),
    retryable: true,
  };
}

/** The principal asks for too much (the approvals' own code). */
export function notAsked(code: string, message: string): Reason {
  return {
    sqlstate: "53400",
    code,
    message: `policy: ${oneLine(message)}`,
    hint: "Wait until open requests are decided, then go on more slowly.",
    retryable: true,
  };
}

/** NoticeResponse to a client whose statement waits; the session stays as it is. */
export function waitingNotice(
  approval: Approval,
  decision: PolicyDecision | null,
  request: string,
  note: string | null,
): Buffer {
  const where = approval.url === null ? `approval ${approval.id}` : approval.url;
  const detail = JSON.stringify({
    v: 1,
    decision: "approve",
    code: "WAITING_FOR_APPROVAL",
    rule: decision?.rule ?? null,
    object: decision?.object ?? null,
    position: null,
    retryable: false,
    request_id: request,
    approval: mention(approval),
  });
  return encodeNotice({
    severity: "NOTICE",
    code: "00000",
    message: `policy: this statement waits for a person to approve it: ${where}`,
    detail,
    hint: `${note === null ? "" : `${note} `}Keep the session open: it runs here as soon as it is approved. Cancel it to withdraw the request.`,
  });
}

/** A person's words, as part of a message. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ").slice(0, 500);
}
