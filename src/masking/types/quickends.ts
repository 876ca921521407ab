/**
 * Byte by byte what others.ts and numbers.ts do by way of text: values of which the ends stay. As in quick.ts, `null` means that a
 * value is left to them.
 */
import { MaskOutput } from "../output.ts";
import { int32, isDigit, isUuid, uint32, uuidLength, writeInt64Digits, writeInteger } from "./digits.ts";
import { numericDigits, packNumeric } from "./numericbytes.ts";
import { mayKeep } from "./partial.ts";
import { addressEnd, addressSize } from "./quickhash/network.ts";

/** How many digits stay of so many. */
type Wanted = (digits: number) => { readonly first: number; readonly last: number };
type Quick = (b: Buffer, at: number, end: number, out: MaskOutput) => number | null;

const zero = 0x30;
const minus = 0x2d;
const dot = 0x2e;
const colon = 0x3a;

/**
 * Integers and numerics in text form: digits at the ends stay, the others are 0.
 * @param wanted how many by the number of digits.
 * @param isWhole the type has no fractions.
 */
export function quickDigits(wanted: Wanted, isWhole: boolean): Quick {
  return (b, at, end, out) => {
    const from = b[at] === minus ? at + 1 : at;
    if (end - from > (isWhole ? 19 : 40) || from >= end || !isDigit(b[from])) return null;
    let point = -1;
    for (let i = from + 1; i < end; i++) {
      const c = b[i];
      if (c === dot && point < 0 && i + 1 < end && !isWhole) point = i;
      else if (!isDigit(c)) return null;
    }
    const wholeEnd = point < 0 ? end : point;
    // A zero in front of others is not what the server prints.
    if (b[from] === zero && wholeEnd > from + 1) return null;
    const count = end - from - (point < 0 ? 0 : 1);
    const { first, last } = wanted(count);
    const shows = mayKeep(count, first, last);
    out.room(40);
    const { buffer } = out;
    const start = out.at;
    let to = start;
    let seen = 0;
    for (let i = from; i < end; i++) {
      if (i === point) {
        buffer[to++] = dot;
        continue;
      }
      seen++;
      const c = shows && (seen <= first || seen > count - last) ? (b[i] as number) : zero;
      // No zeros in front, but one before the point.
      if (c === zero && to === start && i < wholeEnd - 1) continue;
      buffer[to++] = c;
    }
    out.at = to;
    return to - start;
  };
}

/** The same for the binary format of integers. */
export function quickInteger(bytes: 2 | 4 | 8, wanted: Wanted): Quick {
  const mask = quickDigits(wanted, true);
  const text = Buffer.alloc(24);
  const masked = new MaskOutput();
  return (b, at, end, out) => {
    if (end - at !== bytes) return null;
    masked.truncate(0);
    const size =
      bytes === 8
        ? writeInt64Digits(int32(b, at), uint32(b, at + 4), text, 0)
        : writeInteger(bytes === 2 ? b.readInt16BE(at) : int32(b, at), text, 0);
    const shown = mask(text, 0, size, masked);
    return shown === null ? null : appendInteger(masked.buffer, masked.at - shown, masked.at, bytes, out);
  };
}

/** Appends the number of the digits b[from, to), 19 at most; null: it is too large. */
function appendInteger(
  b: Buffer,
  from: number,
  to: number,
  bytes: 2 | 4 | 8,
  out: MaskOutput,
): number | null {
  let head = 0;
  let tail = 0;
  for (let i = from; i < to; i++) {
    const digit = (b[i] as number) - zero;
    if (i < to - 9) head = head * 10 + digit;
    else tail = tail * 10 + digit;
  }
  // head * 10^9 + tail, head as two parts, the upper of which counts 2^16 times. Every step is exact.
  const part = Math.floor(head / 0x1_0000);
  const upper = part * 1e9;
  const whole = Math.floor(upper / 0x1_0000);
  const lower = (upper - whole * 0x1_0000) * 0x1_0000 + (head - part * 0x1_0000) * 1e9 + tail;
  const carry = Math.floor(lower / 0x1_0000_0000);
  const high = whole + carry;
  const word = lower - carry * 0x1_0000_0000;
  if (bytes < 8 && (high > 0 || word >= 2 ** (bytes * 8 - 1))) return null;
  if (high >= 0x8000_0000) return null;
  if (bytes === 8) out.int32(high);
  if (bytes > 2) out.int32(word);
  else {
    out.byte(word >>> 8);
    out.byte(word);
  }
  return bytes;
}

/** Most characters of a numeric that is masked here. */
const maxNumeric = 64;

/** The same for the binary format of numerics. */
export function quickNumeric(wanted: Wanted): Quick {
  const mask = quickDigits(wanted, false);
  const text = Buffer.alloc(maxNumeric);
  const masked = new MaskOutput();
  return (b, at, end, out) => {
    masked.truncate(0);
    const size = numericDigits(b, at, end, text, 0, maxNumeric);
    const shown = size < 0 ? null : mask(text, 0, size, masked);
    return shown === null ? null : packNumeric(masked.buffer, masked.at - shown, masked.at, out);
  };
}

/** uuids in both formats: digits at the ends stay, the others are 0. */
export function quickUuid(format: 0 | 1, first: number, last: number): Quick {
  const shows = mayKeep(32, first, last);
  const kept = (digit: number): boolean => shows && (digit < first || digit >= 32 - last);
  /** Bits of each byte that stay. */
  const bits = Buffer.from(
    Array.from({ length: 16 }, (_, i) => (kept(i * 2) ? 0xf0 : 0) | (kept(i * 2 + 1) ? 0x0f : 0)),
  );
  const dashes = "00000000-0000-0000-0000-000000000000";
  let digit = 0;
  const stays = Array.from(dashes, (c) => c === "-" || kept(digit++));
  return (b, at, end, out) => {
    if (format === 1) {
      if (end - at !== 16) return null;
      out.room(16);
      for (let i = 0; i < 16; i++) out.buffer[out.at++] = (b[at + i] as number) & (bits[i] as number);
      return 16;
    }
    if (!isUuid(b, at, end)) return null;
    out.room(uuidLength);
    for (let i = 0; i < uuidLength; i++)
      out.buffer[out.at++] = stays[i] === true ? (b[at + i] as number) : zero;
    return uuidLength;
  };
}

/** inet and cidr: the first byte of IPv4 and the first two of IPv6 stay. */
export function quickAddress(format: 0 | 1, isCidr: boolean): Quick {
  return format === 0 ? addressText(isCidr) : addressBinary(isCidr);
}

function addressText(isCidr: boolean): Quick {
  const four = Buffer.from(`.0.0.0${isCidr ? "/8" : ""}`);
  const six = Buffer.from(`::${isCidr ? "/16" : ""}`);
  return (b, at, end, out) => {
    const stop = addressEnd(b, at, end);
    if (stop < 0) return null;
    let i = at;
    // A number below 1000 or the first word of IPv6.
    while (i < stop && b[i] !== dot && b[i] !== colon) i++;
    const isFour = b[i] === dot;
    if (i === stop || i - at > 4 || (isFour && !isIpv4(b, at, stop, end))) return null;
    out.room(16);
    out.copy(b, at, i);
    const rest = isFour ? four : six;
    out.copy(rest, 0, rest.length);
    return i - at + rest.length;
  };
}

/** Four times one to three digits, and no more than two behind a slash. */
function isIpv4(b: Buffer, at: number, stop: number, end: number): boolean {
  let digits = 0;
  let dots = 0;
  for (let i = at; i < stop; i++) {
    if (isDigit(b[i])) {
      if (++digits > 3) return false;
    } else {
      if (b[i] !== dot || digits === 0) return false;
      dots++;
      digits = 0;
    }
  }
  return dots === 3 && digits > 0 && end - stop <= 3;
}

function addressBinary(isCidr: boolean): Quick {
  return (b, at, end, out) => {
    const size = addressSize(b, at, end);
    if (size < 0) return null;
    out.room(4 + size);
    const { buffer } = out;
    const kept = size === 4 ? 1 : 2;
    let to = out.at;
    buffer[to++] = b[at] as number;
    buffer[to++] = isCidr ? kept * 8 : size * 8;
    buffer[to++] = isCidr ? 1 : 0;
    buffer[to++] = size;
    for (let i = 0; i < size; i++) buffer[to++] = i < kept ? (b[at + 4 + i] as number) : 0;
    out.at = to;
    return 4 + size;
  };
}
