/**
 * Ids and times as the index keeps them, read from text or straight from a leaf's bytes. An id is a UUID of version 7 (RFC 9562, section 5.7)
 * in all records that the gateway writes: its milliseconds say in which blocks it can stand, its last 32 bits which record it is there.
 */
import { hash } from "node:crypto";

export interface IdKey {
  /** Milliseconds since the epoch that a UUID of version 7 begins with; 0 for any other id. */
  at: number;
  /** 32 bits that tell ids apart, never 0. */
  tail: number;
}

/** Length of a UUID in bytes. */
export const idBytes = 36;
/** Length of a stamp in bytes: `2026-11-22T10:00:00.123456Z`. */
export const timeBytes = 27;

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const dash = 0x2d;
/** Values of hexadecimal digits in lower case; 16: it is none. */
const digits = new Uint8Array(256).fill(16);
for (let i = 0; i < 16; i++) digits["0123456789abcdef".charCodeAt(i)] = i;

/** What the index keeps of an id: when it was made (milliseconds; 0 for one that is no UUID of version 7), and its tail. */
export function idKey(id: string): IdKey {
  if (uuid7.test(id))
    return { at: Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16), tail: tailOf(id.slice(28)) };
  return { at: 0, tail: tailOf(hash("sha256", id, "hex").slice(0, 8)) };
}

/** 0 stands for "no id". */
export function idTail(id: string | null): number {
  return id === null ? 0 : idKey(id).tail;
}

function tailOf(hex: string): number {
  return Number.parseInt(hex, 16) || 1;
}

/** Reads the UUID of version 7 at `pos` as idKey() does its text; false when none stands there. */
export function readId(buf: Uint8Array, pos: number, into: IdKey): boolean {
  if (
    buf[pos + 8] !== dash ||
    buf[pos + 13] !== dash ||
    buf[pos + 14] !== 0x37 ||
    buf[pos + 18] !== dash ||
    buf[pos + 23] !== dash
  )
    return false;
  let bad = 0;
  let high = 0;
  let middle = 0;
  let tail = 0;
  for (let i = pos; i < pos + 8; i++) {
    const d = digits[buf[i] ?? 0] ?? 16;
    bad |= d;
    high = (high << 4) | d;
  }
  for (let i = pos + 9; i < pos + 13; i++) {
    const d = digits[buf[i] ?? 0] ?? 16;
    bad |= d;
    middle = (middle << 4) | d;
  }
  for (let i = pos + 15; i < pos + 18; i++) bad |= digits[buf[i] ?? 0] ?? 16;
  for (let i = pos + 19; i < pos + 23; i++) bad |= digits[buf[i] ?? 0] ?? 16;
  for (let i = pos + 24; i < pos + 28; i++) bad |= digits[buf[i] ?? 0] ?? 16;
  for (let i = pos + 28; i < pos + 36; i++) {
    const d = digits[buf[i] ?? 0] ?? 16;
    bad |= d;
    tail = (tail << 4) | d;
  }
  if ((bad & 16) !== 0) return false;
  into.at = (high >>> 0) * 65_536 + middle;
  into.tail = tail >>> 0 || 1;
  return true;
}

/** Times of records, which mostly lie in the same minute as the one before. */
export class TimeReader {
  private readonly minute = new Uint8Array(16);
  private base = 0;

  /** Milliseconds since the epoch of the stamp at `pos`, as Date.parse() has them; -1 when there is none of this form. */
  read(buf: Buffer, pos: number): number {
    const { minute } = this;
    let same = true;
    for (let i = 0; i < 16; i++)
      if (buf[pos + i] !== minute[i]) {
        same = false;
        break;
      }
    if (!same) {
      const text = buf.toString("latin1", pos, pos + 16);
      const base = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text) ? Date.parse(`${text}:00.000Z`) : Number.NaN;
      if (Number.isNaN(base)) return -1;
      this.base = base;
      minute.set(buf.subarray(pos, pos + 16));
    }
    if (buf[pos + 16] !== 0x3a || buf[pos + 19] !== 0x2e || buf[pos + 26] !== 0x5a) return -1;
    const seconds = decimal(buf, pos + 17, 2);
    const millis = decimal(buf, pos + 20, 3);
    return seconds < 0 || seconds > 59 || millis < 0 || decimal(buf, pos + 23, 3) < 0
      ? -1
      : this.base + seconds * 1000 + millis;
  }
}

/** `count` decimal digits; -1 when it is not all digits. */
function decimal(buf: Uint8Array, pos: number, count: number): number {
  let value = 0;
  for (let i = pos; i < pos + count; i++) {
    const d = (buf[i] ?? 0) - 0x30;
    if (d < 0 || d > 9) return -1;
    value = value * 10 + d;
  }
  return value;
}
