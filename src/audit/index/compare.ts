/** The whole index against the whole log: what `postern audit reindex --check` says. */

import { existsSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { intentOf, timeOf } from "../read/filters.ts";
import {
  type Json,
  LeafFiles,
  type LogPlace,
  type LogPosition,
  parseLeaf,
  readBatches,
  segmentsOf,
} from "../read/leaves.ts";
import { leafHash } from "../verify/tree.ts";
import { type Row, RowChecker, rowColumns } from "./check.ts";
import { blockSize, indexPath, meta, openToWrite } from "./database.ts";
import { statusTag } from "./document.ts";
import { asRow } from "./reader.ts";
import { SealedValues } from "./sealed.ts";
import { Tally } from "./tally.ts";

export interface IndexReport {
  readonly ok: boolean;
  /** Records that were compared. */
  readonly records: number;
  /** Records of the log that the index has not taken yet. */
  readonly behind: number;
  /** Whether the keyed values were compared too. */
  readonly values: boolean;
  readonly firstDisagreement: { readonly index: number | null; readonly problem: string } | null;
}

/** Ends the comparison. */
class Disagreement extends Error {
  readonly index: number | null;
  constructor(index: number | null, problem: string) {
    super(problem);
    this.index = index;
  }
}

export interface CompareOptions {
  /** Folder of the keys; null: keyed values are not compared. */
  readonly keys: string | null;
  readonly progress?: (records: number) => void;
}

/** null: there is no index. Throws what SQLite and the file system throw, and AuditOpenError when the keys cannot be read. */
export function compareIndex(log: LogPlace, options: CompareOptions): IndexReport | null {
  if (!existsSync(indexPath(log.dir))) return null;
  const db = openToWrite(log.dir);
  const files = new LeafFiles(log);
  try {
    db.exec("BEGIN");
    const comparison = new Comparison(log, db, files, options);
    let first: IndexReport["firstDisagreement"] = null;
    try {
      comparison.run();
      db.exec("COMMIT");
      integrity(db);
    } catch (error) {
      if (!(error instanceof Disagreement)) throw error;
      first = { index: error.index, problem: error.message };
    }
    const { records, behind, values } = comparison;
    return { ok: first === null, records, behind, values, firstDisagreement: first };
  } finally {
    files.close();
    db.close();
  }
}

/** FTS5's own check of its terms against the rows (https://sqlite.org/fts5.html, 6.6). */
function integrity(db: DatabaseSync): void {
  try {
    db.exec("INSERT INTO term (term, rank) VALUES ('integrity-check', 1)");
  } catch (error) {
    throw new Disagreement(
      null,
      `the words are not those of the rows (${error instanceof Error ? error.message : "unreadable"})`,
    );
  }
}

class Comparison {
  records = 0;
  behind = 0;
  readonly values: boolean;
  private readonly log: LogPlace;
  private readonly db: DatabaseSync;
  private readonly options: CompareOptions;
  private readonly checker: RowChecker;
  private readonly sealed: SealedValues | null;
  private readonly tally = new Tally();
  private readonly blocks = new Map<number, { least: number; most: number }>();
  /** Statements whose outcome has not come yet, with what their row says of it. */
  private readonly open = new Map<number, { readonly row: Row; readonly intent: Json }>();
  private macs = 0;

  constructor(log: LogPlace, db: DatabaseSync, files: LeafFiles, options: CompareOptions) {
    this.log = log;
    this.db = db;
    this.options = options;
    this.checker = new RowChecker(log.dir, files);
    this.values = options.keys !== null && meta(db, "keyed") === 1;
    this.sealed = this.values && options.keys !== null ? new SealedValues(log, options.keys) : null;
  }

  run(): void {
    const { db, log } = this;
    const stored = meta(db, "position");
    const end = typeof stored === "string" ? (JSON.parse(stored) as LogPosition) : null;
    const least = segmentsOf(log.dir)[0] ?? 0;
    const rows = db
      .prepare(`SELECT ${rowColumns} FROM record r WHERE r.idx >= ? ORDER BY r.idx`)
      .iterate(least);
    let reached: LogPosition | null = null;
    readBatches(log, null, {
      leaf: (buf, start, stop, index, first, offset) => {
        if (end === null || index >= end.index) {
          this.behind++;
          return;
        }
        const next = rows.next();
        const row = next.done === true ? null : asRow(next.value);
        if (row === null || row.idx !== index)
          throw new Disagreement(index, "the index has no row of this record");
        this.one(row, buf, start, stop, first, offset);
      },
      frame: (frame, day, piece) => this.sealed?.frame(frame, day, piece),
      frameEnd: (tag) => this.sealed?.end(tag),
      batch: (next) => {
        if (end !== null && next.index <= end.index) {
          reached = next;
          this.keyed();
        }
        return true;
      },
    });
    const more = rows.next();
    if (more.done !== true)
      throw new Disagreement(asRow(more.value).idx, "the index has a row of a record that the log has not");
    const place = reached as LogPosition | null;
    if (end !== null && place !== null && place.index !== end.index)
      throw new Disagreement(null, "it says that it has taken more than the log has");
    for (const [index, { row }] of this.open)
      if (row.outcome !== null) throw new Disagreement(index, "it names an outcome that the log has not");
    this.compareBlocks(least);
    this.compareTallies();
    if (this.sealed !== null && this.sealed.open === null) {
      const count = Number(db.prepare("SELECT count(*) AS count FROM value").get()?.count);
      if (count !== this.macs)
        throw new Disagreement(null, `it has ${count} keyed values, the log ${this.macs}`);
    }
  }

  private one(row: Row, buf: Buffer, start: number, stop: number, first: number, offset: number): void {
    const { idx: index } = row;
    if (row.first !== first || row.offset !== offset)
      throw new Disagreement(index, "the place it names is not the record's");
    const hash = leafHash(buf.subarray(start, stop));
    if (!hash.equals(row.hash)) throw new Disagreement(index, "the record has another hash");
    const leaf = parseLeaf(buf, start, stop) ?? {};
    const checked = this.checker.compare(row, leaf);
    if (!checked.ok) throw new Disagreement(index, checked.problem);
    this.time(index, timeOf(leaf));
    const intent = intentOf(leaf);
    if (leaf.type === "statement.intent") {
      this.tally.statement(checked.record, null);
      this.tally.relations(checked.record);
      this.open.set(index, { row, intent: checked.record });
      this.sealed?.intent(leaf, index);
    } else if (intent !== null) this.outcome(intent, index, leaf);
    else if (row.outcome !== null || row.status !== null)
      throw new Disagreement(index, "it has an outcome, which only a statement has");
    this.records++;
    if (this.records % 10_000 === 0) this.options.progress?.(this.records);
  }

  private outcome(intent: number, index: number, leaf: Json): void {
    const found = this.open.get(intent);
    if (found === undefined) return;
    this.open.delete(intent);
    if (found.row.outcome !== index)
      throw new Disagreement(intent, "the outcome it names is not the record's");
    if (found.row.status !== statusTag(leaf))
      throw new Disagreement(intent, "its status is not that of its outcome");
    this.tally.statement(found.intent, null, -1);
    this.tally.statement(found.intent, String(leaf.status));
  }

  private time(index: number, time: number): void {
    if (Number.isNaN(time)) return;
    const number = Math.floor(index / blockSize);
    const block = this.blocks.get(number);
    if (block === undefined) this.blocks.set(number, { least: time, most: time });
    else {
      block.least = Math.min(block.least, time);
      block.most = Math.max(block.most, time);
    }
  }

  private keyed(): void {
    const find = this.db.prepare("SELECT 1 FROM value WHERE day = ? AND mac = ? AND idx = ?");
    for (const { day, mac, index } of this.sealed?.takeFound() ?? []) {
      this.macs++;
      if (find.get(day, mac, index) === undefined)
        throw new Disagreement(index, "a keyed value of this record is missing");
    }
  }

  private compareBlocks(least: number): void {
    const rows = new Map(
      this.db
        .prepare("SELECT * FROM block")
        .all()
        .map((r) => [Number(r.number), r]),
    );
    for (const [number, { least: from, most }] of this.blocks) {
      const row = rows.get(number);
      rows.delete(number);
      // The block in which retention cut may span more time than what is left of it.
      const cut = number * blockSize < least;
      if (row === undefined || (cut ? Number(row.least) > from : row.least !== from) || row.most !== most)
        throw new Disagreement(number * blockSize, "the time it gives for these records is not theirs");
    }
    const [extra] = rows.keys();
    if (extra !== undefined)
      throw new Disagreement(extra * blockSize, "it gives a time for records that the log has not");
  }

  private compareTallies(): void {
    const from = Number(meta(this.db, "tally_from") ?? 0);
    for (const which of ["tally", "touched"] as const) {
      const rows = this.tally.rows(which);
      for (const row of this.db.prepare(`SELECT * FROM ${which}`).all()) {
        const { count, ...key } = row;
        const name = Object.values(key).join("\u0000");
        if ((rows.get(name) ?? 0) !== count)
          throw new Disagreement(null, "its counts are not those of the log");
        rows.delete(name);
      }
      for (const [name, count] of rows)
        if (count !== 0 && Number(name.split("\u0000")[0]) >= from)
          throw new Disagreement(null, "its counts are not those of the log");
    }
  }
}
