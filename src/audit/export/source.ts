/** The records of a log in order, from where an export stopped; outcomes with their intents, in bounded memory. */
import { intentOf } from "../read/filters.ts";
import {
  isObject,
  type Json,
  type LogPlace,
  type LogPosition,
  originOf,
  parseLeaf,
  readBatches,
  segmentsOf,
  text,
  withBlobs,
} from "../read/leaves.ts";
import { leafHash } from "../verify/tree.ts";
import type { ExportRecord } from "./record.ts";

/** Where an export stands: everything before `next` has been acknowledged. */
export interface ExportCursor {
  readonly log: string;
  /** Index of the first record that was not acknowledged. */
  readonly next: number;
  /** Leaf hash (hex) of the last one that was; null: none. */
  readonly last: string | null;
  /** Where to begin reading, so that intents without outcome are known again. */
  readonly from: LogPosition | null;
}

/** Intents remembered until their outcome comes, by number and by the bytes of their leaves. */
const maxOpen = 5000;
const maxOpenBytes = 32 * 1024 * 1024;

interface OpenIntent {
  readonly leaf: Json;
  readonly bytes: number;
  readonly start: LogPosition | null;
}

interface Queued {
  readonly record: ExportRecord;
  /** Where reading would have to begin anew for what comes behind this record. */
  readonly from: LogPosition | null;
}

export class ExportSource {
  readonly origin: string;
  /** Records that were pruned from the log before they could be given. */
  lost = 0;
  private readonly log: LogPlace;
  private position: LogPosition | null;
  private next: number;
  /** The index that the next record has, unless retention took it. */
  private due: number;
  private last: string | null;
  private readonly open = new Map<number, OpenIntent>();
  private openBytes = 0;
  private queue: Queued[] = [];
  private given: Queued | null = null;

  /** `cursor` null: from the oldest record there is. */
  constructor(log: LogPlace, cursor: ExportCursor | null) {
    this.log = log;
    this.origin = originOf(log) ?? log.name;
    this.position = cursor?.from ?? null;
    this.next = cursor?.next ?? 0;
    this.last = cursor?.last ?? null;
    const oldest = segmentsOf(log.dir)[0] ?? 0;
    if (cursor === null) this.next = oldest;
    if (this.position !== null && this.position.first < oldest) this.position = null;
    if (this.next < oldest) {
      this.lost = oldest - this.next;
      this.next = oldest;
      this.last = null;
    }
    this.due = this.next;
  }

  /** A cursor at the end of the log: nothing that is there now is exported. */
  static atEnd(log: LogPlace): ExportCursor {
    let last: string | null = null;
    let pending: string | null = null;
    const from = readBatches(log, null, {
      leaf: (buf, start, end) => {
        pending = leafHash(buf.subarray(start, end)).toString("hex");
      },
      batch: () => {
        last = pending;
        return true;
      },
    });
    return { log: originOf(log) ?? log.name, next: from?.index ?? 0, last, from };
  }

  /**
   * The next records, at most `most` and of about `bytes` bytes. Throws CursorMismatch when the log no longer has what was acknowledged
   * last: it was cut or put back, and indexes mean other records now.
   */
  read(most: number, bytes: number): ExportRecord[] {
    if (this.queue.length === 0) this.fill(bytes);
    let size = 0;
    let count = 0;
    while (count < this.queue.length && count < most && size < bytes)
      size += this.queue[count++]?.record.stored.length ?? 0;
    const taken = this.queue.splice(0, count);
    this.given = taken.at(-1) ?? this.given;
    return taken.map((q) => q.record);
  }

  /** Where to go on when everything that `read()` gave so far is acknowledged. */
  cursor(): ExportCursor {
    const { given } = this;
    if (given === null) return { log: this.origin, next: this.next, last: this.last, from: this.position };
    return { log: this.origin, next: given.record.index + 1, last: given.record.hash, from: given.from };
  }

  private fill(bytes: number): void {
    let batchStart = this.position;
    let size = 0;
    let batch: Queued[] = [];
    const end = readBatches(this.log, this.position, {
      leaf: (buf, start, stop, index) => {
        const leaf = parseLeaf(buf, start, stop) ?? {};
        const intent = this.join(leaf, index, stop - start, batchStart);
        if (index < this.next) {
          if (
            index === this.next - 1 &&
            this.last !== null &&
            leafHash(buf.subarray(start, stop)).toString("hex") !== this.last
          )
            throw new CursorMismatch(index);
          return;
        }
        // The segments between were there when this began, and were pruned before they were read.
        this.lost += index - this.due;
        this.due = index + 1;
        const record = this.whole(leaf);
        // Long texts come back from their blobs.
        size += stop - start + (text(record, "statement.sql")?.length ?? 0);
        const hash = leafHash(buf.subarray(start, stop)).toString("hex");
        const stored = buf.toString("utf8", start, stop);
        batch.push({
          record: { log: this.origin, index, hash, stored, leaf: record, intent },
          from: this.oldest(batchStart),
        });
      },
      batch: (next) => {
        this.queue.push(...batch);
        batch = [];
        batchStart = next;
        return size < bytes;
      },
    });
    if (end !== null && end.index < this.next && this.last !== null) throw new CursorMismatch(end.index);
    this.position = end;
  }

  /** Remembers intents, gives that of an outcome. */
  private join(leaf: Json, index: number, bytes: number, start: LogPosition | null): Json | null {
    if (leaf.type === "statement.intent") {
      this.open.set(index, { leaf, bytes, start });
      this.openBytes += bytes;
      for (const oldest of this.open.keys()) {
        if (this.open.size <= maxOpen && this.openBytes <= maxOpenBytes) break;
        this.forget(oldest);
      }
      return null;
    }
    const of = intentOf(leaf);
    const found = of === null ? undefined : this.open.get(of);
    if (of === null || found === undefined) return null;
    this.forget(of);
    return this.whole(found.leaf);
  }

  private whole(leaf: Json): Json {
    const whole = withBlobs(this.log.dir, leaf);
    return isObject(whole) ? whole : leaf;
  }

  private forget(index: number): void {
    this.openBytes -= this.open.get(index)?.bytes ?? 0;
    this.open.delete(index);
  }

  private oldest(here: LogPosition | null): LogPosition | null {
    const first = this.open.values().next().value;
    return first === undefined ? here : first.start;
  }
}

/** The log is not the one that was exported: exporting must begin anew, and record ids tell what is given twice. */
export class CursorMismatch extends Error {
  override readonly name = "CursorMismatch";
  constructor(index: number) {
    super(`record ${index} is not the one that was exported: the log was cut or put back to an older copy`);
  }
}
