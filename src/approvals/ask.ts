/** What the gateway hands over when a statement needs people, and the approval that is made of it. Pure. */
import type { Approval, ApprovalWarning, HeldStatement, Requester } from "../facts/approval.ts";
import type { ApproverDemand, DecisionLimits } from "../facts/decision.ts";
import type { Claimed, Via } from "../facts/session.ts";
import { requesterKey } from "./binding.ts";
import { ApprovalRefused } from "./errors.ts";
import { inGroups } from "./people.ts";
import type { AccessOffer, OfferedGroup } from "./settings.ts";
import type { StoredApproval } from "./stored.ts";
import { cleanReason, withinOf } from "./vote.ts";

export interface ApprovalAsk {
  readonly mode: "wait" | "ticket";
  readonly requester: Requester;
  readonly claimed: Claimed;
  readonly session: string | null;
  readonly request: string | null;
  readonly database: string;
  readonly login: string;
  readonly via: Via;
  readonly application: string | null;
  readonly ip: string;
  readonly statements: readonly HeldStatement[];
  readonly searchPath: string | null;
  readonly role?: string;
  readonly transaction: Approval["transaction"];
  readonly demands: readonly ApproverDemand[];
  readonly policy: string;
  readonly rules: readonly string[];
  readonly message: string | null;
  readonly limits: DecisionLimits;
  readonly estimate: Approval["estimate"];
  readonly warnings: readonly ApprovalWarning[];
  /** `bindingOf()`. */
  readonly binding: string;
  /** `shapeOf()`. */
  readonly shape: string | null;
  /** Longest wait of the client, in milliseconds. */
  readonly holdMs: number;
  /** Not null: the caller wants to go ahead at once, and says why. */
  readonly breakGlass: { readonly reason: string } | null;
}

/** How long a look back may take. */
const reviewMs = 30 * 24 * 3600 * 1000;

export interface Place {
  readonly id: string;
  readonly node: string;
  readonly boot: string;
  readonly nowMs: number;
}

/** A statement that waits, or a ticket. */
export function statementApproval(ask: ApprovalAsk, place: Place): StoredApproval {
  const within = withinOf(ask.demands);
  const openMs = ask.mode === "wait" ? Math.min(within, ask.holdMs) : within;
  return pending("statement", ask, place, ask.demands, openMs);
}

/** The look back at a statement that ran without approval: asked of everybody that the rules name for it. */
export function reviewApproval(ask: ApprovalAsk, reason: string, place: Place): StoredApproval {
  const demands = ask.demands.map((demand) => ({
    ...demand,
    groups: demand.breakGlass?.review ?? demand.groups,
    count: 1,
    withinMs: reviewMs,
    allowDelegator: false,
    ticket: true,
  }));
  return pending("review", { ...ask, mode: "ticket", breakGlass: { reason } }, place, demands, reviewMs);
}

function pending(
  kind: Approval["kind"],
  ask: ApprovalAsk,
  { id, node, boot, nowMs }: Place,
  demands: readonly ApproverDemand[],
  openMs: number,
): StoredApproval {
  const { holdMs: _, ...rest } = ask;
  return {
    boot,
    who: requesterKey(ask.requester),
    counts: [],
    approval: {
      ...rest,
      shape: kind === "statement" ? ask.shape : null,
      id,
      kind,
      state: "pending",
      created: new Date(nowMs).toISOString(),
      expires: new Date(nowMs + openMs).toISOString(),
      decided: null,
      node,
      access: null,
      demands,
      votes: [],
      preview: null,
      scope: { kind: "once" },
      usesLeft: kind === "statement" ? 1 : 0,
      why: null,
    },
  };
}

/** Whether every rule that holds the statement lets this requester go ahead; gives the reason. Throws ApprovalRefused. */
export function breakGlassReason(ask: ApprovalAsk): string {
  const { requester, demands } = ask;
  const allowed =
    requester.kind === "human" &&
    requester.actor.length === 0 &&
    demands.length > 0 &&
    demands.every(({ breakGlass }) => breakGlass !== null && inGroups(requester, breakGlass.groups));
  if (!allowed)
    throw new ApprovalRefused("BREAK_GLASS_REFUSED", "no rule lets you go ahead without approval");
  const reason = cleanReason(ask.breakGlass?.reason);
  if (reason === null)
    throw new ApprovalRefused("REASON_REQUIRED", "going ahead without approval needs a reason");
  return reason;
}

export interface AccessWish {
  readonly database: string;
  /** A group, or provider:group. */
  readonly group: string;
  readonly seconds: number;
  readonly reason: string;
}

/** Groups that a principal may ask for: by their plain names, with the databases ("*": all) and the longest time of each offer. */
export function offeredTo(
  requester: Pick<Requester, "provider" | "groups">,
  offers: readonly AccessOffer[],
): readonly OfferedGroup[] {
  const prefix = `${requester.provider}:`;
  return offers.flatMap(({ groups, databases, requesters, maxSeconds }) =>
    requesters !== null && !inGroups(requester, requesters)
      ? []
      : groups.flatMap((name) => {
          const group = name.startsWith(prefix) ? name.slice(prefix.length) : name;
          return group.includes(":") ? [] : [{ group, databases, maxSeconds }];
        }),
  );
}

/** A wish for access that an offer covers. Throws ApprovalRefused. */
export function accessApproval(
  requester: Requester,
  wish: AccessWish,
  offers: readonly AccessOffer[],
  place: Place,
): StoredApproval {
  const named = (group: string) => group === wish.group || group === `${requester.provider}:${wish.group}`;
  const offer = offers.find(
    ({ groups, databases, requesters }) =>
      groups.some(named) &&
      databases.some((name) => name === "*" || name === wish.database) &&
      (requesters === null || inGroups(requester, requesters)),
  );
  const prefix = `${requester.provider}:`;
  const group = wish.group.startsWith(prefix) ? wish.group.slice(prefix.length) : wish.group;
  // A group of another provider's is not one that this principal can have.
  if (offer === undefined || group.includes(":"))
    throw new ApprovalRefused("ACCESS_NOT_OFFERED", "this group is not offered on this database");
  const { seconds } = wish;
  if (!Number.isInteger(seconds) || seconds < 60 || seconds > offer.maxSeconds)
    throw new ApprovalRefused("ACCESS_NOT_OFFERED", `offered for 60 to ${offer.maxSeconds} seconds`);
  const reason = cleanReason(wish.reason);
  if (reason === null) throw new ApprovalRefused("REASON_REQUIRED", "say what you need it for");
  const { groups, count, withinMs } = offer.approvers;
  const demand: ApproverDemand = {
    rule: "access",
    groups,
    count,
    withinMs,
    allowDelegator: false,
    ticket: true,
    breakGlass: null,
  };
  const ask: ApprovalAsk = {
    mode: "ticket",
    requester,
    claimed: {},
    session: null,
    request: null,
    database: wish.database,
    login: "",
    via: "api",
    application: null,
    ip: "",
    statements: [],
    searchPath: null,
    transaction: null,
    demands: [demand],
    policy: "",
    rules: [],
    message: null,
    limits: { rows: null, bytes: null, timeoutMs: null, affectedRows: null, perMinute: null },
    estimate: null,
    warnings: [],
    binding: "",
    shape: null,
    holdMs: 0,
    breakGlass: null,
  };
  const made = pending("access", ask, place, ask.demands, withinMs);
  return { ...made, approval: { ...made.approval, access: { group, seconds, reason } } };
}
