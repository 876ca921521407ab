/** Refusing a message that was held, or may not be: recorded whole, and refused the way of every message. */
import { AuditUnavailable } from "../../audit/index.ts";
import { decisionOf } from "./decided.ts";
import type { HeldMessage } from "./holding.ts";
import type { Judgement } from "./judgement.ts";
import type { PreparedStatement } from "./names.ts";
import { auditUnavailable, poisonBatch, poisonMessage, type Refusal, recordMessage } from "./refuse.ts";
import type { Reason, Walk } from "./state.ts";

/** What was judged of a held message's statements, as refused for `reason`. */
function refusedParts(
  walk: Walk,
  { parts }: HeldMessage,
  reason: Reason,
): { statements: PreparedStatement[]; judgements: Judgement[] } {
  const { approval } = reason;
  return {
    statements: parts.map(({ statement }) => statement),
    judgements: parts.map(({ judgement }) =>
      judgement.awaits
        ? {
            ...judgement,
            refusal: reason,
            decisionRecord: decisionOf(
              walk,
              judgement.decision,
              "approve",
              reason.code,
              judgement.masked,
              approval === undefined ? null : { id: approval.id, approvers: [] },
            ),
          }
        : judgement,
    ),
  };
}

/** Puts a held message on the record as denied: it never ran. Throws AuditUnavailable. */
export function recordHeld(walk: Walk, message: HeldMessage, reason: Reason, request: string): Refusal {
  const { statements, judgements } = refusedParts(walk, message, reason);
  const at = judgements.findIndex(({ refusal }) => refusal !== null);
  return recordMessage(walk, statements, judgements, at, reason, request, message.protocol === "extended");
}

/** Refuses a message that was held, or may not be: the way of every refusal. */
export function refuseHeld(
  walk: Walk,
  message: HeldMessage,
  reason: Reason,
  request: string,
): readonly Buffer[] {
  let refusal: Refusal;
  try {
    refusal = recordHeld(walk, message, reason, request);
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    refusal = { ...auditUnavailable, request };
  }
  return message.protocol === "extended" ? poisonBatch(walk, refusal) : poisonMessage(walk, refusal);
}
