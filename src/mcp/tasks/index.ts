/** `tasks/get`, `tasks/update`, `tasks/cancel` (SEP-2663): each caller's own tasks, on whichever node it asks. */
import { setTimeout as pause } from "node:timers/promises";
import {
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { ApprovalError, requesterKey, requesterOf } from "../../approvals/index.ts";
import type { Approval } from "../../facts/approval.ts";
import { provenanceOf } from "../claimed.ts";
import type { Caller, McpApprovals, McpDeps } from "../deps.ts";
import { unfinished } from "../tools/result.ts";
import { fixed } from "../tools/schema.ts";
import { type KeptTask, openBooks, type StoredTask, type TaskBooks } from "./books.ts";
import { endOf, keepMs } from "./open.ts";
import { withoutRun } from "./outcome.ts";
import { beginRun, isLost } from "./run.ts";
import { pageKey, tasksUnavailable, toldOf, undeclared, unknownTask } from "./wire.ts";

/** A question waits so long for a statement that it has begun. */
const patienceMs = 10_000;
/** Changes of one task at the same moment are few. */
const tries = 5;

const params = { params: fixed(z.looseObject({ taskId: z.string().min(1).max(200) })) };
interface Rooms {
  readonly deps: McpDeps;
  readonly caller: Caller;
  readonly approvals: McpApprovals;
  readonly books: TaskBooks;
  readonly who: string;
}

/** Only the revision of 2026 has the extension: elsewhere there are no such methods. */
export function registerTasks(server: McpServer, deps: McpDeps, caller: Caller): void {
  const { tasks, approvals } = deps;
  if (tasks === null || approvals === null) return;
  const rooms: Rooms = {
    deps,
    caller,
    approvals,
    books: openBooks(tasks),
    who: requesterKey(requesterOf(caller.principal)),
  };
  const { server: protocol } = server;
  protocol.setRequestHandler("tasks/get", params, ({ taskId }, context) =>
    guarded(rooms, context, () => get(rooms, taskId, provenanceOf(context, caller, undefined).opensUrls)),
  );
  protocol.setRequestHandler("tasks/update", params, ({ taskId }, context) =>
    // Answers to a tool's questions are lifted out of the parameters by the SDK.
    guarded(rooms, context, () => update(rooms, taskId, Object.keys(context.mcpReq.inputResponses ?? {}))),
  );
  protocol.setRequestHandler("tasks/cancel", params, ({ taskId }, context) =>
    guarded(rooms, context, () => cancel(rooms, taskId)),
  );
}

async function guarded(
  { deps, caller }: Rooms,
  context: ServerContext,
  work: () => Promise<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  if (context.mcpReq.envelope === undefined)
    throw new ProtocolError(ProtocolErrorCode.MethodNotFound, "Method not found");
  if (!provenanceOf(context, caller, undefined).followsTasks) throw undeclared();
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    deps.logger.warn({ err: error }, "a task cannot be read or changed");
    throw tasksUnavailable();
  }
}

async function own({ books, who }: Rooms, id: string): Promise<KeptTask> {
  const kept = await books.find(id, who);
  if (kept === null) throw unknownTask();
  return kept;
}

/** How it stands; a task that is due begins to run here. */
async function get(rooms: Rooms, id: string, opensUrls: boolean): Promise<Record<string, unknown>> {
  const { deps, caller, approvals, books } = rooms;
  for (let attempt = 1; attempt <= tries; attempt++) {
    const kept = await own(rooms, id);
    const { task } = kept;
    if (isLost(deps, kept)) {
      const lost: StoredTask = { ...task, state: { kind: "done", result: unfinished("lost") } };
      const settled = await books.swap(kept, lost, Date.now() + keepMs);
      if (settled !== null) return toldOf(settled);
      continue;
    }
    if (task.state.kind !== "waiting") return toldOf(kept);
    const approval = await approvals.get(task.approval);
    const over = withoutRun(approval);
    if (over !== null) {
      const next: StoredTask = { ...task, state: { kind: "done", result: over } };
      const settled = await books.swap(kept, next, Date.now() + keepMs);
      if (settled !== null) return toldOf(settled);
      continue;
    }
    if (approval === null || approval.state === "pending")
      return toldOf(kept, opensUrls && task.opened !== task.approval ? approval : null);
    const run = await beginRun(deps, caller, books, kept);
    if (run === null) continue;
    await Promise.race([run.over, pause(patienceMs, undefined, { ref: false })]);
    return toldOf(await own(rooms, id));
  }
  return toldOf(await own(rooms, id));
}

/** Whatever the client's host says of the page is heard, and authorises nothing: people decide there, logged in. */
async function update(
  rooms: Rooms,
  id: string,
  answered: readonly string[],
): Promise<Record<string, unknown>> {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const kept = await own(rooms, id);
    const { task } = kept;
    if (task.opened === task.approval || !answered.includes(pageKey(task.approval))) return {};
    const next = { ...task, opened: task.approval };
    if ((await rooms.books.swap(kept, next, kept.expires)) !== null) return {};
  }
  return {};
}

/** Withdraws what waits; asks the node where it runs to stop it. */
async function cancel(rooms: Rooms, id: string): Promise<Record<string, unknown>> {
  const { books } = rooms;
  for (let attempt = 1; attempt <= tries; attempt++) {
    const kept = await own(rooms, id);
    const { task, expires } = kept;
    switch (task.state.kind) {
      case "done":
        return {};
      case "cancelled":
        await withdraw(rooms, kept);
        return {};
      case "waiting": {
        const gone: StoredTask = { ...task, state: { kind: "cancelled" } };
        const settled = await books.swap(kept, gone, Math.max(expires, endOf(null, Date.now())));
        if (settled === null) continue;
        await withdraw(rooms, settled);
        return {};
      }
      case "running":
        if (task.state.cancel) return {};
        if (await books.swap(kept, { ...task, state: { ...task.state, cancel: true } }, expires)) return {};
    }
  }
  return {};
}

/** The request for approval goes with its last task; what people allowed for a while stays theirs to take back. */
async function withdraw({ approvals, books, caller, who }: Rooms, { task }: KeptTask): Promise<void> {
  const approval: Approval | null = await approvals.get(task.approval);
  const open =
    approval?.state === "pending" || (approval?.state === "approved" && approval.scope.kind === "once");
  if (!open) return;
  const others = await books.ofApproval(task.approval, who, 100);
  if (others.some(({ task: { id, state } }) => id !== task.id && state.kind === "waiting")) return;
  try {
    const by = { principal: caller.principal, authTime: null };
    await approvals.revoke(task.approval, by, "its requester cancelled the task");
  } catch (error) {
    // Decided or used in this very moment.
    if (!(error instanceof ApprovalError && error.code === "NOT_PENDING")) throw error;
  }
}
