/** Which intents have no outcome yet: found by reading leaves, batch by batch. */
import { join } from "node:path";
import { readSegment, type SegmentFault, segmentName } from "./verify/segment.ts";

/** An intent whose outcome nobody saw. */
export interface OpenIntent {
  readonly index: number;
  readonly session: string;
  readonly request: string;
}

/** `{"v":1,"id":"<36>","type":"` comes before a leaf's type. */
const typeAt = 59;

export class Unresolved {
  private readonly origin: string;
  private readonly open = new Map<number, OpenIntent>();
  /** What the batch being read opens and resolves. */
  private changes: (OpenIntent | number)[] = [];
  /** The type of the leaf read last, as far as it matters here. */
  private type = "";

  constructor(origin: string) {
    this.origin = origin;
  }

  /** Takes note of a leaf. Gives a text when it is not what a writer of ours writes. */
  leaf(index: number, buf: Buffer, start: number, end: number): string | null {
    this.type = buf.toString("latin1", start + typeAt, Math.min(end, start + typeAt + 17));
    const intent = this.type.startsWith('statement.intent"');
    if (!intent && this.type !== "statement.outcome") return null;
    try {
      const leaf = JSON.parse(buf.toString("utf8", start, end));
      if (intent) this.changes.push({ index, session: String(leaf.session), request: String(leaf.request) });
      else if (leaf.intent.log === this.origin) this.changes.push(Number(leaf.intent.index));
      return null;
    } catch {
      return "a leaf that is not JSON";
    }
  }

  /** The batch is good: what it said counts. Leaves of a batch that is not never do. */
  apply(): void {
    for (const change of this.changes) {
      if (typeof change === "number") this.open.delete(change);
      else this.open.set(change.index, change);
    }
    this.changes = [];
  }

  /** Whether the leaf read last closed the log. */
  get closed(): boolean {
    return this.type.startsWith('log.closed"');
  }

  /** Intents without outcome, oldest first. */
  list(): OpenIntent[] {
    return [...this.open.values()].sort((a, b) => a.index - b.index);
  }

  /**
   * Reads the leaves from index `from` on, up to byte `until` of segment `last`, without verifying them (they lie under a
   * checkpoint that was). `firsts`: the segments, ascending. Gives the fault that ended the reading, if any.
   */
  collect(
    dir: string,
    firsts: readonly number[],
    from: number,
    last: number,
    until: number,
  ): SegmentFault | null {
    const start = firsts.findLast((first) => first <= from) ?? 0;
    for (const first of firsts) {
      if (first < start || first > last) continue;
      let index = first;
      const end = readSegment(
        join(dir, "segments", segmentName(first)),
        { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) },
        {
          leaf: (buf, begin, stop) => (index++ < from ? null : this.leaf(index - 1, buf, begin, stop)),
          frame: () => null,
          point: () => {
            this.apply();
            return null;
          },
        },
        { hashes: false, until: first === last ? until : Number.POSITIVE_INFINITY },
      );
      if (end.fault !== null) return end.fault;
    }
    return null;
  }
}
