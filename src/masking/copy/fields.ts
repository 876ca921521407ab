/** Rows of copied text without anything special in them: no backslash, in CSV no quote. Nearly all are of that kind. */
import type { Collect } from "../cell.ts";
import type { HashAhead } from "../lanes/ahead.ts";
import { isBytes, newline } from "./dialect.ts";

/** Columns of a result, at most (MaxTupleAttributeNumber). */
const maxColumns = 1664;
const delimits = 1;
const stops = 2;

/** Finds the fields of a row, and remembers them until it is asked for the next one. */
export class PlainFields {
  /** Number of delimiters, and where they are. */
  count = 0;
  readonly delimiters = new Int32Array(maxColumns);
  readonly #kinds = new Uint8Array(256);
  #row: Buffer | null = null;
  #at = 0;
  #end = 0;

  /** @param special byte that makes a row one that is not plain. */
  constructor(delimiter: number, special: number) {
    this.#kinds[delimiter] = delimits;
    this.#kinds[special] = stops;
    this.#kinds[newline] = stops;
  }

  /**
   * Looks for the end of the row that begins at b[at], up to `end`. Gives the index of its newline, or of the special byte that
   * comes before it, or `end`.
   */
  scan(b: Buffer, at: number, end: number): number {
    const kinds = this.#kinds;
    const { delimiters } = this;
    let count = 0;
    let i = at;
    for (; i < end; i++) {
      const kind = kinds[b[i] as number];
      if (kind === 0) continue;
      if (kind === stops) break;
      if (count === maxColumns) break;
      delimiters[count++] = i;
    }
    const isWhole = i < end && b[i] === newline;
    this.count = count;
    this.#row = isWhole ? b : null;
    this.#at = at;
    this.#end = i;
    return i;
  }

  /** Whether the row b[at, end), without its newline, is the one that was last found to be plain. */
  holds(b: Buffer, at: number, end: number): boolean {
    return b === this.#row && at === this.#at && end === this.#end;
  }

  /** Forgets the row: its bytes may change. */
  forget(): void {
    this.#row = null;
  }

  /** Collects values of the row b[at, end), if that is a plain one with its newline, for hashing ahead. */
  collect(
    b: Buffer,
    at: number,
    end: number,
    collectors: readonly (Collect | null)[],
    nullText: Buffer,
    ahead: HashAhead,
  ): void {
    if (this.scan(b, at, end) !== end - 1 || b[end - 1] !== newline) return;
    let start = at;
    for (let column = 0; column < collectors.length && column <= this.count; column++) {
      const to = column < this.count ? (this.delimiters[column] as number) : end - 1;
      const collect = collectors[column];
      if (collect !== null && collect !== undefined && !isBytes(b, start, to, nullText))
        collect(b, start, to, ahead);
      start = to + 1;
    }
  }
}
