/** Counts by hour that `postern audit stats` adds up, gathered in memory and written once a step. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { timeOf } from "../read/filters.ts";
import { type Json, list, text } from "../read/leaves.ts";
import { meta } from "./database.ts";

export const hourMs = 3_600_000;
const separator = "\u0000";

/** Which statements the tables count: all from this hour on, and those of earlier hours from this index on. */
export interface Counted {
  readonly hour: number;
  readonly index: number;
}

/** What the tables of an index count since retention last took something from it. Throws what SQLite throws. */
export function countedOf(db: DatabaseSync): Counted {
  return {
    hour: Number(meta(db, "tally_from") ?? 0),
    index: Number(meta(db, "tally_index") ?? Number.POSITIVE_INFINITY),
  };
}

/** Whether the tables count the statement of an intent. `time`: milliseconds, or null. */
export function isCounted(counted: Counted, index: number, time: number | null): boolean {
  const hour = time === null || Number.isNaN(time) ? 0 : Math.floor(time / hourMs);
  return index >= counted.index || hour >= counted.hour;
}

/** Whose statement it is. */
export interface Who {
  readonly subject: string;
  readonly db: string;
  readonly kind: string | null;
}

/** What it is, as far as it is counted. */
export interface What {
  readonly verdict: string;
  readonly rule: string;
  readonly masked: boolean;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

/** Who ran the statement of an intent. */
export function whoOf(intent: Json): Who {
  const kind = text(intent, "principal.kind");
  return {
    subject: cleaned(text(intent, "principal.subject")),
    db: cleaned(text(intent, "database.name")),
    kind: kind === null ? null : cleaned(kind),
  };
}

/** What an intent was, and what it touches. */
export function whatOf(intent: Json): What {
  return {
    verdict: cleaned(text(intent, "decision.verdict")),
    rule: cleaned(text(intent, "decision.rule")),
    masked: (list(intent, "decision.masked") ?? []).length > 0,
    reads: [...new Set(list(intent, "statement.reads")?.map(cleaned))],
    writes: [...new Set(list(intent, "statement.writes")?.map(cleaned))],
  };
}

export class Tally {
  private readonly counts = new Map<string, number>();
  private readonly touched = new Map<string, number>();
  private readonly unitMs: number;

  /** `unitMs`: what is counted together; the index counts by the hour. */
  constructor(unitMs = hourMs) {
    this.unitMs = unitMs;
  }

  /** Counts a statement; `status` null: it has no outcome yet. `by` -1 takes it back. */
  statement(intent: Json, status: string | null, by: 1 | -1 = 1): void {
    this.add("tally", Tally.row(unitOf(intent, this.unitMs), whoOf(intent), whatOf(intent), status), by);
  }

  /** What it touches, what kind of principal it is of, and whether it was masked. */
  relations(intent: Json): void {
    const rows = Tally.touchedRows(unitOf(intent, this.unitMs), whoOf(intent), whatOf(intent));
    for (const row of rows) this.add("touched", row, 1);
  }

  /** The row in which statements are counted, as one text. `unit`: hours (or other units) since the epoch. */
  static row(unit: number, who: Who, what: What, status: string | null): string {
    return [unit, who.subject, who.db, what.verdict, what.rule, cleaned(status)].join(separator);
  }

  /** The rows in which what it touches is counted. */
  static touchedRows(unit: number, who: Who, what: What): string[] {
    const row = (name: string, access: string) =>
      [unit, who.subject, who.db, what.verdict, name, access].join(separator);
    return [
      ...(who.kind === null ? [] : [row(who.kind, "kind")]),
      ...(what.masked ? [row("", "masked")] : []),
      ...what.reads.map((relation) => row(relation, "reads")),
      ...what.writes.map((relation) => row(relation, "writes")),
    ];
  }

  /** Counts `by` in a row. */
  add(which: "tally" | "touched", row: string, by: number): void {
    const counts = this.rows(which);
    counts.set(row, (counts.get(row) ?? 0) + by);
  }

  /** All counts as rows: for the check. */
  rows(which: "tally" | "touched"): Map<string, number> {
    return which === "tally" ? this.counts : this.touched;
  }

  clear(): void {
    this.counts.clear();
    this.touched.clear();
  }
}

/** Adds what a tally gathered to the tables of the index. */
export class TallyTables {
  private readonly into: Readonly<Record<"tally" | "touched", StatementSync>>;
  private readonly drop: StatementSync;

  constructor(db: DatabaseSync) {
    const add = (table: string) =>
      db.prepare(
        `INSERT INTO ${table} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count`,
      );
    this.into = { tally: add("tally"), touched: add("touched") };
    this.drop = db.prepare(
      "DELETE FROM tally WHERE hour = ? AND subject = ? AND db = ? AND verdict = ? AND rule = ? AND status = ? AND count = 0",
    );
  }

  /** Empties the tally. */
  write(tally: Tally): void {
    for (const which of ["tally", "touched"] as const) {
      for (const [name, by] of tally.rows(which)) {
        if (by === 0) continue;
        const [hour, ...rest] = name.split(separator);
        this.into[which].run(Number(hour), ...rest, by);
        if (by < 0) this.drop.run(Number(hour), ...rest);
      }
    }
    tally.clear();
  }
}

function unitOf(intent: Json, unitMs: number): number {
  const time = timeOf(intent);
  return Number.isNaN(time) ? 0 : Math.floor(time / unitMs);
}

/** NUL separates: PostgreSQL's names and the token's texts are kept apart from it. */
export function cleaned(value: string | null): string {
  return (value ?? "").replaceAll(separator, "\ufffd");
}
