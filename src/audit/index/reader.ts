/** Asking the index. Everything it answers is checked against the leaves before it is given out. */
import type { KeyObject } from "node:crypto";
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { RecordFilter } from "../read/filters.ts";
import { type Json, LeafFiles, type LogPlace, type LogPosition } from "../read/leaves.ts";
import { type CheckedRow, type Row, RowChecker, rowColumns } from "./check.ts";
import { blockSize, meta, openToRead } from "./database.ts";
import { termQuery } from "./query.ts";
import { formsOf, searchKey, valueMac } from "./values.ts";

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
  private readonly checker: RowChecker;
  private byIndex: StatementSync | null = null;

  private constructor(log: LogPlace, db: DatabaseSync, position: LogPosition) {
    this.db = db;
    this.position = position;
    this.keyed = meta(db, "keyed") === 1;
    this.files = new LeafFiles(log);
    this.checker = new RowChecker(log.dir, this.files);
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
    const { required } = termQuery(filter);
    for (const row of this.rows(filter, dayKey)) {
      const hit = this.verified(row);
      if (hit === null) continue;
      if (filter.filters.value === undefined && !required.every((t) => hit.terms.has(t)))
        this.report(row.idx, "it was found by terms that its record has not");
      else if (filter.fits(hit.record, row.idx)) yield hit;
    }
  }

  private *rows(filter: RecordFilter, dayKey: ((day: string) => KeyObject | null) | null): Generator<Row> {
    const { filters } = filter;
    if (filter.nothing) return;
    if (filters.value !== undefined) {
      yield* this.rowsByValue(filters.value, dayKey);
      return;
    }
    if (filters.request !== undefined) {
      yield* this.all(
        "SELECT * FROM (SELECT $ FROM record r WHERE r.request = ?) WHERE terms IS NOT NULL ORDER BY idx DESC",
        [filters.request],
      );
      return;
    }
    const [least, most] = this.range(filter);
    const { match } = termQuery(filter);
    if (match === null)
      yield* this.all(
        "SELECT $ FROM record r WHERE r.idx BETWEEN ? AND ? AND r.own IS NOT NULL ORDER BY r.idx DESC",
        [least, most],
      );
    else
      yield* this.all(
        "SELECT $ FROM term CROSS JOIN record r ON r.idx = term.rowid WHERE term MATCH ? AND term.rowid BETWEEN ? AND ? ORDER BY term.rowid DESC",
        [match, least, most],
      );
  }

  private *all(sql: string, parameters: readonly (string | number)[]): Generator<Row> {
    for (const row of this.db.prepare(sql.replace("$", rowColumns)).iterate(...parameters)) yield asRow(row);
  }

  /** The span of leaf indexes that the time allows, by blocks. */
  private range(filter: RecordFilter): [number, number] {
    const { since, until, before } = filter.filters;
    let least = 0;
    let most = Math.min(this.position.index, before ?? Number.MAX_SAFE_INTEGER) - 1;
    if (since !== undefined || until !== undefined) {
      const row = this.db
        .prepare("SELECT min(number) AS least, max(number) AS most FROM block WHERE most >= ? AND least <= ?")
        .get(since ?? Number.MIN_SAFE_INTEGER, until ?? Number.MAX_SAFE_INTEGER);
      if (typeof row?.least !== "number") return [0, -1];
      least = row.least * blockSize;
      most = Math.min(most, (Number(row.most) + 1) * blockSize - 1);
    }
    return [least, most];
  }

  private *rowsByValue(value: string, dayKey: ((day: string) => KeyObject | null) | null): Generator<Row> {
    if (dayKey === null) return;
    const found = new Set<number>();
    const next = this.db.prepare("SELECT day FROM value WHERE day > ? ORDER BY day LIMIT 1");
    const byMac = this.db.prepare(
      "SELECT idx FROM value WHERE day = ? AND mac = ? ORDER BY idx DESC LIMIT ?",
    );
    for (let row = next.get(""); row !== undefined; row = next.get(String(row.day))) {
      const sealing = dayKey(String(row.day));
      if (sealing === null) continue;
      const key = searchKey(sealing);
      for (const form of formsOf(value))
        for (const { idx } of byMac.all(String(row.day), valueMac(key, form), maxByValue))
          found.add(Number(idx));
    }
    for (const index of [...found].sort((a, b) => b - a)) {
      const row = this.row(index);
      if (row === null) this.report(index, "a value belongs to a record that has no row");
      else yield row;
    }
  }

  private row(index: number): Row | null {
    this.byIndex ??= this.db.prepare(`SELECT ${rowColumns} FROM record r WHERE r.idx = ?`);
    const found = this.byIndex.get(index);
    return found === undefined ? null : asRow(found);
  }

  /** The record with this index; null when the index has no (good) row of it. */
  record(index: number): IndexHit | null {
    const row = this.row(index);
    return row === null ? null : this.verified(row);
  }

  /** The records whose request or own id is `id`, in order, outcomes too. */
  records(id: string): IndexHit[] {
    const found = this.db
      .prepare(
        `SELECT ${rowColumns} FROM record r WHERE r.idx IN (SELECT idx FROM record WHERE request = ? UNION SELECT idx FROM record WHERE id = ?) ORDER BY r.idx`,
      )
      .all(id, id);
    return found.map((row) => this.verified(asRow(row))).filter((hit) => hit !== null);
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
    if (row.outcome !== null) {
      const other = this.row(row.outcome);
      const joined = other === null ? null : this.checker.checkOutcome(row, other);
      if (joined?.ok !== true) {
        this.report(row.idx, joined === null ? "the outcome it names has no row" : joined.problem);
        return null;
      }
      outcome = joined.leaf;
    } else if (row.status !== null) {
      this.report(row.idx, "it has a status and no outcome");
      return null;
    }
    const { idx: index, first, offset } = row;
    return {
      index,
      first,
      offset,
      outcome,
      leaf: checked.leaf,
      record: checked.record,
      terms: checked.terms,
    };
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

/** The row's columns; what is not of the type it was written with becomes a value that no record has. */
export function asRow(row: Record<string, SQLOutputValue>): Row {
  const whole = (value: SQLOutputValue | undefined) => (typeof value === "number" ? value : null);
  const text = (value: SQLOutputValue | undefined) =>
    value === null || value === undefined ? null : String(value);
  return {
    idx: whole(row.idx) ?? -1,
    first: whole(row.first) ?? -1,
    offset: whole(row.offset) ?? -1,
    hash: row.hash instanceof Uint8Array ? row.hash : new Uint8Array(),
    time: whole(row.time),
    id: text(row.id),
    request: text(row.request),
    intent: whole(row.intent),
    outcome: whole(row.outcome),
    status: text(row.status),
    terms: text(row.terms),
  };
}
