/** COPY's CSV format: fields may stand in quotes, and then hold delimiters, line ends and, behind an escape, quotes. */
import { passes } from "../cell.ts";
import { MaskError } from "../errors.ts";
import { MaskOutput } from "../output.ts";
import {
  type CopyDialect,
  type CopyReader,
  carriageReturn,
  isBytes,
  isEndMarker,
  newline,
  singleByte,
  wrongColumns,
} from "./dialect.ts";

/** Reads CSV. Throws MaskError for options that PostgreSQL would not take. */
export function csvReader(dialect: CopyDialect): CopyReader {
  const delimiter = singleByte(dialect.delimiter ?? ",", "delimiter");
  const quote = singleByte(dialect.quote ?? '"', "quote");
  const escapeByte = singleByte(dialect.escape ?? dialect.quote ?? '"', "escape");
  if (quote === delimiter) throw new MaskError("MASK_PLAN", "the delimiter of COPY is its quote");
  const nullText = Buffer.from(dialect.null ?? "");
  const { forceQuote } = dialect;
  let inQuotes = false;
  // The last byte was an escape that may belong to the next one.
  let escaped = false;
  let value = Buffer.alloc(256);
  const masked = new MaskOutput();

  /** Takes one byte of a row; the state is that behind it. */
  function step(c: number): void {
    if (!inQuotes) {
      if (c === quote) inQuotes = true;
      return;
    }
    if (escaped) {
      escaped = false;
      if (c === quote || c === escapeByte) return;
    }
    if (escapeByte !== quote && c === escapeByte) escaped = true;
    else if (c === quote) inQuotes = false;
  }

  /** Reads a field with quotes into `value`, as CopyReadAttributesCSV does; gives its size. */
  function unquote(b: Buffer, at: number, end: number): number {
    if (value.length < end - at) value = Buffer.alloc((end - at) * 2);
    let size = 0;
    let quoted = false;
    for (let i = at; i < end; i++) {
      const c = b[i] as number;
      if (!quoted) {
        if (c === quote) quoted = true;
        else value[size++] = c;
        continue;
      }
      const next = i + 1 < end ? b[i + 1] : -1;
      if (c === escapeByte && (next === escapeByte || next === quote)) {
        value[size++] = b[++i] as number;
      } else if (c === quote) quoted = false;
      else value[size++] = c;
    }
    return size;
  }

  function write(text: Buffer, column: number, width: number, out: MaskOutput): void {
    let quoted =
      forceQuote === "all" ||
      forceQuote?.[column] === true ||
      isBytes(text, 0, text.length, nullText) ||
      (width === 1 && isEndMarker(text, 0, text.length));
    for (const c of text)
      if (c === delimiter || c === quote || c === newline || c === carriageReturn) quoted = true;
    if (!quoted) {
      out.copy(text, 0, text.length);
      return;
    }
    out.byte(quote);
    for (const c of text) {
      if (c === quote || c === escapeByte) out.byte(escapeByte);
      out.byte(c);
    }
    out.byte(quote);
  }

  return {
    get mayEnd() {
      return !inQuotes;
    },
    rowEnd(b, at, end) {
      for (let i = at; i < end; i++) {
        const c = b[i] as number;
        if (c === newline && !inQuotes) return i + 1;
        step(c);
      }
      return -1;
    },
    mask(b, at, end, cells, out, count) {
      const width = cells.length;
      if (width === 0 && at === end) return;
      if (width === 1 && isEndMarker(b, at, end))
        throw new MaskError("MASK_MALFORMED", "the server sent an end of data");
      inQuotes = false;
      escaped = false;
      let copied = at;
      let start = at;
      let column = 0;
      let hasQuotes = false;
      for (let i = at; i <= end; i++) {
        if (i < end && (inQuotes || b[i] !== delimiter)) {
          step(b[i] as number);
          if (inQuotes) hasQuotes = true;
          continue;
        }
        if (column >= width) throw wrongColumns();
        const cell = cells[column] ?? null;
        if (cell !== null && (hasQuotes || !isBytes(b, start, i, nullText))) {
          const size = hasQuotes ? unquote(b, start, i) : -1;
          masked.truncate(0);
          const given = size < 0 ? cell(b, start, i, masked) : cell(value, 0, size, masked);
          if (given !== passes) {
            out.copy(b, copied, start);
            copied = i;
            if (given < 0) out.copy(nullText, 0, nullText.length);
            else write(masked.take(), column, width, out);
            count(column);
          }
        }
        column++;
        start = i + 1;
        hasQuotes = false;
      }
      if (column !== width) throw wrongColumns();
      out.copy(b, copied, end);
    },
  };
}
