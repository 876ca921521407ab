/** Masking of DataRow messages (manual, "Message Formats"): type, length, Int16 columns, for each Int32 length and bytes. */
import type { MaskPlan } from "../facts/effects.ts";
import { type CellMask, type Collect, passes } from "./cell.ts";
import type { ContentGuard } from "./detect/guard.ts";
import { MaskError } from "./errors.ts";
import type { MaskKeys } from "./keys.ts";
import type { HashAhead } from "./lanes/ahead.ts";
import { MaskOutput } from "./output.ts";
import { cellMask } from "./types/index.ts";

/** A column as RowDescription has it. */
export interface MaskColumn {
  /** Type oid. Domains are said as their base type there. */
  readonly type: number;
  readonly typmod: number;
  /** Oid of the built-in type whose formats the type shares, where it is known to: text for citext. Left out: its own. */
  readonly like?: number;
  /** 0 text, 1 binary, as the Bind that fetches the rows asked for. */
  readonly format: 0 | 1;
}

export interface RowMasker {
  /** Masks one whole DataRow message. Gives a new message. Throws MaskError. */
  mask(row: Buffer): Buffer;
  /**
   * Masks the whole DataRow messages that fill chunk[start, end), and appends them to `out`. Throws MaskError: `out` then holds the
   * rows before the one that cannot be read, and nothing of that one.
   */
  maskInto(chunk: Buffer, start: number, end: number, out: MaskOutput): void;
  /** Masked cells of each column so far. NULLs are not counted. */
  readonly counts: number[];
}

const dataRow = 0x44;
/** PQ_LARGE_MESSAGE_LIMIT. */
const maxLength = 0x3fff_fffe;

/**
 * Gives what masks the rows of one result. NULLs stay NULL, unmasked values keep their bytes.
 * @param plan one entry for each column.
 * @param columns the columns of the result, with the formats of the rows to come.
 * @param guard looks at the columns that the plan leaves alone.
 * Throws MaskError `MASK_PLAN` when they do not fit each other.
 */
export function createRowMasker(
  plan: MaskPlan,
  columns: readonly MaskColumn[],
  keys: MaskKeys,
  guard: ContentGuard | null = null,
): RowMasker {
  if (plan.columns.length !== columns.length)
    throw new MaskError(
      "MASK_PLAN",
      `the plan has ${plan.columns.length} columns, the result ${columns.length}`,
    );
  const cells = columns.map(({ type, typmod, format, like }, i): CellMask | null => {
    const column = plan.columns[i] ?? null;
    if (column === null) return guard?.cells[i] ?? null;
    if (format !== 0 && format !== 1) throw new MaskError("MASK_PLAN", "a column of unknown format");
    return cellMask(column.mask, like ?? type, { format, typmod, keys, domain: column.domain });
  });
  return rowMasker(cells, cells.some((cell) => cell?.collect !== undefined) ? keys.ahead() : null);
}

/**
 * Masks rows cell by cell; null: the column passes.
 * @param ahead null: no cell collects values for it.
 */
function rowMasker(cells: readonly (CellMask | null)[], ahead: HashAhead | null): RowMasker {
  const width = cells.length;
  const last = cells.findLastIndex((cell) => cell !== null);
  const collectors = ahead === null ? null : collectorsOf(cells);
  const counts = new Array<number>(width).fill(0);
  const single = new MaskOutput();

  function maskRow(b: Buffer, start: number, end: number, out: MaskOutput): void {
    if (((b[start + 5] as number) << 8) + (b[start + 6] as number) !== width)
      throw malformed("a row of another number of columns");
    const mark = out.length;
    // What was copied up to here; the length in front is put right at the end.
    let copied = start;
    let at = start + 7;
    for (let i = 0; i < width; i++) {
      if (at + 4 > end) throw torn(out, mark);
      const size =
        ((b[at] as number) << 24) |
        ((b[at + 1] as number) << 16) |
        ((b[at + 2] as number) << 8) |
        (b[at + 3] as number);
      at += 4;
      if (size < 0) {
        if (size !== -1) throw torn(out, mark);
        continue;
      }
      const next = at + size;
      if (next > end) throw torn(out, mark);
      const cell = i <= last ? cells[i] : null;
      if (cell !== null && cell !== undefined) {
        out.copy(b, copied, at);
        const lengthAt = out.length - 4;
        const written = cell(b, at, next, out);
        if (written === passes) copied = at;
        else {
          out.patch(lengthAt, written);
          copied = next;
          (counts[i] as number)++;
        }
      }
      at = next;
    }
    if (at !== end) throw torn(out, mark);
    out.copy(b, copied, end);
    const length = out.length - mark - 1;
    if (length > maxLength) {
      out.truncate(mark);
      throw new MaskError("MASK_TOO_LARGE", "a masked row is larger than a message may be");
    }
    out.patch(mark + 1, length);
  }

  function maskInto(chunk: Buffer, start: number, end: number, out: MaskOutput): void {
    if (ahead === null || collectors === null) {
      maskRows(chunk, start, end, out);
      return;
    }
    try {
      for (let at = start; at < end; ) {
        const next = collectRows(collectors, chunk, at, end, ahead);
        maskRows(chunk, at, next, out);
        at = next;
      }
    } finally {
      ahead.end();
    }
  }

  function maskRows(chunk: Buffer, start: number, end: number, out: MaskOutput): void {
    let at = start;
    while (at < end) {
      if (at + 7 > end || chunk[at] !== dataRow) throw malformed("a message that is no whole row");
      const length =
        ((chunk[at + 1] as number) << 24) |
        ((chunk[at + 2] as number) << 16) |
        ((chunk[at + 3] as number) << 8) |
        (chunk[at + 4] as number);
      const next = at + 1 + length;
      if (length < 6 || next > end) throw malformed("a row of impossible length");
      maskRow(chunk, at, next, out);
      at = next;
    }
  }

  return {
    counts,
    maskInto,
    mask(row) {
      single.truncate(0);
      maskInto(row, 0, row.length, single);
      return single.take();
    },
  };
}

/** What collects values of each column, up to the last that has such; null: its values are skipped. */
function collectorsOf(cells: readonly (CellMask | null)[]): Collectors {
  const all = cells.map((cell) => cell?.collect ?? null);
  return {
    columns: all.slice(0, all.findLastIndex((collect) => collect !== null) + 1),
    values: all.filter((collect) => collect !== null).length,
  };
}

interface Collectors {
  readonly columns: readonly (Collect | null)[];
  /** Most values of a row. */
  readonly values: number;
}

/**
 * Hashes values of the first rows of chunk[start, end) ahead; gives where the rows behind them begin, or `end`. What does not fit
 * ends the collecting: it is for the mask to say so.
 */
function collectRows(
  { columns, values }: Collectors,
  chunk: Buffer,
  start: number,
  end: number,
  ahead: HashAhead,
): number {
  ahead.begin(chunk);
  const width = columns.length;
  let at = start;
  do {
    if (at + 7 > end) return finish(end);
    const next = at + 1 + int32(chunk, at + 1);
    if (next < at + 7 || next > end) return finish(end);
    let value = at + 7;
    for (let i = 0; i < width; i++) {
      if (value + 4 > next) return finish(end);
      const size = int32(chunk, value);
      value += 4;
      if (size < 0) continue;
      if (value + size > next) return finish(end);
      const collect = columns[i];
      if (collect !== null && collect !== undefined) collect(chunk, value, value + size, ahead);
      value += size;
    }
    at = next;
  } while (at < end && ahead.fits(values));
  return finish(at);

  function finish(position: number): number {
    ahead.hash();
    return position;
  }
}

function int32(b: Buffer, at: number): number {
  return (
    ((b[at] as number) << 24) |
    ((b[at + 1] as number) << 16) |
    ((b[at + 2] as number) << 8) |
    (b[at + 3] as number)
  );
}

function torn(out: MaskOutput, mark: number): MaskError {
  out.truncate(mark);
  return malformed("a row whose lengths do not fit");
}

function malformed(what: string): MaskError {
  return new MaskError("MASK_MALFORMED", `the server sent ${what}`);
}
