/** The keyed values of the index against those of the log: block by block, once nothing more can come for a block. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { LogPlace } from "../read/leaves.ts";
import { blockOf, blockSize } from "./columns.ts";
import { SealedValues } from "./sealed.ts";
import { valueName, valuesIn } from "./valuestore.ts";

/** Takes the log's sealed values record by record, and tells of those that the index lacks or has too many of. */
export class ValueComparison {
  readonly sealed: SealedValues;
  private readonly db: DatabaseSync;
  private readonly dir: string;
  private readonly least: number;
  /** The first block that was not compared yet. */
  private next: number;
  /** Values of the log, by block: how often each was found. */
  private readonly found = new Map<number, Map<string, number>>();

  /** `least`: the oldest record of the log. Throws AuditOpenError when the keys cannot be read. */
  constructor(log: LogPlace, db: DatabaseSync, keys: string, least: number) {
    this.db = db;
    this.dir = log.dir;
    this.least = least;
    this.next = blockOf(least);
    this.sealed = new SealedValues(log, keys, (day, high, low, index) => {
      const block = blockOf(index);
      const names = this.found.get(block) ?? new Map<string, number>();
      const name = valueName(day, high, low, index);
      names.set(name, (names.get(name) ?? 0) + 1);
      this.found.set(block, names);
    });
  }

  /** Compares what is whole when the log was read up to record `index`. Gives what is wrong first; null: nothing. */
  upTo(index: number): { readonly index: number | null; readonly problem: string } | null {
    const whole = blockOf(Math.min(index, this.sealed.oldest ?? index));
    for (; this.next < whole; this.next++) {
      const wrong = this.block(this.next);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  /** Compares all that is left, where the index ends: before record `end`. */
  end(end: number): { readonly index: number | null; readonly problem: string } | null {
    for (; this.next * blockSize < end; this.next++) {
      const wrong = this.block(this.next);
      if (wrong !== null) return wrong;
    }
    const more = this.db.prepare("SELECT number FROM value WHERE number >= ?").get(this.next);
    return more === undefined
      ? null
      : { index: null, problem: "it has keyed values of records that the log has not" };
  }

  private block(number: number): { readonly index: number; readonly problem: string } | null {
    const names = this.found.get(number) ?? new Map<string, number>();
    this.found.delete(number);
    for (const { day, index, name } of valuesIn(this.db, number)) {
      const count = names.get(name) ?? 0;
      if (count > 0) names.set(name, count - 1);
      // What an erasure or retention just took is about to leave the index.
      else if (index >= this.least && existsSync(join(this.dir, "keys", `${day}.key`)))
        return { index, problem: "it has a keyed value of this record that the log has not" };
    }
    for (const [name, count] of names)
      if (count > 0)
        return { index: Number(name.split(" ")[3]), problem: "a keyed value of this record is missing" };
    return null;
  }
}
