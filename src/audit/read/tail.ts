/** Following a log: the records of whole batches as they are written. */
import { join } from "node:path";
import { readSegment, segmentName } from "../verify/segment.ts";
import { type Entry, type LogPlace, parseLeaf, segmentsOf } from "./leaves.ts";

/** Reads on from where it stopped; a batch is given when its last line is there. */
export class Follower {
  private readonly log: LogPlace;
  private first: number | null = null;
  private offset = 0;
  private index = 0;

  constructor(log: LogPlace) {
    this.log = log;
  }

  /** Begins with the last segment, or the one before it when that holds fewer than `count` records. */
  last(count: number): Entry[] {
    const segments = segmentsOf(this.log.dir);
    let entries: Entry[] = [];
    for (let back = 1; back <= segments.length; back++) {
      this.first = segments.at(-back) ?? 0;
      this.index = this.first;
      this.offset = 0;
      entries = this.more();
      if (entries.length >= count) break;
    }
    return count === 0 ? [] : entries.slice(-count);
  }

  /** What came since the last call. */
  more(): Entry[] {
    const out: Entry[] = [];
    for (const first of segmentsOf(this.log.dir)) {
      this.first ??= first;
      if (first < this.first) continue;
      if (first > this.first) {
        this.first = first;
        this.index = first;
        this.offset = 0;
      }
      this.read(first, out);
    }
    return out;
  }

  private read(first: number, out: Entry[]): void {
    const segment = segmentName(first);
    let batch: Entry[] = [];
    let next = this.index;
    const start = { offset: this.offset, chain: Buffer.alloc(32), tail: Buffer.alloc(0) };
    readSegment(
      join(this.log.dir, "segments", segment),
      start,
      {
        leaf: (buf, begin, end, _hash, offset) => {
          const leaf = parseLeaf(buf, begin, end);
          const { name: log, dir } = this.log;
          if (leaf !== null) batch.push({ log, dir, index: next, segment, offset, leaf });
          next++;
          return null;
        },
        frame: () => null,
        point: (_kind, _text, _chain, _at, end) => {
          out.push(...batch);
          batch = [];
          this.index = next;
          this.offset = end;
          return null;
        },
      },
      { hashes: false },
    );
  }
}
