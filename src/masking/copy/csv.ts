/** COPY's CSV format: fields may stand in quotes, and then hold delimiters, line ends and, behind an escape, quotes. */
import { passes } from "../cell.ts";
import { MaskError } from "../errors.ts";
import type { MaskOutput } from "../output.ts";
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
import { type MaskValue, PlainFields } from "./fields.ts";

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
  const fields = new PlainFields(delimiter, quote);
  /** What must stand in quotes. */
  const special = new Uint8Array(256);
  for (const c of [delimiter, quote, newline, carriageReturn]) special[c] = 1;

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
    if (value.length < end - at) value = Buffer.alloc(end - at);
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

  /** Puts the last `size` bytes of `out` in quotes where they need them. */
  function quoteLast(size: number, column: number, width: number, out: MaskOutput): void {
    const { buffer, at } = out;
    const from = at - size;
    let quoted =
      forceQuote === "all" ||
      forceQuote?.[column] === true ||
      isBytes(buffer, from, at, nullText) ||
      (width === 1 && isEndMarker(buffer, from, at));
    for (let i = from; i < at; i++) if (special[buffer[i] as number] === 1) quoted = true;
    if (!quoted) return;
    const text = Buffer.from(buffer.subarray(from, at));
    out.truncate(out.length - size);
    out.byte(quote);
    for (const c of text) {
      if (c === quote || c === escapeByte) out.byte(escapeByte);
      out.byte(c);
    }
    out.byte(quote);
  }

  const maskValue: MaskValue = (cell, source, from, to, out, column, width) => {
    const given = cell(source, from, to, out);
    if (given === passes) return false;
    if (given < 0) out.copy(nullText, 0, nullText.length);
    else quoteLast(given, column, width, out);
    return true;
  };

  return {
    get mayEnd() {
      return !inQuotes;
    },
    keep: (source) => fields.keep(source),
    collect(b, at, end, collectors, ahead) {
      fields.collect(b, at, end, collectors, nullText, ahead);
    },
    rowEnd(b, at, end) {
      let from = at;
      if (inQuotes) fields.forget();
      else {
        from = fields.scan(b, at, end);
        if (b[from] === newline && from < end) return from + 1;
      }
      for (let i = from; i < end; i++) {
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
      if (fields.holds(b, at, end)) {
        fields.mask(b, at, end, cells, nullText, out, maskValue, count);
        return;
      }
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
          out.copy(b, copied, start);
          copied = start;
          const [source, from, to] = size < 0 ? [b, start, i] : [value, 0, size];
          if (maskValue(cell, source, from, to, out, column, width)) {
            copied = i;
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
