/** What the REST API answers, as its schemas say (../generated/api.ts). Every string in here may be hostile: show it as text only. */
import type { Approval, Me, Principal, PrincipalKind, Session } from "../generated/api.ts";

export type {
  Actor,
  Approval,
  ApprovalEvent,
  ApprovalScope,
  ApprovalVote,
  AuditHit,
  Claimed,
  ConnectDatabase,
  EffectPreview,
  Grant,
  HeldParameter,
  HeldStatement,
  LoginProvider,
  Me,
  OutcomeEvent,
  OutcomeStatus,
  Revocation,
  Session,
  SessionEvent,
  StatementEvent,
  Verdict,
} from "../generated/api.ts";

export type Role = Me["roles"][number];
export type Kind = PrincipalKind;
export type SessionState = Session["state"];
export type ApprovalState = Approval["state"];

/** Who, as the token proved it; events leave some of it out. */
export type Who = Pick<Principal, "subject" | "email" | "kind" | "actor"> &
  Partial<Pick<Principal, "issuer" | "provider" | "groups">>;

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}
