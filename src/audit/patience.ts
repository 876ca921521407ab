/**
 * How long a batch stays open for others. While sessions keep joining it, everything that a batch costs is shared by more
 * of them (PostgreSQL's commit_delay has the same idea). How much waiting is worth is learnt: a lone session is not kept.
 */

/** Turns of the event loop, which do the sessions' work meanwhile, that a write waits at most. */
const most = 3;
/** Where waiting has not paid, one batch in so many tries again. */
const probeEvery = 32;

/** How long an fdatasync waits at most for those who came to the one before, however slow the disk is; milliseconds. */
const longestWait = 5;

/** For writes: counts turns. */
export class Patience {
  /** Turns that are worth it at present. */
  private turns = 1;
  /** Turns that this batch has waited, and records that it had at the last one. */
  private waited = 0;
  private last = 0;
  private batches = 0;

  /** Asked once a turn: whether a batch of `records` so far should be left open for another one. */
  wait(records: number): boolean {
    const { waited } = this;
    if (waited === 0) this.batches++;
    else if (records > this.last) this.turns = Math.min(waited + 1, most);
    else {
      this.turns = waited - 1;
      this.waited = 0;
      return false;
    }
    const worth = this.turns === 0 && this.batches % probeEvery === 0 ? 1 : this.turns;
    if (waited >= worth) {
      this.waited = 0;
      return false;
    }
    this.waited++;
    this.last = records;
    return true;
  }
}

/** For fdatasyncs, each of which costs a signature and its disk time: whoever was served by the last one is likely to be back soon. */
export class Company {
  private readonly late: () => void;
  private expected = 0;
  /** Commits that wait for nobody, because waiting was in vain. */
  private alone = 0;
  private timer: NodeJS.Timeout | null = null;
  private over = false;
  private first = 0;
  private worth = 1;

  /** `late` is called when those who were waited for have not come in time. */
  constructor(late: () => void) {
    this.late = late;
  }

  /** An fdatasync of `tookMs` has served `served`; `waiting` have come meanwhile. As long as it took, the next may wait for them. */
  served(served: number, waiting: number, tookMs: number): void {
    this.expected = served + waiting;
    this.worth = Math.min(Math.max(tookMs, 1), longestWait);
  }

  /** Whether the next fdatasync should begin with `waiting`; if not, ask again when more have come or `late` is called. */
  complete(waiting: number): boolean {
    const { expected } = this;
    if (this.alone > 0 || this.over || waiting >= expected) {
      if (this.over && waiting === this.first) this.alone = probeEvery;
      else if (this.alone > 0) this.alone--;
      this.end();
      return true;
    }
    if (this.timer === null) {
      this.first = waiting;
      this.timer = setTimeout(() => {
        this.over = true;
        this.late();
      }, this.worth);
    }
    return false;
  }

  /** Waits no longer. */
  end(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.over = false;
  }
}
