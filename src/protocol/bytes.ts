/**
 * Reading protocol fields. Integers are read by hand: these run for every message of every session, and bounds are
 * checked once per field, so that a decoder can throw nothing but ProtocolError.
 * Data types: PostgreSQL manual, "Message Data Types".
 */
import { isUtf8 } from "node:buffer";
import { ProtocolError } from "./errors.ts";

/** Throws: the body ended inside a field (PostgreSQL's wording). */
export function short(): never {
  throw new ProtocolError("insufficient data left in message");
}

/** Throws: the body goes on behind its last field, or a string ended early (PostgreSQL's wording). */
export function invalidFormat(): never {
  throw new ProtocolError("invalid message format");
}

/** Byte1. */
export function readByte(b: Buffer, at: number): number {
  const value = b[at];
  return value === undefined ? short() : value;
}

/** Int16 as PostgreSQL reads counts: unsigned, so that 65535 parameters are possible. */
export function readUint16(b: Buffer, at: number): number {
  if (at + 2 > b.length) short();
  return ((b[at] as number) << 8) | (b[at + 1] as number);
}

/** Int16, signed: format codes, attribute numbers, type sizes. */
export function readInt16(b: Buffer, at: number): number {
  return (readUint16(b, at) << 16) >> 16;
}

/** Int32, signed. */
export function readInt32(b: Buffer, at: number): number {
  if (at + 4 > b.length) short();
  return (
    ((b[at] as number) << 24) |
    ((b[at + 1] as number) << 16) |
    ((b[at + 2] as number) << 8) |
    (b[at + 3] as number)
  );
}

/** Int32 that is an object identifier: unsigned. */
export function readOid(b: Buffer, at: number): number {
  return readInt32(b, at) >>> 0;
}

/** Gives the index of the NUL that ends the string at `at`. Throws ProtocolError when there is none. */
export function stringEnd(b: Buffer, at: number): number {
  // Names are short: a loop beats the call into native code; long text goes to memchr.
  const near = Math.min(at + 24, b.length);
  for (let i = at; i < near; i++) if (b[i] === 0) return i;
  const end = near < b.length ? b.indexOf(0, near) : -1;
  if (end < 0) throw new ProtocolError("invalid string in message");
  return end;
}

/** Gives bytes as text, or null when they are not valid UTF-8. No byte order mark is dropped. */
export function utf8OrNull(bytes: Buffer): string | null {
  return isUtf8(bytes) ? bytes.toString("utf8") : null;
}

/** Names and command tags are short and ASCII: telling so by hand costs less than two calls into native code. */
function isShortAscii(b: Buffer, at: number, end: number): boolean {
  if (end - at > 32) return false;
  for (let i = at; i < end; i++) if ((b[i] as number) >= 0x80) return false;
  return true;
}

/** A name or the like between `at` and `end`, which must be valid UTF-8. Throws ProtocolError. */
export function strictText(b: Buffer, at: number, end: number): string {
  if (at === end) return "";
  if (isShortAscii(b, at, end)) return b.toString("latin1", at, end);
  const bytes = b.subarray(at, end);
  if (!isUtf8(bytes)) throw new ProtocolError("invalid byte sequence for encoding UTF8 in message");
  return bytes.toString("utf8");
}

/** Text of a server, which may be in any encoding: what is not UTF-8 becomes U+FFFD. */
export function lenientText(b: Buffer, at: number, end: number): string {
  if (at === end) return "";
  return isShortAscii(b, at, end) ? b.toString("latin1", at, end) : b.toString("utf8", at, end);
}

/** Throws ProtocolError unless the body ends exactly at `at`. */
export function expectEnd(b: Buffer, at: number): void {
  if (at !== b.length) invalidFormat();
}

/** Reads `count` format codes (Int16) from `at`. Bounds are checked before anything is allocated. */
export function readFormats(b: Buffer, at: number, count: number): number[] {
  if (at + count * 2 > b.length) short();
  const formats: number[] = [];
  for (let i = 0; i < count; i++) formats.push(readInt16(b, at + i * 2));
  return formats;
}

/** Reads `count` object identifiers from `at`. Bounds are checked before anything is allocated. */
export function readOids(b: Buffer, at: number, count: number): number[] {
  if (at + count * 4 > b.length) short();
  const oids: number[] = [];
  for (let i = 0; i < count; i++) oids.push(readOid(b, at + i * 4));
  return oids;
}

/** A value with an Int32 length in front at `at`; null for -1. The view is valid as long as the body is. */
export function readValue(b: Buffer, at: number): Buffer | null {
  const length = readInt32(b, at);
  if (length === -1) return null;
  // A length below -1 would walk backwards.
  if (length < 0 || at + 4 + length > b.length) short();
  return b.subarray(at + 4, at + 4 + length);
}
