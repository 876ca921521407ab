/** How much one principal may ask of people: nobody is worn down by asking again and again. */
import { ApprovalRefused } from "./errors.ts";
import type { ApprovalSettings } from "./settings.ts";
import type { Kept } from "./stored.ts";

const minuteMs = 60_000;
const maxRemembered = 10_000;

export interface Quota {
  /** Takes a place for a request that is about to be made; gives it back when called. Throws ApprovalRefused APPROVAL_RATE. */
  take(who: string, shape: string, nowMs: number): () => void;
  /** A break-glass use is never refused for too many pending ones, but counts. */
  count(who: string, nowMs: number): void;
  denied(who: string, shape: string, nowMs: number): void;
}

export function createQuota(
  settings: Pick<
    ApprovalSettings,
    "maxPendingPerPrincipal" | "requestsPerMinute" | "denials" | "denialWindowMs"
  >,
  live: () => Iterable<Kept>,
): Quota {
  /** Times of requests of the last minute. */
  const asked = new Map<string, number[]>();
  const underWay = new Map<string, number>();
  const denials = new Map<string, number[]>();

  function recent(of: Map<string, number[]>, key: string, sinceMs: number): number[] {
    const times = (of.get(key) ?? []).filter((time) => time > sinceMs);
    of.delete(key);
    if (times.length > 0) of.set(key, times);
    return times;
  }

  function remember(of: Map<string, number[]>, key: string, time: number): void {
    of.set(key, [...(of.get(key) ?? []), time]);
    // Maps keep the order of insertion: the oldest goes.
    if (of.size > maxRemembered) for (const oldest of of.keys()) return void of.delete(oldest);
  }

  return {
    take(who, shape, nowMs) {
      const refuse = (message: string): never => {
        throw new ApprovalRefused("APPROVAL_RATE", message);
      };
      const { denials: most, denialWindowMs } = settings;
      if (most > 0 && recent(denials, `${who} ${shape}`, nowMs - denialWindowMs).length >= most)
        refuse(
          `this was denied ${most} times in the last ${Math.round(denialWindowMs / minuteMs)} minutes: nobody is asked again for now`,
        );
      if (recent(asked, who, nowMs - minuteMs).length >= settings.requestsPerMinute)
        refuse(`more than ${settings.requestsPerMinute} requests in a minute: wait before asking again`);
      let waiting = underWay.get(who) ?? 0;
      for (const kept of live())
        if (kept.who === who && kept.approval.state === "pending" && kept.approval.kind !== "review")
          waiting++;
      if (waiting >= settings.maxPendingPerPrincipal)
        refuse(`${waiting} requests wait for a decision already: wait until they are decided`);
      remember(asked, who, nowMs);
      underWay.set(who, (underWay.get(who) ?? 0) + 1);
      let given = false;
      return () => {
        if (given) return;
        given = true;
        const left = (underWay.get(who) ?? 1) - 1;
        if (left > 0) underWay.set(who, left);
        else underWay.delete(who);
      };
    },
    count: (who, nowMs) => remember(asked, who, nowMs),
    denied: (who, shape, nowMs) => remember(denials, `${who} ${shape}`, nowMs),
  };
}
