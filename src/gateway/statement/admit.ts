/** Limits on what is delivered: row by row, as they come. */
import { changedMeanwhile, changedSince } from "./changes.ts";
import { cutOff } from "./clock.ts";
import { type Guard, limitReached } from "./guard.ts";
import type { Walk } from "./state.ts";

/** Others changed objects while it waited, and what it tells may not be what was analysed. */
function outdatedBy({ guard: own }: Walk, { judgement, since }: Guard): boolean {
  return (
    own !== null &&
    judgement.view?.protectedSet.empty === false &&
    changedSince(own.changes, since, judgement)
  );
}

/** Whether one more row of `bytes` bytes may be delivered; if not, the statement is cut off. */
export function admit(walk: Walk, guard: Guard, bytes: number): boolean {
  if (guard.cut !== null) {
    guard.swallowed = true;
    return false;
  }
  const { delivered } = guard;
  const limits = guard.judgement.decision?.limits;
  if (walk.result.rows <= 0 && outdatedBy(walk, guard)) {
    guard.swallowed = true;
    walk.guard?.analyst.bump();
    cutOff(walk, guard, changedMeanwhile, "soon");
    return false;
  }
  delivered.rows++;
  delivered.bytes += bytes;
  if (limits === undefined) return true;
  const over =
    limits.rows !== null && delivered.rows > limits.rows
      ? "rows"
      : limits.bytes !== null && delivered.bytes > limits.bytes
        ? "bytes"
        : null;
  if (over === null) return true;
  guard.swallowed = true;
  cutOff(walk, guard, limitReached(over, guard), over === "rows" && guard.bounded ? "never" : "soon");
  return false;
}

/**
 * The limit on bytes, of rows that were masked: as the client gets them. How long the hidden values are must not tell where a
 * result ends. Gives the messages that may be delivered.
 */
export function withinBytes(walk: Walk, guard: Guard, masked: Buffer): Buffer {
  const limit = guard.judgement.decision?.limits.bytes ?? null;
  const room = limit === null ? Number.POSITIVE_INFINITY : limit - guard.delivered.bytes;
  guard.delivered.bytes += masked.length;
  if (masked.length <= room) return masked;
  let fits = 0;
  let at = 0;
  while (at < masked.length) {
    at += 1 + masked.readInt32BE(at + 1);
    if (at <= room) fits = at;
    else walk.result.rows--;
  }
  guard.swallowed = true;
  if (guard.cut === null) cutOff(walk, guard, limitReached("bytes", guard), "soon");
  return masked.subarray(0, fits);
}
