/** The audit log cannot take or keep records: nothing may be forwarded (SPEC section 4, SQLSTATE 58030). */
export class AuditUnavailable extends Error {
  readonly code = "AUDIT_UNAVAILABLE";
  override readonly name = "AuditUnavailable";
}

/** Stable reasons why a log does not open. */
export type AuditOpenCode =
  | "AUDIT_LOCKED"
  | "AUDIT_SETTINGS"
  | "AUDIT_KEYS"
  | "AUDIT_CORRUPT"
  | "AUDIT_ROLLED_BACK"
  | "AUDIT_ANCHOR"
  | "AUDIT_IO";

/** The log did not open; the message says why and what to do next. */
export class AuditOpenError extends Error {
  override readonly name = "AuditOpenError";
  readonly code: AuditOpenCode;
  constructor(code: AuditOpenCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
