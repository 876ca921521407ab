/** Whether a copy of a result is what was delivered. */
import { constants } from "node:buffer";
import { decodeCopy, decodeRows, type Row } from "../capture/read.ts";
import { matchCells } from "./cells.ts";
import { copyMessages } from "./copyout.ts";
import {
  type Cell,
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

export type { DeliveredResult, Match } from "./verdict.ts";

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
  if (file.length > constants.MAX_STRING_LENGTH)
    return unknown(`the file is larger than ${constants.MAX_STRING_LENGTH} bytes: give the raw messages`);
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
