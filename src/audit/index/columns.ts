/** A block of records as columns of numbers, one place for each record by its leaf index. A record costs 29 bytes. */

/** Records of a block. */
export const blockSize = 1024;
/** Blocks of a span: where a part occurs is known by the span. */
export const spanBlocks = 16;

/** In place of a part's number: the record is an outcome. */
export const outcomeMark = 0xffffffff;
/** In place of a part's number: there is no record. */
export const goneMark = 0xfffffffe;

/** Number of the span that a block belongs to. */
export function spanOf(block: number): number {
  return Math.floor(block / spanBlocks);
}

/** Number of the block that holds the record of a leaf index. */
export function blockOf(index: number): number {
  return Math.floor(index / blockSize);
}

/** Least and most of some number in a block; null: no record has one. */
export interface Zone {
  least: number | null;
  most: number | null;
}

function widen(zone: Zone, value: number): void {
  if (zone.least === null || value < zone.least) zone.least = value;
  if (zone.most === null || value > zone.most) zone.most = value;
}

export const chunkBytes = 12;
export const placeBytes = 12;
export const endedBytes = 5;

/** The records whose leaf indexes begin with `number * blockSize`, in memory. */
export class Block {
  readonly number: number;
  /** Places taken: those behind are not stored. */
  count = 0;
  /** Numbers of the parts: of the session, of the statement, of its own. */
  readonly session = new Uint32Array(blockSize);
  readonly statement = new Uint32Array(blockSize);
  readonly own = new Uint32Array(blockSize);
  /** Offset of the leaf's line in its segment. */
  readonly offset = new Uint32Array(blockSize);
  /** Tails of the record's own id and of its request's (ids.ts); 0: it has none. */
  readonly id = new Uint32Array(blockSize);
  readonly request = new Uint32Array(blockSize);
  /** From an intent to its outcome, or from an outcome back to its intent; 0: there is none. */
  readonly link = new Uint32Array(blockSize);
  /** Of an intent: status code of its outcome (status.ts). */
  readonly status = new Uint8Array(blockSize);
  readonly time: Zone = { least: null, most: null };
  readonly ids: Zone = { least: null, most: null };
  readonly requests: Zone = { least: null, most: null };

  constructor(number: number) {
    this.number = number;
  }

  /** Takes the place of a record. Gives it. */
  add(index: number, offset: number): number {
    if (offset > 0xffffffff) throw new RangeError("a segment of more than 4 GiB");
    const slot = index % blockSize;
    if (this.count < slot) this.free(this.count, slot);
    this.count = slot + 1;
    this.offset[slot] = offset;
    return slot;
  }

  atTime(time: number): void {
    widen(this.time, time);
  }

  hasId(slot: number, at: number, tail: number): void {
    this.id[slot] = tail;
    widen(this.ids, at);
  }

  hasRequest(slot: number, at: number, tail: number): void {
    this.request[slot] = tail;
    widen(this.requests, at);
  }

  /** Empties the places [from, to): there are no such records, or no longer. */
  free(from: number, to: number): void {
    for (const column of [this.session, this.statement, this.own]) column.fill(goneMark, from, to);
    for (const column of [this.offset, this.id, this.request, this.link, this.status])
      column.fill(0, from, to);
  }

  get chunk(): Uint8Array {
    return join(this.count, this.session, this.statement, this.own);
  }

  get place(): Uint8Array {
    return join(this.count, this.offset, this.id, this.request);
  }

  get ended(): Uint8Array {
    return join(this.count, this.link, this.status);
  }

  /** Takes over what `chunk`, `place` and `ended` gave; lengths that do not fit count as no records. */
  load(chunk: Uint8Array, place: Uint8Array, ended: Uint8Array): void {
    const count = chunk.length / chunkBytes;
    if (count > blockSize || place.length !== count * placeBytes || ended.length !== count * endedBytes)
      return;
    this.count = count;
    split(chunk, count, this.session, this.statement, this.own);
    split(place, count, this.offset, this.id, this.request);
    split(ended, count, this.link, this.status);
  }
}

type Column = Uint32Array | Uint8Array;

function join(count: number, ...columns: Column[]): Uint8Array {
  const out = new Uint8Array(columns.reduce((sum, c) => sum + c.BYTES_PER_ELEMENT * count, 0));
  let at = 0;
  for (const column of columns) {
    const length = column.BYTES_PER_ELEMENT * count;
    out.set(new Uint8Array(column.buffer, 0, length), at);
    at += length;
  }
  return out;
}

function split(from: Uint8Array, count: number, ...columns: Column[]): void {
  let at = 0;
  for (const column of columns) {
    const length = column.BYTES_PER_ELEMENT * count;
    new Uint8Array(column.buffer, 0, length).set(from.subarray(at, at + length));
    at += length;
  }
}

/** The columns of a stored chunk or place as numbers, one column after the other. */
export function numbersOf(data: Uint8Array): Uint32Array {
  const whole = data.length - (data.length % (3 * 4));
  // SQLite's driver gives each blob an array of its own; one that is not aligned is copied.
  return data.byteOffset % 4 === 0
    ? new Uint32Array(data.buffer, data.byteOffset, whole / 4)
    : new Uint32Array(data.slice(0, whole).buffer);
}
