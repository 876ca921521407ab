/** How the wait of a held message ends otherwise than by people: its owner goes, or withdraws it, or the session is over. */
import { AuditUnavailable } from "../../audit/index.ts";
import type { HoldAnswer, Holding, HoldRefusal } from "./holding.ts";
import { cancelledWhileHeld, goneWhileHeld, mention, tokenOver, tooMuchBehind } from "./holdreasons.ts";
import { refund } from "./limits.ts";
import { recordHeld } from "./refuseheld.ts";
import type { Reason, Walk } from "./state.ts";
import { terminates } from "./watch.ts";

/** The answer of a message that does not run. */
export function refusal(holding: Holding, reason: Reason): HoldAnswer {
  const { approval, request } = holding;
  const told =
    approval === null || reason.approval !== undefined ? reason : { ...reason, approval: mention(approval) };
  return { kind: "refused", reason: told, request };
}

/** The message has its answer: the stream goes on with it. */
export function settle(walk: Walk, holding: Holding, answer: HoldAnswer): void {
  walk.guarded(() => {
    if (walk.hold !== holding || holding.answer !== null) return;
    // A question of the gateway's own is under way in the session: what comes behind would be taken for its answer.
    if (walk.own !== null) return;
    holding.answer = answer;
    stop(holding);
    // The server discards the message, after an error before it: nothing of it is left for the next one.
    if (walk.skipping) release(walk, holding);
    if (walk.stall?.until !== "approval") return;
    walk.stall = null;
    walk.resume();
  });
}

function stop(holding: Holding): void {
  for (const timer of holding.timers) clearTimeout(timer);
  holding.timers = [];
}

/** A held message that needs nobody's approval any more. Gives why it must not run all the same: its owner has gone. */
export function released(walk: Walk): HoldRefusal | null {
  const { hold: holding } = walk;
  if (holding === null) return null;
  const { answer } = holding;
  release(walk, holding);
  return answer?.kind === "refused" && holding.gone.signal.aborted ? answer : null;
}

/** The message is refused for another reason: what was asked of people is withdrawn. */
export function withdraw(walk: Walk): void {
  if (walk.hold !== null) release(walk, walk.hold);
}

/** What the message waits for no longer matters: it may run without, or was refused for another reason. */
export function release(walk: Walk, holding: Holding): void {
  walk.hold = null;
  stop(holding);
  // What was claimed is used.
  if (holding.answer?.kind === "pass") return;
  refund(walk, holding.charged);
  leave(walk, holding, "cancel");
}

/** Chunks that came while a message is held: a Terminate among them withdraws it, as does too much of them. */
export function lookBehind(walk: Walk): void {
  const { hold: holding } = walk;
  if (holding === null || walk.stall?.until !== "approval") return;
  const seen = terminates(holding.watch, walk.stalled, walk.stalledBytes);
  if (seen === "terminate") drop(walk, "disconnect");
  else if (seen === "too-much") drop(walk, "disconnect", tooMuchBehind);
}

/** Whoever asked has gone, or withdraws it: the held message never runs. Its refusal goes the way of every refusal. */
export function drop(walk: Walk, why: "disconnect" | "cancel" | "restart", reason?: Reason): void {
  const { hold: holding } = walk;
  if (holding === null || holding.answer?.kind === "refused" || holding.gone.signal.aborted) return;
  holding.gone.abort();
  const told = reason ?? (why === "cancel" ? cancelledWhileHeld : goneWhileHeld);
  holding.told = told;
  leave(walk, holding, why);
  holding.answer = null;
  settle(walk, holding, refusal(holding, told));
}

/** The session is over: what is held is put on the record as refused, and its approval withdrawn. */
export function abandon(walk: Walk, why: "disconnect" | "restart"): void {
  const { hold: holding } = walk;
  if (holding === null) return;
  walk.hold = null;
  holding.gone.abort();
  stop(holding);
  refund(walk, holding.charged);
  leave(walk, holding, why);
  try {
    const late = walk.deadline() * 1000 <= Date.now();
    const told =
      holding.answer?.kind === "refused" ? holding.answer.reason : late ? tokenOver : goneWhileHeld;
    recordHeld(walk, holding.message, told, holding.request);
  } catch (error) {
    // The log has failed: nothing was forwarded, and that is told elsewhere.
    if (!(error instanceof AuditUnavailable)) throw error;
  }
}

export function leave(walk: Walk, holding: Holding, why: "disconnect" | "cancel" | "restart"): void {
  const { approval, desk } = holding;
  if (approval === null || approval.mode !== "wait") return;
  desk
    .leave(approval.id, why)
    .catch((error: unknown) => walk.alarm("a request for approval could not be withdrawn", { err: error }));
}
