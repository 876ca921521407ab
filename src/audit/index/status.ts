/** What the index keeps of the bond between a statement and its outcome: how far they are apart, and the status in one byte. */
import type { OutcomeStatus } from "../../facts/audit.ts";

const names: readonly OutcomeStatus[] = ["ok", "error", "denied", "cancelled", "cut", "unknown"];
const codes = new Map<string, number>(names.map((name, n) => [name, n + 1]));
/** Each name's bytes and the quote behind it. */
const bytes = names.map((name) => Buffer.from(`${name}"`, "latin1"));

/** No outcome. */
export const noStatus = 0;
/** A status that no version of the gateway writes. */
export const oddStatus = 255;
/** Codes are below this, `oddStatus` apart. */
export const statusCodes = names.length + 1;

/** The code of an outcome's status; `oddStatus` for anything that is none. */
export function statusCode(status: unknown): number {
  return typeof status === "string" ? (codes.get(status) ?? oddStatus) : oddStatus;
}

/** The name of a code; null for `noStatus` and `oddStatus`. */
export function statusName(code: number): string | null {
  return names[code - 1] ?? null;
}

/** The code of the status whose JSON text begins behind the quote at `pos`; `oddStatus` when none is written so. */
export function readStatus(buf: Uint8Array, pos: number): number {
  for (let n = 0; n < bytes.length; n++) {
    const name = bytes[n];
    if (name === undefined) continue;
    let i = 0;
    while (i < name.length && buf[pos + i] === name[i]) i++;
    if (i === name.length) return n + 1;
  }
  return oddStatus;
}

/** How far an outcome stands behind its intent; 0: it names none that stands before it. */
export function linkOf(outcome: number, intent: number | null): number {
  const link = outcome - (intent ?? outcome);
  return link > 0 && link <= 0xffffffff && intent !== null && intent >= 0 ? link : 0;
}
