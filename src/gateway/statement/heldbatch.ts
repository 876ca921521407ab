/**
 * Everything from a Bind to the next Flush or Sync is looked at before any of it is sent: if a statement of it needs approval, all
 * of it waits, so that nothing stands half done while people think.
 */
import { judgedKey, partKey, textsOf } from "./agreed.ts";
import { askFirst } from "./ask.ts";
import { holdCost } from "./forward.ts";
import { hasBegun } from "./heldquery.ts";
import { hold } from "./hold.ts";
import { release, released } from "./holdend.ts";
import type { BoundValues, HeldMessage } from "./holding.ts";
import { judgeBatch } from "./judge/message.ts";
import type { Guarding, Judgement, Question } from "./judgement.ts";
import { asksPeople } from "./meaning.ts";
import type { Agreed, PreparedStatement } from "./names.ts";
import type { Verdict } from "./receive.ts";
import { refuseExtended } from "./refuse.ts";
import { refuseHeld } from "./refuseheld.ts";
import { bindsOf, type SegmentBind, segmentAt } from "./segment.ts";
import type { Walk } from "./state.ts";

/** So much of a batch is waited for; what is behind it is looked at when it comes. */
const maxGathered = 1024 * 1024;
/** The rest of a batch that a client does not send: it may wait for an answer that the server gives unasked (COPY). */
const gatherMs = 1_000;

/** A Bind and where it stands. */
export interface BindPlace {
  readonly chunk: Buffer;
  /** Place of its type byte; -1: it is not in the chunk. */
  readonly at: number;
  readonly statement: PreparedStatement;
  readonly bound: BoundValues;
  /** null: nothing is known of it. */
  readonly judgement: Judgement | null;
}

/** Gives what becomes of the Bind if it may not go on now; null: it may. */
export function holdBatch(walk: Walk, guard: Guarding, place: BindPlace): Verdict | null {
  const { judgement } = place;
  // What people have agreed to is being sent.
  if (walk.pass !== null && walk.gathered) return null;
  if (walk.gathered && judgement?.awaits !== true) return null;
  if (walk.hold === null && (guard.desk === null || !asksPeople(guard.policies.current))) return null;
  const segment = segmentAt(place.chunk, place.at);
  if (!segment.whole && !walk.gatherOver && !walk.gathered) return gatherMore(walk);
  walk.gatherOver = false;
  let binds: readonly SegmentBind[] = [place];
  let judgements: readonly Judgement[] | null = judgement === null ? [] : [judgement];
  if (segment.binds > 1) {
    const all = bindsOf(walk, place.chunk, place.at, segment.end);
    if ("kind" in all) {
      walk.stall = { until: "answered", entry: all };
      return "later";
    }
    const questions: Question[] = [];
    binds = all;
    judgements = judgeBatch(
      walk,
      guard,
      all.map(({ statement }) => statement),
      questions,
    );
    if (judgements === null) return askFirst(walk, guard, questions);
  }
  const judged = judgements;
  const message: HeldMessage = {
    protocol: "extended",
    parts: binds.flatMap(({ statement, bound }, i) => {
      const one = judged[i];
      return one === undefined ? [] : [{ statement, texts: textsOf(walk, statement), judgement: one, bound }];
    }),
    ticket: hasBegun(walk) ? "begun" : null,
  };
  const awaiting = message.parts.some((part) => part.judgement.awaits);
  const refused = message.parts.find((part) => part.judgement.refusal !== null && !part.judgement.awaits);
  if (!awaiting || refused !== undefined || guard.desk === null) {
    if (refused !== undefined && awaiting) {
      // It would be undone by the one that is refused: nobody need be asked.
      if (walk.hold !== null) release(walk, walk.hold);
      const { statement, judgement: why } = refused;
      return why.refusal === null ? null : refuseExtended(walk, why.refusal, statement, why);
    }
    const late = released(walk);
    if (late !== null) return refuseHeld(walk, message, late.reason, late.request);
    walk.gathered = true;
    return null;
  }
  const held = hold(walk, guard, guard.desk, message);
  if (held === "later") return "later";
  if ("refused" in held) return refuseHeld(walk, message, held.refused.reason, held.refused.request);
  walk.pass = held;
  walk.gathered = true;
  return null;
}

/** Whether this Bind is one of those that people have agreed to; takes it off them. */
export function agreedBind(
  walk: Walk,
  statement: PreparedStatement,
  bound: BoundValues,
  judgement: Judgement | null,
): Agreed | null {
  const { pass } = walk;
  if (pass === null || judgement === null) return null;
  const part = pass.parts[pass.next];
  if (part === undefined || part.key !== partKey(textsOf(walk, statement), statement, bound)) return null;
  pass.next++;
  return { pass, judged: part.judged };
}

/** Whether what a portal is judged now is what people agreed to. */
export function stillAgreed(guard: Guarding, agreed: Agreed | null, judgement: Judgement): boolean {
  return (
    agreed !== null &&
    agreed.pass.policy === guard.policies.current.digest &&
    agreed.judged === judgedKey(judgement)
  );
}

/** The stream stands still until the rest of the batch has come. */
function gatherMore(walk: Walk): "later" {
  const stall = { until: "gathered" } as const;
  walk.stall = stall;
  setTimeout(() => {
    walk.guarded(() => {
      if (walk.stall === stall) gatherEnd(walk);
    });
  }, gatherMs).unref();
  // Some of it may be waiting already.
  setImmediate(() => {
    walk.guarded(() => {
      if (walk.stall === stall && walk.stalled.length > 1) gatherOn(walk);
    });
  });
  return "later";
}

/** More of a batch has come, which begins the stalled chunks: goes on when there is all of it. */
export function gatherOn(walk: Walk): void {
  const whole = Buffer.concat(walk.stalled);
  walk.stalled.length = 0;
  walk.stalled.push(whole);
  walk.stalledBytes = whole.length + holdCost;
  if (segmentAt(whole, 0).whole) {
    walk.stall = null;
    walk.resume();
  } else if (whole.length > maxGathered) gatherEnd(walk);
}

/** Goes on with what there is. */
export function gatherEnd(walk: Walk): void {
  walk.gatherOver = true;
  walk.stall = null;
  walk.resume();
}
