/** Copies of a result as people keep them, read into rows of possible values. */

/** What a cell of a copy may stand for, as the server would have sent it in text form. */
export interface Cell {
  readonly values: readonly (Buffer | null)[];
  /** The copy cannot say which of them it is: NULL or ''. */
  readonly ambiguous: boolean;
  /** The copy writes such values in a form of its own, which need not be the server's. */
  readonly unsure: boolean;
}

/** One way of reading a copy. */
export interface Copy {
  readonly rows: readonly (readonly Cell[])[];
  /** Column names, where the copy has them. */
  readonly names: readonly string[] | null;
}

export interface CopyColumn {
  readonly name: string;
  readonly type: string;
}

export type CopyFormat = "csv" | "unaligned" | "jsonl" | "raw" | "copy";

/** How psql was told to write (`\pset null`, `csv_fieldsep`, `fieldsep`). */
export interface CopyStyle {
  /** What stands for NULL; "" is psql's own way. */
  readonly null: string;
  /** What stands between two values; null: as psql does by itself. */
  readonly separator: string | null;
}

export const plainStyle: CopyStyle = { null: "", separator: null };

/** What the file seems to be. `isCopy`: the result was that of a COPY. */
export function guessFormat(file: Buffer, isCopy: boolean): CopyFormat {
  if ((file[0] === 0x44 || file[0] === 0x64) && file.length >= 5 && file.readUInt32BE(1) < file.length)
    return "raw";
  if (isCopy) return "copy";
  return /^(?:\u00ef\u00bb\u00bf)?\s*[{[]/.test(file.toString("latin1", 0, 64)) ? "jsonl" : "csv";
}

/** Without the mark that some programs put before UTF-8. */
export function withoutMark(file: Buffer): Buffer {
  return file[0] === 0xef && file[1] === 0xbb && file[2] === 0xbf ? file.subarray(3) : file;
}

/** Windows' shells write what a program prints as UTF-16. */
export function isUtf16(file: Buffer): boolean {
  return (file[0] === 0xff && file[1] === 0xfe) || (file[0] === 0xfe && file[1] === 0xff);
}

export function certain(value: Buffer | null): Cell {
  return { values: [value], ambiguous: false, unsure: false };
}

/** A cell without quotes: what stands for NULL may be that text as well. `text`: bytes one to one. */
function bare(text: string, nullText: string): Cell {
  const value = Buffer.from(text, "latin1");
  return text === nullText ? { values: [null, value], ambiguous: true, unsure: false } : certain(value);
}

const latin1 = (text: string) => Buffer.from(text, "utf8").toString("latin1");

/** psql's CSV, and that of COPY: RFC 4180. Gives its lines, the header's among them. null: no CSV. */
export function readCsv(file: Buffer, style: CopyStyle = plainStyle): (readonly Cell[])[] | null {
  // Bytes one to one: values are compared as bytes.
  const text = file.toString("latin1");
  const comma = latin1(style.separator ?? ",");
  const nullText = latin1(style.null);
  const rows: Cell[][] = [];
  let row: Cell[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === '"') {
      let value = "";
      for (at++; ; at++) {
        const end = text.indexOf('"', at);
        if (end < 0) return null;
        value += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        value += '"';
      }
      // psql quotes what stands for NULL, too, where it needs quotes.
      row.push(nullText === "" ? certain(Buffer.from(value, "latin1")) : bare(value, nullText));
    } else {
      const line = text.indexOf("\n", at);
      const rest = text.slice(at, line < 0 ? text.length : line);
      const length = rest.indexOf(comma);
      let value = length < 0 ? rest : rest.slice(0, length);
      at += value.length;
      if (!text.startsWith(comma, at) && value.endsWith("\r")) value = value.slice(0, -1);
      row.push(bare(value, nullText));
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    if (at >= text.length || text[at] === "\n") {
      rows.push(row);
      row = [];
      at++;
    } else if (text.startsWith(comma, at)) {
      at += comma.length;
      // A comma at the very end: one more empty value.
      if (at >= text.length) {
        row.push(bare("", nullText));
        rows.push(row);
      }
    } else return null;
  }
  return rows;
}

/** Lines with the header or without: what has the names may be a row of these. */
export function headedOrNot(
  lines: readonly (readonly Cell[])[],
  names: readonly string[] | null,
): readonly Copy[] {
  const whole = { rows: lines, names: null };
  const first = lines[0];
  if (first === undefined) return [whole];
  const is = (cell: Cell, i: number) => cell.values.some((v) => v?.toString("utf8") === names?.[i]);
  if (names !== null && (first.length !== names.length || !first.every(is))) return [whole];
  const header = first.map(({ values }) => values.at(-1)?.toString("utf8") ?? "");
  return [{ rows: lines.slice(1), names: names ?? header }, whole];
}

/**
 * psql's unaligned output (`-A`, with or without `-t`): nothing is quoted. `rows`: how many were delivered. null: it cannot be told
 * where its values end. `sure`: it can be read in no other way.
 */
export function readUnaligned(
  file: Buffer,
  names: readonly string[],
  rows: number,
  style: CopyStyle,
): readonly (Copy & { readonly sure: boolean })[] | null {
  const separator = latin1(style.separator ?? "|");
  const nullText = latin1(style.null);
  const lines = linesOf(file).map((line) => line.toString("latin1"));
  const header = names.map(latin1).join(separator);
  const copies: (Copy & { readonly sure: boolean })[] = [];
  const headed = lines[0] === header;
  const footed = headed && lines.length > 1 && lines.at(-1) === footerOf(rows);
  for (const [from, to] of [...(footed ? [[1, -1]] : []), ...(headed ? [[1]] : []), [0]]) {
    const body = lines.slice(from, to);
    const cells = body.map((line) => (names.length === 1 ? [line] : line.split(separator)));
    // With names and count around it there is no doubt where it begins and ends.
    const sure = to !== undefined || (from === 0 && body.length === rows);
    if (body.length === rows && cells.every((row) => row.length === names.length))
      copies.push({ rows: cells.map((row) => row.map((v) => bare(v, nullText))), names: null, sure });
  }
  return copies.length > 0 ? copies : null;
}

export function footerOf(rows: number): string {
  return rows === 1 ? "(1 row)" : `(${rows} rows)`;
}

/** Lines without their ends; the last one may lack it. */
export function linesOf(file: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const found = file.indexOf(0x0a, at);
    const end = found < 0 ? file.length : found;
    lines.push(file.subarray(at, end));
    at = end + 1;
  }
  return lines;
}
