/** When the log writes, syncs, rotates and gives up. Sizes in bytes, times in milliseconds. */
export interface CommitLimits {
  /** A segment that reaches this size or age is closed at the next checkpoint. */
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /** Longest time a batch handed to the operating system stays without fdatasync. */
  readonly syncMs: number;
  /** Records on disk wait at most about this long for a checkpoint: an fdatasync sooner after one has none of its own. */
  readonly signMs: number;
  /** Longest time without a checkpoint. */
  readonly idleMs: number;
  /** An fdatasync that takes longer counts as failed. */
  readonly stallMs: number;
  /** A batch that gathers more than this is written before the turn ends. */
  readonly batchBytes: number;
  /** No new record is taken while more than this waits. */
  readonly queueBytes: number;
}

export const defaultLimits: CommitLimits = {
  segmentBytes: 256 * 1024 * 1024,
  segmentMs: 24 * 3600 * 1000,
  syncMs: 50,
  signMs: 25,
  idleMs: 60_000,
  stallMs: 30_000,
  batchBytes: 1024 * 1024,
  queueBytes: 64 * 1024 * 1024,
};
