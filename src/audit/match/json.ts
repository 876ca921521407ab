/** Copies of a result as JSON: objects or arrays, one a line, or one list of them. */
import { type Cell, type Copy, type CopyColumn, certain } from "./files.ts";
import { kindOf } from "./kinds.ts";

/** Ways to read the file; none: it is no such JSON. `columns`: null: the record does not name them. */
export function readJsonLines(file: Buffer, columns: readonly CopyColumn[] | null): readonly Copy[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(file);
  } catch {
    return [];
  }
  const copies: Copy[] = [];
  for (const records of [lines(text), list(text)]) {
    const copy = records === null ? null : copyOf(records, columns);
    if (copy !== null) copies.push(copy);
  }
  return copies;
}

function lines(text: string): unknown[] | null {
  try {
    return text
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map(parse);
  } catch {
    return null;
  }
}

function list(text: string): unknown[] | null {
  try {
    const all = parse(text);
    return Array.isArray(all) ? all : null;
  } catch {
    return null;
  }
}

/** null: what is there are no rows. */
function copyOf(records: readonly unknown[], columns: readonly CopyColumn[] | null): Copy | null {
  let names: readonly string[] | null = null;
  const rows: (readonly Cell[])[] = [];
  for (const record of records) {
    if (Array.isArray(record)) {
      rows.push(record.map((value, i) => jsonCell(value, columns?.[i]?.type ?? "")));
      continue;
    }
    if (!(record instanceof Map)) return null;
    const found: ReadonlyMap<string, unknown> = record;
    names ??= [...found.keys()];
    if (columns === null) rows.push([...found.values()].map((value) => jsonCell(value, "")));
    else if (found.size !== columns.length || columns.some(({ name }) => !found.has(name))) rows.push([]);
    else rows.push(columns.map(({ name, type }) => jsonCell(found.get(name), type)));
  }
  return { rows, names: names === null || columns === null ? null : sameNames(names, columns) };
}

/** The result's order of names when an object's are the same set: JSON objects have no order. */
function sameNames(names: readonly string[], columns: readonly CopyColumn[]): readonly string[] {
  const own = columns.map(({ name }) => name);
  const same = names.length === own.length && own.every((name) => names.includes(name));
  return same ? own : names;
}

/** A number with the digits it was written with. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** JSON with objects as maps and numbers as `Raw`. Throws where an object has a name twice: readers differ in which one they take. */
function parse(text: string): unknown {
  // Every name comes once in an object that has as many as it had names before its own were joined.
  const seen = countNames(text);
  let kept = 0;
  const reviver = (_key: string, value: unknown, context?: { source?: string }) => {
    if (typeof value === "number") return new Raw(context?.source ?? String(value));
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Raw)
      return value;
    const entries = Object.entries(value);
    kept += entries.length;
    return new Map(entries);
  };
  const parsed: unknown = JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
  if (kept !== seen) throw new SyntaxError("a name comes twice");
  return parsed;
}

/** How many names its objects have: each is followed by a colon, which stands nowhere else outside of strings. */
function countNames(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === 0x3a) count++;
    if (c !== 0x22) continue;
    for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
  }
  return count;
}

function jsonCell(value: unknown, type: string): Cell {
  const kind = kindOf(type);
  // Half of a surrogate pair is no text that PostgreSQL has.
  const cell = (texts: readonly string[], unsure: boolean, ambiguous = false): Cell => ({
    values: texts.filter((text) => text.isWellFormed()).map((text) => Buffer.from(text, "utf8")),
    ambiguous,
    unsure,
  });
  if (value === null || value === undefined)
    // A client that reads JSON gives the same for NULL and for the JSON value null.
    return kind === "json"
      ? { values: [null, Buffer.from("null")], ambiguous: true, unsure: false }
      : certain(null);
  if (typeof value === "boolean") {
    if (kind === "bool") return cell([value ? "t" : "f"], false);
    return cell(kind === "json" ? [String(value)] : [], true);
  }
  // 1e3 and 1000, 1.50 and 1.5: writers of JSON differ.
  if (value instanceof Raw) return cell([value.text], kind !== "int" || !/^-?\d+$/.test(value.text));
  if (typeof value === "string")
    switch (kind) {
      case "text":
      case "int":
        return cell([value], false);
      case "uuid":
        return cell([value], value !== value.toLowerCase());
      case "bool":
        return /^[tf]$/.test(value) ? cell([value], false) : cell([], true);
      case "json":
        // The text as the server sent it, or a JSON text value that the client has read.
        return cell([value, JSON.stringify(value)], true, isJson(value));
      case "time":
        return cell(value.includes("T") ? [value, value.replace("T", " ")] : [value], true);
      default:
        return cell([value], true);
    }
  // Objects and lists: json as the server wrote it, or arrays, in spacing and order that is lost.
  return cell([], true);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
