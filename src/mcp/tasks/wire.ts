/** Tasks as clients see them (SEP-2663, revision 2026-07-28): handles, states, and the errors around them. */
import {
  type CallToolResult,
  type InputRequest,
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  SERVER_INFO_META_KEY,
} from "@modelcontextprotocol/server";
import type { Approval } from "../../facts/approval.ts";
import { tasksExtension } from "../claimed.ts";
import type { McpDeps } from "../deps.ts";
import type { KeptTask } from "./books.ts";

/** People take their time, statements do not. Milliseconds. */
const pollMs = { waiting: 5_000, running: 1_000 } as const;

/** What a client is told of a task that has begun or ended; `tasks/get` adds more by its state. */
interface Told {
  readonly taskId: string;
  readonly status: "working" | "input_required" | "completed" | "cancelled";
  readonly statusMessage?: string;
  readonly createdAt: string;
  readonly lastUpdatedAt: string;
  readonly ttlMs: number;
  readonly pollIntervalMs?: number;
  readonly inputRequests?: Readonly<Record<string, InputRequest>>;
  readonly result?: CallToolResult;
}

/**
 * `page`: the approval whose page the client may be asked to open; null: it is not asked.
 * The statement is never shown: the client has it, others need not.
 */
export function toldOf(kept: KeptTask, page: Approval | null = null): Record<string, unknown> {
  const { task, expires, updated } = kept;
  const same = {
    taskId: task.id,
    createdAt: new Date(task.created).toISOString(),
    lastUpdatedAt: new Date(updated).toISOString(),
    ttlMs: Math.max(0, expires - task.created),
  };
  const told = (): Told => {
    switch (task.state.kind) {
      case "waiting": {
        const asked = page?.url ?? null;
        return {
          ...same,
          status: asked === null ? "working" : "input_required",
          statusMessage: task.waits,
          pollIntervalMs: pollMs.waiting,
          ...(page === null || asked === null
            ? {}
            : { inputRequests: { [pageKey(page.id)]: openPage(asked) } }),
        };
      }
      case "running":
        return { ...same, status: "working", statusMessage: "It runs.", pollIntervalMs: pollMs.running };
      case "done":
        return { ...same, status: "completed", result: task.state.result };
      case "cancelled":
        return { ...same, status: "cancelled", statusMessage: "It was withdrawn, and did not run." };
    }
  };
  return { ...told() };
}

/** A call's result: the handle (CreateTaskResult). */
export function createdResult(
  { kept, approval }: { readonly kept: KeptTask; readonly approval: HandleApproval },
  { version }: McpDeps,
): Record<string, unknown> {
  return {
    resultType: "task",
    ...toldOf(kept),
    _meta: {
      [SERVER_INFO_META_KEY]: { name: "postern", title: "Postern", version },
      "postern/approval": approval,
    },
  };
}

/** Where people decide on what the task waits for. */
export interface HandleApproval {
  readonly id: string;
  readonly url: string | null;
  readonly expires: string | null;
}

/** Never the same for two requests of a task, as the extension demands. */
export function pageKey(approval: string): string {
  return `approval-${approval}`;
}

/** Asks the client to show its user the page of an approval. */
export function openPage(url: string): InputRequest {
  return inputRequired.elicitUrl({
    message: "This statement needs a person's approval. Open the page to see it and to decide.",
    url,
  });
}

/** The same for a task that is not there and for somebody else's. */
export function unknownTask(): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, "you have no task of this id, or it is over");
}

/** The client has not declared the extension that it uses. */
export function undeclared(): ProtocolError {
  return new MissingRequiredClientCapabilityError({
    requiredCapabilities: { extensions: { [tasksExtension]: {} } },
  });
}

/** Of our own troubles clients hear this alone. */
export function tasksUnavailable(): ProtocolError {
  return new ProtocolError(
    ProtocolErrorCode.InternalError,
    "tasks cannot be read at present: try again later",
  );
}
