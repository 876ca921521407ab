/** How the text of a COPY is written, and how its rows and fields are told apart (manual, COPY, "File Formats"). */
import type { CellMask, Collect } from "../cell.ts";
import { MaskError } from "../errors.ts";
import type { HashAhead } from "../lanes/ahead.ts";
import type { MaskOutput } from "../output.ts";

/** What COPY was told; each defaults as PostgreSQL's does. */
export interface CopyDialect {
  readonly format: "text" | "csv";
  /** Default: a tab, in CSV a comma. */
  readonly delimiter?: string | null;
  /** Default: `\N`, in CSV nothing. */
  readonly null?: string | null;
  /** The first line holds the columns' names. */
  readonly header?: boolean;
  /** CSV only. Default: `"`. */
  readonly quote?: string | null;
  /** CSV only. Default: the quote. */
  readonly escape?: string | null;
  /** CSV only: FORCE_QUOTE, one entry for each column, or all of them. */
  readonly forceQuote?: readonly boolean[] | "all";
}

/** Reads one format, keeping its place where data ends in the middle of a row. */
export interface CopyReader {
  /** Gives the index behind the next end of a row in b[at, end), or -1: none, what there is was taken note of. */
  rowEnd(b: Buffer, at: number, end: number): number;
  /** What is collected from now on is of this buffer; null: its bytes may change. */
  keep(source: Buffer | null): void;
  /** Collects values of the row b[at, end), with its line end, for hashing ahead; of rows that are not plain, none. */
  collect(
    b: Buffer,
    at: number,
    end: number,
    collectors: readonly (Collect | null)[],
    ahead: HashAhead,
  ): void;
  /** true: between rows, or at a place where a row may end. */
  readonly mayEnd: boolean;
  /**
   * Masks the row b[at, end) (without its line end) into `out`; null cells pass. Gives nothing; `count` is called for every
   * cell that was masked. Throws MaskError.
   */
  mask(
    b: Buffer,
    at: number,
    end: number,
    cells: readonly (CellMask | null)[],
    out: MaskOutput,
    count: (column: number) => void,
  ): void;
}

export const newline = 0x0a;
export const carriageReturn = 0x0d;
export const backslash = 0x5c;

/** Gives the one byte that an option must be. Throws MaskError. */
export function singleByte(text: string, what: string): number {
  const bytes = Buffer.from(text);
  const byte = bytes[0];
  if (byte === undefined || bytes.length !== 1 || byte === newline || byte === carriageReturn)
    throw new MaskError("MASK_PLAN", `the ${what} of COPY is not one byte`);
  return byte;
}

export function wrongColumns(): MaskError {
  return new MaskError("MASK_MALFORMED", "the server sent a copied row of another number of columns");
}

/** true: b[at, end) is `text`. */
export function isBytes(b: Buffer, at: number, end: number, text: Buffer): boolean {
  if (end - at !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (b[at + i] !== text[i]) return false;
  return true;
}

/** true: the row is the end-of-data marker, which PostgreSQL does not send to clients. */
export function isEndMarker(b: Buffer, at: number, end: number): boolean {
  return end - at === 2 && b[at] === backslash && b[at + 1] === 0x2e;
}
