/** Whether a copy of a result is what was delivered. */
import { createHash } from "node:crypto";
import { decodeRows, encodeRow, type Row } from "../capture/read.ts";
import { type Cell, type Copy, type CopyColumn, type CopyFormat, readCsv, readJsonLines } from "./files.ts";

/** What the record has of a delivered result. */
export interface DeliveredResult {
  /** null: the result of a COPY, which has no columns. */
  readonly columns: readonly CopyColumn[] | null;
  readonly rows: number;
  readonly bytes: number;
  /** false: the client did not get all of it; what it got is what counts. */
  readonly complete: boolean;
  /** Base64 SHA-256 over messages and salt; null: no digest was recorded. */
  readonly digest: string | null;
  /** 18 bytes; null: sealed and not opened. */
  readonly salt: Buffer | null;
  /** All delivered rows, captured: DataRow messages; null: not captured, or not whole. */
  readonly captured: Buffer | null;
  /** The client may have asked for values in binary form. */
  readonly mayBeBinary: boolean;
}

export interface Match {
  readonly verdict: "match" | "mismatch" | "cannot tell";
  readonly why: string;
}

const no = (why: string): Match => ({ verdict: "mismatch", why });
const unknown = (why: string): Match => ({ verdict: "cannot tell", why });

/** Never throws for what a file holds. */
export function matchCopy(file: Buffer, format: CopyFormat, result: DeliveredResult): Match {
  if (format === "raw") return matchBytes(file, result, "the file's messages");
  if (format === "copy") return matchBytes(copyMessages(file), result, "the file's lines");
  if (result.columns === null)
    return unknown("the result is that of a COPY: give its output as it is (--format copy)");
  const { columns } = result;
  const names = columns.map(({ name }) => name);
  if (format === "jsonl" && new Set(names).size !== names.length)
    return unknown("two columns have the same name, which JSON objects cannot hold");
  const copy = format === "csv" ? readCsv(file, names) : readJsonLines(file, columns);
  if (copy === null) return no(`the file is not ${format === "csv" ? "CSV" : "JSON lines"}`);
  if (copy.names !== null && !same(copy.names, names))
    return no(`its columns are ${copy.names.join(", ")}; delivered were ${names.join(", ")}`);
  if (copy.rows.length !== result.rows)
    return no(`it has ${copy.rows.length} rows; delivered were ${result.rows}`);
  const odd = copy.rows.findIndex((row) => row.length !== columns.length);
  if (odd >= 0)
    return no(`its row ${odd + 1} does not have the ${columns.length} columns that were delivered`);
  if (result.captured !== null) return matchRows(copy, columns, result.captured);
  return matchDigest(copy, result);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}

/** The server sends COPY's lines as one message each. */
function copyMessages(file: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const found = file.indexOf(0x0a, at);
    const end = found < 0 ? file.length : found + 1;
    const head = Buffer.alloc(5);
    head[0] = 0x64;
    head.writeUInt32BE(4 + end - at, 1);
    parts.push(head, file.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
}

function digestOf(parts: readonly Buffer[], salt: Buffer): string {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part);
  return sum.update(salt).digest("base64");
}

function matchBytes(messages: Buffer, result: DeliveredResult, what: string): Match {
  if (messages.length !== result.bytes)
    return no(`${what} have ${messages.length} bytes; delivered were ${result.bytes}`);
  if (result.digest !== null && result.salt !== null)
    return digestOf([messages], result.salt) === result.digest
      ? { verdict: "match", why: `${what} have the digest on the record` }
      : no(`${what} do not have the digest on the record`);
  if (result.captured !== null)
    return result.captured.equals(messages)
      ? { verdict: "match", why: `${what} are those captured` }
      : no(`${what} are not those captured`);
  return unknown(noSalt(result));
}

function noSalt(result: DeliveredResult): string {
  return result.digest === null
    ? "no digest of this result was recorded"
    : "the salt of the digest is sealed, and its key is not here or was destroyed";
}

/** Types whose binary form is their text. */
const textual = /^(text|varchar|bpchar|name|char|json|xml|unknown|citext)$/;

function matchRows(copy: Copy, columns: readonly CopyColumn[], captured: Buffer): Match {
  const rows = decodeRows(captured);
  if (rows === null || rows.length !== copy.rows.length) return unknown("the captured rows cannot be read");
  const binary = columns.findIndex(
    ({ type }, c) => !textual.test(type) && rows.some((row) => !isPlain(row[c] ?? null)),
  );
  if (binary >= 0)
    return unknown(`the column ${columns[binary]?.name} was delivered in binary form: give the raw messages`);
  let ambiguous: string | null = null;
  let unsure: string | null = null;
  for (const [r, cells] of copy.rows.entries())
    for (const [c, cell] of cells.entries()) {
      const delivered = rows[r]?.[c] ?? null;
      const where = `row ${r + 1}, column ${columns[c]?.name}`;
      const equal = cell.values.some((value) => equals(value, delivered));
      if (!equal && !cell.unsure) return no(`${where} differs`);
      if (!equal) unsure ??= where;
      else if (cell.ambiguous) ambiguous ??= where;
    }
  return say(ambiguous, unsure);
}

function say(ambiguous: string | null, unsure: string | null): Match {
  if (unsure !== null)
    return unknown(
      `${unsure} is written in a form that need not be the server's; the rest is what was delivered`,
    );
  if (ambiguous !== null)
    return unknown(`${ambiguous} is empty, and CSV cannot tell NULL from ''; the rest is what was delivered`);
  return { verdict: "match", why: "every value is what was delivered" };
}

/** Whether a value in binary form would look so: text of these types has no other characters. */
function isPlain(value: Buffer | null): boolean {
  return value === null || value.every((byte) => byte >= 0x20 && byte !== 0x7f);
}

function equals(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

/** Ways of reading the cells that are tried, and bytes that are hashed for it. */
const maxWays = 4096;
const maxHashed = 256 * 1024 * 1024;

function matchDigest(copy: Copy, result: DeliveredResult): Match {
  const { digest, salt } = result;
  if (digest === null || salt === null) return unknown(noSalt(result));
  const cells = copy.rows.flat();
  if (cells.some((cell) => cell.values.length === 0))
    return unknown("it holds objects or lists, whose text as delivered is lost, and no rows were captured");
  const open = cells.filter((cell) => cell.values.length > 1);
  const ways = open.reduce((product, cell) => product * cell.values.length, 1);
  const at = open.findIndex((cell) => cell.ambiguous) >= 0 ? whereAmbiguous(copy, result) : null;
  if (ways > maxWays || ways * result.bytes > maxHashed)
    return unknown(
      `${open.length} cells can be read in several ways (CSV cannot tell NULL from ''), and no rows were captured`,
    );
  for (let way = 0; way < ways; way++) {
    const rows = read(copy.rows, way);
    if (digestOf(rows.map(encodeRow), salt) === digest) return say(at, null);
  }
  if (cells.some((cell) => cell.unsure))
    return unknown("values are written in a form that need not be the server's, and no rows were captured");
  if (result.mayBeBinary && (result.columns ?? []).some(({ type }) => !textual.test(type)))
    return unknown("the values may have been delivered in binary form, and no rows were captured");
  return no("its values do not have the digest on the record");
}

function whereAmbiguous(copy: Copy, { columns }: DeliveredResult): string | null {
  for (const [r, cells] of copy.rows.entries())
    for (const [c, cell] of cells.entries())
      if (cell.ambiguous) return `row ${r + 1}, column ${columns?.[c]?.name}`;
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
