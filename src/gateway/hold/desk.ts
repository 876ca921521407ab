/** What the gateway needs of the room where people decide: asked for, waited for, claimed once. */
import type { Approvals } from "../../approvals/index.ts";

/** All calls reject when the store or the audit log cannot be reached; the statement is refused then. */
export type ApprovalDesk = Pick<
  Approvals,
  "request" | "settled" | "claim" | "findApproved" | "leave" | "get" | "setPreview" | "grants"
>;
