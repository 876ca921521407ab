/** Going through the blocks of records, newest first. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { bytes } from "./blocks.ts";
import { blockSize, goneMark, numbersOf, spanOf } from "./columns.ts";
import { idKey } from "./ids.ts";
import type { PartMasks } from "./masks.ts";
import { noStatus, oddStatus, statusCode } from "./status.ts";

/** What is asked of records beside their terms. */
export interface ScanRange {
  /** Leaf indexes, both ends included. */
  readonly least: number;
  readonly most: number;
  /** Milliseconds since the epoch, both ends included. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  readonly status: string | undefined;
}

/** Leaf indexes of the records, outcomes left out, that may fit: newest first. */
export function* scanBlocks(db: DatabaseSync, masks: PartMasks, range: ScanRange): Generator<number> {
  if (masks.nothing || range.most < range.least) return;
  const spans = masks.spans(db);
  const chunk = db.prepare("SELECT data FROM chunk WHERE number = ?");
  const ended = range.status === undefined ? null : db.prepare("SELECT data FROM ended WHERE number = ?");
  const wanted = range.status === undefined ? noStatus : statusCode(range.status);
  for (const number of blocksIn(db, range)) {
    if (spans !== null && !spans.has(spanOf(number))) continue;
    const statuses = ended === null ? null : statusesOf(ended, number);
    if (statuses !== null && !statuses.includes(wanted) && !statuses.includes(oddStatus)) continue;
    const columns = numbersOf(bytes(chunk.get(number)?.data));
    const start = number * blockSize;
    const newest = Math.min(columns.length / 3 - 1, range.most - start);
    const oldest = Math.max(0, range.least - start);
    for (
      let slot = nextSlot(columns, masks, newest, oldest);
      slot >= 0;
      slot = nextSlot(columns, masks, slot - 1, oldest)
    )
      if (statuses === null || statuses[slot] === wanted || statuses[slot] === oddStatus) yield start + slot;
  }
}

/** The next place of a record that may fit, from `from` down to `to`; -1: none. All records of a log may pass here. */
function nextSlot(columns: Uint32Array, masks: PartMasks, from: number, to: number): number {
  const { bits, all, floor } = masks;
  const count = columns.length / 3;
  for (let slot = from; slot >= to; slot--) {
    const own = columns[count * 2 + slot] ?? goneMark;
    if (own >= goneMark) continue;
    const session = columns[slot] ?? 0;
    const statement = columns[count + slot] ?? 0;
    const known =
      floor === 0
        ? (bits[session] ?? 0) | (bits[statement] ?? 0) | (bits[own] ?? 0)
        : masks.of(session) | masks.of(statement) | masks.of(own);
    if ((known & all) === all && masks.fit(known)) return slot;
  }
  return -1;
}

/** Numbers of the blocks that may hold records of the range, newest first. */
function* blocksIn(db: DatabaseSync, { least, most, since, until }: ScanRange): Generator<number> {
  const within = since === undefined && until === undefined ? "" : " AND most >= ? AND least <= ?";
  const times = within === "" ? [] : [since ?? Number.MIN_SAFE_INTEGER, until ?? Number.MAX_SAFE_INTEGER];
  const blocks = db
    .prepare(`SELECT number FROM block WHERE number BETWEEN ? AND ?${within} ORDER BY number DESC`)
    .iterate(Math.floor(least / blockSize), Math.floor(most / blockSize), ...times);
  for (const { number } of blocks) yield Number(number);
}

function statusesOf(ended: StatementSync, number: number): Uint8Array {
  const data = bytes(ended.get(number)?.data);
  return data.subarray((data.length / 5) * 4);
}

/** Leaf indexes of the records that have this id as their request (`own`: or as their own id), ascending. Others of the same 32 bits are among them. */
export function findId(db: DatabaseSync, id: string, own: boolean): number[] {
  const { at, tail } = idKey(id);
  const zones = own
    ? "request_least <= ?1 AND request_most >= ?1 OR id_least <= ?1 AND id_most >= ?1"
    : "request_least <= ?1 AND request_most >= ?1";
  const place = db.prepare("SELECT data FROM place WHERE number = ?");
  const found: number[] = [];
  for (const { number } of db.prepare(`SELECT number FROM block WHERE ${zones} ORDER BY number`).all(at)) {
    const columns = numbersOf(bytes(place.get(Number(number))?.data));
    const count = columns.length / 3;
    for (let slot = 0; slot < count; slot++)
      if (columns[count * 2 + slot] === tail || (own && columns[count + slot] === tail))
        found.push(Number(number) * blockSize + slot);
  }
  return found;
}
