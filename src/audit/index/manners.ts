/** When the indexer steps back: the index is for later, the data path for now. */

/** From this part of a core on, used by the rest of the process, the gateway counts as busy. */
const busyShare = 0.3;
/**
 * The indexer's part of a core, one in so many, while the gateway is busy. What the index lacks every search reads from the log, at 1 to
 * 2.5 µs a record: so the further it is behind, the less it waits.
 */
const parts = [
  { behind: 500_000, part: 30 },
  { behind: 1_000_000, part: 8 },
] as const;
const longestMs = 2_000;

/** Microseconds of CPU: of the whole process, and of the calling thread. */
export interface CpuUsed {
  readonly whole: number;
  readonly own: number;
}

function used(): CpuUsed {
  const whole = process.cpuUsage();
  const own = process.threadCpuUsage();
  return { whole: whole.user + whole.system, own: own.user + own.system };
}

/** Measures what others of the process do between two calls. */
export class Manners {
  private readonly used: () => CpuUsed;
  private readonly now: () => number;
  private last: CpuUsed;
  private lastMs: number;

  /** `read` and `now` (milliseconds) are replaced in tests only. */
  constructor(read: () => CpuUsed = used, now: () => number = () => performance.now()) {
    this.used = read;
    this.now = now;
    this.last = read();
    this.lastMs = now();
  }

  /**
   * How long to pause behind a step that took `tookMs`, in milliseconds: as long again, or many times as long while others of this process
   * work. `behind`: records that the index still lacks.
   */
  pauseMs(tookMs: number, behind: number): number {
    const used = this.used();
    const now = this.now();
    const others = used.whole - this.last.whole - (used.own - this.last.own);
    const busy = others > busyShare * 1000 * Math.max(1, now - this.lastMs);
    this.last = used;
    this.lastMs = now;
    const part = busy ? (parts.find((one) => behind <= one.behind)?.part ?? 2) : 2;
    return Math.min(tookMs * (part - 1), longestMs);
  }
}
