/** Keyed values in the index's file: per day and block of records a list of digests, each with the place of its record. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { bytes } from "./blocks.ts";
import { blockOf, blockSize } from "./columns.ts";
import type { ValueKey } from "./values.ts";

/** Of an entry: eight bytes of the digest, two of the record's place in its block. */
export const entryBytes = 10;
/** A row that has reached this is not added to. */
const fullRow = 16 * 1024;

class List {
  private buf = Buffer.allocUnsafe(64 * entryBytes);
  private length = 0;

  add(high: number, low: number, slot: number): void {
    if (this.length === this.buf.length) {
      const bigger = Buffer.allocUnsafe(this.buf.length * 2);
      this.buf.copy(bigger);
      this.buf = bigger;
    }
    this.buf.writeUInt32BE(high, this.length);
    this.buf.writeUInt32BE(low, this.length + 4);
    this.buf.writeUInt16BE(slot, this.length + 8);
    this.length += entryBytes;
  }

  get content(): Buffer {
    return this.buf.subarray(0, this.length);
  }
}

/** Keyed digests of known values, in one list for each day and block, until `flush()`. Methods throw what SQLite throws. */
export class ValueStore {
  private readonly lists = new Map<string, Map<number, List>>();
  private lastDay = "";
  private lastBlock = -1;
  private last: List | null = null;
  private readonly find: StatementSync;
  private readonly insert: StatementSync;
  private readonly update: StatementSync;

  constructor(db: DatabaseSync) {
    this.find = db.prepare(
      "SELECT id, data FROM value WHERE day = ? AND number = ? ORDER BY id DESC LIMIT 1",
    );
    this.insert = db.prepare("INSERT INTO value (day, number, data) VALUES (?, ?, ?)");
    this.update = db.prepare("UPDATE value SET data = ? WHERE id = ?");
  }

  add(day: string, high: number, low: number, index: number): void {
    const block = blockOf(index);
    if (this.last === null || block !== this.lastBlock || day !== this.lastDay) {
      let ofDay = this.lists.get(day);
      if (ofDay === undefined) {
        ofDay = new Map();
        this.lists.set(day, ofDay);
      }
      let list = ofDay.get(block);
      if (list === undefined) {
        list = new List();
        ofDay.set(block, list);
      }
      this.last = list;
      this.lastBlock = block;
      this.lastDay = day;
    }
    this.last.add(high, low, index % blockSize);
  }

  /** Writes what was added. */
  flush(): void {
    for (const [day, ofDay] of this.lists)
      for (const [block, { content }] of ofDay) {
        const row = this.find.get(day, block);
        const before = bytes(row?.data);
        if (row === undefined || before.length >= fullRow) this.insert.run(day, block, content);
        else this.update.run(Buffer.concat([before, content]), Number(row.id));
      }
    this.forget();
  }

  forget(): void {
    this.lists.clear();
    this.last = null;
  }
}

/** The keyed values of a block of records: day, digest and record of each as one text, in no order. */
export function* valuesIn(
  db: DatabaseSync,
  number: number,
): Generator<{ readonly day: string; readonly index: number; readonly name: string }> {
  for (const { day, data } of db.prepare("SELECT day, data FROM value WHERE number = ?").iterate(number)) {
    const row = bytes(data);
    const view = new DataView(row.buffer, row.byteOffset, row.length);
    for (let at = 0; at + entryBytes <= row.length; at += entryBytes) {
      const index = number * blockSize + view.getUint16(at + 8);
      const name = valueName(String(day), view.getUint32(at), view.getUint32(at + 4), index);
      yield { day: String(day), index, name };
    }
  }
}

/** A digest of a record as one text, for comparing. */
export function valueName(day: string, high: number, low: number, index: number): string {
  return `${day} ${high} ${low} ${index}`;
}

/** Adds to `into` the records of a day that have one of the values, the newest `most`. */
export function findValues(
  db: DatabaseSync,
  day: string,
  key: ValueKey,
  values: readonly (string | Buffer)[],
  most: number,
  into: Set<number>,
): void {
  const wanted = new Map<number, number[]>();
  for (const value of values) {
    key.digest(value);
    wanted.set(key.high, [...(wanted.get(key.high) ?? []), key.low]);
  }
  // Nearly all entries are passed over by the first two bytes of their digest.
  const begins = new Uint8Array(65_536);
  for (const high of wanted.keys()) begins[high >>> 16] = 1;
  let count = 0;
  const rows = db.prepare("SELECT number, data FROM value WHERE day = ? ORDER BY number DESC").iterate(day);
  for (const { number, data } of rows) {
    const row = bytes(data);
    const view = new DataView(row.buffer, row.byteOffset, row.length);
    for (let at = 0; at + entryBytes <= row.length; at += entryBytes) {
      const high = view.getUint32(at);
      if (begins[high >>> 16] === 0) continue;
      if (wanted.get(high)?.includes(view.getUint32(at + 4)) !== true) continue;
      into.add(Number(number) * blockSize + view.getUint16(at + 8));
      count++;
    }
    if (count >= most) return;
  }
}

/** Removes the entries of a block's first `count` places. */
export function cutEntries(db: DatabaseSync, number: number, count: number): void {
  const update = db.prepare("UPDATE value SET data = ? WHERE id = ?");
  for (const { id, data } of db.prepare("SELECT id, data FROM value WHERE number = ?").all(number)) {
    const row = Buffer.from(bytes(data));
    const kept: Buffer[] = [];
    for (let at = 0; at + entryBytes <= row.length; at += entryBytes)
      if (row.readUInt16BE(at + 8) >= count) kept.push(row.subarray(at, at + entryBytes));
    update.run(Buffer.concat(kept), Number(id));
  }
}
