/** The whole index against the whole log: what `postern audit reindex --check` says. */

import { existsSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { intentOf } from "../read/filters.ts";
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
import { BlockStore } from "./blocks.ts";
import { type Row, RowChecker, rowOf } from "./check.ts";
import { Block, blockOf, blockSize, goneMark, outcomeMark, spanOf } from "./columns.ts";
import { ValueComparison } from "./comparevalues.ts";
import { indexPath, meta, openToWrite } from "./database.ts";
import { rowFacts } from "./document.ts";
import { idKey } from "./ids.ts";
import { noStatus, statusCode } from "./status.ts";
import { type Counted, countedOf, isCounted, Tally } from "./tally.ts";

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

/** FTS5's own check of its terms against those of the parts (https://sqlite.org/fts5.html, 6.6). */
function integrity(db: DatabaseSync): void {
  try {
    db.exec("INSERT INTO term (term, rank) VALUES ('integrity-check', 1)");
  } catch (error) {
    throw new Disagreement(
      null,
      `the words are not those of the parts (${error instanceof Error ? error.message : "unreadable"})`,
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
  private readonly files: LeafFiles;
  private readonly stored: BlockStore;
  private readonly checker: RowChecker;
  private readonly least: number;
  private readonly keyed: ValueComparison | null;
  private readonly tally = new Tally();
  private readonly counted: Counted;
  /** The block that is read, its zones made anew. */
  private zones = new Block(-1);
  /** Of the span that is read: its parts. */
  private readonly parts = new Set<number>();
  private span = -1;
  /** Statements whose outcome has not come yet, with what their row says of it. */
  private readonly open = new Map<
    number,
    { readonly row: Row; readonly intent: Json; readonly counted: boolean }
  >();

  constructor(log: LogPlace, db: DatabaseSync, files: LeafFiles, options: CompareOptions) {
    this.log = log;
    this.db = db;
    this.options = options;
    this.files = files;
    this.stored = new BlockStore(db);
    this.counted = countedOf(db);
    const segments = segmentsOf(log.dir);
    this.least = segments[0] ?? 0;
    this.checker = new RowChecker(log.dir, files, segments, db);
    this.values = options.keys !== null && meta(db, "keyed") === 1;
    this.keyed =
      this.values && options.keys !== null ? new ValueComparison(log, db, options.keys, this.least) : null;
  }

  run(): void {
    const { db, log } = this;
    const position = meta(db, "position");
    const end = typeof position === "string" ? (JSON.parse(position) as LogPosition) : null;
    let reached: LogPosition | null = null;
    // Beyond its end the index has seen nothing, ends of frames included.
    let within = end !== null;
    readBatches(log, null, {
      leaf: (buf, start, stop, index, _first, offset) => {
        if (within) this.one(index, buf, start, stop, offset);
        else this.behind++;
      },
      frame: (frame, day, piece) => {
        if (within) this.keyed?.sealed.frame(frame, day, piece);
      },
      frameEnd: (tag) => {
        if (within) this.keyed?.sealed.end(tag);
      },
      batch: (next) => {
        if (end === null || !within) return true;
        reached = next;
        within = next.first < end.first || (next.first === end.first && next.offset < end.offset);
        this.disagree(this.keyed?.upTo(next.index) ?? null);
        return true;
      },
    });
    this.endBlock();
    this.endSpan();
    const place = reached as LogPosition | null;
    if (end !== null && (place === null || place.index !== end.index))
      throw new Disagreement(null, "it says that it has taken more than the log has");
    this.nothingBehind(end?.index ?? 0);
    for (const [index, { row }] of this.open)
      if (row.link !== 0) throw new Disagreement(index, "it names an outcome that the log has not");
    this.compareTallies();
    this.disagree(this.keyed?.end(end?.index ?? 0) ?? null);
  }

  private disagree(wrong: { readonly index: number | null; readonly problem: string } | null): void {
    if (wrong !== null) throw new Disagreement(wrong.index, wrong.problem);
  }

  private nothingBehind(end: number): void {
    const number = this.db.prepare("SELECT max(number) AS number FROM block").get()?.number;
    const last = typeof number === "number" ? this.stored.get(number) : null;
    const next = last === null ? 0 : last.number * blockSize + last.count;
    if (next > end) throw new Disagreement(next - 1, "the index has a row of a record that the log has not");
  }

  private one(index: number, buf: Buffer, start: number, stop: number, offset: number): void {
    const number = blockOf(index);
    if (number !== this.zones.number) {
      this.endBlock();
      this.zones = new Block(number);
    }
    const row = rowOf(this.stored.get(number), index);
    if (row === null) throw new Disagreement(index, "the index has no row of this record");
    if (row.offset !== offset) throw new Disagreement(index, "the place it names is not the record's");
    const listed = this.files.listedHash(index);
    if (listed !== null && !leafHash(buf.subarray(start, stop)).equals(listed))
      throw new Disagreement(index, "the log's list of leaf hashes has another hash");
    const leaf = parseLeaf(buf, start, stop) ?? {};
    const checked = this.checker.compare(row, leaf);
    if (!checked.ok) throw new Disagreement(index, checked.problem);
    this.zone(index, leaf);
    this.posted(row);
    const intent = intentOf(leaf);
    if (leaf.type === "statement.intent") {
      const counted = isCounted(this.counted, index, rowFacts(leaf).time);
      if (counted) this.tally.statement(checked.record, null);
      if (counted) this.tally.relations(checked.record);
      this.open.set(index, { row, intent: checked.record, counted });
      this.keyed?.sealed.intent(leaf, index);
    } else if (intent !== null) this.outcome(intent, index, leaf);
    else if (row.own !== outcomeMark && (row.link !== 0 || row.status !== noStatus))
      throw new Disagreement(index, "it has an outcome, which only a statement has");
    this.records++;
    if (this.records % 10_000 === 0) this.options.progress?.(this.records);
  }

  private outcome(intent: number, index: number, leaf: Json): void {
    const found = this.open.get(intent);
    if (found === undefined) return;
    this.open.delete(intent);
    if (found.row.link !== index - intent)
      throw new Disagreement(intent, "the outcome it names is not the record's");
    if (found.row.status !== statusCode(leaf.status))
      throw new Disagreement(intent, "its status is not that of its outcome");
    if (!found.counted) return;
    this.tally.statement(found.intent, null, -1);
    this.tally.statement(found.intent, String(leaf.status));
  }

  private zone(index: number, leaf: Json): void {
    const { time, id, request } = rowFacts(leaf);
    const slot = index % blockSize;
    if (time !== null) this.zones.atTime(time);
    if (id !== null) this.zones.hasId(slot, idKey(id).at, 0);
    if (request !== null) this.zones.hasRequest(slot, idKey(request).at, 0);
  }

  private endBlock(): void {
    const { zones, least } = this;
    if (zones.number < 0) return;
    const stored = this.stored.get(zones.number);
    const start = zones.number * blockSize;
    for (const name of ["time", "ids", "requests"] as const) {
      const is = stored?.[name] ?? { least: null, most: null };
      const { least: from, most } = zones[name];
      const wide =
        from !== null && most !== null && (is.least ?? from + 1) <= from && (is.most ?? most - 1) >= most;
      // The block in which retention cut may span more than what is left of it.
      if ((is.least !== from || is.most !== most) && !(start < least && (from === null || wide)))
        throw new Disagreement(
          start,
          `the ${name === "time" ? "times" : "ids"} it gives for these records are not theirs`,
        );
    }
  }

  /** The parts of the records of a span are posted for it, and no others. */
  private posted(row: Row): void {
    const span = spanOf(blockOf(row.idx));
    if (span !== this.span) {
      this.endSpan();
      this.span = span;
    }
    for (const part of [row.session, row.statement, row.own])
      if (part !== 0 && part < goneMark) this.parts.add(part);
  }

  private endSpan(): void {
    const { span, parts, least } = this;
    if (span >= 0) {
      const posted = this.db.prepare("SELECT part FROM posting WHERE span = ?").all(span);
      const missing =
        [...parts].length > 0 && posted.filter(({ part }) => parts.has(Number(part))).length < parts.size;
      const cut = spanOf(blockOf(least)) === span && least > 0;
      if (missing || (posted.length > parts.size && !cut))
        throw new Disagreement(null, "where it says that words occur is not where they do");
    }
    parts.clear();
  }

  private compareTallies(): void {
    for (const which of ["tally", "touched"] as const) {
      const rows = this.tally.rows(which);
      for (const row of this.db.prepare(`SELECT * FROM ${which}`).all()) {
        const { count, ...key } = row;
        const name = Object.values(key).join("\u0000");
        if ((rows.get(name) ?? 0) !== count)
          throw new Disagreement(null, "its counts are not those of the log");
        rows.delete(name);
      }
      for (const count of rows.values())
        if (count !== 0) throw new Disagreement(null, "its counts are not those of the log");
    }
  }
}
