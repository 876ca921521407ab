/** Every route of the API. */
import type { RouteSpec } from "../routing.ts";
import * as approvals from "./approvals.ts";
import * as audit from "./audit.ts";
import * as connect from "./connect.ts";
import * as events from "./events.ts";
import * as lifecycle from "./lifecycle.ts";
import * as me from "./me.ts";
import * as policy from "./policy.ts";
import * as sessions from "./sessions.ts";

/** In the order in which they are told. */
export const specs: readonly RouteSpec[] = [
  me.getMe,
  me.getLogin,
  me.postLogout,
  sessions.listSessions,
  sessions.endSession,
  lifecycle.renewSession,
  lifecycle.listRevocations,
  lifecycle.addRevocation,
  lifecycle.liftRevocation,
  lifecycle.listTokens,
  lifecycle.endToken,
  events.getEvents,
  audit.searchAudit,
  audit.getCheckpoint,
  audit.getStats,
  audit.listRuns,
  audit.getRun,
  audit.getProof,
  audit.getAuditRequest,
  approvals.listApprovals,
  approvals.getApproval,
  approvals.approve,
  approvals.deny,
  approvals.preview,
  approvals.revoke,
  approvals.requestAccess,
  approvals.listGrants,
  policy.getPolicy,
  policy.getColumns,
  policy.explainPolicy,
  policy.replayPolicy,
  policy.checkPolicy,
  connect.getConnect,
  connect.postConnectToken,
  connect.getAccess,
];
