/** Why a person's call was refused. `message` may be shown. */
export class ApprovalError extends Error {
  override readonly name = "ApprovalError";
  readonly code: ApprovalErrorCode;
  constructor(code: ApprovalErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type ApprovalErrorCode =
  | "NOT_FOUND"
  | "NOT_PENDING"
  | "NOT_APPROVER"
  | "SELF_APPROVAL"
  | "AGENT"
  | "STEP_UP_REQUIRED"
  | "REASON_REQUIRED"
  | "ALREADY_VOTED"
  | "BAD_SCOPE";

/** Why nobody is asked. `message` may be shown to whoever wanted to ask. */
export class ApprovalRefused extends Error {
  override readonly name = "ApprovalRefused";
  readonly code: ApprovalRefusedCode;
  constructor(code: ApprovalRefusedCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type ApprovalRefusedCode =
  /** Too many requests of this principal, or the same was denied again and again. */
  | "APPROVAL_RATE"
  /** No rule lets this principal go ahead on its own. */
  | "BREAK_GLASS_REFUSED"
  /** No `approvals.access` entry offers this. */
  | "ACCESS_NOT_OFFERED"
  | "REASON_REQUIRED";
