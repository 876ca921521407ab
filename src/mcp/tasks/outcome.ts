/** What a call whose statement never ran would have been told: the result of a task that ends without a run. */
import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Approval } from "../../facts/approval.ts";
import { denied } from "../tools/result.ts";

/** null: it may run, or nothing is decided yet. */
export function withoutRun(approval: Approval | null): CallToolResult | null {
  const state = approval?.state ?? "gone";
  switch (state) {
    case "pending":
    case "approved":
      return null;
    case "used":
      if ((approval?.usesLeft ?? 0) > 0) return null;
      return refused(
        approval,
        "APPROVAL_EXPIRED",
        "policy: the approval was used by another call of yours; this one did not run",
        "If it must run once more, send it again: people are asked anew.",
      );
    case "denied":
      return refused(
        approval,
        "APPROVAL_DENIED",
        "policy: the statement was not approved; it was not run",
        "Do not send it again as it is: tell your user why, if a reason is given.",
      );
    case "expired":
      return refused(
        approval,
        "APPROVAL_EXPIRED",
        "policy: nobody approved this statement in time; it was not run",
        "Ask the approvers first, then send it again.",
      );
    case "gone":
    case "revoked":
      return refused(
        approval,
        "APPROVAL_GONE",
        "policy: the request for approval was withdrawn; the statement was not run",
        "Send it again if it is still wanted.",
      );
  }
}

function refused(approval: Approval | null, code: string, message: string, hint: string): CallToolResult {
  const reasons = approval?.votes.map(({ reason }) => reason).filter((reason) => reason !== null) ?? [];
  return denied(
    { code, message, hint, sqlstate: "42501", request_id: approval?.request ?? null },
    {
      ...(reasons.length === 0 ? {} : { reasons }),
      ...(approval === null
        ? {}
        : { approval: { id: approval.id, url: approval.url, expires: approval.expires } }),
    },
  );
}
