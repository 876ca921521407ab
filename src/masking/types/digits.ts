/** Digits read and written as bytes. */

const zero = 0x30;
const dash = 0x2d;
const eight = 100_000_000;
const high32 = 0x1_0000_0000;
const hexDigits = Buffer.from("0123456789abcdef");
/** Value of a lower-case hexadecimal digit by its byte; 16: none. */
const hexValues = new Uint8Array(256).fill(16);
for (const [value, c] of hexDigits.entries()) hexValues[c] = value;
const highDigit = Uint8Array.from({ length: 256 }, (_, byte) => hexDigits[byte >>> 4] as number);
const lowDigit = Uint8Array.from({ length: 256 }, (_, byte) => hexDigits[byte & 15] as number);

/** Digits of the numbers below 100. */
const tens = Uint8Array.from({ length: 100 }, (_, n) => zero + Math.floor(n / 10));
const ones = Uint8Array.from({ length: 100 }, (_, n) => zero + (n % 10));

/** The byte is a digit in ASCII. */
export function isDigit(c: number | undefined): boolean {
  return c !== undefined && c >= zero && c <= zero + 9;
}

/** The number that two digits at `at` make; less than 0 where there are none. */
export function two(b: Uint8Array, at: number): number {
  const high = ((b[at] as number) - zero) | 0;
  const low = ((b[at + 1] as number) - zero) | 0;
  return high >>> 0 < 10 && low >>> 0 < 10 ? high * 10 + low : -1;
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

/** Writes a safe integer, not negative. Gives the index behind it. */
export function writeDigits(value: number, b: Uint8Array, at: number): number {
  if (value >= eight) {
    const high = Math.floor(value / eight);
    return writePadded((value - high * eight) | 0, b, writeDigits(high, b, at), 8);
  }
  const small = value | 0;
  if (small < 100) {
    if (small < 10) {
      b[at] = zero + small;
      return at + 1;
    }
    return writeTwo(small, b, at);
  }
  const size = small < 10_000 ? (small < 1000 ? 3 : 4) : small < 1_000_000 ? (small < 100_000 ? 5 : 6) : 7;
  return writePadded(small, b, at, small < 10_000_000 ? size : 8);
}

/** Writes a number below 10^size with so many digits, eight at most. Gives the index behind them. */
export function writePadded(value: number, b: Uint8Array, at: number, size: number): number {
  let rest = value;
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
  return writePadded((last - third * eight) | 0, b, writeDigits(quotient, b, to), 8);
}

/** Writes a safe integer as an Int64. Gives the index behind it. */
export function writeInt64(value: number, b: Buffer, at: number): number {
  const high = Math.floor(value / high32);
  b.writeInt32BE(high, at);
  return b.writeUInt32BE(value - high * high32, at + 4);
}

/** Writes a byte as two hexadecimal digits. */
export function writeByte(byte: number, b: Uint8Array, at: number): number {
  b[at] = highDigit[byte] as number;
  b[at + 1] = lowDigit[byte] as number;
  return at + 2;
}

/** Writes bytes[from, to) as hexadecimal digits. Gives the index behind them. */
export function writeHex(bytes: Uint8Array, from: number, to: number, b: Uint8Array, at: number): number {
  let next = at;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    b[next++] = highDigit[byte] as number;
    b[next++] = lowDigit[byte] as number;
  }
  return next;
}

/** Copies b[from, to) to `text`; gives the index behind it there, -1 where it is not hexadecimal digits in lower case. */
export function copyHex(b: Uint8Array, from: number, to: number, text: Uint8Array, at: number): number {
  let next = at;
  let all = 0;
  for (let i = from; i < to; i++) {
    const c = b[i] as number;
    text[next++] = c;
    all |= hexValues[c] as number;
  }
  return all < 16 ? next : -1;
}

export const uuidLength = 36;
/** 0 a digit, 1 a dash; more than all of them, anything else. */
const uuidClass = hexValues.map((value) => (value < 16 ? 0 : 64));
uuidClass[dash] = 1;

/** true: b[at, end) is a uuid as uuid_out writes it. */
export function isUuid(b: Uint8Array, at: number, end: number): boolean {
  if (end - at !== uuidLength || !hasDashes(b, at)) return false;
  let dashes = 0;
  for (let i = at; i < end; i++) dashes += uuidClass[b[i] as number] as number;
  return dashes === 4;
}

/** The same, and copies it to `text`: all of it or some. */
export function copyUuid(b: Uint8Array, at: number, end: number, text: Uint8Array, to: number): boolean {
  if (end - at !== uuidLength || !hasDashes(b, at)) return false;
  let dashes = 0;
  for (let i = 0; i < uuidLength; i++) {
    const c = b[at + i] as number;
    text[to + i] = c;
    dashes += uuidClass[c] as number;
  }
  return dashes === 4;
}

function hasDashes(b: Uint8Array, at: number): boolean {
  return b[at + 8] === dash && b[at + 13] === dash && b[at + 18] === dash && b[at + 23] === dash;
}

/** Writes bytes[from, from + 16) as a uuid. Gives the index behind it. */
export function writeUuid(bytes: Uint8Array, from: number, b: Uint8Array, at: number): number {
  let next = at;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) b[next++] = dash;
    const byte = bytes[from + i] as number;
    b[next++] = highDigit[byte] as number;
    b[next++] = lowDigit[byte] as number;
  }
  return next;
}
