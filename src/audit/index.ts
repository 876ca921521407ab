/** The audit log: what the other rooms may use of it. */
export { type Anchoring, startAnchoring } from "./anchors/anchoring.ts";
export { makeAnchors } from "./anchors/make.ts";
export type { Anchor } from "./anchors/types.ts";
export { webhookSignature } from "./anchors/webhook.ts";
export type { Capture } from "./capture/capture.ts";
export { AuditOpenError, AuditUnavailable } from "./errors.ts";
export { type OpenNews, openAuditLog } from "./open.ts";
export { ResultDigest } from "./record/digest.ts";
export { uuidv7 } from "./record/uuid.ts";
export { leavesIn } from "./subscribe.ts";
export type {
  AuditLog,
  ColumnsContext,
  CommittedRecords,
  DecisionContext,
  SessionContext,
  StatementContext,
  TransactionCause,
} from "./types.ts";
