/** What waits for a person: requests, votes, single use, and groups for a while (docs/approvals.md). */

export { createApprovals } from "./approvals.ts";
export type { ApprovalAsk } from "./ask.ts";
export { type BindingParts, bindingOf, requesterKey, shapeOf } from "./binding.ts";
export { ApprovalError, ApprovalRefused } from "./errors.ts";
export type { Grant, GrantSource } from "./grants.ts";
export { type Approver, mayDecide } from "./maydecide.ts";
export { inGroups, requesterOf, samePerson } from "./people.ts";
export { type ApprovalSettings, defaultApprovalSettings, type WebhookSettings } from "./settings.ts";
export type { ApprovalStats, Approvals, ApprovalsDeps } from "./types.ts";
export { createWebhooks, type Webhooks } from "./webhooks/index.ts";
