/** What leaves the log leaves the index: records of pruned segments, and the keyed values of days whose key was destroyed. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { timeOf } from "../read/filters.ts";
import {
  LeafFiles,
  type LogPlace,
  type LogPosition,
  parseLeaf,
  segmentAt,
  segmentsOf,
} from "../read/leaves.ts";
import { BlockStore } from "./blocks.ts";
import { type Block, blockOf, blockSize, goneMark, spanBlocks, spanOf } from "./columns.ts";
import { meta, setMeta } from "./database.ts";
import { countedOf, hourMs } from "./tally.ts";
import { cutEntries } from "./valuestore.ts";

/** Blocks dropped in one transaction. */
const chunk = 64;

/** Removes all records before `first`, the oldest leaf that the log still has. Throws what SQLite and the file system throw. */
export function prune(db: DatabaseSync, log: LogPlace, first: number): void {
  const oldest = db.prepare("SELECT min(number) AS number FROM block").get()?.number;
  if (typeof oldest !== "number" || oldest * blockSize >= first) return;
  const cut = blockOf(first);
  const blocks = new BlockStore(db);
  const half = blocks.get(cut);
  // Below the cut there may be nothing but the places that this made free the last time.
  if (
    oldest === cut &&
    (half === null || half.own.subarray(0, first % blockSize).every((own) => own === goneMark))
  )
    return;
  for (let next = oldest; next < cut; next += chunk) {
    const end = Math.min(next + chunk, cut);
    inTransaction(db, () => {
      for (const table of ["block", "chunk", "place", "ended", "value"])
        db.prepare(`DELETE FROM ${table} WHERE number < ?`).run(end);
    });
  }
  inTransaction(db, () => {
    if (half !== null) cutBlock(db, log, blocks, half, first);
    dropParts(db, blocks, cut);
    db.prepare(
      "DELETE FROM frame WHERE idx < ? AND number < (SELECT max(number) FROM frame WHERE idx <= ?)",
    ).run(first, first);
    const time = db.prepare("SELECT min(least) AS time FROM block").get()?.time;
    // The hour in which the cut lies counts records that are gone: it goes too, but for statements that the index takes from now on.
    const hour = Math.max(countedOf(db).hour, typeof time === "number" ? Math.floor(time / hourMs) + 1 : 0);
    for (const table of ["tally", "touched"]) db.prepare(`DELETE FROM ${table} WHERE hour < ?`).run(hour);
    const position = meta(db, "position");
    setMeta(db, "tally_from", hour);
    setMeta(
      db,
      "tally_index",
      typeof position === "string" ? (JSON.parse(position) as LogPosition).index : 0,
    );
    setMeta(db, "generation", crypto.randomUUID());
    setMeta(db, "unswept", 1);
  });
}

/**
 * Ends what `prune()` began: words that only removed records had leave the full-text table, which keeps them until it is merged, and
 * the old pages leave the write-ahead log. Beside a reader the latter waits for another time. Throws what SQLite throws.
 */
export function sweep(db: DatabaseSync): void {
  const state = meta(db, "unswept");
  if (state !== 1 && state !== 2) return;
  if (state === 1) db.exec("INSERT INTO term (term) VALUES ('optimize')");
  setMeta(db, "unswept", 2);
  // Not waiting for readers: the index has other work.
  const { timeout } = db.prepare("PRAGMA busy_timeout").get() ?? {};
  db.exec("PRAGMA busy_timeout = 0");
  try {
    if (db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.busy === 0) setMeta(db, "unswept", 0);
  } finally {
    db.exec(`PRAGMA busy_timeout = ${Number(timeout)}`);
  }
}

/** Empties the places before `first` of the block that it stands in; what the block says of its times is that of the records left. */
function cutBlock(db: DatabaseSync, log: LogPlace, blocks: BlockStore, block: Block, first: number): void {
  const kept = first % blockSize;
  block.free(0, Math.min(kept, block.count));
  const { time } = block;
  time.least = null;
  time.most = null;
  const files = new LeafFiles(log);
  const segments = segmentsOf(log.dir);
  const start = block.number * blockSize;
  try {
    for (let slot = kept; slot < block.count; slot++) {
      const stored = files.at(segmentAt(segments, start + slot), block.offset[slot] ?? 0);
      if (stored === null) continue;
      const bytes = Buffer.from(stored.text, "utf8");
      const found = timeOf(parseLeaf(bytes, 0, bytes.length) ?? {});
      if (!Number.isNaN(found)) block.atTime(found);
    }
  } finally {
    files.close();
  }
  blocks.growing(block.number);
  blocks.flush();
  cutEntries(db, block.number, kept);
}

/** Removes what records before block `cut` had alone: their postings, and the parts that no record has any more. */
function dropParts(db: DatabaseSync, blocks: BlockStore, cut: number): void {
  const span = spanOf(cut);
  const left = new Set<number>();
  for (let number = cut; number < (span + 1) * spanBlocks; number++) {
    const block = blocks.get(number);
    if (block === null) break;
    for (const column of [block.session, block.statement, block.own])
      for (const part of column.subarray(0, block.count)) left.add(part);
  }
  db.prepare("DELETE FROM posting WHERE span < ?").run(span);
  for (const { part } of db.prepare("SELECT part FROM posting WHERE span = ?").all(span))
    if (!left.has(Number(part)))
      db.prepare("DELETE FROM posting WHERE part = ? AND span = ?").run(Number(part), span);
  const orphans = db.prepare(
    "SELECT id, terms FROM part p WHERE id > ? AND NOT EXISTS (SELECT 1 FROM posting WHERE part = p.id) ORDER BY id LIMIT 256",
  );
  const unindex = db.prepare("INSERT INTO term (term, rowid, terms) VALUES ('delete', ?, ?)");
  const remove = db.prepare("DELETE FROM part WHERE id = ?");
  for (let last = 0, more = true; more; ) {
    const found = orphans.all(last);
    for (const { id, terms } of found) {
      last = Number(id);
      unindex.run(last, String(terms));
      remove.run(last);
    }
    more = found.length > 0;
  }
}

/** Removes the keyed values of days whose key is gone: without it nobody can ask for them any more. */
export function forgetDestroyedDays(db: DatabaseSync, dir: string): void {
  const next = db.prepare("SELECT day FROM value WHERE day > ? ORDER BY day LIMIT 1");
  for (let row = next.get(""); row !== undefined; row = next.get(String(row.day)))
    if (!existsSync(join(dir, "keys", `${String(row.day)}.key`))) {
      db.prepare("DELETE FROM value WHERE day = ?").run(String(row.day));
      setMeta(db, "unswept", 1);
    }
}

function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    work();
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
