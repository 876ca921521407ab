/** Wall-clock time to the microsecond, cheap enough to stamp every record. */
import { putLatin1 } from "./bytes.ts";

let base = Date.now() - performance.now();
let cachedMs = -1;
/** The stamp as bytes: "2026-11-22T10:00:00.123456Z". */
const stamp = Buffer.alloc(27);
/** Length of a stamp in bytes. */
export const stampBytes = 27;

/** Takes the time. Follows steps of the system clock within a few milliseconds. */
function take(): void {
  let micros = Math.floor((base + performance.now()) * 1000);
  let ms = Math.floor(micros / 1000);
  if (ms !== cachedMs) {
    const wall = Date.now();
    if (wall - ms > 2 || ms - wall > 2) {
      base = wall - performance.now();
      ms = wall;
      micros = wall * 1000;
    }
    cachedMs = ms;
    putLatin1(stamp, new Date(ms).toISOString(), 0);
    stamp[26] = 0x5a; // Z
  }
  const rest = micros - ms * 1000;
  const hundreds = (rest / 100) | 0;
  const tens = ((rest - hundreds * 100) / 10) | 0;
  stamp[23] = 0x30 + hundreds;
  stamp[24] = 0x30 + tens;
  stamp[25] = 0x30 + (rest - hundreds * 100 - tens * 10);
}

/** Writes the present time as 27 bytes of RFC 3339 text (UTC, microseconds). */
export function putStamp(buf: Buffer, at: number): void {
  take();
  buf.set(stamp, at);
}

/** The present time as RFC 3339 text (UTC, microseconds). */
export function stampNow(): string {
  take();
  return stamp.toString("latin1");
}
