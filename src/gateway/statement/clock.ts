/** The clock of statements whose time is limited, and how the server is told to end one that is cut off. */
import { type Delivered, type Guard, limitReached } from "./guard.ts";
import type { Judgement } from "./judgement.ts";
import { type Expected, firstRun, queueHead, type Run, runsBehind } from "./queue.ts";
import { poisonCopy } from "./refuse.ts";
import type { Reason, Walk } from "./state.ts";

/** How often a message that the server has not come to yet is looked at again. */
const againMs = 100;
/** With others on their way behind it, a statement that is cut off may just as well be over by itself. */
const graceMs = 100;
/** A cancel request that had no effect is sent again so often, and so many times; then the session ends. */
const retryMs = 1_000;
const maxTold = 30;

export function timeLimitOf(guard: Guard | null): number | null {
  return guard?.judgement.decision?.limits.timeoutMs ?? null;
}

/** The message is on its way: its statements are cut off when their time has passed. */
export function startClock(walk: Walk, entry: Expected): void {
  const { run } = entry;
  const guard = run === null ? null : shortest(run);
  if (run !== null && guard !== null) arm(walk, entry, run, leftOf(guard));
}

/**
 * Of the statements that the server may be working on, the one with the least time; null: none has a limit. The answers of a Query's
 * statements lie in the server's buffer until the last is done, so that nobody can tell which of them it has come to.
 */
function shortest(run: Run): Guard | null {
  let guard: Guard | null = null;
  for (let at = run.at; at < run.parts.length; at++) {
    const other = run.parts[at]?.guard ?? null;
    if (other === null || timeLimitOf(other) === null) continue;
    if (guard === null || leftOf(other) < leftOf(guard)) guard = other;
  }
  return guard;
}

/** What a cursor or portal was worked on before counts, too. */
function leftOf(guard: Guard): number {
  return (timeLimitOf(guard) ?? Number.POSITIVE_INFINITY) - guard.delivered.ms;
}

/** More of a cursor or portal is asked for, whose time is used up; null: it is not. */
export function timeUsedUp(judgement: Judgement, delivered: Delivered | undefined): Reason | null {
  const limit = judgement.decision?.limits.timeoutMs ?? null;
  return limit === null || delivered === undefined || delivered.ms < limit
    ? null
    : limitReached("time", { judgement });
}

/** performance.now() when the server began with what it is working on, as far as its answers tell. */
export function begunAt(walk: Walk, run: Run): number {
  return Math.max(run.since, walk.concluded);
}

function arm(walk: Walk, entry: Expected, run: Run, ms: number): void {
  if (run.clock !== null) clearTimeout(run.clock);
  run.clock = setTimeout(
    () =>
      walk.guarded(() => {
        if (!isOver(run)) tick(walk, entry, run);
      }),
    Math.ceil(ms),
  ).unref();
}

function isOver(run: Run): boolean {
  return run.at >= run.parts.length;
}

function tick(walk: Walk, entry: Expected, run: Run): void {
  const guard = shortest(run);
  if (guard === null) return;
  const left = leftOf(guard) - (performance.now() - begunAt(walk, run));
  const reason = limitReached("time", guard);
  // What is before it may be what takes so long: its own time begins when that is answered.
  if (firstRun(walk.queue) !== entry) arm(walk, entry, run, againMs);
  else if (left > 0) arm(walk, entry, run, left);
  else if (run.parts.length === 1) cutOff(walk, guard, reason, "at once");
  else {
    // What of it is done, the client may have; the rest fails.
    run.late = { ...reason, request: run.request };
    end(walk, entry, run, 0);
  }
}

/** The answer has come: the clock stands still. */
export function stopClock(run: Run): void {
  if (run.clock === null || !isOver(run)) return;
  clearTimeout(run.clock);
  run.clock = null;
}

/**
 * Nothing more of the running statement is delivered. `cancel`: when the server is told to end it. A needless request might hit the
 * statement behind it; `soon`: where there is one, it waits whether this one is over by itself.
 */
export function cutOff(walk: Walk, guard: Guard, reason: Reason, cancel: "at once" | "soon" | "never"): void {
  if (guard.cut !== null) return;
  const entry = firstRun(walk.queue);
  const run = entry?.run ?? null;
  guard.cut = { ...reason, request: run?.request ?? "" };
  if (cancel !== "never" && entry !== null && run !== null)
    end(walk, entry, run, cancel === "soon" && runsBehind(walk.queue) ? -1 : 0);
}

/** Tells the server to end what it is doing, and again while it `goesOn`. `told`: how often it was. */
export function endAgain(walk: Walk, goesOn: () => boolean, told = 0): void {
  if (!goesOn()) return;
  if (told >= maxTold) {
    giveUp(walk);
    return;
  }
  walk.server.resume();
  if (walk.cancelling === 0) walk.cancel();
  setTimeout(() => walk.guarded(() => endAgain(walk, goesOn, told + 1)), retryMs).unref();
}

function giveUp(walk: Walk): void {
  walk.fail(
    { sqlstate: "57014", message: "policy: a limit was reached, and the server goes on with the statement" },
    "a limit was reached",
  );
}

/** Tells the server to end the message at hand, and again until it has. `told`: how often it was; -1: it is given a moment. */
function end(walk: Walk, entry: Expected, run: Run, told: number): void {
  if (told >= maxTold) {
    giveUp(walk);
    return;
  }
  // A server whose answers nobody takes would not notice the request, however slow the client is.
  walk.server.resume();
  if (told >= 0 && walk.cancelling === 0) {
    // Waiting for the client's data, it does not notice anything else.
    if (walk.copyIn && queueHead(walk.queue) === entry && walk.frontendStream === 0)
      walk.toServer.write([poisonCopy(run.request)], null);
    walk.cancel();
  }
  if (run.clock !== null) clearTimeout(run.clock);
  run.clock = setTimeout(
    () =>
      walk.guarded(() => {
        if (!isOver(run)) end(walk, entry, run, told + 1);
      }),
    told < 0 ? graceMs : retryMs,
  ).unref();
}
