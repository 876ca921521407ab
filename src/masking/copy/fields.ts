/** Rows of copied text without anything special in them: no backslash, in CSV no quote. Nearly all are of that kind. */
import type { CellMask, Collect } from "../cell.ts";
import type { HashAhead } from "../lanes/ahead.ts";
import type { MaskOutput } from "../output.ts";
import { isBytes, newline, wrongColumns } from "./dialect.ts";

/** Masks the value source[from, to) into `out`, as the format writes it. Gives false for one that stays, and has written nothing then. */
export type MaskValue = (
  cell: CellMask,
  source: Buffer,
  from: number,
  to: number,
  out: MaskOutput,
  column: number,
  width: number,
) => boolean;

/** Columns of a result, at most (MaxTupleAttributeNumber). */
const maxColumns = 1664;
/** Rows whose delimiters are kept from the time when their values are collected, and all their delimiters. */
const maxKept = 512;
const maxDelimiters = 8192;
const delimits = 1;
const stops = 2;

/** Finds the fields of a row, and remembers them until it is asked for the next one. */
export class PlainFields {
  /** Number of delimiters. */
  count = 0;
  readonly #kinds = new Uint8Array(256);
  readonly #delimiters = new Int32Array(maxDelimiters + maxColumns);
  /** Where those of the row begin. */
  #base = 0;
  #row: Buffer | null = null;
  #at = 0;
  #end = 0;
  /** Rows of one buffer that were collected, in their order: where they begin and end, their first delimiter and their number. */
  #source: Buffer | null = null;
  readonly #kept = new Int32Array(maxKept * 4);
  #keptCount = 0;
  #keptNext = 0;
  #used = 0;

  /** @param special byte that makes a row one that is not plain. */
  constructor(delimiter: number, special: number) {
    this.#kinds[delimiter] = delimits;
    this.#kinds[special] = stops;
    this.#kinds[newline] = stops;
  }

  /** Where the delimiter behind a column is. */
  delimiter(column: number): number {
    return this.#delimiters[this.#base + column] as number;
  }

  /**
   * Looks for the end of the row that begins at b[at], up to `end`. Gives the index of its newline, or of the special byte that
   * comes before it, or `end`.
   */
  scan(b: Buffer, at: number, end: number): number {
    return b === this.#source && this.#recall(at, end) ? this.#end : this.#look(b, at, end);
  }

  #look(b: Buffer, at: number, end: number): number {
    const kinds = this.#kinds;
    const delimiters = this.#delimiters;
    const base = this.#used;
    let count = 0;
    let i = at;
    for (; i < end; i++) {
      const kind = kinds[b[i] as number];
      if (kind === 0) continue;
      if (kind === stops || count === maxColumns) break;
      delimiters[base + count++] = i;
    }
    const isWhole = i < end && b[i] === newline;
    this.count = count;
    this.#base = base;
    this.#row = isWhole ? b : null;
    this.#at = at;
    this.#end = i;
    return i;
  }

  #recall(at: number, end: number): boolean {
    const kept = this.#kept;
    let next = this.#keptNext;
    while (next < this.#keptCount && (kept[next * 4] as number) < at) next++;
    this.#keptNext = next;
    if (next === this.#keptCount || kept[next * 4] !== at || (kept[next * 4 + 1] as number) >= end)
      return false;
    this.#row = this.#source;
    this.#at = at;
    this.#end = kept[next * 4 + 1] as number;
    this.#base = kept[next * 4 + 2] as number;
    this.count = kept[next * 4 + 3] as number;
    return true;
  }

  /** Whether the row b[at, end), without its newline, is the one that was last found to be plain. */
  holds(b: Buffer, at: number, end: number): boolean {
    return b === this.#row && at === this.#at && end === this.#end;
  }

  /**
   * Masks the row that was last found, b[at, end) without its newline, into `out`; `count` is called for every cell that was masked. Throws
   * MaskError for a row of another number of columns.
   */
  mask(
    b: Buffer,
    at: number,
    end: number,
    cells: readonly (CellMask | null)[],
    nullText: Buffer,
    out: MaskOutput,
    maskValue: MaskValue,
    count: (column: number) => void,
  ): void {
    const width = cells.length;
    if (this.count + 1 !== width) throw wrongColumns();
    let copied = at;
    let start = at;
    for (let column = 0; column < width; column++) {
      const to = column + 1 < width ? this.delimiter(column) : end;
      const cell = cells[column] ?? null;
      if (cell !== null && !isBytes(b, start, to, nullText)) {
        out.copy(b, copied, start);
        copied = start;
        if (maskValue(cell, b, start, to, out, column, width)) {
          copied = to;
          count(column);
        }
      }
      start = to + 1;
    }
    out.copy(b, copied, end);
  }

  /** Forgets the row. */
  forget(): void {
    this.#row = null;
  }

  /** Begins to keep rows of a buffer; null: its bytes may change from now on. */
  keep(source: Buffer | null): void {
    this.#source = source;
    this.#row = null;
    this.#keptCount = 0;
    this.#keptNext = 0;
    this.#used = 0;
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
    if (this.#look(b, at, end) !== end - 1 || b[end - 1] !== newline) return;
    const { count } = this;
    let start = at;
    for (let column = 0; column < collectors.length && column <= count; column++) {
      const to = column < count ? this.delimiter(column) : end - 1;
      const collect = collectors[column];
      if (collect !== null && collect !== undefined && !isBytes(b, start, to, nullText))
        collect(b, start, to, ahead);
      start = to + 1;
    }
    if (b !== this.#source || this.#keptCount === maxKept || this.#used + count > maxDelimiters) return;
    const kept = this.#kept;
    const place = this.#keptCount++ * 4;
    kept[place] = at;
    kept[place + 1] = end - 1;
    kept[place + 2] = this.#base;
    kept[place + 3] = count;
    this.#used += count;
  }
}
