/** One anchor at work: one checkpoint under way at a time, always the newest next, back-off while it fails. */
import { type Anchor, type AnchoredNote, why } from "./types.ts";

/** What became of an anchor, for the gateway's log. */
export type AnchorNews =
  | { readonly kind: "failed"; readonly anchor: string; readonly why: string; readonly attempts: number }
  | { readonly kind: "works-again"; readonly anchor: string; readonly size: number };

const putMs = 10_000;
const firstBackOffMs = 1_000;
const longestBackOffMs = 60_000;

export class AnchorRunner {
  readonly anchor: Anchor;
  /** Leaves of the newest checkpoint that it has kept. */
  anchored = 0;
  /** When it did, milliseconds since the epoch; null: not since the start. */
  keptAt: number | null = null;
  /** Failed attempts, all and in a row. */
  failures = 0;
  failing = 0;
  private readonly tell: (news: AnchorNews) => void;
  private next: AnchoredNote | null = null;
  private busy: Promise<void> | null = null;
  /** By performance.now(). */
  private retryAt = 0;
  private readonly stop = new AbortController();

  constructor(anchor: Anchor, tell: (news: AnchorNews) => void) {
    this.anchor = anchor;
    this.tell = tell;
  }

  /** A newer checkpoint covers what an older one does: only the newest waits. */
  offer(checkpoint: AnchoredNote): void {
    this.next = checkpoint;
    this.go(performance.now());
  }

  /** Goes on with what waits, when it is time. `now`: of performance.now(). */
  go(now: number): void {
    if (this.busy !== null || this.next === null || now < this.retryAt) return;
    const checkpoint = this.next;
    this.next = null;
    this.busy = this.put(checkpoint).finally(() => {
      this.busy = null;
    });
  }

  private async put(checkpoint: AnchoredNote): Promise<void> {
    const late = AbortSignal.timeout(putMs);
    const signal = AbortSignal.any([late, this.stop.signal]);
    try {
      // A place that does not mind the signal must not hold its successor up.
      await Promise.race([this.anchor.put(checkpoint, signal), aborted(signal)]);
      this.anchored = checkpoint.size;
      this.keptAt = Date.now();
      this.retryAt = 0;
      if (this.failing > 0)
        this.tell({ kind: "works-again", anchor: this.anchor.name, size: checkpoint.size });
      this.failing = 0;
    } catch (error) {
      this.failures++;
      this.failing++;
      this.next ??= checkpoint;
      const wait = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(this.failing - 1, 10));
      this.retryAt = performance.now() + wait * (0.8 + Math.random() * 0.4);
      this.tell({ kind: "failed", anchor: this.anchor.name, why: why(error), attempts: this.failing });
    }
  }

  /** Tries what waits a last time, at once, for at most `ms`; then lets go. */
  async finish(ms: number): Promise<void> {
    const end = performance.now() + ms;
    const timer = setTimeout(() => this.stop.abort(), ms);
    try {
      await this.busy;
      this.retryAt = 0;
      if (performance.now() < end) this.go(performance.now());
      await this.busy;
    } finally {
      clearTimeout(timer);
      await this.anchor.close();
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
