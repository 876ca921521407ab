/** Copies of a result as people keep them, read into rows of possible values. */

/** What a cell of a copy may stand for, as the server would have sent it. */
export interface Cell {
  readonly values: readonly (Buffer | null)[];
  /** The copy cannot say which of them it is: NULL or ''. */
  readonly ambiguous: boolean;
  /** The copy writes such values in a form of its own, which need not be the server's. */
  readonly unsure: boolean;
}

export interface Copy {
  readonly rows: readonly (readonly Cell[])[];
  /** Column names, where the copy has them. */
  readonly names: readonly string[] | null;
}

export interface CopyColumn {
  readonly name: string;
  readonly type: string;
}

export type CopyFormat = "csv" | "jsonl" | "raw" | "copy";

/** What the file seems to be. `isCopy`: the result was that of a COPY. */
export function guessFormat(file: Buffer, isCopy: boolean): CopyFormat {
  if ((file[0] === 0x44 || file[0] === 0x64) && file.length >= 5 && file.readUInt32BE(1) < file.length)
    return "raw";
  if (isCopy) return "copy";
  return /^\s*[{[]/.test(file.toString("latin1", 0, 64)) ? "jsonl" : "csv";
}

function certain(value: Buffer | null): Cell {
  return { values: [value], ambiguous: false, unsure: false };
}

/** psql's CSV, and that of COPY: RFC 4180. `names`: of the result; a first line of just these is the header. null: no CSV. */
export function readCsv(file: Buffer, names: readonly string[]): Copy | null {
  // Bytes one to one: values are compared as bytes.
  const text = file.toString("latin1");
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
      row.push(certain(Buffer.from(value, "latin1")));
    } else {
      const end = /[,\n]/g;
      end.lastIndex = at;
      const found = end.exec(text)?.index ?? text.length;
      let value = text.slice(at, found);
      at = found;
      if (text[at] !== "," && value.endsWith("\r")) value = value.slice(0, -1);
      row.push(
        value === ""
          ? { values: [null, Buffer.alloc(0)], ambiguous: true, unsure: false }
          : certain(Buffer.from(value, "latin1")),
      );
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    if (at >= text.length || text[at] === "\n") {
      rows.push(row);
      row = [];
      at++;
    } else if (text[at] === ",") {
      at++;
      // A comma at the very end: one more empty value.
      if (at >= text.length) {
        row.push({ values: [null, Buffer.alloc(0)], ambiguous: true, unsure: false });
        rows.push(row);
      }
    } else return null;
  }
  const first = rows[0];
  const header =
    first !== undefined &&
    first.length === names.length &&
    first.every((cell, i) => cell.values.some((v) => v?.toString("utf8") === names[i]));
  return header ? { rows: rows.slice(1), names } : { rows, names: null };
}

/** One JSON object or array a line, or one array of such. null: no such JSON. */
export function readJsonLines(file: Buffer, columns: readonly CopyColumn[]): Copy | null {
  const text = file.toString("utf8");
  try {
    const records: unknown[] = [];
    if (/^\s*\[\s*[{[]/.test(text) && !/^\s*\[.*\]\s*\n\s*\[/.test(text)) {
      const all = parse(text);
      if (!Array.isArray(all)) return null;
      records.push(...all);
    } else for (const line of text.split("\n")) if (line.trim() !== "") records.push(parse(line));
    let names: readonly string[] | null = null;
    const rows = records.map((record) => {
      if (Array.isArray(record)) return record.map((value, i) => jsonCell(value, columns[i]?.type ?? ""));
      if (typeof record !== "object" || record === null || record instanceof Raw) throw new Error("no row");
      const found = new Map(Object.entries(record));
      names ??= [...found.keys()];
      if (found.size !== columns.length || columns.some(({ name }) => !found.has(name))) return [];
      return columns.map(({ name, type }) => jsonCell(found.get(name), type));
    });
    return { rows, names: names === null ? null : sameNames(names, columns) };
  } catch {
    return null;
  }
}

/** The result's order of names when an object's are the same set: JSON objects have no order. */
function sameNames(names: readonly string[], columns: readonly CopyColumn[]): readonly string[] {
  const own = columns.map(({ name }) => name);
  const same = names.length === own.length && own.every((name) => names.includes(name));
  return same ? own : names;
}

/** A number with the digits it was written with. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function parse(text: string): unknown {
  const reviver = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" ? new Raw(context?.source ?? String(value)) : value;
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
}

function jsonCell(value: unknown, type: string): Cell {
  const bytes = (text: string) => Buffer.from(text, "utf8");
  if (value === null || value === undefined) return certain(null);
  if (typeof value === "boolean") {
    const values = type === "bool" ? [value ? "t" : "f"] : [String(value), value ? "t" : "f"];
    return { values: values.map(bytes), ambiguous: false, unsure: type !== "bool" };
  }
  if (value instanceof Raw)
    // 1e3 and 1000, 1.50 and 1.5: writers of JSON differ.
    return { values: [bytes(value.text)], ambiguous: false, unsure: !/^-?\d+$/.test(value.text) };
  if (typeof value === "string") {
    const time = /^(date|time|timetz|timestamp|timestamptz|interval|float4|float8|numeric)$/.test(type);
    const values = [value, value.replace("T", " ")].slice(0, time && value.includes("T") ? 2 : 1);
    return { values: values.map(bytes), ambiguous: false, unsure: time };
  }
  // Objects and lists: json as the server wrote it, or arrays, in spacing and order that is lost.
  return { values: [], ambiguous: false, unsure: true };
}
