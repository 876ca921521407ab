/** The audit log: what the other rooms may use of it. */
export { AuditOpenError, AuditUnavailable } from "./errors.ts";
export { openAuditLog } from "./open.ts";
export { ResultDigest } from "./record/digest.ts";
export { uuidv7 } from "./record/uuid.ts";
export type { AuditLog, ColumnsContext, DecisionContext, SessionContext, StatementContext } from "./types.ts";
