/** Hashes of inet and cidr: what ../others.ts and protocol's network text say of them, byte by byte. */
import { isDigit, writeDigits } from "../digits.ts";
import { type Append, colon, copied, dot, ended, type Normal, slash } from "./parts.ts";

/** Longest address without its mask. */
const longest = 45;
const hexDigits = Buffer.from("0123456789abcdef");

/** Hexadecimal digits, colons and points. */
const inAddress = new Uint8Array(256);
for (const c of "0123456789abcdef:.") inAddress[c.charCodeAt(0)] = 1;

/**
 * Gives where the address b[at, end) ends: 2 to 45 of those, perhaps with a slash and one to three digits behind them, all that
 * others.ts asks for. -1: it is none.
 */
export function addressEnd(b: Buffer, at: number, end: number): number {
  let i = at;
  while (i < end && inAddress[b[i] as number] === 1) i++;
  if (i - at < 2 || i - at > longest) return -1;
  if (i === end) return i;
  const digits = end - i - 1;
  if (b[i] !== slash || digits < 1 || digits > 3) return -1;
  for (let k = i + 1; k < end; k++) if (!isDigit(b[k])) return -1;
  return i;
}

export const addressText: Normal = (b, at, end, text, to) =>
  addressEnd(b, at, end) < 0 ? -1 : copied(b, at, end, text, to);

/** inet_send: family (2 IPv4, 3 IPv6), bits of the mask, 1 for cidr, number of address bytes, address. */
export function addressBinary(isCidr: boolean): Normal {
  return (b, at, end, text, to) => {
    const size = addressSize(b, at, end);
    if (size < 0) return -1;
    const next = size === 4 ? writeIpv4(b, at + 4, text, to) : writeIpv6(b, at + 4, text, to);
    const bits = b[at + 1] as number;
    if (!isCidr && bits === size * 8) return next;
    text[next] = slash;
    return writeDigits(bits, text, next + 1);
  };
}

/** Bytes of the address that b[at, end) holds in inet_send's form; -1: it is malformed. */
export function addressSize(b: Buffer, at: number, end: number): number {
  if (end - at < 4) return -1;
  const size = b[at] === 2 ? 4 : b[at] === 3 ? 16 : -1;
  return size < 0 || b[at + 3] !== size || end - at !== 4 + size || (b[at + 1] as number) > size * 8
    ? -1
    : size;
}

function writeIpv4(b: Buffer, from: number, text: Buffer, at: number): number {
  let to = at;
  for (let i = 0; i < 4; i++) {
    if (i > 0) text[to++] = dot;
    to = writeDigits(b[from + i] as number, text, to);
  }
  return to;
}

const words = new Uint16Array(8);

/** The longest run of two or more zero words becomes "::", the first of several; IPv4 inside is shown with dots. */
function writeIpv6(b: Buffer, from: number, text: Buffer, at: number): number {
  let start = -1;
  let length = 1;
  let run = 0;
  for (let i = 0; i < 8; i++) {
    const word = ((b[from + i * 2] as number) << 8) | (b[from + i * 2 + 1] as number);
    words[i] = word;
    run = word === 0 ? run + 1 : 0;
    if (run > length) {
      start = i + 1 - run;
      length = run;
    }
  }
  const isDotted = start === 0 && (length === 6 || (length === 5 && words[5] === 0xffff));
  let to = at;
  for (let i = 0; i < 8; i++) {
    if (i === start) {
      text[to++] = colon;
      text[to++] = colon;
      i += length - 1;
      continue;
    }
    if (i > 0 && i !== start + length) text[to++] = colon;
    if (isDotted && i === 6) return writeIpv4(b, from + 12, text, to);
    to = writeWord(words[i] as number, text, to);
  }
  return to;
}

/** Hexadecimal digits without zeros in front. */
function writeWord(word: number, text: Buffer, at: number): number {
  let to = at;
  if (word > 0xfff) text[to++] = hexDigits[word >>> 12] as number;
  if (word > 0xff) text[to++] = hexDigits[(word >>> 8) & 15] as number;
  if (word > 0xf) text[to++] = hexDigits[(word >>> 4) & 15] as number;
  text[to++] = hexDigits[word & 15] as number;
  return to;
}

/** A unique local address (RFC 4193): routed nowhere. */
export function appendAddress(isCidr: boolean, isText: boolean): Append {
  const address = Buffer.from([3, 128, isCidr ? 1 : 0, 16, 0xfd, ...Array<number>(15).fill(0)]);
  const suffix = Buffer.from(isCidr ? "/128" : "");
  return (digest, from, out) => {
    for (let i = 0; i < 15; i++) address[5 + i] = digest[from + i] as number;
    if (!isText) {
      out.copy(address, 0, 20);
      return 20;
    }
    out.room(44);
    let to = writeIpv6(address, 4, out.buffer, out.at);
    for (let i = 0; i < suffix.length; i++) out.buffer[to++] = suffix[i] as number;
    return ended(out, to);
  };
}
