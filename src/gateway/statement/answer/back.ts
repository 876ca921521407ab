/** Statements that are made to fail although the server has run them: cut off, or taken back with what they changed. */
import { flush, sync } from "../../../protocol/index.ts";
import { conclude } from "../conclude.ts";
import { limitReached, notCountable, tooManyAffected } from "../guard.ts";
import { settleChange } from "../names.ts";
import { type Expected, Kind, queueHead, runningGuard, shift } from "../queue.ts";
import { poisonExtended } from "../refuse.ts";
import type { Walk } from "../state.ts";
import { done, nothing, tell, unexpected } from "./heads.ts";

/** ParseComplete, BindComplete, CloseComplete, ParameterDescription, RowDescription, NoData. */
export const unsaid: ReadonlySet<number> = new Set([0x31, 0x32, 0x33, 0x74, 0x54, 0x6e]);

/**
 * The answer to a message behind a statement that is being taken back: the client does not get it, as it would not behind
 * an error, but the server did what it says.
 */
export function passBehind({ queue, names }: Walk, type: number): Buffer {
  const entry = queue.items[queue.head + 1];
  if (entry === undefined) throw unexpected(type);
  if (type !== 0x74) {
    queue.items.splice(queue.head + 1, 1);
    settleChange(names, entry);
  }
  return nothing;
}

/** The head is an Execute that is over, and whose refusal is on its way. */
export function isTakenBack(walk: Walk): boolean {
  const head = queueHead(walk.queue);
  return head !== undefined && head.kind === Kind.execute && head.refusal !== null && !head.copying;
}

/**
 * How the batch can be made to fail behind the Execute at the head, before anything else of it runs: "refuse" it; it "fails"
 * by itself, for a refusal is on its way. null: a statement or the Sync is on its way.
 */
function endingBehind({ queue }: Walk): "refuse" | "fails" | null {
  for (let i = queue.head + 1; i < queue.items.length; i++) {
    const entry = queue.items[i];
    if (entry === undefined || entry.run !== null || entry.kind === Kind.sync) return null;
    if (entry.refusal !== null) return "fails";
  }
  return "refuse";
}

/**
 * The server has ended a statement of which the client may not have everything: its end becomes the error. undefined: it is
 * not cut off. What the transaction holds must fail with it, or the session ends.
 */
export function cutAtEnd(walk: Walk): Buffer | undefined {
  const head = queueHead(walk.queue);
  if (head === undefined) return undefined;
  const guard = runningGuard(head);
  if (guard === null || guard.cut === null) return undefined;
  const { cut } = guard;
  if (!guard.swallowed) {
    // It was done before it could be cancelled, and the client has all of it.
    guard.cut = null;
    return undefined;
  }
  if (head.special?.reissued === true) {
    head.refusal = cut;
    walk.toServer.write([poisonExtended(walk.poison), sync], null);
    return nothing;
  }
  const ending = head.kind === Kind.execute && !walk.copyIn ? endingBehind(walk) : null;
  if (ending !== null) {
    head.refusal = cut;
    if (ending === "fails") return nothing;
    // What the client sends before its Sync is skipped, as behind every error.
    walk.skipping = true;
    walk.toServer.write([poisonExtended(walk.poison), flush], null);
    return nothing;
  }
  const wrote = guard.judgement.facts.effects.includes("write");
  const last = head.run === null || head.run.at === head.run.parts.length - 1;
  const behind = walk.queue.items[walk.queue.head + 1];
  const onlySync = head.kind === Kind.query || behind === undefined || behind.kind === Kind.sync;
  if (wrote || !last || !onlySync) {
    conclude(walk, head, "cut", cut.sqlstate, null, false);
    walk.fail({ sqlstate: cut.sqlstate, message: cut.message, hint: cut.hint }, "a limit was reached");
    return nothing;
  }
  conclude(walk, head, "cut", cut.sqlstate, null, false);
  walk.counters.errors++;
  walk.mustAbort = cut;
  if (head.kind === Kind.query) head.errored = true;
  else {
    shift(walk.queue);
    done(walk, head);
    if (behind === undefined) walk.skipping = true;
  }
  return tell(walk, cut);
}

/**
 * The result of a FunctionCall comes, of so many bytes: when it is larger than it may be, the error that the client gets in its place; else
 * null. The server commits by itself what the function did outside of a block.
 */
export function cutFunction(walk: Walk, head: Expected, bytes: number): Buffer | null {
  const guard = runningGuard(head);
  const limit = guard?.judgement.decision?.limits.bytes ?? null;
  if (guard === null || limit === null || bytes <= limit) return null;
  const cut = { ...limitReached("bytes", guard), request: head.run?.request ?? "" };
  conclude(walk, head, "cut", cut.sqlstate, null, false);
  walk.counters.errors++;
  walk.mustAbort = cut;
  head.errored = true;
  return tell(walk, cut);
}

/** The server has changed more rows than it may: what it did is made to fail. null: it has not. */
export function takenBack(walk: Walk, head: Expected, tag: string): Buffer | null {
  const guard = runningGuard(head);
  const limit = guard?.judgement.decision?.limits.affectedRows ?? null;
  if (guard === null || limit === null || !guard.judgement.facts.effects.includes("write")) return null;
  const rows = Number(/ (\d+)$/.exec(tag)?.[1] ?? Number.NaN);
  if (rows <= limit) return null;
  if (head.special?.alone !== true) {
    walk.fail(
      { sqlstate: "XX000", message: "internal error: a limit on changed rows was not kept" },
      "a limit on changed rows was not kept",
    );
    return nothing;
  }
  head.refusal = {
    ...(Number.isNaN(rows) ? notCountable : tooManyAffected(guard, rows)),
    request: head.run?.request ?? "",
  };
  walk.toServer.write([poisonExtended(walk.poison), ...(head.special.reissued ? [sync] : [flush])], null);
  return nothing;
}
