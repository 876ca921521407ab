/**
 * Names that must not be read: those of columns that nobody may read, where a result tells of the database's structure. Each is
 * replaced by so many asterisks, whatever its length.
 */
import { type CellMask, passes } from "./cell.ts";

export interface NameMask {
  /** For a column of a result: its type's oid, and 0 text or 1 binary. */
  cell(type: number, format: 0 | 1): CellMask;
  /** The same for a text; gives it back where no name is in it. */
  text(text: string): string;
}

const stars = "*".repeat(8);

/** Types whose binary form is their text (jsonb: behind a byte): json, xml, name, text, "unknown", bpchar, varchar, cstring, jsonb. */
const plain: ReadonlySet<number> = new Set([114, 142, 19, 25, 705, 1042, 1043, 2275, 3802]);
/** Arrays of them. */
const arrays: ReadonlySet<number> = new Set([199, 143, 1003, 1009, 1014, 1015, 1263, 3807]);

/**
 * @param names as the catalog has them; at least one.
 * @param within also inside of longer words, for names that were joined with something else.
 */
export function createNameMask(names: readonly string[], within: boolean): NameMask {
  // Bytes as characters: a name is a sequence of bytes whatever the type around it.
  const words = [...new Set(names)]
    .map((name) => Buffer.from(name).toString("latin1"))
    .sort((a, b) => b.length - a.length)
    .map((word) => word.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  const edge = "[\\w$\\x80-\\xff]";
  // Names that PostgreSQL makes for indexes and constraints: table_column_key (makeObjectName() in indexcmds.c).
  const generated = "(?:_\\w+)*_(?:idx|key|check|excl|fkey|seq|not_null)\\d*";
  const pattern = within
    ? new RegExp(`(?:${words.join("|")})`, "gi")
    : new RegExp(
        `(?<!${edge})(?:${words.join("|")})(?!${edge})|(?<=_)(?:${words.join("|")})(?=${generated}(?!${edge}))`,
        "gi",
      );

  /** null: no name is in it. */
  function hide(text: string, replacement: (found: string) => string = () => stars): string | null {
    pattern.lastIndex = 0;
    return pattern.test(text) ? text.replace(pattern, replacement) : null;
  }

  function masked(hidden: (bytes: Buffer) => Buffer | null): CellMask {
    return (b, at, end, out) => {
      const bytes = hidden(b.subarray(at, end));
      if (bytes === null) return passes;
      out.copy(bytes, 0, bytes.length);
      return bytes.length;
    };
  }

  const asText = (bytes: Buffer): Buffer | null => {
    const hidden = hide(bytes.toString("latin1"));
    return hidden === null ? null : Buffer.from(hidden, "latin1");
  };
  // Lengths stand in it that nobody here can tell from other bytes.
  const asBytes = (bytes: Buffer): Buffer | null => {
    const hidden = hide(bytes.toString("latin1"), (found) => "*".repeat(found.length));
    return hidden === null ? null : Buffer.from(hidden, "latin1");
  };
  const asArray = (bytes: Buffer): Buffer | null => mapElements(bytes, asText) ?? asBytes(bytes);

  return {
    cell: (type, format) =>
      masked(format === 0 || plain.has(type) ? asText : arrays.has(type) ? asArray : asBytes),
    text(text) {
      const hidden = hide(Buffer.from(text).toString("latin1"));
      return hidden === null ? text : Buffer.from(hidden, "latin1").toString();
    },
  };
}

/**
 * An array's binary form (array_send() in arrayfuncs.c): dimensions, flags, element type, two numbers a dimension, then the elements,
 * each behind its length. null: nothing changes, or it is none.
 */
function mapElements(bytes: Buffer, change: (element: Buffer) => Buffer | null): Buffer | null {
  if (bytes.length < 12) return null;
  const dimensions = bytes.readInt32BE(0);
  const start = 12 + dimensions * 8;
  if (dimensions < 1 || dimensions > 6 || bytes.length < start) return null;
  const made: Buffer[] = [bytes.subarray(0, start)];
  let changed = false;
  for (let at = start; at < bytes.length; ) {
    if (at + 4 > bytes.length) return null;
    const size = bytes.readInt32BE(at);
    const end = at + 4 + Math.max(size, 0);
    if (size < -1 || end > bytes.length) return null;
    const hidden = size < 0 ? null : change(bytes.subarray(at + 4, end));
    if (hidden === null) made.push(bytes.subarray(at, end));
    else {
      const length = Buffer.allocUnsafe(4);
      length.writeInt32BE(hidden.length);
      made.push(length, hidden);
      changed = true;
    }
    at = end;
  }
  return changed ? Buffer.concat(made) : null;
}
