/** Counts by hour that `postern audit stats` adds up, gathered in memory and written once a step. */
import type { DatabaseSync } from "node:sqlite";
import { timeOf } from "../read/filters.ts";
import { type Json, list, text } from "../read/leaves.ts";

export const hourMs = 3_600_000;
const separator = "\u0000";

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

export function whoOf(intent: Json): Who {
  const kind = text(intent, "principal.kind");
  return {
    subject: clean(text(intent, "principal.subject")),
    db: clean(text(intent, "database.name")),
    kind: kind === null ? null : clean(kind),
  };
}

export function whatOf(intent: Json): What {
  return {
    verdict: clean(text(intent, "decision.verdict")),
    rule: clean(text(intent, "decision.rule")),
    masked: (list(intent, "decision.masked") ?? []).length > 0,
    reads: [...new Set(list(intent, "statement.reads")?.map(clean))],
    writes: [...new Set(list(intent, "statement.writes")?.map(clean))],
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
    this.count(unitOf(intent, this.unitMs), whoOf(intent), whatOf(intent), status, by);
  }

  /** What it touches, what kind of principal it is of, and whether it was masked. */
  relations(intent: Json): void {
    this.touches(unitOf(intent, this.unitMs), whoOf(intent), whatOf(intent), 1);
  }

  /** As statement(), of `by` statements. `unit`: hours (or other units) since the epoch. */
  count(unit: number, who: Who, what: What, status: string | null, by: number): void {
    this.add(this.counts, [unit, who.subject, who.db, what.verdict, what.rule, clean(status)], by);
  }

  /** As relations(), of `by` statements. */
  touches(unit: number, who: Who, what: What, by: number): void {
    const front = [unit, who.subject, who.db, what.verdict];
    if (who.kind !== null) this.add(this.touched, [...front, who.kind, "kind"], by);
    if (what.masked) this.add(this.touched, [...front, "", "masked"], by);
    for (const relation of what.reads) this.add(this.touched, [...front, relation, "reads"], by);
    for (const relation of what.writes) this.add(this.touched, [...front, relation, "writes"], by);
  }

  private add(to: Map<string, number>, key: readonly (string | number)[], by: number): void {
    const name = key.join(separator);
    to.set(name, (to.get(name) ?? 0) + by);
  }

  /** All counts as rows: for the check. */
  rows(which: "tally" | "touched"): Map<string, number> {
    return which === "tally" ? this.counts : this.touched;
  }

  clear(): void {
    this.counts.clear();
    this.touched.clear();
  }

  write(db: DatabaseSync): void {
    const into = {
      tally: db.prepare(
        "INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
      ),
      touched: db.prepare(
        "INSERT INTO touched VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
      ),
    };
    const none = db.prepare(
      "DELETE FROM tally WHERE hour = ? AND subject = ? AND db = ? AND verdict = ? AND rule = ? AND status = ? AND count = 0",
    );
    for (const which of ["tally", "touched"] as const) {
      const counts = this.rows(which);
      for (const [name, by] of counts) {
        if (by === 0) continue;
        const [hour, ...rest] = name.split(separator);
        into[which].run(Number(hour), ...rest, by);
        if (by < 0) none.run(Number(hour), ...rest);
      }
      counts.clear();
    }
  }
}

function unitOf(intent: Json, unitMs: number): number {
  const time = timeOf(intent);
  return Number.isNaN(time) ? 0 : Math.floor(time / unitMs);
}

/** NUL separates: PostgreSQL's names and the token's texts are kept apart from it. */
function clean(value: string | null): string {
  return (value ?? "").replaceAll(separator, "\ufffd");
}
