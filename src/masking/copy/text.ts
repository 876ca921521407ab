/** COPY's text format: fields between delimiters, special characters behind a backslash. */
import { passes } from "../cell.ts";
import { MaskError } from "../errors.ts";
import { MaskOutput } from "../output.ts";
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
  const masked = new MaskOutput();

  /** Reads a field with backslashes into `value`; gives its size. */
  function readEscaped(b: Buffer, at: number, end: number): number {
    if (value.length < end - at) value = Buffer.alloc((end - at) * 2);
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

  /** Writes a masked value with backslashes where they are needed. */
  function writeEscaped(text: Buffer, out: MaskOutput): void {
    for (const c of text) {
      if (special[c] === 1) {
        out.byte(backslash);
        out.byte(letterOf.get(c) ?? c);
      } else out.byte(c);
    }
  }

  return {
    get mayEnd() {
      return !escaped;
    },
    rowEnd(b, at, end) {
      for (let i = at; i < end; i++) {
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
          masked.truncate(0);
          const given = size < 0 ? cell(b, start, to, masked) : cell(value, 0, size, masked);
          if (given !== passes) {
            out.copy(b, copied, start);
            copied = to;
            if (given < 0) out.copy(nullText, 0, nullText.length);
            else writeEscaped(masked.take(), out);
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
