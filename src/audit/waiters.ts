/** Calling back who waits for the log. */
import type { AuditUnavailable } from "./errors.ts";
import type { SafeWaiter } from "./types.ts";

/** Tells all that their records are safe. One waiter's exception is its own: it is thrown on, and the others are told all the same. */
export function release(waiters: readonly SafeWaiter[]): void {
  for (const waiter of waiters) {
    try {
      waiter.auditSafe();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

/** Tells all, in a later turn of the event loop, that the log has failed. */
export function failLater(waiters: readonly SafeWaiter[], failure: AuditUnavailable): void {
  if (waiters.length === 0) return;
  setImmediate(() => {
    for (const waiter of waiters) waiter.auditFailed(failure);
  });
}
