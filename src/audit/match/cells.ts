/** The rows of a copy against what was delivered: value by value where rows were captured, else by their digest. */
import { decodeRows, encodeRow, type Row } from "../capture/read.ts";
import type { Cell, Copy, CopyColumn, CopyStyle } from "./files.ts";
import {
  binaryNumber,
  binaryOf,
  isOtherNumber,
  kindOf,
  mayBeBinary,
  sameInBoth,
  textNumber,
} from "./kinds.ts";
import {
  type DeliveredResult,
  digestOf,
  type Match,
  namesOf,
  no,
  noSalt,
  same,
  unknown,
  yes,
} from "./verdict.ts";

/** One reading of a copy. */
export function matchCells(copy: Copy, result: DeliveredResult, style: CopyStyle): Match {
  const names = namesOf(result);
  if (copy.names !== null && names !== null && !same(copy.names, names))
    return no(`its columns are ${copy.names.join(", ")}; delivered were ${names.join(", ")}`);
  if (
    copy.rows.length > result.rows &&
    result.suspended &&
    possible(inFormats(copy.rows, result.columns ?? [], result.formats))
  )
    return unknown(
      `the client asked for the rows in parts: this message brought ${result.rows}, the copy has ${copy.rows.length}`,
    );
  if (copy.rows.length !== result.rows)
    return no(`it has ${copy.rows.length} rows; delivered were ${result.rows}`);
  const width = names?.length ?? copy.rows[0]?.length ?? 0;
  const odd = copy.rows.findIndex((row) => row.length !== width);
  if (odd >= 0) return no(`its row ${odd + 1} does not have the ${width} columns that were delivered`);
  const columns = result.columns ?? Array.from({ length: width }, (_, i) => ({ name: `${i + 1}`, type: "" }));
  const rows = inFormats(copy.rows, columns, result.formats);
  if (result.captured !== null) return matchRows(rows, columns, result, result.captured, style);
  return matchDigest(rows, columns, result, style);
}

/** Every value is one that its column's type has. */
function possible(rows: readonly (readonly Cell[])[]): boolean {
  return rows.every((row) => row.every((cell) => cell.values.length > 0 || cell.unsure));
}

/** The cells as they were sent: what was asked for in binary form is put into that. */
function inFormats(
  rows: readonly (readonly Cell[])[],
  columns: readonly CopyColumn[],
  formats: readonly number[] | null,
): readonly (readonly Cell[])[] {
  return rows.map((row) =>
    row.map((cell, c) => (isBinary(formats, c) ? inBinary : inText)(cell, columns[c]?.type ?? "")),
  );
}

function isBinary(formats: readonly number[] | null, column: number): boolean {
  return (formats?.length === 1 ? formats[0] : formats?.[column]) === 1;
}

/** Without what no value of this type looks like. */
function inText(cell: Cell, type: string): Cell {
  const values = cell.values.filter((value) => value === null || binaryOf(type, value) !== null);
  if (values.length === cell.values.length) return cell;
  return { values, ambiguous: cell.ambiguous && values.length > 1, unsure: cell.unsure };
}

function inBinary(cell: Cell, type: string): Cell {
  const values: (Buffer | null)[] = [];
  let unsure = cell.unsure || kindOf(type) === "number";
  for (const value of cell.values) {
    const sent = value === null ? null : binaryOf(type, value);
    if (sent === undefined) unsure = true;
    else if (value === null || sent !== null) values.push(sent);
  }
  return { values, ambiguous: cell.ambiguous && values.length > 1, unsure };
}

/** The first column of which nothing tells whether it was delivered in binary form. */
function unclear(
  columns: readonly CopyColumn[],
  rows: readonly Row[],
  { formats, mayBeBinary: may }: DeliveredResult,
): string | null {
  if (formats !== null || !may) return null;
  for (const [c, { name, type }] of columns.entries()) {
    const values = rows.flatMap((row) => row[c] ?? []);
    if (values.length > 0 && values.every((value) => mayBeBinary(type, value))) return name;
  }
  return null;
}

function matchRows(
  cells: readonly (readonly Cell[])[],
  columns: readonly CopyColumn[],
  result: DeliveredResult,
  captured: Buffer,
  style: CopyStyle,
): Match {
  const rows = decodeRows(captured);
  if (rows === null || rows.length !== cells.length) return unknown("the captured rows cannot be read");
  const open = unclear(columns, rows, result);
  if (open !== null)
    return unknown(`the column ${open} may have been delivered in binary form: give the raw messages`);
  let ambiguous: string | null = null;
  let unsure: string | null = null;
  for (const [r, row] of cells.entries())
    for (const [c, cell] of row.entries()) {
      const delivered = rows[r]?.[c] ?? null;
      const where = `row ${r + 1}, column ${columns[c]?.name}`;
      const equal = cell.values.some((value) => equals(value, delivered));
      const read = isBinary(result.formats, c) ? binaryNumber : textNumber;
      if (!equal && (!cell.unsure || isOther(columns[c]?.type ?? "", cell, delivered, read)))
        return no(`${where} differs${delivered === null ? ": delivered was NULL" : ""}`);
      if (!equal) unsure ??= where;
      else if (cell.ambiguous) ambiguous ??= where;
    }
  return say(ambiguous, unsure, style);
}

/** Written in another form or not, it is another value. */
function isOther(
  type: string,
  { values }: Cell,
  delivered: Buffer | null,
  read: (type: string, value: Buffer) => number | null,
): boolean {
  if (delivered === null) return true;
  const [value] = values;
  if (kindOf(type) !== "number" || value == null) return false;
  return isOtherNumber(read(type, delivered), read(type, value));
}

function say(ambiguous: string | null, unsure: string | null, style: CopyStyle): Match {
  if (unsure !== null)
    return unknown(
      `${unsure} is written in a form that need not be the server's; the rest is what was delivered`,
    );
  if (ambiguous !== null)
    return unknown(
      style.null === ""
        ? `${ambiguous} is empty, and the file cannot tell NULL from ''; the rest is what was delivered`
        : `${ambiguous} may be NULL or that text, which the file cannot tell; the rest is what was delivered`,
    );
  return yes("every value is what was delivered");
}

function equals(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

/** Ways of reading the cells that are tried, and bytes that are hashed for it. */
const maxWays = 4096;
const maxHashed = 256 * 1024 * 1024;

function matchDigest(
  rows: readonly (readonly Cell[])[],
  columns: readonly CopyColumn[],
  result: DeliveredResult,
  style: CopyStyle,
): Match {
  const { digest, salt, bytes } = result;
  const cells = rows.flat();
  if (!possible(rows)) return no("it holds values that are not of their columns' types");
  if (digest === null || salt === null) return unknown(noSalt(result));
  if (cells.some((cell) => cell.values.length === 0))
    return unknown("it holds values whose text as delivered is lost, and no rows were captured");
  const open = cells.filter((cell) => cell.values.length > 1);
  const ways = open.reduce((product, cell) => product * cell.values.length, 1);
  const at = open.some((cell) => cell.ambiguous) ? whereAmbiguous(rows, columns) : null;
  if (ways > maxWays || (ways > 1 && ways * bytes > maxHashed))
    return unknown(`${open.length} cells can be read in several ways, and no rows were captured`);
  for (let way = 0; way < ways; way++) {
    const sent = read(rows, way);
    if (digestOf(sent.map(encodeRow), salt) !== digest) continue;
    const name = unclear(columns, sent, result);
    return name === null
      ? say(at, null, style)
      : unknown(`the column ${name} may have been delivered in binary form, and no rows were captured`);
  }
  if (cells.some((cell) => cell.unsure))
    return unknown("values are written in a form that need not be the server's, and no rows were captured");
  if (result.formats === null && result.mayBeBinary && columns.some(({ type }) => !sameInBoth(type)))
    return unknown("the values may have been delivered in binary form, and no rows were captured");
  return no("its values do not have the digest on the record");
}

function whereAmbiguous(rows: readonly (readonly Cell[])[], columns: readonly CopyColumn[]): string | null {
  for (const [r, row] of rows.entries())
    for (const [c, cell] of row.entries())
      if (cell.ambiguous) return `row ${r + 1}, column ${columns[c]?.name}`;
  return null;
}

/** The rows in the given of all possible readings. */
function read(rows: readonly (readonly Cell[])[], way: number): Row[] {
  let rest = way;
  return rows.map((cells) =>
    cells.map((cell) => {
      const { length } = cell.values;
      const value = cell.values[rest % length] ?? null;
      if (length > 1) rest = Math.floor(rest / length);
      return value;
    }),
  );
}
