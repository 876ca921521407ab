/** What the writer counts in a step, before it becomes rows of the tallies: by small numbers, not by names. */
import type { Json } from "../read/leaves.ts";
import { noStatus, oddStatus, statusCodes, statusName } from "./status.ts";
import { cleaned, hourMs, Tally, type What, type Who, whatOf, whoOf } from "./tally.ts";

/** Names that are kept; then they are counted anew. */
const limit = 65_536;

/** Keys whose rows are kept. */
const maxRows = 2048;

interface KeyRows {
  /** Of the tally's row all but the status. */
  readonly front: string;
  readonly touched: readonly string[];
}

class Names<Facts> {
  readonly facts: Facts[] = [];
  private readonly known = new Map<string, number>();

  of(facts: Facts): number {
    const name = JSON.stringify(facts);
    let id = this.known.get(name);
    if (id === undefined) {
      id = this.facts.length;
      this.facts.push(facts);
      this.known.set(name, id);
    }
    return id;
  }

  clear(): void {
    this.facts.length = 0;
    this.known.clear();
  }
}

/** Counts statements by hour, by who ran them and by what they were, until they are written. */
export class Counts {
  private readonly hours = new Names<number>();
  private readonly who = new Names<Who>();
  private readonly what = new Names<What>();
  /** By key: statements begun, and by status code how many more or fewer there are. */
  private readonly counted = new Map<number, Int32Array>();
  private readonly rows = new Map<number, KeyRows>();
  private lastHour = Number.NaN;
  private lastHourId = 0;
  private readonly odd: { readonly key: number; readonly status: string }[] = [];

  whoOf(leaf: Json): number {
    return this.who.of(whoOf(leaf));
  }

  whatOf(leaf: Json): number {
    return this.what.of(whatOf(leaf));
  }

  /** Whether the names were too many: what whoOf() and whatOf() gave must be forgotten, and this with it. */
  get full(): boolean {
    return [this.hours, this.who, this.what].some(({ facts }) => facts.length >= limit / 2);
  }

  forget(): void {
    this.hours.clear();
    this.rows.clear();
    this.lastHour = Number.NaN;
    this.who.clear();
    this.what.clear();
    this.counted.clear();
    this.odd.length = 0;
  }

  /** Counts a statement without outcome. Gives the key by which its outcome is counted. `time`: milliseconds, or null. */
  begun(time: number | null, who: number, what: number): number {
    const key = this.keyOf(time, who, what);
    const counts = this.at(key);
    counts[0] = (counts[0] ?? 0) + 1;
    counts[1] = (counts[1] ?? 0) + 1;
    return key;
  }

  /** The key of a statement that was counted in an earlier step. */
  keyOf(time: number | null, who: number, what: number): number {
    const hour = time === null ? 0 : Math.floor(time / hourMs);
    if (hour !== this.lastHour) {
      this.lastHourId = this.hours.of(hour);
      this.lastHour = hour;
    }
    return (this.lastHourId * limit + who) * limit + what;
  }

  /** A statement got its outcome. `name`: the status, where its code is `oddStatus`. */
  ended(key: number, status: number, name: string): void {
    const counts = this.at(key);
    counts[1] = (counts[1] ?? 0) - 1;
    if (status === oddStatus) this.odd.push({ key, status: name });
    else counts[status + 1] = (counts[status + 1] ?? 0) + 1;
  }

  private at(key: number): Int32Array {
    let counts = this.counted.get(key);
    if (counts === undefined) {
      counts = new Int32Array(statusCodes + 1);
      this.counted.set(key, counts);
    }
    return counts;
  }

  /** Adds everything to the tally. */
  flush(tally: Tally): void {
    for (const [key, counts] of this.counted) {
      const rows = this.rowsOf(key);
      if (rows === null) continue;
      const begun = counts[0] ?? 0;
      if (begun !== 0) for (const row of rows.touched) tally.add("touched", row, begun);
      for (let status = noStatus; status < statusCodes; status++) {
        const by = counts[status + 1] ?? 0;
        if (by !== 0) tally.add("tally", rows.front + (statusName(status) ?? ""), by);
      }
    }
    for (const { key, status } of this.odd) {
      const rows = this.rowsOf(key);
      if (rows !== null) tally.add("tally", rows.front + cleaned(status), 1);
    }
    this.counted.clear();
    this.odd.length = 0;
  }

  /** The rows in which a statement of the key counts. */
  private rowsOf(key: number): KeyRows | null {
    let rows = this.rows.get(key);
    if (rows === undefined) {
      const what = this.what.facts[key % limit];
      const rest = Math.floor(key / limit);
      const who = this.who.facts[rest % limit];
      const hour = this.hours.facts[Math.floor(rest / limit)];
      if (hour === undefined || who === undefined || what === undefined) return null;
      rows = { front: Tally.row(hour, who, what, ""), touched: Tally.touchedRows(hour, who, what) };
      if (this.rows.size >= maxRows) this.rows.clear();
      this.rows.set(key, rows);
    }
    return rows;
  }
}
