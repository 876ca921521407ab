/** The file that says how far an export was acknowledged: `exports/<name>.json` in the log's folder. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { syncFolder, writeAll } from "../files.ts";
import { isObject, number, text } from "../read/leaves.ts";
import type { ExportCursor } from "./source.ts";

function cursorPath(dir: string, name: string): string {
  return join(dir, "exports", `${name}.json`);
}

/** null: the export has not begun. Throws CursorUnreadable for a file that is none: to begin anew silently would repeat a whole log. */
export function readCursor(dir: string, name: string): ExportCursor | null {
  const path = cursorPath(dir, name);
  if (!existsSync(path)) return null;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    const next = number(value, "next");
    const log = text(value, "log");
    if (
      !isObject(value) ||
      value.v !== 1 ||
      log === null ||
      next === null ||
      !Number.isSafeInteger(next) ||
      next < 0
    )
      throw new CursorUnreadable(path);
    const first = number(value, "from.first");
    const offset = number(value, "from.offset");
    const index = number(value, "from.index");
    const from = first === null || offset === null || index === null ? null : { first, offset, index };
    return { log, next, last: text(value, "last"), from };
  } catch (error) {
    if (error instanceof SyntaxError) throw new CursorUnreadable(path);
    throw error;
  }
}

/** Written in one step and made durable, after the acknowledgement: a crash repeats records, and never leaves one out. Throws what the file system throws. */
export function writeCursor(dir: string, name: string, cursor: ExportCursor): void {
  const path = cursorPath(dir, name);
  mkdirSync(join(dir, "exports"), { recursive: true, mode: 0o750 });
  const fd = openSync(`${path}.tmp`, "w", 0o640);
  try {
    writeAll(fd, Buffer.from(`${JSON.stringify({ v: 1, ...cursor })}\n`, "utf8"));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.tmp`, path);
  syncFolder(join(dir, "exports"));
}

export class CursorUnreadable extends Error {
  override readonly name = "CursorUnreadable";
  constructor(path: string) {
    super(`${path} is no export cursor: remove it to export the log from its beginning`);
  }
}
