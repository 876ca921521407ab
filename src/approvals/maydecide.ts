/** Who may decide (issue 6, line 3). Pure: the console, the API and the room itself ask the same. */
import type { Approval, ApprovalVote } from "../facts/approval.ts";
import type { Principal } from "../facts/principal.ts";
import type { ApprovalErrorCode } from "./errors.ts";
import { inGroups, relationOf, samePerson } from "./people.ts";
import type { ApprovalSettings } from "./settings.ts";

/** A person at an approver's desk. */
export interface Approver {
  readonly principal: Principal;
  /** Seconds since the epoch of the person's interactive login; null: the token does not say. */
  readonly authTime: number | null;
}

export type Decidable = Pick<Approval, "state" | "expires" | "requester" | "demands" | "votes">;

export type MayDecide =
  /** `demands`: the places of the demands that this person's voice counts for. */
  | { readonly ok: true; readonly demands: readonly number[] }
  | { readonly ok: false; readonly code: ApprovalErrorCode; readonly message: string };

/** A clock of an identity provider may be this much ahead of ours. */
const skewSeconds = 60;

/**
 * Whether `approver` may decide `approval` at `nowMs`. Every reason but STEP_UP_REQUIRED stands; that one goes away with a fresh login,
 * and is given only to who could decide then.
 */
export function mayDecide(
  approval: Decidable,
  approver: Approver,
  settings: Pick<ApprovalSettings, "stepUpMs">,
  nowMs: number,
  verdict: "approve" | "deny" = "approve",
): MayDecide {
  const no = (code: ApprovalErrorCode, message: string): MayDecide => ({ ok: false, code, message });
  const { principal, authTime } = approver;
  if (approval.state !== "pending" || Date.parse(approval.expires) <= nowMs)
    return no("NOT_PENDING", "it is not waiting for a decision any more");
  // A token that somebody else uses on the person's behalf is not the person.
  if (principal.kind !== "human" || principal.actor.length > 0)
    return no("AGENT", "only a person decides, with a token of their own");
  const relation = relationOf(approval.requester, principal);
  if (relation === "self") return no("SELF_APPROVAL", "nobody decides on their own request");
  const mine = approval.demands.flatMap((demand, place) =>
    inGroups(principal, demand.groups) ? [place] : [],
  );
  const demands = mine.filter(
    (place) => relation === "none" || approval.demands[place]?.allowDelegator === true,
  );
  if (mine.length > 0 && demands.length === 0)
    return no("SELF_APPROVAL", "it is asked on your behalf: somebody else has to decide");
  if (demands.length === 0) return no("NOT_APPROVER", "none of your groups decides on this");
  // Who agreed may still change their mind, as long as the others have not agreed too.
  if (verdict === "approve" && votesOf(approval.votes, principal).length > 0)
    return no("ALREADY_VOTED", "you have agreed already: others have to");
  const now = nowMs / 1000;
  const fresh =
    authTime !== null && authTime <= now + skewSeconds && now - authTime <= settings.stepUpMs / 1000;
  if (!fresh)
    return no(
      "STEP_UP_REQUIRED",
      `sign in again: your login must be at most ${Math.round(settings.stepUpMs / 60_000)} minutes old`,
    );
  return { ok: true, demands };
}

/** The votes that one person gave, under whichever name. */
export function votesOf(votes: readonly ApprovalVote[], person: Principal): readonly ApprovalVote[] {
  return votes.filter(({ approver }) => samePerson(approver, person));
}

/** For each demand how many more must agree; `counts` says for which demands each vote counts. */
export function missingOf(
  demands: Approval["demands"],
  votes: readonly ApprovalVote[],
  counts: readonly (readonly number[])[],
): Approval["missing"] {
  return demands.flatMap(({ rule, groups, count }, place) => {
    const agreed = votes.filter((vote, i) => vote.verdict === "approve" && counts[i]?.includes(place)).length;
    return agreed >= count ? [] : [{ rule, groups, count: count - agreed }];
  });
}
