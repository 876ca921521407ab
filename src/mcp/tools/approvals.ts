/** `approval_status` and `approval_wait`: how it stands with what the caller itself asked for. */
import type { McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { requesterKey, requesterOf } from "../../approvals/index.ts";
import type { Approval } from "../../facts/approval.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Caller, McpApprovals, McpDeps } from "../deps.ts";
import { answer, denied } from "./result.ts";
import { fixed, readOnly } from "./schema.ts";

/** Hosts give a tool call up after a minute. */
const maxWait = 45;
/** Calls of one principal that wait at a time. */
const maxWaiting = 10;
const waiting = new Map<string, number>();

const id = z.string().min(1).max(64).describe("The approval's id");

const statusArguments = fixed(z.object({ id }));
const waitArguments = fixed(
  z.object({
    id,
    seconds: z.int().min(1).max(maxWait).default(maxWait),
  }),
);

const outputSchema = fixed(
  z.looseObject({
    status: z.enum(["ok", "denied"]),
    state: z.string().optional(),
    next: z.string().optional(),
  }),
);

export function registerApprovals(server: McpServer, deps: McpDeps, caller: Caller): void {
  server.registerTool(
    "approval_status",
    {
      title: "How an approval stands",
      description: "Whether a statement of yours that needs approval was approved, denied, or still waits.",
      inputSchema: statusArguments,
      outputSchema,
      annotations: readOnly,
    },
    async (args) => {
      const found = await own(deps, caller.principal, args.id);
      return found.ok ? answer(stateOf(found.approval)) : found.refused;
    },
  );
  server.registerTool(
    "approval_wait",
    {
      title: "Wait for an approval",
      description: `Waits up to ${maxWait} seconds until people have decided, then says how. Call it again while the state is pending.`,
      inputSchema: waitArguments,
      outputSchema,
      annotations: readOnly,
    },
    async (args, context) => {
      const found = await own(deps, caller.principal, args.id);
      if (!found.ok) return found.refused;
      if (found.approval.state !== "pending") return answer(stateOf(found.approval));
      const who = requesterKey(requesterOf(caller.principal));
      const open = waiting.get(who) ?? 0;
      if (open >= maxWaiting)
        return denied({
          code: "RATE_LIMITED",
          sqlstate: "53400",
          message: "too many calls wait for approvals already",
          hint: "Wait for one at a time.",
          retryable: true,
        });
      waiting.set(who, open + 1);
      try {
        const signal = AbortSignal.any([context.mcpReq.signal, AbortSignal.timeout(args.seconds * 1000)]);
        return answer(stateOf(await settled(found.approvals, found.approval, signal)));
      } catch {
        return unavailable();
      } finally {
        const left = (waiting.get(who) ?? 1) - 1;
        if (left <= 0) waiting.delete(who);
        else waiting.set(who, left);
      }
    },
  );
}

/** As it stands when it is decided, or when `signal` says that it is time to answer. */
async function settled(approvals: McpApprovals, approval: Approval, signal: AbortSignal): Promise<Approval> {
  try {
    return await approvals.settled(approval.id, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    return (await approvals.get(approval.id)) ?? approval;
  }
}

type Own =
  | { readonly ok: true; readonly approval: Approval; readonly approvals: McpApprovals }
  | { readonly ok: false; readonly refused: ReturnType<typeof denied> };

/** What others asked for is not there. */
async function own({ approvals }: McpDeps, principal: Principal, wanted: string): Promise<Own> {
  let approval: Approval | null = null;
  try {
    approval = (await approvals?.get(wanted)) ?? null;
  } catch {
    return { ok: false, refused: unavailable() };
  }
  // Another agent of the same person is somebody else.
  const mine = approval !== null && requesterKey(approval.requester) === requesterKey(requesterOf(principal));
  if (approvals === null || approval === null || !mine)
    return {
      ok: false,
      refused: denied({
        code: "UNKNOWN_APPROVAL",
        message: "you have asked for no approval with this id",
        hint: "Use the id that the held statement's result gave.",
      }),
    };
  return { ok: true, approval, approvals };
}

const unavailable = () =>
  denied({
    code: "APPROVAL_UNAVAILABLE",
    sqlstate: "58000",
    message: "approvals cannot be read at present",
    hint: "Try again later.",
    retryable: true,
  });

function stateOf(approval: Approval): Record<string, unknown> {
  const reasons = approval.votes.map(({ reason }) => reason).filter((reason) => reason !== null);
  return {
    status: "ok",
    id: approval.id,
    state: approval.state,
    expires: approval.expires,
    ...(approval.state === "pending" ? { missing: approval.missing, url: approval.url } : {}),
    ...(reasons.length === 0 ? {} : { reasons }),
    next: nextOf(approval),
  };
}

function nextOf({ state, usesLeft }: Approval): string {
  switch (state) {
    case "pending":
      return "Not decided yet: call approval_wait again, or go on with something else and look later.";
    case "approved":
      return "Approved: call query again with exactly the same arguments.";
    case "used":
      return usesLeft > 0
        ? "Approved: call query again with exactly the same arguments."
        : "It was approved and has run.";
    case "denied":
      return "Denied: it will not run. Do not ask again for the same; tell your user why, if a reason is given.";
    case "expired":
      return "Nobody decided in time: it will not run. Ask your user whether to ask again.";
    case "gone":
    case "revoked":
      return "It was withdrawn: it will not run.";
  }
}
