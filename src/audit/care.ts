/** Looks after an open log once a second: room on the disk, a failed log that can go on, and what was asked for from outside. */
import type { AuditUnavailable } from "./errors.ts";
import { isLow } from "./space.ts";

/** What the owner of the gateway should know of a log that is open. */
export type CareNews =
  | { readonly kind: "low"; readonly free: number }
  | { readonly kind: "enough"; readonly free: number }
  | { readonly kind: "recovered"; readonly failure: string; readonly seconds: number }
  | { readonly kind: "not-recovered"; readonly why: string }
  | { readonly kind: "errand-failed"; readonly why: string };

export interface Patient {
  readonly dir: string;
  readonly failure: AuditUnavailable | null;
  /** Opens the log's files again. Throws when that is not possible yet. */
  heal(): void;
  settle(): Promise<void>;
  /** Does what was asked for by files in the folders (a new key, errands). */
  errands(): Promise<void>;
}

const settleMs = 2_000;
const firstWaitMs = 1_000;
const longestWaitMs = 15_000;

export class LogCare {
  low = false;
  private readonly patient: Patient;
  private readonly tell: (news: CareNews) => void;
  private readonly timer: NodeJS.Timeout;
  private readonly settleMs: number;
  private failedAt = 0;
  private healAt = 0;
  private wait = firstWaitMs;
  private lastWhy = "";
  private busy = false;

  constructor(patient: Patient, tell: (news: CareNews) => void, everyMs = 1_000) {
    this.patient = patient;
    this.tell = tell;
    this.settleMs = Math.min(settleMs, everyMs * 2);
    this.timer = setInterval(() => void this.look(), everyMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      if (this.patient.failure === null) {
        this.failedAt = 0;
        await this.watchRoom();
        if (this.patient.failure === null) await this.patient.errands();
      } else await this.tryToHeal(this.patient.failure);
    } catch (error) {
      this.tell({ kind: "errand-failed", why: error instanceof Error ? error.message : "failed" });
    } finally {
      this.busy = false;
    }
  }

  private async watchRoom(): Promise<void> {
    const found = await isLow(this.patient.dir, this.low);
    if (found === null || found.low === this.low) return;
    this.low = found.low;
    this.tell({ kind: found.low ? "low" : "enough", free: found.free });
  }

  private async tryToHeal(failure: AuditUnavailable): Promise<void> {
    // A step of the wall clock must not keep a log from going on.
    const now = performance.now();
    if (this.failedAt === 0) {
      this.failedAt = now;
      // Who waited is told first, and what PostgreSQL has open is ended.
      this.healAt = now + this.settleMs;
      this.wait = firstWaitMs;
    }
    if (now < this.healAt) return;
    try {
      this.patient.heal();
      // Only what is on disk shows that writing works again.
      await this.patient.settle();
      this.lastWhy = "";
      this.tell({
        kind: "recovered",
        failure: failure.message,
        seconds: Math.round((now - this.failedAt) / 1000),
      });
    } catch (error) {
      this.healAt = performance.now() + this.wait;
      this.wait = Math.min(this.wait * 2, longestWaitMs);
      const why = error instanceof Error ? error.message : "failed";
      if (why !== this.lastWhy) this.tell({ kind: "not-recovered", why });
      this.lastWhy = why;
    }
  }
}
