/** Wall-clock time to the microsecond, cheap enough to stamp every record. */
import { putLatin1 } from "./bytes.ts";

let base = Date.now() - performance.now();
let wallMs = -1;
let stampedMs = -1;
/** A stamp as bytes: "2026-11-22T10:00:00.123456Z". */
const stamp = Buffer.from("2026-11-22T10:00:00.123456Z", "latin1");
/** Length of a stamp in bytes. */
export const stampBytes = 27;

/** The present time in whole microseconds since the epoch. Follows steps of the system clock within a few milliseconds. */
export function micros(): number {
  const now = Math.floor((base + performance.now()) * 1000);
  const ms = Math.floor(now / 1000);
  if (ms === wallMs) return now;
  wallMs = ms;
  const wall = Date.now();
  if (wall - ms <= 2 && ms - wall <= 2) return now;
  base = wall - performance.now();
  return wall * 1000;
}

/** Writes a time that `micros()` gave as 27 bytes of RFC 3339 text (UTC, microseconds). */
export function putStamp(buf: Buffer, time: number, at: number): void {
  const ms = Math.floor(time / 1000);
  if (ms !== stampedMs) {
    stampedMs = ms;
    putLatin1(stamp, new Date(ms).toISOString().slice(0, 23), 0);
  }
  const rest = time - ms * 1000;
  const hundreds = (rest / 100) | 0;
  const tens = ((rest - hundreds * 100) / 10) | 0;
  stamp[23] = 0x30 + hundreds;
  stamp[24] = 0x30 + tens;
  stamp[25] = 0x30 + (rest - hundreds * 100 - tens * 10);
  buf.set(stamp, at);
}

/** The present time as RFC 3339 text (UTC, microseconds). */
export function stampNow(): string {
  const text = Buffer.allocUnsafe(stampBytes);
  putStamp(text, micros(), 0);
  return text.toString("latin1");
}
