/** What the gateway refused, as a tool result. */
import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Judgement, Refusal, Unopened } from "../../gateway/index.ts";
import { typeText } from "../../gateway/index.ts";
import { typeName } from "../../protocol/index.ts";
import { answer, databaseError, denied, passing } from "./result.ts";

export interface HeldApproval {
  readonly id: string;
  readonly url: string | null;
  readonly expires: string | null;
}

/** The approval that a refused statement waits for; null: it waits for none. */
export function heldApproval({ approval }: Refusal): HeldApproval | null {
  return approval ?? null;
}

/** `tool`: the one to call again. */
export function refusedCall(refusal: Refusal, tool: string): CallToolResult {
  if (refusal.server !== undefined) return databaseError(refusal.server.fields);
  const held = heldApproval(refusal);
  if (held !== null && refusal.code === "APPROVAL_REQUIRED") {
    const who = whom(refusal);
    return answer({
      status: "approval_required",
      approval: held,
      message: refusal.message,
      ...(who === null ? {} : { approvers: refusal.approvers }),
      next:
        `${held.url === null ? "Ask" : `Give your user the address, so that`} ${who ?? "an approver"} ${held.url === null ? "to approve it" : "can approve it"}; ` +
        `call approval_wait with this id; once it is approved call ${tool} again with exactly the same arguments: it then runs, once.`,
      code: refusal.code,
      rule: refusal.rule ?? null,
      request_id: refusal.request,
    });
  }
  return denied(
    { ...refusal, request_id: refusal.request },
    {
      ...(refusal.allowed === undefined ? {} : { allowed: refusal.allowed }),
      ...(refusal.approvers === undefined ? {} : { approvers: refusal.approvers }),
      ...(refusal.next === undefined ? {} : { next: refusal.next }),
      ...(refusal.repeated === undefined ? {} : { repeated: refusal.repeated }),
      ...(held === null ? {} : { approval: held }),
    },
  );
}

/** The gateway began no session: its own words, not the database's. */
export function refusedSession({ code, sqlstate, message }: Unopened): CallToolResult {
  const elsewhere = code === "UNKNOWN_DATABASE" || code === "NO_LOGIN";
  return denied({
    code,
    sqlstate,
    message,
    hint: elsewhere
      ? "describe_access without arguments lists the databases that you may use."
      : "Try again later; the operator finds the cause in the gateway's log.",
    retryable: passing.test(sqlstate),
  });
}

/** Who may approve it; null: nobody is named. */
export function whom({ approvers }: Refusal): string | null {
  if (approvers === undefined || approvers.length === 0) return null;
  return approvers
    .map(({ groups, count }) => `${count === 1 ? "one person" : `${count} people`} of ${groups.join(" or ")}`)
    .join(" and ");
}

/** A result column's type by name. */
export function columnType(judgement: Judgement | null, oid: number): string {
  const catalog = judgement?.view?.catalog;
  if (catalog !== undefined) return typeText(catalog, oid);
  const name = typeName(oid);
  return name.startsWith("_") ? `${name.slice(1)}[]` : name.startsWith("oid:") ? "unknown" : name;
}
