/**
 * How long a batch stays open for others. While sessions keep joining it, everything that a batch costs is shared by more
 * of them (PostgreSQL's commit_delay has the same idea). Time is counted in turns of the event loop, which do the sessions'
 * work meanwhile, and how many are worth it is learnt: a lone session is not kept waiting.
 */

/** Turns that a batch waits at most. */
const most = 3;
/** Where waiting has not paid of late, one batch in so many tries again. */
const probeEvery = 32;

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
