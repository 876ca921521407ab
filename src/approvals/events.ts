/**
 * What of an approval goes on the audit log: no text of a statement, no value of a parameter. E-mail addresses, and the binding, by
 * which a guess of the text could be checked, are for the seal. Pure.
 */
import type { Approval, ApprovalVote } from "../facts/approval.ts";
import type { ApprovalEvent } from "../facts/audit.ts";
import type { Principal } from "../facts/principal.ts";

type Shown = Omit<Approval, "url" | "missing">;

/** Named as in the other records, so that a search by subject, run or database finds these, too. What the caller says it is for is personal: not here. */
function about({ id, kind, requester, claimed, session, request, database, login }: Shown) {
  const { intent: _, ...claims } = claimed;
  return {
    approval: id,
    kind,
    session,
    request,
    principal: shown(requester),
    claimed: claims,
    database: { name: database, login },
  };
}

function shown<P extends { readonly email: string | null }>({ email: _, ...person }: P): Omit<P, "email"> {
  return person;
}

/** Who is meant, for the seal. */
function emails(people: Readonly<Record<string, { readonly email: string | null } | null>>) {
  const known = Object.entries(people).flatMap(([role, person]) =>
    person?.email == null ? [] : [[role, person.email] as const],
  );
  return known.length === 0 ? {} : { emails: Object.fromEntries(known) };
}

export function requestedEvent(approval: Shown): ApprovalEvent {
  const { mode, expires, demands, rules, policy, limits, statements, binding, shape, access } = approval;
  return {
    type: "approval.requested",
    fields: {
      ...about(approval),
      mode,
      expires,
      demands,
      rules,
      policy,
      limits,
      statements: statements.map(({ fingerprint, command, effects, reads, writes, labels, masked }) => ({
        fingerprint,
        command,
        effects,
        reads,
        writes,
        labels,
        masked,
      })),
      shape,
      access,
      break_glass: approval.breakGlass,
    },
    sealed: { binding, ...emails({ requester: approval.requester }) },
  };
}

/**
 * `state`: what the approval is after this vote. `void`: why a vote that was recorded did not count after all; `again`: a vote that was
 * recorded makes something else of it, as another was counted before.
 */
export function decidedEvent(
  approval: Shown,
  vote: ApprovalVote,
  state: Approval["state"],
  more: { readonly void?: string; readonly again?: true } = {},
): ApprovalEvent {
  const { approver, verdict, reason, scope, authenticated } = vote;
  return {
    type: "approval.decided",
    fields: {
      ...about(approval),
      approver: { ...shown(approver), authenticated },
      access: approval.access,
      verdict,
      reason,
      scope,
      state,
      ...more,
    },
    sealed: emails({ requester: approval.requester, approver }),
  };
}

export function expiredEvent(approval: Shown): ApprovalEvent {
  return {
    type: "approval.expired",
    fields: { ...about(approval), state: approval.state, why: approval.why },
    sealed: emails({ requester: approval.requester }),
  };
}

export function usedEvent(approval: Shown, request: string | null, session: string | null): ApprovalEvent {
  return {
    type: "approval.used",
    fields: {
      ...about(approval),
      used_by: { session, request },
      uses_left: approval.usesLeft,
      scope: approval.scope,
      break_glass: approval.breakGlass,
    },
    sealed: emails({ requester: approval.requester }),
  };
}

/** `by`: null: its time was over. */
export function adminEvent(
  action: "access.granted" | "access.revoked" | "access.expired" | "approval.revoked",
  approval: Shown,
  by: Principal | null,
  reason: string | null,
): ApprovalEvent {
  return {
    type: "admin.action",
    fields: {
      action,
      ...about(approval),
      access: approval.access,
      until: approval.expires,
      by:
        by === null ? null : { issuer: by.issuer, subject: by.subject, provider: by.provider, kind: by.kind },
      reason,
    },
    sealed: emails({ requester: approval.requester, by }),
  };
}
