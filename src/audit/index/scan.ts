/** Going through the blocks of records, newest first. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { bytes } from "./blocks.ts";
import { blockSize, goneMark, spanOf } from "./columns.ts";
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
    const columns = columnsOf(bytes(chunk.get(number)?.data));
    const count = columns.length / 3;
    const start = number * blockSize;
    for (
      let slot = Math.min(count - 1, range.most - start);
      slot >= 0 && start + slot >= range.least;
      slot--
    ) {
      const own = columns[count * 2 + slot] ?? goneMark;
      if (own >= goneMark) continue;
      if (statuses !== null && statuses[slot] !== wanted && statuses[slot] !== oddStatus) continue;
      const bits = masks.of(columns[slot] ?? 0) | masks.of(columns[count + slot] ?? 0) | masks.of(own);
      if (masks.fit(bits)) yield start + slot;
    }
  }
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

function columnsOf(data: Uint8Array): Uint32Array {
  const whole = data.length - (data.length % 12);
  // SQLite's driver gives each blob an array of its own; one that is not aligned is copied.
  return data.byteOffset % 4 === 0
    ? new Uint32Array(data.buffer, data.byteOffset, whole / 4)
    : new Uint32Array(data.slice(0, whole).buffer);
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
    const columns = columnsOf(bytes(place.get(Number(number))?.data));
    const count = columns.length / 3;
    for (let slot = 0; slot < count; slot++)
      if (columns[count * 2 + slot] === tail || (own && columns[count + slot] === tail))
        found.push(Number(number) * blockSize + slot);
  }
  return found;
}
