/** Hashes of uuid, bytea, macaddr and macaddr8: what ../others.ts says of their text, byte by byte. */
import { copyHex, copyUuid, uuidLength, writeByte, writeHex, writeUuid } from "../digits.ts";
import { type Append, colon, ended, type Normal, normalRoom } from "./parts.ts";

const backslash = 0x5c;
const x = 0x78;

export const uuidText: Normal = (b, at, end, text, to) =>
  copyUuid(b, at, end, text, to) ? to + uuidLength : -1;

export const uuidBinary: Normal = (b, at, end, text, to) =>
  end - at === 16 ? writeUuid(b, at, text, to) : -1;

export function appendUuid(isText: boolean): Append {
  return (digest, from, out) => {
    // Version 8 (others.ts) and its variant.
    const version = ((digest[from + 6] as number) & 0x0f) | 0x80;
    const variant = ((digest[from + 8] as number) & 0x3f) | 0x80;
    out.room(uuidLength);
    const { buffer, at } = out;
    if (!isText) {
      for (let i = 0; i < 16; i++) buffer[at + i] = digest[from + i] as number;
      buffer[at + 6] = version;
      buffer[at + 8] = variant;
      return ended(out, at + 16);
    }
    const end = writeUuid(digest, from, buffer, at);
    writeByte(version, buffer, at + 14);
    writeByte(variant, buffer, at + 19);
    return ended(out, end);
  };
}

/** bytea_output = hex. */
export const byteaText: Normal = (b, at, end, text, to) => {
  if (end - at > normalRoom || (end - at) % 2 !== 0 || b[at] !== backslash || b[at + 1] !== x) return -1;
  text[to] = backslash;
  text[to + 1] = x;
  return copyHex(b, at + 2, end, text, to + 2);
};

export const byteaBinary: Normal = (b, at, end, text, to) => {
  if ((end - at) * 2 + 2 > normalRoom) return -1;
  text[to] = backslash;
  text[to + 1] = x;
  return writeHex(b, at, end, text, to + 2);
};

export function appendBytea(isText: boolean): Append {
  return (digest, from, out) => {
    out.room(34);
    const { buffer, at } = out;
    if (!isText) {
      out.copy(digest, from, from + 16);
      return 16;
    }
    buffer[at] = backslash;
    buffer[at + 1] = x;
    return ended(out, writeHex(digest, from, from + 16, buffer, at + 2));
  };
}

/** @param bytes 6 for macaddr, 8 for macaddr8. */
export function macText(bytes: 6 | 8): Normal {
  return (b, at, end, text, to) => {
    if (end - at !== bytes * 3 - 1) return -1;
    let next = to;
    for (let i = at; i < end; i += 3) {
      if (i > at) {
        if (b[i - 1] !== colon) return -1;
        text[next++] = colon;
      }
      next = copyHex(b, i, i + 2, text, next);
      if (next < 0) return -1;
    }
    return next;
  };
}

export function macBinary(bytes: 6 | 8): Normal {
  return (b, at, end, text, to) => (end - at === bytes ? writeMac(b, at, end, text, to) : -1);
}

export function appendMac(bytes: 6 | 8, isText: boolean): Append {
  return (digest, from, out) => {
    // Locally administered, of one station (others.ts).
    const first = ((digest[from] as number) & 0xfc) | 2;
    out.room(bytes * 3);
    const { buffer, at } = out;
    if (isText) {
      const end = writeMac(digest, from, from + bytes, buffer, at);
      writeByte(first, buffer, at);
      return ended(out, end);
    }
    for (let i = 0; i < bytes; i++) buffer[at + i] = digest[from + i] as number;
    buffer[at] = first;
    return ended(out, at + bytes);
  };
}

function writeMac(bytes: Buffer, from: number, end: number, b: Buffer, at: number): number {
  let to = at;
  for (let i = from; i < end; i++) {
    if (i > from) b[to++] = colon;
    to = writeByte(bytes[i] as number, b, to);
  }
  return to;
}
