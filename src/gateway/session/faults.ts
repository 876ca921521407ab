/** Exceptions of a session's handlers, as its client and the record are told. */
import { AuditUnavailable } from "../../audit/index.ts";
import { MaskError } from "../../masking/index.ts";
import { ProtocolError } from "../../protocol/index.ts";
import { Disagreement } from "../statement/guard.ts";

/** What a client is told whose session ends. */
export interface Told {
  readonly sqlstate: string;
  readonly message: string;
  readonly hint?: string;
}

export const auditLost: Told = {
  sqlstate: "58030",
  message: "the audit log is unavailable; the session ends",
};
export const auditReason = "audit unavailable";

export interface Fault {
  readonly told: Told;
  /** For the record. */
  readonly reason: string;
  /** "disagreement": the rows are not what was analysed. "internal": our own fault, about which the client is told nothing more. */
  readonly cause: "disagreement" | "protocol" | "audit" | "internal";
}

/** Whatever was thrown ends the session. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Disagreement || error instanceof MaskError)
    return {
      told: {
        sqlstate: "XX000",
        message: "policy: the result is not what the analysis of the statement said; the session ends",
        hint: "Connect again and repeat the statement.",
      },
      reason: `result and analysis disagree: ${error.message}`,
      cause: "disagreement",
    };
  if (error instanceof ProtocolError)
    return {
      told: { sqlstate: error.code, message: error.message },
      reason: `protocol error: ${error.message}`,
      cause: "protocol",
    };
  if (error instanceof AuditUnavailable) return { told: auditLost, reason: auditReason, cause: "audit" };
  return {
    told: { sqlstate: "XX000", message: "internal error of the gateway; the session ends" },
    reason: "internal error",
    cause: "internal",
  };
}
