/** One person's word → what the approval is then. Pure. */
import type { Approval, ApprovalScope, ApprovalState, ApprovalVote } from "../facts/approval.ts";
import { ApprovalError } from "./errors.ts";
import { type Approver, missingOf } from "./maydecide.ts";
import type { ApprovalSettings } from "./settings.ts";
import type { StoredApproval } from "./stored.ts";

const maxReason = 2000;
/** A session that waits takes its approval at once; this is for a slow node. */
const claimMs = 60_000;

/** A reason on one line, without control characters; null when there is nothing in it. */
export function cleanReason(reason: string | null | undefined): string | null {
  const clean = (reason ?? "")
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ")
    .trim()
    .slice(0, maxReason);
  return clean === "" ? null : clean;
}

/** Checks how far a vote is to reach. Throws ApprovalError BAD_SCOPE. */
export function checkScope(
  approval: Pick<Approval, "kind" | "shape">,
  wanted: ApprovalScope | null | undefined,
  { shape: most }: Pick<ApprovalSettings, "shape">,
): ApprovalScope {
  if (wanted === null || wanted === undefined || wanted.kind === "once") return { kind: "once" };
  if (approval.kind !== "statement" || approval.shape === null)
    throw new ApprovalError("BAD_SCOPE", "this can only be approved once");
  const { uses, seconds } = wanted;
  const fits = (value: number, max: number) => Number.isInteger(value) && value >= 1 && value <= max;
  if (!fits(uses, most.maxUses) || !fits(seconds, most.maxSeconds))
    throw new ApprovalError(
      "BAD_SCOPE",
      `for this shape: 1 to ${most.maxUses} uses within at most ${most.maxSeconds} seconds`,
    );
  return { kind: "shape", uses, seconds };
}

export function voteOf(
  { principal, authTime }: Approver,
  verdict: "approve" | "deny",
  reason: string | null,
  scope: ApprovalScope,
  nowMs: number,
): ApprovalVote {
  const { subject, issuer, provider, email } = principal;
  return {
    approver: { subject, issuer, provider, email },
    verdict,
    reason,
    time: new Date(nowMs).toISOString(),
    scope,
    authenticated: new Date((authTime ?? 0) * 1000).toISOString(),
  };
}

/** The narrowest of what the approving votes say. */
function narrowest(votes: readonly ApprovalVote[]): ApprovalScope {
  const scopes = votes.filter(({ verdict }) => verdict === "approve").map(({ scope }) => scope);
  const shapes = scopes.filter((scope) => scope.kind === "shape");
  if (shapes.length === 0 || shapes.length < scopes.length) return { kind: "once" };
  return {
    kind: "shape",
    uses: Math.min(...shapes.map(({ uses }) => uses)),
    seconds: Math.min(...shapes.map(({ seconds }) => seconds)),
  };
}

/** `demands`: those that the vote counts for. One denial ends it; an approval does when every demand has enough. */
export function withVote(
  stored: StoredApproval,
  vote: ApprovalVote,
  demands: readonly number[],
  nowMs: number,
): StoredApproval {
  const votes = [...stored.approval.votes, vote];
  const counts = [...stored.counts, [...demands]];
  const time = new Date(nowMs).toISOString();
  if (vote.verdict === "deny")
    return {
      ...stored,
      counts,
      approval: { ...stored.approval, votes, state: "denied", decided: time, usesLeft: 0 },
    };
  if (missingOf(stored.approval.demands, votes, counts).length > 0)
    return { ...stored, counts, approval: { ...stored.approval, votes } };
  const scope = narrowest(votes);
  const state: ApprovalState = stored.approval.kind === "review" ? "used" : "approved";
  return {
    ...stored,
    counts,
    approval: {
      ...stored.approval,
      votes,
      state,
      decided: time,
      scope,
      usesLeft: stored.approval.kind === "statement" ? (scope.kind === "once" ? 1 : scope.uses) : 0,
      expires: new Date(nowMs + usableMs(stored.approval, scope)).toISOString(),
    },
  };
}

/** How long it can be used once it is approved. */
function usableMs(approval: StoredApproval["approval"], scope: ApprovalScope): number {
  switch (approval.kind) {
    case "access":
      return (approval.access?.seconds ?? 0) * 1000;
    case "review":
      return 0;
    case "statement":
      if (scope.kind === "shape") return scope.seconds * 1000;
      return approval.mode === "wait" ? claimMs : withinOf(approval.demands);
  }
}

/** The shortest time that the demands leave, in milliseconds. */
export function withinOf(demands: Approval["demands"]): number {
  return Math.min(...demands.map(({ withinMs }) => withinMs));
}
