/** What waits for a person, and what people decide. */
import {
  ApprovalError,
  ApprovalRefused,
  type Approvals,
  inGroups,
  samePerson,
} from "../../approvals/index.ts";
import type { Approval } from "../../facts/approval.ts";
import { PreviewRefused } from "../../gateway/index.ts";
import type { Caller } from "../env.ts";
import { ApiError, type ApiErrorCode } from "../failure.ts";
import { isOwn, seesAll } from "../live/hub.ts";
import { storeCursor } from "../paging.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import * as specs from "../schema/approvals.ts";
import { canDecide, tellApproval, tellPreview } from "./approvals-told.ts";

const idShape = /^[A-Za-z0-9_.:-]{1,200}$/;
/** Pages of the store that one answer looks through for what the caller may see. */
const mostPages = 20;

/** May the caller look at it: it is theirs, they could decide on it, or they see everything. */
export function maySee(caller: Caller, approval: Approval): boolean {
  if (seesAll(caller)) return true;
  const { principal } = caller;
  if (isOwn(caller, approval.requester)) return true;
  if (principal.kind !== "human") return false;
  // Asked on their behalf, or for them to decide.
  return (
    samePerson(approval.requester, principal) ||
    approval.demands.some(({ groups }) => inGroups(principal, groups))
  );
}

export function approvalRoutes(deps: RestDeps): Route[] {
  function all(): Approvals {
    if (deps.approvals === undefined)
      throw new ApiError("NOT_IMPLEMENTED", "this gateway holds nothing for approval");
    return deps.approvals;
  }

  async function find(caller: Caller, id: string | undefined): Promise<Approval> {
    const found = idShape.test(id ?? "") ? await all().get(id ?? "") : null;
    if (found === null || !maySee(caller, found))
      throw new ApiError("NOT_FOUND", "there is no such approval");
    return found;
  }

  const tell = (approval: Approval, caller: Caller) => tellApproval(approval, caller, deps);

  async function decide(
    caller: Caller,
    id: string | undefined,
    verdict: "approve" | "deny",
    options: Parameters<Approvals["decide"]>[3],
  ) {
    const approval = await find(caller, id);
    const may = canDecide(approval, caller, deps, verdict);
    // The same check as in the room, here with the address of a fresh login; the room's own is the one that counts.
    if (!may.ok) throw refusal(may.code, may.message, approval);
    return told(approval, () =>
      all().decide(approval.id, { principal: caller.principal, authTime: caller.authTime }, verdict, options),
    ).then((after) => tell(after, caller));
  }

  return [
    route(specs.listApprovals, async ({ caller, query }) => {
      const { state, kind, limit } = query;
      const items: Approval[] = [];
      const cursor = storeCursor(`approvals:${state}:${kind ?? "all"}`);
      let after = cursor.read(query.after);
      const own = caller.principal.kind !== "human";
      for (let pages = 0; pages < mostPages; pages++) {
        const page = await all().list({
          state,
          ...(kind === undefined ? {} : { kind }),
          ...(own ? { requester: caller.principal } : {}),
          after,
          limit: limit - items.length,
        });
        items.push(...page.items.filter((one) => maySee(caller, one)));
        after = page.next;
        if (after === null || items.length >= limit) break;
      }
      return { items: items.map((one) => tell(one, caller)), next: cursor.tell(after) };
    }),
    route(specs.getApproval, async ({ caller, params }) => tell(await find(caller, params.id), caller)),
    route(specs.approve, ({ caller, params, body }) =>
      decide(caller, params.id, "approve", { reason: body.reason ?? null, scope: body.scope ?? null }),
    ),
    route(specs.deny, ({ caller, params, body }) =>
      decide(caller, params.id, "deny", { reason: body.reason ?? null }),
    ),
    route(specs.preview, async ({ caller, params }) => {
      const approval = await find(caller, params.id);
      const may = canDecide(approval, caller, deps, "deny");
      // To look takes no fresh login; to decide does.
      if (!may.ok && may.code !== "STEP_UP_REQUIRED") throw refusal(may.code, may.message, approval);
      const shown = await told(approval, () =>
        deps.gateway.preview(approval.id, { principal: caller.principal, authTime: caller.authTime }),
      );
      return tellPreview(shown);
    }),
    route(specs.revoke, async ({ caller, params, body }) => {
      const approval = await find(caller, params.id);
      const by = { principal: caller.principal, authTime: caller.authTime, admin: caller.roles.has("admin") };
      return tell(await told(approval, () => all().revoke(approval.id, by, body.reason)), caller);
    }),
    route(specs.requestAccess, async ({ caller, body }) => {
      if (!deps.databases.some(({ name }) => name === body.database))
        throw new ApiError("NOT_FOUND", "there is no such database");
      return tell(await told(null, () => all().requestAccess(caller.principal, body)), caller);
    }),
    route(specs.listGrants, async ({ caller, query }) => {
      const cursor = storeCursor("grants");
      const page = await all().list({
        state: "decided",
        kind: "access",
        live: true,
        ...(seesAll(caller) ? {} : { requester: caller.principal }),
        after: cursor.read(query.after),
        limit: query.limit,
      });
      const items = page.items.flatMap(({ id, state, access, requester, database, decided, expires }) => {
        if (state !== "approved" || access === null || Date.parse(expires) <= Date.now()) return [];
        const { group, reason } = access;
        const principal = {
          ...requester,
          groups: [...requester.groups],
          actor: requester.actor.map((one) => ({ ...one })),
        };
        return [{ id, principal, group, database, since: decided, until: expires, reason }];
      });
      return { items, next: cursor.tell(page.next) };
    }),
  ];
}

const answers: Readonly<Record<string, ApiErrorCode>> = {
  NOT_FOUND: "NOT_FOUND",
  NOT_PENDING: "CONFLICT",
  ALREADY_VOTED: "CONFLICT",
  STEP_UP_REQUIRED: "STEP_UP_REQUIRED",
  REASON_REQUIRED: "BAD_REQUEST",
  BAD_SCOPE: "BAD_REQUEST",
  APPROVAL_RATE: "TOO_MANY_REQUESTS",
  BUSY: "TOO_MANY_REQUESTS",
};

/** What the approvals' own codes are over HTTP; everything else of theirs is a 403. */
function refusal(code: string, message: string, approval: Approval | null): ApiError {
  const login =
    code === "STEP_UP_REQUIRED" && approval !== null
      ? { login: `/login?step_up=1&return=${encodeURIComponent(`/approvals/${approval.id}`)}` }
      : {};
  return new ApiError(answers[code] ?? "FORBIDDEN", message, { reason: code, ...login });
}

async function told<T>(approval: Approval | null, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApprovalError || error instanceof ApprovalRefused || error instanceof PreviewRefused)
      throw refusal(error.code, error.message, approval);
    throw error;
  }
}
