/** Counts by hour that `postern audit stats` adds up, gathered in memory and written once a step. */
import type { DatabaseSync } from "node:sqlite";
import { timeOf } from "../read/filters.ts";
import { type Json, list, text } from "../read/leaves.ts";

export const hourMs = 3_600_000;
const separator = "\u0000";

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
    this.keyed(this.keyOf(intent), status, by);
  }

  /** What a statement is counted under, its status aside: all that must be kept of it until its outcome comes. */
  keyOf(intent: Json): string {
    return [...head(intent, this.unitMs), text(intent, "decision.rule") ?? ""].join(separator);
  }

  /** As statement(), by what keyOf() gave. */
  keyed(key: string, status: string | null, by: 1 | -1 = 1): void {
    this.add(this.counts, [key, status ?? ""], by);
  }

  /** What it touches, what kind of principal it is of, and whether it was masked. */
  relations(intent: Json): void {
    const front = head(intent, this.unitMs);
    const kind = text(intent, "principal.kind");
    if (kind !== null) this.add(this.touched, [...front, kind, "kind"], 1);
    if ((list(intent, "decision.masked") ?? []).length > 0)
      this.add(this.touched, [...front, "", "masked"], 1);
    for (const access of ["reads", "writes"] as const)
      for (const relation of new Set(list(intent, `statement.${access}`) ?? []))
        this.add(this.touched, [...front, relation, access], 1);
  }

  private add(to: Map<string, number>, key: readonly (string | number)[], by: number): void {
    const name = key.join(separator);
    to.set(name, (to.get(name) ?? 0) + by);
  }

  /** All counts as rows: for the check. */
  rows(which: "tally" | "touched"): Map<string, number> {
    return which === "tally" ? this.counts : this.touched;
  }

  write(db: DatabaseSync): void {
    const tally = db.prepare(
      "INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
    );
    const touched = db.prepare(
      "INSERT INTO touched VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
    );
    let taken = false;
    for (const [statement, counts] of [
      [tally, this.counts],
      [touched, this.touched],
    ] as const) {
      for (const [name, by] of counts) {
        if (by === 0) continue;
        if (by < 0) taken = true;
        const [hour, ...rest] = name.split(separator);
        statement.run(Number(hour), ...rest, by);
      }
      counts.clear();
    }
    if (taken) db.exec("DELETE FROM tally WHERE count = 0");
  }
}

/** Hour (or other unit) since the epoch, principal, database, verdict. NUL separates: PostgreSQL's names and the token's texts are kept apart from it. */
function head(intent: Json, unitMs: number): (string | number)[] {
  const time = timeOf(intent);
  const clean = (value: string | null) => (value ?? "").replaceAll(separator, "\ufffd");
  return [
    Number.isNaN(time) ? 0 : Math.floor(time / unitMs),
    clean(text(intent, "principal.subject")),
    clean(text(intent, "database.name")),
    clean(text(intent, "decision.verdict")),
  ];
}
