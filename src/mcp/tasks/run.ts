/** Running a task's statement once people have agreed: in a session of its own, on one node, at most once. */
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Caller, McpDeps } from "../deps.ts";
import { heldApproval } from "../tools/refusals.ts";
import { resultOf, runWanted } from "../tools/statement.ts";
import type { KeptTask, StoredTask, TaskBooks } from "./books.ts";
import { endOf, keepMs, waitsText } from "./open.ts";

/** Behind the statement's own time: until then its node may still write the result down. */
const graceMs = 60_000;
/** A result that cannot be written down is tried again so often, each time a second later. */
const tries = 20;

/**
 * Begins the run that this caller's question has found to be due: with what the caller's token allows now. null: somebody else was faster.
 * `over` resolves when the result is written down, and never rejects.
 */
export async function beginRun(
  deps: McpDeps,
  caller: Caller,
  books: TaskBooks,
  kept: KeptTask,
): Promise<{ readonly kept: KeptTask; readonly over: Promise<void> } | null> {
  const now = Date.now();
  const run = randomUUID();
  const running: StoredTask = { ...kept.task, state: { kind: "running", run, since: now, cancel: false } };
  const begun = await books.swap(kept, running, now + deps.settings.timeoutMs + graceMs + keepMs);
  if (begun === null) return null;
  const over = carryOut(deps, caller, books, begun, run).catch((error: unknown) => {
    deps.logger.error({ err: error }, "the result of a task is lost");
  });
  return { kept: begun, over };
}

/** Whoever ran it is gone: what became of the statement is in the audit log alone. */
export function isLost(deps: McpDeps, { task }: KeptTask): boolean {
  const { state } = task;
  return state.kind === "running" && Date.now() > state.since + deps.settings.timeoutMs + graceMs;
}

async function carryOut(
  deps: McpDeps,
  caller: Caller,
  books: TaskBooks,
  { task }: KeptTask,
  run: string,
): Promise<void> {
  const stop = new AbortController();
  const unwatch = books.watch(task.id, () => {
    books.find(task.id, task.who).then(
      (found) => {
        const state = found?.task.state;
        if (state?.kind === "running" && state.run === run && state.cancel) stop.abort();
      },
      () => undefined,
    );
  });
  let next: (now: number) => { readonly task: StoredTask; readonly expires: number };
  try {
    const { claimed, application, wanted } = task;
    const told = await runWanted(deps, caller, { claimed, application }, wanted, stop.signal);
    const again = told.refusal?.code === "APPROVAL_REQUIRED" ? heldApproval(told.refusal) : null;
    if (told.refusal !== null && again !== null && !stop.signal.aborted) {
      // What people agreed to is not what it would be now (policy, catalog, grants): they are asked anew.
      const waits = waitsText(told.refusal, again);
      next = (now) => ({
        task: { ...task, approval: again.id, waits, state: { kind: "waiting" } },
        expires: endOf(again.expires, now),
      });
    } else {
      const result = resultOf(told);
      next = (now) => ({ task: { ...task, state: { kind: "done", result } }, expires: now + keepMs });
    }
  } finally {
    unwatch();
  }
  await writeDown(books, task, run, next);
}

async function writeDown(
  books: TaskBooks,
  { id, who }: StoredTask,
  run: string,
  next: (now: number) => { readonly task: StoredTask; readonly expires: number },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await books.find(id, who);
      const state = found?.task.state;
      if (found === null || state?.kind !== "running" || state.run !== run) return;
      const { task, expires } = next(Date.now());
      if ((await books.swap(found, { ...task, opened: found.task.opened }, expires)) !== null) return;
    } catch (error) {
      if (attempt >= tries) throw error;
      await pause(1_000, undefined, { ref: false });
    }
  }
}
