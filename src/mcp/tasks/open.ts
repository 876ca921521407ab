/** A task for a statement that waits for people: the caller follows it instead of asking again. */
import { randomBytes } from "node:crypto";
import { requesterKey, requesterOf } from "../../approvals/index.ts";
import type { Refusal } from "../../gateway/index.ts";
import type { Provenance } from "../claimed.ts";
import type { Caller, McpDeps } from "../deps.ts";
import { heldApproval, whom } from "../tools/refusals.ts";
import type { Wanted } from "../tools/statement.ts";
import { type KeptTask, openBooks, type StoredTask } from "./books.ts";
import type { HandleApproval } from "./wire.ts";

/** A task is kept so long behind its approval's end, or its own. */
export const keepMs = 15 * 60_000;
/** Tasks of one approval: calls that differ only in what is not bound, such as the rows wanted. */
const mostOfOne = 8;

export interface OpenedTask {
  readonly kept: KeptTask;
  readonly approval: HandleApproval;
}

/**
 * Puts the task down, or finds the one that the same call was given before: a call whose answer was lost asks nobody twice. Resolved: it is
 * durable. null: there can be none, and the plain result has to do.
 */
export async function openTask(
  { tasks, approvals, logger }: McpDeps,
  { principal }: Caller,
  { claimed, application }: Pick<Provenance, "claimed" | "application">,
  wanted: Wanted,
  refusal: Refusal,
): Promise<OpenedTask | null> {
  const approval = heldApproval(refusal);
  if (tasks === null || approvals === null || approval === null || refusal.code !== "APPROVAL_REQUIRED")
    return null;
  const books = openBooks(tasks);
  const who = requesterKey(requesterOf(principal));
  try {
    const open = (await books.ofApproval(approval.id, who, mostOfOne)).filter(isOpen);
    const same = open.find(({ task }) => task.wanted.rows === wanted.rows);
    if (same !== undefined) return { kept: same, approval };
    if (open.length >= mostOfOne) return null;
    const now = Date.now();
    const { database, sql, parameters, rows } = wanted;
    const task: StoredTask = {
      id: `task_${randomBytes(32).toString("base64url")}`,
      who,
      approval: approval.id,
      created: now,
      wanted: { database, sql, parameters: [...parameters], rows },
      claimed: Object.fromEntries(Object.entries(claimed)),
      application,
      waits: waitsText(refusal, approval),
      opened: null,
      state: { kind: "waiting" },
    };
    return { kept: await books.insert(task, endOf(approval.expires, now)), approval };
  } catch (error) {
    logger.warn({ err: error }, "no task for a held statement");
    return null;
  }
}

function isOpen({ task }: KeptTask): boolean {
  return task.state.kind === "waiting" || task.state.kind === "running";
}

/** When a task that waits is forgotten: no sooner than its approval can be used. Milliseconds since the epoch. */
export function endOf(expires: string | null, now: number): number {
  const approval = expires === null ? now : Date.parse(expires);
  return Math.max(now, Number.isFinite(approval) ? approval : now) + keepMs;
}

/** For the client's user, or its model. */
export function waitsText(refusal: Refusal, { id, url }: HandleApproval): string {
  const who = whom(refusal) ?? "an approver";
  return `${refusal.message}: ${who} can approve it ${url === null ? `(approval ${id})` : `at ${url}`}; it then runs, once.`;
}
