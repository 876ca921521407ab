/** Masking of COPY TO STDOUT in text and CSV. Rows need not begin and end with CopyData messages; they do in what is given. */
import type { MaskPlan } from "../../facts/effects.ts";
import type { CellMask } from "../cell.ts";
import type { ContentGuard } from "../detect/guard.ts";
import { MaskError } from "../errors.ts";
import type { MaskKeys } from "../keys.ts";
import type { HashAhead } from "../lanes/ahead.ts";
import { MaskOutput } from "../output.ts";
import type { MaskColumn } from "../row.ts";
import { cellMask } from "../types/index.ts";
import { csvReader } from "./csv.ts";
import { type CopyDialect, newline } from "./dialect.ts";
import { textReader } from "./text.ts";

export interface CopyMaskOptions extends CopyDialect {
  readonly plan: MaskPlan;
  /** Types of the copied columns, in the order of the plan; typmod -1 where it is not known. */
  readonly columns: readonly Omit<MaskColumn, "format">[];
  readonly keys: MaskKeys;
  /** Looks at the columns that the plan leaves alone. */
  readonly guard?: ContentGuard | null;
  /** Bytes of a row that comes in pieces; more is an error. Default 64 MiB. */
  readonly maxRow?: number;
}

export interface CopyMasker {
  /** Takes the body of one CopyData message. Gives whole CopyData messages, one for each row that ended; null: none did. Throws MaskError. */
  push(data: Buffer): Buffer | null;
  /** The same for whole CopyData messages that fill chunk[start, end), appended to `out`. */
  maskInto(chunk: Buffer, start: number, end: number, out: MaskOutput): void;
  /** Takes CopyDone. Gives a last row that had no line end; null: there was none. Throws MaskError when it is torn. */
  end(): Buffer | null;
  /** Masked cells of each column so far. NULLs are not counted. */
  readonly counts: number[];
  /** Rows so far, without the header. */
  readonly rows: number;
}

const copyData = 0x64;
const defaultMaxRow = 64 * 1024 * 1024;
const maxLength = 0x3fff_fffe;
const noBytes = Buffer.alloc(0);

/** Throws MaskError `MASK_PLAN` when plan and columns do not fit each other, or for options that PostgreSQL would not take. */
export function createCopyMasker(options: CopyMaskOptions): CopyMasker {
  const { plan, columns, keys } = options;
  if (plan.columns.length !== columns.length)
    throw new MaskError(
      "MASK_PLAN",
      `the plan has ${plan.columns.length} columns, the copy ${columns.length}`,
    );
  const cells = columns.map(({ type, typmod, like }, i): CellMask | null => {
    const column = plan.columns[i] ?? null;
    return column === null
      ? (options.guard?.cells[i] ?? null)
      : cellMask(column.mask, like ?? type, { format: 0, typmod, keys, domain: column.domain });
  });
  const passing = cells.map(() => null);
  const collectors = cells.map((cell) => cell?.collect ?? null);
  const collected = collectors.filter((collect) => collect !== null).length;
  const ahead = collected === 0 ? null : keys.ahead();
  const reader = options.format === "csv" ? csvReader(options) : textReader(options);
  const maxRow = options.maxRow ?? defaultMaxRow;
  const counts = new Array<number>(columns.length).fill(0);
  const count = (column: number): void => {
    (counts[column] as number)++;
  };
  const single = new MaskOutput();
  let header = options.header === true;
  let rows = 0;
  // The part of a row that came so far.
  let pending: Buffer = noBytes;
  let held = 0;

  function hold(b: Buffer, at: number, end: number): void {
    const size = held + end - at;
    if (size > maxRow)
      throw new MaskError("MASK_TOO_LARGE", `a copied row of more than ${maxRow} bytes came in pieces`);
    if (size > pending.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(size, pending.length * 2, 4096));
      pending.copy(grown, 0, 0, held);
      pending = grown;
    }
    b.copy(pending, held, at, end);
    held = size;
  }

  function emit(b: Buffer, at: number, end: number, out: MaskOutput): void {
    const ended = b[end - 1] === newline && end > at;
    const mark = out.length;
    out.byte(copyData);
    out.int32(0);
    try {
      reader.mask(b, at, ended ? end - 1 : end, header ? passing : cells, out, count);
    } catch (error) {
      out.truncate(mark);
      throw error;
    }
    if (ended) out.byte(newline);
    const length = out.length - mark - 1;
    if (length > maxLength)
      throw new MaskError("MASK_TOO_LARGE", "a masked row is larger than a message may be");
    out.patch(mark + 1, length);
    if (header) header = false;
    else rows++;
  }

  function take(b: Buffer, start: number, end: number, out: MaskOutput): void {
    let at = start;
    while (at < end) {
      const next = reader.rowEnd(b, at, end);
      if (next < 0) {
        hold(b, at, end);
        return;
      }
      if (held === 0) emit(b, at, next, out);
      else {
        hold(b, at, next);
        emit(pending, 0, held, out);
        held = 0;
        if (pending.length > 65_536) pending = noBytes;
      }
      at = next;
    }
  }

  function takeMessages(chunk: Buffer, start: number, end: number, out: MaskOutput): void {
    let at = start;
    while (at < end) {
      const length = at + 5 <= end && chunk[at] === copyData ? chunk.readInt32BE(at + 1) : 0;
      const next = at + 1 + length;
      if (length < 4 || next > end)
        throw new MaskError("MASK_MALFORMED", "the server sent a message that is no whole CopyData");
      take(chunk, at + 5, next, out);
      at = next;
    }
  }

  /**
   * Hashes values of the first messages of chunk[start, end) ahead; gives where the messages behind them begin, or `end`. What is no
   * message ends the collecting; what is no whole row is left out.
   */
  function collectMessages(chunk: Buffer, start: number, end: number, lanes: HashAhead): number {
    lanes.begin(chunk);
    reader.keep(chunk);
    let at = start;
    do {
      const length = at + 5 <= end && chunk[at] === copyData ? chunk.readInt32BE(at + 1) : 0;
      const next = at + 1 + length;
      if (length < 4 || next > end) {
        at = end;
        break;
      }
      reader.collect(chunk, at + 5, next, collectors, lanes);
      at = next;
    } while (at < end && lanes.fits(collected));
    lanes.hash();
    return at;
  }

  return {
    counts,
    get rows() {
      return rows;
    },
    push(data) {
      single.truncate(0);
      take(data, 0, data.length, single);
      return single.length === 0 ? null : single.take();
    },
    maskInto(chunk, start, end, out) {
      if (ahead === null) {
        takeMessages(chunk, start, end, out);
        return;
      }
      try {
        for (let at = start; at < end; ) {
          const next = collectMessages(chunk, at, end, ahead);
          takeMessages(chunk, at, next, out);
          at = next;
        }
      } finally {
        ahead.end();
        reader.keep(null);
      }
    },
    end() {
      if (held === 0) return null;
      if (!reader.mayEnd) throw new MaskError("MASK_MALFORMED", "the server's copy ended inside a row");
      single.truncate(0);
      emit(pending, 0, held, single);
      held = 0;
      return single.take();
    },
  };
}
