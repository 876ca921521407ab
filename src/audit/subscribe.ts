/** Who wants to see records as they become durable: the live views. Costs nothing while nobody does. */
import type { CommittedRecords } from "./types.ts";

/** Bytes that may wait for their fdatasync before records are left out: a live view is no second log. */
const maxWaiting = 8 * 1024 * 1024;

interface Chunk {
  readonly bytes: Buffer;
  readonly first: number;
  readonly count: number;
}

export class Subscribers {
  private readonly listeners = new Set<(records: CommittedRecords) => void>();
  private chunks: Chunk[] = [];
  private waiting = 0;
  private missed = false;

  add(listener: (records: CommittedRecords) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.forget();
    };
  }

  /** A batch was written: `count` leaves from index `first` on, and other lines, in `bytes`, which are valid now only. */
  written(bytes: Buffer, first: number, count: number): void {
    if (this.listeners.size === 0 || count === 0) return;
    if (this.waiting + bytes.length > maxWaiting) {
      this.missed = true;
      return;
    }
    this.waiting += bytes.length;
    this.chunks.push({ bytes: Buffer.from(bytes), first, count });
  }

  /** Everything below `checkpoint.size` is durable. */
  durable(checkpoint: { readonly size: number; readonly note: Buffer }): void {
    if (this.listeners.size === 0) return;
    const ready: Chunk[] = [];
    while (this.chunks[0] !== undefined && this.chunks[0].first + this.chunks[0].count <= checkpoint.size) {
      const chunk = this.chunks.shift();
      if (chunk === undefined) break;
      this.waiting -= chunk.bytes.length;
      ready.push(chunk);
    }
    const { missed } = this;
    this.missed = false;
    // Not in the turn that releases the waiters: the data path goes first.
    setImmediate(() => this.tell({ batches: ready, missed, checkpoint }));
  }

  /** What was written may not have become durable: the log has failed, or nobody listens. */
  forget(): void {
    this.missed ||= this.chunks.length > 0;
    this.chunks = [];
    this.waiting = 0;
  }

  private tell(records: CommittedRecords): void {
    for (const listener of this.listeners) listener(records);
  }
}

/** The leaves of a written batch: its lines that begin with "L ", without that and the newline. */
export function* leavesIn(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(0x0a, start);
    const end = found < 0 ? bytes.length : found;
    if (bytes[start] === 0x4c && bytes[start + 1] === 0x20) yield bytes.subarray(start + 2, end);
    start = end + 1;
  }
}
