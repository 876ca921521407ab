/** Questions about what other sessions have locked. */
import { setTimeout as pause } from "node:timers/promises";
import type { AskResult } from "../../analysis/ask-read.ts";

/** What the server says of a lock that it did not get within lock_timeout. */
export const lockNotAvailable = "55P03";

/** Without the gateway the statement itself would wait for the lock; its session may have more patience. */
const lockPatienceMs = 30_000;
const pausesMs = [20, 50, 100, 200, 400];
/**
 * Each question that does not get its lock keeps its connection busy until lock_timeout: the more of them wait, the less often each
 * asks, so that half of the time is left for others.
 */
const eachMs = 100;
let waiting = 0;

/** How long to wait before the next attempt, where so many wait altogether; milliseconds. */
export function pauseOf(attempt: number, of: number): number {
  return Math.max(pausesMs[Math.min(attempt, pausesMs.length - 1)] ?? 0, of > 1 ? of * eachMs : 0);
}

/**
 * Asks again while the lock is not to be had. Between two attempts nothing waits at the server, and its line of waiting sessions is as if
 * nobody asked.
 * @param mayWait false: there is no point in asking again.
 * @param patienceMs after which the last answer is given, though it is that of the lock.
 */
export async function patiently(
  ask: () => Promise<AskResult>,
  mayWait: () => boolean,
  patienceMs = lockPatienceMs,
): Promise<AskResult> {
  const end = performance.now() + patienceMs;
  for (let attempt = 0; ; attempt++) {
    const asked = await ask();
    if (asked.ok || asked.sqlstate !== lockNotAvailable) return asked;
    if (!mayWait() || performance.now() >= end) return asked;
    waiting++;
    await pause(pauseOf(attempt, waiting), undefined, { ref: false });
    waiting--;
  }
}
