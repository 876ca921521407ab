/**
 * Brings the log's checkpoints to its anchors: every 10 seconds or 1,000 records, and at close. Never in the way of the log. Times are of
 * performance.now(): a wall clock that was set back must not silence the anchors.
 */
import { type AnchorNews, AnchorRunner } from "./runner.ts";
import type { Anchor } from "./types.ts";

/** What is needed of the log. */
export interface Anchored {
  readonly origin: string;
  readonly size: number;
  /** The newest checkpoint that is durable. */
  readonly checkpoint: { readonly size: number; readonly note: Buffer } | null;
}

export interface AnchorState {
  readonly anchor: string;
  /** Leaves of the newest checkpoint that it has kept since the start. */
  readonly anchored: number;
  readonly unanchored: number;
  readonly failures: number;
  /** The latest attempt failed. */
  readonly failing: boolean;
  /** When it last kept one, milliseconds since the epoch; null: not since the start. */
  readonly keptAt: number | null;
}

/** For the gateway's log. `unanchored`: records that a loss of this log would take away unseen, by this anchor. */
export type AnchoringNews = AnchorNews & { readonly unanchored: number };

export interface Anchoring {
  states(): AnchorState[];
  /** Records that the least current anchor does not cover; without anchors, all. */
  readonly unanchored: number;
  /** To be called when the log is closed: offers the last checkpoint and waits for at most `ms`. Gives the states at the end. */
  stop(ms?: number): Promise<AnchorState[]>;
}

export interface AnchoringLimits {
  readonly everyMs: number;
  readonly everyRecords: number;
  /** No anchor is offered more than one checkpoint in this time. */
  readonly leastMs: number;
}

const defaults: AnchoringLimits = { everyMs: 10_000, everyRecords: 1_000, leastMs: 1_000 };
const tickMs = 250;
const stopMs = 5_000;
/** While an anchor fails it is told about this often. */
const repeatMs = 60_000;

export function startAnchoring(
  log: Anchored,
  anchors: readonly Anchor[],
  tell: (news: AnchoringNews) => void,
  limits: Partial<AnchoringLimits> = {},
): Anchoring {
  const { everyMs, everyRecords, leastMs } = { ...defaults, ...limits };
  const told = new Map<string, number>();
  const news = (runner: AnchorRunner, what: AnchorNews) => {
    const now = performance.now();
    if (what.kind === "failed") {
      if (what.attempts > 1 && now - (told.get(what.anchor) ?? Number.NEGATIVE_INFINITY) < repeatMs) return;
      told.set(what.anchor, now);
    }
    tell({ ...what, unanchored: log.size - runner.anchored });
  };
  const runners = anchors.map((anchor) => {
    const runner: AnchorRunner = new AnchorRunner(anchor, (what) => news(runner, what));
    return runner;
  });
  let last: Buffer | null = null;
  let lastSize = 0;
  let offeredAt = Number.NEGATIVE_INFINITY;

  const offer = (now: number): void => {
    const { checkpoint } = log;
    if (checkpoint === null || checkpoint.note === last) return;
    last = checkpoint.note;
    lastSize = checkpoint.size;
    offeredAt = now;
    const note = { origin: log.origin, size: checkpoint.size, note: checkpoint.note.toString("utf8") };
    for (const runner of runners) runner.offer(note);
  };
  const tick = (): void => {
    // A clock that is set back must not silence the anchors.
    const now = performance.now();
    const since = now - offeredAt;
    const fresh = (log.checkpoint?.size ?? 0) - lastSize;
    if (since >= everyMs || (fresh >= everyRecords && since >= leastMs)) offer(now);
    for (const runner of runners) runner.go();
  };
  const timer = setInterval(tick, Math.min(tickMs, everyMs));
  timer.unref();
  tick();

  const states = (): AnchorState[] =>
    runners.map(({ anchor, anchored, failures, failing, keptAt }) => ({
      anchor: anchor.name,
      anchored,
      unanchored: Math.max(0, log.size - anchored),
      failures,
      failing: failing > 0,
      keptAt,
    }));
  let stopping: Promise<AnchorState[]> | null = null;
  return {
    states,
    get unanchored() {
      if (runners.length === 0) return log.size;
      return Math.max(...states().map((state) => state.unanchored));
    },
    stop(ms = stopMs) {
      clearInterval(timer);
      offer(performance.now());
      stopping ??= Promise.all(runners.map((runner) => runner.finish(ms))).then(states);
      return stopping;
    },
  };
}
