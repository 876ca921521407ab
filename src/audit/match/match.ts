/** Whether a copy of a result is what was delivered. */
import { createHash } from "node:crypto";
import { decodeCopy, decodeRows, encodeRow, type Row } from "../capture/read.ts";
import { copyMessages } from "./copyout.ts";
import {
  type Cell,
  type Copy,
  type CopyColumn,
  type CopyFormat,
  type CopyStyle,
  footerOf,
  guessFormat,
  headedOrNot,
  isUtf16,
  linesOf,
  plainStyle,
  readCsv,
  readUnaligned,
  withoutMark,
} from "./files.ts";
import { readJsonLines } from "./json.ts";
import { binaryOf, kindOf, mayBeBinary, otherNumber, sameInBoth } from "./kinds.ts";

/** What the record has of a delivered result. */
export interface DeliveredResult {
  /** It is what COPY TO STDOUT gave, which has no columns. */
  readonly copy: boolean;
  /** null: the record does not name them: of a COPY, or of rows that the client did not have described. */
  readonly columns: readonly CopyColumn[] | null;
  /** Formats of the values as in Bind: none: all text; one: that of all; else of each column. null: not on the record. */
  readonly formats: readonly number[] | null;
  readonly rows: number;
  readonly bytes: number;
  /** false: the client did not get all of it; what it got is what counts. */
  readonly complete: boolean;
  /** The client asked for some rows of a portal: the rest came, or could have come, with later messages. */
  readonly suspended: boolean;
  /** Base64 SHA-256 over messages and salt; null: no digest was recorded. */
  readonly digest: string | null;
  /** 18 bytes; null: sealed and not opened. */
  readonly salt: Buffer | null;
  /** All delivered rows, captured: DataRow messages; null: not captured, or not whole. */
  readonly captured: Buffer | null;
  /** The client may have asked for values in binary form; only looked at where `formats` is null. */
  readonly mayBeBinary: boolean;
}

export interface Match {
  readonly verdict: "match" | "mismatch" | "cannot tell";
  readonly why: string;
}

const no = (why: string): Match => ({ verdict: "mismatch", why });
const unknown = (why: string): Match => ({ verdict: "cannot tell", why });
const yes = (why: string): Match => ({ verdict: "match", why });

/** `format`: null: what the file looks like. Never throws for what a file holds. */
export function matchCopy(
  file: Buffer,
  format: CopyFormat | null,
  result: DeliveredResult,
  style: CopyStyle = plainStyle,
): Match {
  const as = format ?? guessFormat(file, result.copy);
  if (as === "raw") return matchBytes([file], true, result, "the file's messages");
  if (as === "copy") {
    if (!result.copy) return unknown("the result is not that of a COPY");
    return matchCopyOut(file, result);
  }
  if (result.copy) return unknown("the result is that of a COPY: give its output as it is (--format copy)");
  if (isUtf16(file)) return unknown("the file is UTF-16: convert it to UTF-8");
  const bare = withoutMark(file);
  const texts = bare.length === file.length ? [file] : [bare, file];
  if (format === null) return matchGuessed(texts, result, style);
  if (as === "jsonl") return matchJson(file, result);
  const matchOne = as === "csv" ? matchCsv : matchUnaligned;
  return best(texts.map((text) => matchOne(text, result, style)));
}

/** Nobody said what form it has. What fits in any is a match; what fits in none is a mismatch only where its form is plain. */
function matchGuessed(texts: readonly Buffer[], result: DeliveredResult, style: CopyStyle): Match {
  const [text = Buffer.alloc(0)] = texts;
  const names = namesOf(result);
  const tries: Match[] = [];
  const json = guessFormat(text, false) === "jsonl" ? readJsonLines(text, result.columns) : [];
  if (json.length > 0) tries.push(matchJson(text, result));
  tries.push(best(texts.map((one) => matchCsv(one, result, style))));
  const bare = best(texts.map((one) => matchUnaligned(one, result, style)));
  tries.push(bare);
  const found = tries.find(({ verdict }) => verdict === "match");
  if (found !== undefined) return found;
  if (json.some((copy) => copy.names !== null && names !== null && same(copy.names, names)))
    return matchJson(text, result);
  const lines = linesOf(text);
  if (/^-+(?:\+-+)*$/.test(lines[1]?.toString("latin1") ?? ""))
    return unknown("the file is a table for people: make the copy with psql --csv");
  if (lines.length > 1 && lines.at(-1)?.toString("latin1") === footerOf(result.rows)) return bare;
  const csv = readCsv(text, style);
  if (csv !== null && (headedOrNot(csv, names).length > 1 || isTable(csv, names)))
    return best(texts.map((one) => matchCsv(one, result, style)));
  if (tries.every(({ verdict }) => verdict === "mismatch")) return tries[0] ?? bare;
  return unknown("what form the file has cannot be told: give --format");
}

/** It has the result's columns in each row. */
function isTable(rows: readonly (readonly Cell[])[], names: readonly string[] | null): boolean {
  return (
    names !== null && names.length > 1 && rows.length > 0 && rows.every((row) => row.length === names.length)
  );
}

function namesOf({ columns }: DeliveredResult): readonly string[] | null {
  return columns?.map(({ name }) => name) ?? null;
}

/** The best of several readings of one file; of none worse the first. */
export function best<M extends Match>(found: readonly M[]): M {
  const one =
    found.find((m) => m.verdict === "match") ?? found.find((m) => m.verdict === "cannot tell") ?? found[0];
  if (one === undefined) throw new Error("no reading");
  return one;
}

function matchCsv(file: Buffer, result: DeliveredResult, style: CopyStyle): Match {
  const lines = readCsv(file, style);
  if (lines === null) return no("the file is not CSV");
  const names = namesOf(result);
  if (names?.length === 0)
    return unknown("the result has no columns, and psql's CSV does not tell how many rows there are");
  return best(headedOrNot(lines, names).map((copy) => matchCells(copy, result, style)));
}

function matchJson(file: Buffer, result: DeliveredResult): Match {
  const names = namesOf(result);
  const copies = readJsonLines(file, result.columns);
  if (copies.length === 0) return no("the file is not JSON lines");
  if (names !== null && new Set(names).size !== names.length && copies.some((copy) => copy.names !== null))
    return unknown("two columns have the same name, which JSON objects cannot hold");
  return best(copies.map((copy) => matchCells(copy, result, plainStyle)));
}

function matchUnaligned(file: Buffer, result: DeliveredResult, style: CopyStyle): Match {
  const names = namesOf(result);
  if (names === null || names.length === 0) return unknown("the record does not name the result's columns");
  const copies = readUnaligned(file, names, result.rows, style);
  const read = copies === null ? null : best(copies.map((copy) => matchCells(copy, result, style)));
  if (read !== null && (read.verdict !== "mismatch" || copies?.some((copy) => copy.sure))) return read;
  if (linesOf(file).length < result.rows) return no(`it has less than the ${result.rows} rows delivered`);
  const why = "values hold what stands between values or rows, which this form cannot tell";
  const asText = result.formats === null ? !result.mayBeBinary : result.formats.every((f) => f === 0);
  const rows = result.captured === null || !asText ? null : decodeRows(result.captured);
  if (rows === null) return unknown(why);
  return printsAs(rows, names, style).some((text) => text.equals(file))
    ? unknown(`${why}; all of it is what was delivered`)
    : no("it is not what was delivered");
}

/** What psql prints of rows with -A: with names and count, or without either. */
function printsAs(rows: readonly Row[], names: readonly string[], style: CopyStyle): Buffer[] {
  const separator = Buffer.from(style.separator ?? "|");
  const line = (values: readonly Buffer[]) =>
    Buffer.concat(values.flatMap((v, i) => (i === 0 ? [v] : [separator, v])));
  const nullText = Buffer.from(style.null);
  const body = rows.map((row) => line(row.map((v) => v ?? nullText)));
  const head = line(names.map((name) => Buffer.from(name)));
  const foot = Buffer.from(footerOf(rows.length));
  const end = Buffer.from("\n");
  return [body, [head, ...body], [head, ...body, foot]].flatMap((lines) => {
    const text = Buffer.concat(lines.flatMap((l) => [l, end]));
    return [text, text.subarray(0, -1)];
  });
}

function matchCells(copy: Copy, result: DeliveredResult, style: CopyStyle): Match {
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

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}

/** The cells as they were sent: what was asked for in binary form is put into that. */
function inFormats(
  rows: readonly (readonly Cell[])[],
  columns: readonly CopyColumn[],
  formats: readonly number[] | null,
): readonly (readonly Cell[])[] {
  const binary = (c: number) => (formats?.length === 1 ? formats[0] : formats?.[c]) === 1;
  return rows.map((row) =>
    row.map((cell, c) => (binary(c) ? inBinary : inText)(cell, columns[c]?.type ?? "")),
  );
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

function digestOf(parts: readonly Buffer[], salt: Buffer): string {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part);
  return sum.update(salt).digest("base64");
}

function matchCopyOut(file: Buffer, result: DeliveredResult): Match {
  const what = "the file's lines";
  if (file.length + 5 * result.rows !== result.bytes)
    return no(`${what} have ${file.length} bytes; delivered were ${result.bytes - 5 * result.rows}`);
  if (result.captured !== null) {
    const bodies = decodeCopy(result.captured);
    if (bodies === null) return unknown("the captured lines cannot be read");
    return Buffer.concat(bodies).equals(file)
      ? yes(`${what} are those captured`)
      : no(`${what} are not those captured`);
  }
  const { ways, only } = copyMessages(file, result.rows);
  return matchBytes(ways, only, result, what);
}

/** `ways`: the messages that it may have been; `only`: there are no others. */
function matchBytes(ways: readonly Buffer[], only: boolean, result: DeliveredResult, what: string): Match {
  const [first] = ways;
  if (only && first !== undefined && first.length !== result.bytes)
    return no(`${what} have ${first.length} bytes; delivered were ${result.bytes}`);
  const { digest, salt } = result;
  if (digest !== null && salt !== null) {
    if (ways.some((way) => digestOf([way], salt) === digest))
      return yes(`${what} have the digest on the record`);
    return only
      ? no(`${what} do not have the digest on the record`)
      : unknown(`${what} can be cut into rows in several ways, and no rows were captured`);
  }
  if (result.captured !== null)
    return ways.some((way) => result.captured?.equals(way))
      ? yes(`${what} are those captured`)
      : no(`${what} are not those captured`);
  return unknown(noSalt(result));
}

function noSalt(result: DeliveredResult): string {
  return result.digest === null
    ? "no digest of this result was recorded"
    : "the salt of the digest is sealed, and its key is not here or was destroyed";
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
      if (!equal && (!cell.unsure || isOther(columns[c]?.type ?? "", cell, delivered)))
        return no(`${where} differs${delivered === null ? ": delivered was NULL" : ""}`);
      if (!equal) unsure ??= where;
      else if (cell.ambiguous) ambiguous ??= where;
    }
  return say(ambiguous, unsure, style);
}

/** Written in another form or not, it is another value. */
function isOther(type: string, { values }: Cell, delivered: Buffer | null): boolean {
  if (delivered === null) return true;
  const [value] = values;
  return (
    kindOf(type) === "number" &&
    value != null &&
    otherNumber(delivered.toString("latin1"), value.toString("latin1"))
  );
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
  if (ways > maxWays || ways * bytes > maxHashed)
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
