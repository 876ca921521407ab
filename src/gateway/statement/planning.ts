/**
 * The clock of a Bind: the server plans the statement then, and works out what is constant in it (PostgreSQL manual, "Function Volatility
 * Categories"), which may take as long as running it.
 */
import { AuditUnavailable, uuidv7 } from "../../audit/index.ts";
import { endAgain } from "./clock.ts";
import { limitReached } from "./guard.ts";
import type { Judgement } from "./judgement.ts";
import type { PreparedStatement } from "./names.ts";
import { type Expected, firstRun, isQueued, queueHead } from "./queue.ts";
import { recordRefusal } from "./refuse.ts";
import type { Walk } from "./state.ts";

/** How often a Bind that the server has not come to yet is looked at again. */
const againMs = 100;

/** Whether the server must be made to say what became of a statement in front of a Bind: only then the Bind's own time begins. */
export function mustFlush(walk: Walk, { decision }: Judgement): boolean {
  const timed = decision?.limits.timeoutMs != null;
  return timed && walk.lastRun === walk.batch && firstRun(walk.queue) !== null;
}

/** A Bind is on its way that no Execute of its portal follows: that one's clock would run for both. */
export function startPlanning(
  walk: Walk,
  entry: Expected,
  statement: PreparedStatement,
  judgement: Judgement,
): void {
  const limit = judgement.decision?.limits.timeoutMs ?? null;
  if (limit === null) return;
  const sent = performance.now();
  const look = (): void => {
    if (!isQueued(walk.queue, entry)) return;
    const left = limit - (performance.now() - Math.max(sent, walk.concluded));
    // A statement before it has no answer yet: its own time begins behind that.
    const waits = firstRun(walk.queue) !== null && queueHead(walk.queue) !== entry;
    if (waits || left > 0) {
      setTimeout(() => walk.guarded(look), Math.ceil(waits ? againMs : left)).unref();
      return;
    }
    entry.refusal = refusal(walk, statement, judgement);
    endAgain(walk, () => isQueued(walk.queue, entry));
  };
  setTimeout(() => walk.guarded(look), limit).unref();
}

function refusal(walk: Walk, statement: PreparedStatement, judgement: Judgement): Expected["refusal"] {
  const reason = limitReached("time", { judgement });
  try {
    return recordRefusal(walk, reason, "extended", statement);
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    return { ...reason, request: uuidv7() };
  }
}

const DESCRIBE = 0x44;
const EXECUTE = 0x45;

/** Whether the Bind of `portal` at `at` is followed by its Execute, a Describe between them or not. */
export function isExecuted(chunk: Buffer, at: number, portal: string): boolean {
  let next = at + 1 + chunk.readInt32BE(at + 1);
  if (chunk[next] === DESCRIBE && next + 5 <= chunk.length) next += 1 + chunk.readInt32BE(next + 1);
  if (chunk[next] !== EXECUTE) return false;
  const end = chunk.indexOf(0, next + 5);
  return end >= 0 && chunk.toString("utf8", next + 5, end) === portal;
}
