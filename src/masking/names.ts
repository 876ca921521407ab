/**
 * Names that must not be read: those of columns that nobody may read, where a result tells of the database's structure. Each is
 * overwritten by asterisks, byte for byte, so that values keep their length in every type and format.
 */
import { type CellMask, passes } from "./cell.ts";

export interface NameMask {
  readonly cell: CellMask;
  /** The same for a text; gives it back where no name is in it. */
  text(text: string): string;
}

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

  function hide(text: string): string | null {
    pattern.lastIndex = 0;
    if (!pattern.test(text)) return null;
    return text.replace(pattern, (found) => "*".repeat(found.length));
  }

  return {
    cell(b, at, end, out) {
      const hidden = hide(b.toString("latin1", at, end));
      if (hidden === null) return passes;
      const bytes = Buffer.from(hidden, "latin1");
      out.copy(bytes, 0, bytes.length);
      return bytes.length;
    },
    text(text) {
      const hidden = hide(Buffer.from(text).toString("latin1"));
      return hidden === null ? text : Buffer.from(hidden, "latin1").toString();
    },
  };
}
