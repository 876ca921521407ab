/** Hashes of uuid, bytea, macaddr and macaddr8: what ../others.ts says of their text, byte by byte. */
import { isHex, isUuid, uuidLength, writeHex, writeUuid } from "../digits.ts";
import { type Append, colon, copied, ended, type Normal, normalRoom } from "./parts.ts";

const backslash = 0x5c;
const x = 0x78;

export const uuidText: Normal = (b, at, end, text, to) =>
  isUuid(b, at, end) ? copied(b, at, end, text, to) : -1;

export const uuidBinary: Normal = (b, at, end, text, to) =>
  end - at === 16 ? writeUuid(b, at, text, to) : -1;

export function appendUuid(isText: boolean): Append {
  const id = Buffer.alloc(16);
  return (digest, from, out) => {
    for (let i = 0; i < 16; i++) id[i] = digest[from + i] as number;
    // Version 8 (others.ts).
    id[6] = ((id[6] as number) & 0x0f) | 0x80;
    id[8] = ((id[8] as number) & 0x3f) | 0x80;
    out.room(uuidLength);
    if (isText) return ended(out, writeUuid(id, 0, out.buffer, out.at));
    out.copy(id, 0, 16);
    return 16;
  };
}

/** bytea_output = hex. */
export const byteaText: Normal = (b, at, end, text, to) => {
  if (end - at > normalRoom || (end - at) % 2 !== 0 || b[at] !== backslash || b[at + 1] !== x) return -1;
  return isHex(b, at + 2, end) ? copied(b, at, end, text, to) : -1;
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
    for (let i = at; i < end; i += 3) {
      if (!isHex(b, i, i + 2) || (i > at && b[i - 1] !== colon)) return -1;
    }
    return copied(b, at, end, text, to);
  };
}

export function macBinary(bytes: 6 | 8): Normal {
  return (b, at, end, text, to) => (end - at === bytes ? writeMac(b, at, end, text, to) : -1);
}

export function appendMac(bytes: 6 | 8, isText: boolean): Append {
  const address = Buffer.alloc(bytes);
  return (digest, from, out) => {
    for (let i = 0; i < bytes; i++) address[i] = digest[from + i] as number;
    // Locally administered, of one station (others.ts).
    address[0] = ((address[0] as number) & 0xfc) | 2;
    out.room(bytes * 3);
    if (isText) return ended(out, writeMac(address, 0, bytes, out.buffer, out.at));
    out.copy(address, 0, bytes);
    return bytes;
  };
}

function writeMac(bytes: Buffer, from: number, end: number, b: Buffer, at: number): number {
  let to = at;
  for (let i = from; i < end; i++) {
    if (i > from) b[to++] = colon;
    to = writeHex(bytes, i, i + 1, b, to);
  }
  return to;
}
