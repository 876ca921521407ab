/** What waits for a person: requests, votes, single use, and groups for a while (docs/approvals.md). */

export { createApprovals } from "./approvals.ts";
export type { AccessWish, ApprovalAsk } from "./ask.ts";
export { type BindingParts, type BoundStatement, bindingOf, requesterKey, shapeOf } from "./binding.ts";
export {
  ApprovalError,
  type ApprovalErrorCode,
  ApprovalRefused,
  type ApprovalRefusedCode,
} from "./errors.ts";
export type { Grant, GrantSource } from "./grants.ts";
export { type Approver, type MayDecide, mayDecide } from "./maydecide.ts";
export { inGroups, requesterOf, samePerson } from "./people.ts";
export {
  type AccessOffer,
  type ApprovalSettings,
  defaultApprovalSettings,
  type WebhookSettings,
} from "./settings.ts";
export type { ApprovalStats, Approvals, ApprovalsDeps } from "./types.ts";
export { createWebhooks, type Webhooks } from "./webhooks/index.ts";
