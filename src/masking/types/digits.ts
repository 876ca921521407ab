/** Digits read and written as bytes. */

const zero = 0x30;
const dash = 0x2d;
const eight = 100_000_000;
const high32 = 0x1_0000_0000;
const hexDigits = Buffer.from("0123456789abcdef");
/** Value of a lower-case hexadecimal digit by its byte; 16: none. */
const hexValues = new Uint8Array(256).fill(16);
for (const [value, c] of hexDigits.entries()) hexValues[c] = value;

/** Digits of the numbers below 100. */
const tens = Uint8Array.from({ length: 100 }, (_, n) => zero + Math.floor(n / 10));
const ones = Uint8Array.from({ length: 100 }, (_, n) => zero + (n % 10));

/** The byte is a digit in ASCII. */
export function isDigit(c: number | undefined): boolean {
  return c !== undefined && c >= zero && c <= zero + 9;
}

/** The number that two digits at `at` make; less than 0 where there are none. */
export function two(b: Uint8Array, at: number): number {
  return isDigit(b[at]) && isDigit(b[at + 1])
    ? (b[at] as number) * 10 + (b[at + 1] as number) - zero * 11
    : -1;
}

/** The 32 bits at `at`, with a sign. */
export function int32(b: Uint8Array, at: number): number {
  return (
    ((b[at] as number) << 24) |
    ((b[at + 1] as number) << 16) |
    ((b[at + 2] as number) << 8) |
    (b[at + 3] as number)
  );
}

/** The 32 bits at `at`, without one. */
export function uint32(b: Uint8Array, at: number): number {
  return int32(b, at) >>> 0;
}

/** Writes a safe integer, not negative, with at least `width` digits (of 8 or fewer). Gives the index behind it. */
export function writeDigits(value: number, b: Uint8Array, at: number, width = 1): number {
  if (value >= eight) {
    const high = Math.floor(value / eight);
    return writeDigits(value - high * eight, b, writeDigits(high, b, at), 8);
  }
  let size = 1;
  for (let limit = 10; size < 8 && value >= limit; limit *= 10) size++;
  if (size < width) size = width;
  let rest = value | 0;
  let i = at + size;
  for (; i > at + 1; i -= 2) {
    const next = (rest / 100) | 0;
    const pair = rest - next * 100;
    b[i - 2] = tens[pair] as number;
    b[i - 1] = ones[pair] as number;
    rest = next;
  }
  if (i > at) b[at] = zero + rest;
  return at + size;
}

/** Writes a number below 100 with two digits. */
export function writeTwo(value: number, b: Uint8Array, at: number): number {
  b[at] = tens[value] as number;
  b[at + 1] = ones[value] as number;
  return at + 2;
}

/** Writes any safe integer. */
export function writeInteger(value: number, b: Uint8Array, at: number): number {
  if (value >= 0) return writeDigits(value, b, at);
  b[at] = dash;
  return writeDigits(-value, b, at + 1);
}

/** Gives high * 2^32 + low, exact where it is a safe integer. */
export function int64(high: number, low: number): number {
  return high * high32 + low;
}

/** Writes any Int64, given in two halves: the higher with its sign, the lower without. Gives the index behind it. */
export function writeInt64Digits(high: number, low: number, b: Uint8Array, at: number): number {
  const value = high * high32 + low;
  if (Number.isSafeInteger(value)) return writeInteger(value, b, at);
  let to = at;
  let [upper, lower] = [high, low];
  if (high < 0) {
    b[to++] = dash;
    lower = low === 0 ? 0 : high32 - low;
    upper = -high - (low === 0 ? 0 : 1);
  }
  // Division by 10^8, 16 bits at a time, so that every step is exact.
  const first = Math.floor(upper / eight);
  const middle = (upper - first * eight) * 0x1_0000 + (lower >>> 16);
  const second = Math.floor(middle / eight);
  const last = (middle - second * eight) * 0x1_0000 + (lower & 0xffff);
  const third = Math.floor(last / eight);
  const quotient = first * high32 + second * 0x1_0000 + third;
  return writeDigits(last - third * eight, b, writeDigits(quotient, b, to), 8);
}

/** Writes a safe integer as an Int64. Gives the index behind it. */
export function writeInt64(value: number, b: Buffer, at: number): number {
  const high = Math.floor(value / high32);
  b.writeInt32BE(high, at);
  return b.writeUInt32BE(value - high * high32, at + 4);
}

/** Writes bytes[from, to) as hexadecimal digits. Gives the index behind them. */
export function writeHex(bytes: Uint8Array, from: number, to: number, b: Uint8Array, at: number): number {
  let next = at;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    b[next++] = hexDigits[byte >>> 4] as number;
    b[next++] = hexDigits[byte & 15] as number;
  }
  return next;
}

/** b[from, to) is hexadecimal digits in lower case; true of nothing. */
export function isHex(b: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (hexValues[b[i] as number] === 16) return false;
  return true;
}

export const uuidLength = 36;

/** true: b[at, end) is a uuid as uuid_out writes it. */
export function isUuid(b: Uint8Array, at: number, end: number): boolean {
  if (end - at !== uuidLength) return false;
  for (let i = 0; i < uuidLength; i++) {
    const c = b[at + i] as number;
    if (i === 8 || i === 13 || i === 18 || i === 23 ? c !== dash : hexValues[c] === 16) return false;
  }
  return true;
}

/** Writes bytes[from, from + 16) as a uuid. Gives the index behind it. */
export function writeUuid(bytes: Uint8Array, from: number, b: Uint8Array, at: number): number {
  let next = at;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) b[next++] = dash;
    const byte = bytes[from + i] as number;
    b[next++] = hexDigits[byte >>> 4] as number;
    b[next++] = hexDigits[byte & 15] as number;
  }
  return next;
}
