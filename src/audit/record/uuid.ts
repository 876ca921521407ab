/** UUID version 7 (RFC 9562 section 5.7): time-ordered ids, made without a system call each. */
import { putLatin1 } from "./bytes.ts";
import { BytePool } from "./random.ts";

/** Length of the text form. */
export const uuidBytes = 36;

const digits = Buffer.from("0123456789abcdef", "latin1");
const variant = Buffer.from("89ab", "latin1");
const pool = new BytePool();
const text = Buffer.from("00000000-0000-7000-8000-000000000000", "latin1");
let lastMs = 0;
/** rand_a as a counter that grows within a millisecond (RFC 9562 section 6.2, method 1). */
let counter = 0;

function hex(value: number): number {
  return digits[value & 15] ?? 0;
}

function next(): void {
  const now = Date.now();
  // An overfull millisecond borrows from the next one; a clock that steps back does not break the order.
  if (now > lastMs || counter === 0xfff) {
    lastMs = now > lastMs ? now : lastMs + 1;
    counter = (pool.bytes.readUInt16LE(pool.take(2)) & 0x7ff) | 0;
    const time = lastMs.toString(16).padStart(12, "0");
    putLatin1(text, time.slice(0, 8), 0);
    putLatin1(text, time.slice(8), 9);
  } else {
    counter++;
  }
  text[15] = hex(counter >> 8);
  text[16] = hex(counter >> 4);
  text[17] = hex(counter);
  const bytes = pool.bytes;
  let from = pool.take(8);
  const first = bytes[from++] ?? 0;
  text[19] = variant[first & 3] ?? 0;
  text[20] = hex(first >> 4);
  const second = bytes[from++] ?? 0;
  text[21] = hex(second);
  text[22] = hex(second >> 4);
  for (let at = 24; at < 36; at += 2) {
    const byte = bytes[from++] ?? 0;
    text[at] = hex(byte);
    text[at + 1] = hex(byte >> 4);
  }
}

/** Writes a new UUID as 36 bytes of text. */
export function putUuid(buf: Buffer, at: number): void {
  next();
  buf.set(text, at);
}

/** A new UUID version 7 in its text form; later ones sort after earlier ones of this process. */
export function uuidv7(): string {
  next();
  return text.toString("latin1", 0, 36);
}
