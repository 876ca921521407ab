/** Waiting for other people's word. */
import { StoreUnavailable } from "../store/index.ts";
import { ApprovalError } from "./errors.ts";
import type { Mirror } from "./mirror.ts";
import type { Kept } from "./stored.ts";

/** A change that nobody told of is found by then. */
const lookMs = 5_000;
const retryMs = 500;
/** The store may be away for so long behind the end of the wait. */
const patienceMs = 2_000;

/** Resolves when it is no longer pending. Rejects with the signal's reason, ApprovalError NOT_FOUND, or StoreUnavailable. */
export function untilSettled(
  id: string,
  signal: AbortSignal,
  deps: {
    readonly read: (id: string) => Promise<Kept | null>;
    readonly mirror: Pick<Mirror, "onChange">;
    readonly now: () => number;
  },
): Promise<Kept> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | null = null;
    let looking: "no" | "yes" | "again" = "no";
    let expires = Number.POSITIVE_INFINITY;
    const stopWatching = deps.mirror.onChange((kept) => {
      if (kept.approval.id === id) void look();
    });
    const aborted = () => finish(() => reject(signal.reason));
    let over = false;
    function finish(settle: () => void): void {
      if (over) return;
      over = true;
      if (timer !== null) clearTimeout(timer);
      stopWatching();
      signal.removeEventListener("abort", aborted);
      settle();
    }
    function lookIn(ms: number): void {
      if (timer !== null) clearTimeout(timer);
      timer = over ? null : setTimeout(() => void look(), ms);
    }
    async function look(): Promise<void> {
      if (over || looking !== "no") {
        looking = "again";
        return;
      }
      try {
        do {
          looking = "yes";
          const kept = await deps.read(id);
          if (kept === null)
            return finish(() => reject(new ApprovalError("NOT_FOUND", "there is no such approval")));
          if (kept.approval.state !== "pending") return finish(() => resolve(kept));
          expires = Date.parse(kept.approval.expires);
        } while ((looking as string) === "again" && !over);
        lookIn(Math.max(1, Math.min(lookMs, expires - deps.now())));
      } catch (error) {
        if (!(error instanceof StoreUnavailable) || deps.now() > expires + patienceMs)
          return finish(() => reject(error));
        lookIn(retryMs);
      } finally {
        looking = "no";
      }
    }
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted, { once: true });
    void look();
  });
}
