/** Which messages of a copy to the client are no rows (PostgreSQL manual, "COPY", "Binary Format"; copyto.c). */
import type { Guard } from "./guard.ts";
import type { Expected } from "./queue.ts";
import type { Walk } from "./state.ts";

/** A binary copy begins with a header, which comes with its first row, or with its end where it has none. */
const signature = Buffer.from("PGCOPY\n\xff\r\n\0", "latin1");
const headerBytes = signature.length + 8;
/** Length fields of the message that ends a binary copy, an int16 of -1, alone and behind the header. */
const endLength = 4 + 2;
const emptyLength = 4 + headerBytes + 2;

/** A copy to the client begins: the line with the names of its columns is no row. */
export function copyBegins(walk: Walk, entry: Expected): void {
  const part = entry.run?.parts[entry.run.at];
  if (part?.statement?.shape.facts.copy?.header === true) uncount(walk, part.guard);
}

/** Whether a CopyData of this length may be the end of a binary copy: then it is looked at whole. */
export function mayEndCopy(length: number): boolean {
  return length === endLength || length === emptyLength;
}

/** Whether the CopyData of such a length at `at` ends a binary copy. No line of text looks like it. */
export function endsCopy(chunk: Buffer, at: number, length: number): boolean {
  const end = at + 1 + length;
  if (chunk[end - 1] !== 0xff || chunk[end - 2] !== 0xff) return false;
  return length === endLength || signature.compare(chunk, at + 5, at + 5 + signature.length) === 0;
}

/** One message comes that is no row. */
export function uncount(walk: Walk, guard: Guard | null): void {
  walk.result.rows--;
  if (guard !== null) guard.delivered.rows--;
}
