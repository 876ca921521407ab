/** Asking the index. Everything it answers is checked against the leaves before it is given out. */
import type { KeyObject } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { RecordFilter } from "../read/filters.ts";
import {
  type Json,
  LeafFiles,
  type LogPlace,
  type LogPosition,
  segmentAt,
  segmentsOf,
} from "../read/leaves.ts";
import { type CheckedRow, type Row, RowChecker, RowReader } from "./check.ts";
import { outcomeMark } from "./columns.ts";
import { meta, openToRead } from "./database.ts";
import { PartMasks } from "./masks.ts";
import { termQuery } from "./query.ts";
import { findId, scanBlocks } from "./scan.ts";
import { noStatus } from "./status.ts";
import { formsOf, ValueKey } from "./values.ts";
import { findValues } from "./valuestore.ts";

/** A row of the index that does not say what its leaf says. */
export interface TamperedRow {
  readonly index: number;
  readonly problem: string;
}

export interface IndexHit extends CheckedRow {
  readonly index: number;
  readonly first: number;
  readonly offset: number;
  /** Raw leaf of the outcome the index knows; null: none so far. */
  readonly outcome: Json | null;
}

/** At most this many are listed; more are counted. */
const maxTampered = 100;
const maxByValue = 100_000;

export class IndexReader {
  /** Where the index ends: what comes behind must be read from the segments. */
  readonly position: LogPosition;
  /** Whether known values can be asked for. */
  readonly keyed: boolean;
  readonly tampered: TamperedRow[] = [];
  tamperedCount = 0;
  private readonly db: DatabaseSync;
  private readonly files: LeafFiles;
  private readonly segments: readonly number[];
  private readonly rows: RowReader;
  private readonly checker: RowChecker;

  private constructor(log: LogPlace, db: DatabaseSync, position: LogPosition) {
    this.db = db;
    this.position = position;
    this.keyed = meta(db, "keyed") === 1;
    this.files = new LeafFiles(log);
    // Read after the transaction began: the index speaks of no later segment.
    this.segments = segmentsOf(log.dir);
    this.rows = new RowReader(db);
    this.checker = new RowChecker(log.dir, this.files, this.segments, db);
  }

  /** null: there is no index of this version, or an empty one. Throws what SQLite throws. */
  static open(log: LogPlace): IndexReader | null {
    const db = openToRead(log.dir);
    if (db === null) return null;
    try {
      // One transaction: all questions see the same state while the indexer goes on.
      db.exec("BEGIN");
      const stored = meta(db, "position");
      const position = typeof stored === "string" ? (JSON.parse(stored) as LogPosition) : null;
      if (position !== null) return new IndexReader(log, db, position);
    } catch (error) {
      db.close();
      throw error;
    }
    db.close();
    return null;
  }

  /** Records that fit, newest first; `dayKey` opens what known values need. Statuses are those the index knows. */
  *search(filter: RecordFilter, dayKey: ((day: string) => KeyObject | null) | null): Generator<IndexHit> {
    if (filter.nothing) return;
    const { filters } = filter;
    const query = termQuery(filter);
    // What was found otherwise than by its terms shows whether it has them only now.
    const byTerms = filters.value === undefined && filters.request === undefined;
    for (const index of this.candidates(filter, dayKey)) {
      const row = this.row(index);
      if (row === null) {
        if (index >= this.oldest) this.report(index, "it was found, and has no row");
        continue;
      }
      if (row.own === outcomeMark) continue;
      const hit = this.verified(row);
      if (hit === null) continue;
      if (byTerms && !query.required.every((term) => hit.has(term)))
        this.report(row.idx, "it was found by terms that its record has not");
      else if (filter.fits(hit.record, row.idx)) yield hit;
    }
  }

  /** Leaf indexes of records that may fit, newest first. */
  private candidates(
    filter: RecordFilter,
    dayKey: ((day: string) => KeyObject | null) | null,
  ): Iterable<number> {
    const { value, request, before, since, until, status } = filter.filters;
    if (value !== undefined) return dayKey === null ? [] : this.byValue(value, dayKey);
    if (request !== undefined) return findId(this.db, request, false).reverse();
    const least = this.oldest;
    const most = Math.min(this.position.index, before ?? Number.MAX_SAFE_INTEGER) - 1;
    const masks = new PartMasks(this.db, termQuery(filter));
    return scanBlocks(this.db, masks, { least, most, since, until, status });
  }

  /** The oldest record that the log still has: what stands before it in the index is about to go. */
  private get oldest(): number {
    return this.segments[0] ?? 0;
  }

  private byValue(value: string, dayKey: (day: string) => KeyObject | null): number[] {
    const found = new Set<number>();
    const next = this.db.prepare("SELECT day FROM value WHERE day > ? ORDER BY day LIMIT 1");
    for (let row = next.get(""); row !== undefined; row = next.get(String(row.day))) {
      const sealing = dayKey(String(row.day));
      if (sealing === null) continue;
      findValues(this.db, String(row.day), new ValueKey(sealing), formsOf(value), maxByValue, found);
    }
    return [...found].sort((a, b) => b - a);
  }

  private row(index: number): Row | null {
    return index < this.oldest ? null : this.rows.row(index);
  }

  /** The record with this index; null when the index has no (good) row of it. */
  record(index: number): IndexHit | null {
    const row = this.row(index);
    return row === null ? null : this.verified(row);
  }

  /** The records whose request or own id is `id`, in order, outcomes too. */
  records(id: string): IndexHit[] {
    return findId(this.db, id, true)
      .map((index) => this.record(index))
      .filter((hit) => hit !== null)
      .filter(({ leaf }) => leaf.request === id || leaf.id === id);
  }

  /** Where reading for a sealed frame must begin: the frame's own batch, or where the index ends. */
  frameStart(frame: number): LogPosition {
    const row = this.db.prepare("SELECT first, offset, idx FROM frame WHERE number = ?").get(frame);
    return row === undefined
      ? this.position
      : { first: Number(row.first), offset: Number(row.offset), index: Number(row.idx) };
  }

  private verified(row: Row): IndexHit | null {
    const checked = this.checker.check(row);
    if (!checked.ok) {
      this.report(row.idx, checked.problem);
      return null;
    }
    let outcome: Json | null = null;
    if (row.own !== outcomeMark && row.link !== 0) {
      const other = this.row(row.idx + row.link);
      const joined = other === null ? null : this.checker.checkOutcome(row, other);
      if (joined?.ok !== true) {
        this.report(row.idx, joined === null ? "the outcome it names has no row" : joined.problem);
        return null;
      }
      outcome = joined.leaf;
    } else if (row.status !== noStatus) {
      this.report(row.idx, "it has a status and no outcome");
      return null;
    }
    const { idx: index, offset } = row;
    const { leaf, record, has } = checked;
    return { index, first: segmentAt(this.segments, index), offset, outcome, leaf, record, has };
  }

  private report(index: number, problem: string): void {
    this.tamperedCount++;
    if (this.tampered.length < maxTampered) this.tampered.push({ index, problem });
  }

  /** For stats and the whole check, which read the tables as they are. */
  get database(): DatabaseSync {
    return this.db;
  }

  close(): void {
    this.files.close();
    this.db.close();
  }
}
