/** COPY's text format: fields between delimiters, special characters behind a backslash. */
import { passes } from "../cell.ts";
import { MaskError } from "../errors.ts";
import type { MaskOutput } from "../output.ts";
import {
  backslash,
  type CopyDialect,
  type CopyReader,
  isBytes,
  isEndMarker,
  newline,
  singleByte,
  wrongColumns,
} from "./dialect.ts";
import { type MaskValue, PlainFields } from "./fields.ts";

/** Letters behind a backslash, and what they mean. */
const letters = new Map<number, number>(
  Object.entries({ b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 }).map(([letter, code]) => [
    letter.charCodeAt(0),
    code,
  ]),
);
const letterOf = new Map(Array.from(letters, ([letter, code]) => [code, letter]));

/** Reads text format. Throws MaskError for options that PostgreSQL would not take. */
export function textReader(dialect: CopyDialect): CopyReader {
  const delimiter = singleByte(dialect.delimiter ?? "\t", "delimiter");
  const nullText = Buffer.from(dialect.null ?? "\\N");
  const special = new Uint8Array(256);
  for (const code of [...letterOf.keys(), backslash, delimiter]) special[code] = 1;
  // The last byte was a backslash that has not been used up.
  let escaped = false;
  let value = Buffer.alloc(256);
  const fields = new PlainFields(delimiter, backslash);

  /** Reads a field with backslashes into `value`; gives its size. */
  function readEscaped(b: Buffer, at: number, end: number): number {
    if (value.length < end - at) value = Buffer.alloc(end - at);
    let size = 0;
    for (let i = at; i < end; i++) {
      const c = b[i] as number;
      if (c !== backslash || i + 1 >= end) {
        value[size++] = c;
        continue;
      }
      const code = b[++i] as number;
      if (code >= 0x30 && code <= 0x37) {
        let octal = code - 0x30;
        for (let n = 0; n < 2 && i + 1 < end && ((b[i + 1] as number) & 0xf8) === 0x30; n++)
          octal = octal * 8 + (b[++i] as number) - 0x30;
        value[size++] = octal;
      } else if (code === 0x78 && i + 1 < end && hexOf(b[i + 1] as number) >= 0) {
        let hex = hexOf(b[++i] as number);
        if (i + 1 < end && hexOf(b[i + 1] as number) >= 0) hex = hex * 16 + hexOf(b[++i] as number);
        value[size++] = hex;
      } else value[size++] = letters.get(code) ?? code;
    }
    return size;
  }

  /** Writes backslashes into the last `size` bytes of `out` where they are needed. */
  function escapeLast(size: number, out: MaskOutput): void {
    const { buffer, at } = out;
    let i = at - size;
    while (i < at && special[buffer[i] as number] === 0) i++;
    if (i === at) return;
    const text = Buffer.from(buffer.subarray(i, at));
    out.truncate(out.length - text.length);
    for (const c of text) {
      if (special[c] === 1) {
        out.byte(backslash);
        out.byte(letterOf.get(c) ?? c);
      } else out.byte(c);
    }
  }

  const maskValue: MaskValue = (cell, source, from, to, out) => {
    const given = cell(source, from, to, out);
    if (given === passes) return false;
    if (given < 0) out.copy(nullText, 0, nullText.length);
    else escapeLast(given, out);
    return true;
  };

  return {
    get mayEnd() {
      return !escaped;
    },
    keep: (source) => fields.keep(source),
    collect(b, at, end, collectors, ahead) {
      fields.collect(b, at, end, collectors, nullText, ahead);
    },
    rowEnd(b, at, end) {
      let from = at;
      if (escaped) fields.forget();
      else {
        from = fields.scan(b, at, end);
        if (b[from] === newline && from < end) return from + 1;
      }
      for (let i = from; i < end; i++) {
        const c = b[i];
        if (escaped) escaped = false;
        else if (c === backslash) escaped = true;
        else if (c === newline) return i + 1;
      }
      return -1;
    },
    mask(b, at, end, cells, out, count) {
      const width = cells.length;
      if (isEndMarker(b, at, end)) throw new MaskError("MASK_MALFORMED", "the server sent an end of data");
      if (width === 0 && at === end) return;
      if (fields.holds(b, at, end)) {
        fields.mask(b, at, end, cells, nullText, out, maskValue, count);
        return;
      }
      let copied = at;
      let start = at;
      let column = 0;
      let hasBackslash = false;
      for (let i = at; ; i++) {
        const c = i < end ? (b[i] as number) : delimiter;
        if (i < end && c === backslash) {
          hasBackslash = true;
          i++;
          continue;
        }
        if (c !== delimiter && i < end) continue;
        const to = Math.min(i, end);
        if (column >= width) throw wrongColumns();
        const cell = cells[column] ?? null;
        if (cell !== null && !isBytes(b, start, to, nullText)) {
          const size = hasBackslash ? readEscaped(b, start, to) : -1;
          out.copy(b, copied, start);
          copied = start;
          const [source, from, until] = size < 0 ? [b, start, to] : [value, 0, size];
          if (maskValue(cell, source, from, until, out, column, width)) {
            copied = to;
            count(column);
          }
        }
        column++;
        start = to + 1;
        hasBackslash = false;
        if (i >= end) break;
      }
      if (column !== width) throw wrongColumns();
      out.copy(b, copied, end);
    },
  };
}

function hexOf(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
