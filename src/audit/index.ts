/** The audit log: what the other rooms may use of it. */
export type { AuditOpenCode } from "./errors.ts";
export { AuditOpenError, AuditUnavailable } from "./errors.ts";
export { openAuditLog } from "./open.ts";
export { ResultDigest } from "./record/digest.ts";
export { uuidv7 } from "./record/uuid.ts";
export type {
  AuditLog,
  AuthFailureFields,
  ColumnsContext,
  DecisionContext,
  IntentFields,
  OutcomeFields,
  SafeWaiter,
  SessionContext,
  SessionEndFields,
  StatementContext,
} from "./types.ts";
