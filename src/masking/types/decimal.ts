/**
 * Doubles read from and written as decimals, without strings: the same as Number(text) and String(value), or the answer that it is
 * not sure. Both compute with a number of two doubles that is exact, or nearly, and then see whether what is left over could
 * matter (Dekker, "A floating-point technique for extending the available precision", 1971).
 */
import { isDigit, writeDigits, writeInteger, writePadded } from "./digits.ts";

const zero = 0x30;
const dot = 0x2e;
const minus = 0x2d;
const plus = 0x2b;
const eight = 1e8;
/** Powers of ten that are doubles. */
const powers = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
const splitter = 0x800_0001;

/** a * b - product, exactly, where product is a * b as a double. */
function productRest(a: number, b: number, product: number): number {
  const wideA = a * splitter;
  const highA = wideA - (wideA - a);
  const lowA = a - highA;
  const wideB = b * splitter;
  const highB = wideB - (wideB - b);
  const lowB = b - highB;
  return lowA * lowB - (product - highA * highB - lowA * highB - highA * lowB);
}

/**
 * The power of two that is not greater than x (Rump, Ogita, Oishi, "Accurate floating-point summation I", 2008, algorithm 3.6); of
 * any x that is used here, greater than zero.
 */
function firstBit(x: number): number {
  const wide = x * 0x10_0000_0000_0001;
  return Math.abs(wide - wide * oneBelow);
}

/** Half the distance to the next double away from zero, in parts of the first bit. */
const halfStep = 2 ** -53;
const oneBelow = 1 - halfStep;

/** The value of b[at, end), as -12.5e+7; NaN: of another form, or not surely read. */
export function readDecimal(b: Buffer, at: number, end: number): number {
  const isNegative = b[at] === minus;
  let i = isNegative ? at + 1 : at;
  if (i >= end || !isDigit(b[i])) return Number.NaN;
  // Up to nine digits and up to eight more.
  let head = 0;
  let tail = 0;
  let digits = 0;
  let point = -1;
  for (; i < end; i++) {
    const c = b[i] as number;
    if (c === dot) {
      if (point >= 0 || i + 1 === end || !isDigit(b[i + 1])) return Number.NaN;
      point = i;
    } else if (isDigit(c)) {
      if (digits < 9) head = head * 10 + c - zero;
      else tail = tail * 10 + c - zero;
      if (digits > 0 || c > zero) digits++;
    } else break;
  }
  if (digits > 17) return Number.NaN;
  let exponent = point < 0 ? 0 : point + 1 - i;
  if (i < end) {
    const power = readExponent(b, i, end);
    if (Number.isNaN(power)) return power;
    exponent += power;
  }
  if (exponent < -22 || exponent > 22) return Number.NaN;
  const shifted = digits > 9 ? head * (powers[digits - 9] as number) : head;
  const value = scaled(shifted, tail, digits <= 15, exponent);
  return isNegative ? -value : value;
}

/** e+DD or e-DD, of one to three digits. */
function readExponent(b: Buffer, at: number, end: number): number {
  const sign = b[at + 1];
  if ((b[at] as number) !== 0x65 || (sign !== plus && sign !== minus)) return Number.NaN;
  if (end - at < 3 || end - at > 5) return Number.NaN;
  let power = 0;
  for (let i = at + 2; i < end; i++) {
    if (!isDigit(b[i])) return Number.NaN;
    power = power * 10 + (b[i] as number) - zero;
  }
  return sign === minus ? -power : power;
}

/** (high + low) * 10^exponent, rounded once; NaN: not surely. Both and the power are exact. */
function scaled(high: number, low: number, isSmall: boolean, exponent: number): number {
  const power = powers[Math.abs(exponent)] as number;
  const sum = high + low;
  // One rounding of exact numbers is right.
  if (isSmall || exponent === 0) return exponent < 0 ? sum / power : sum * power;
  const rest = low - (sum - high);
  let near: number;
  let more: number;
  if (exponent < 0) {
    near = sum / power;
    const product = near * power;
    more = (sum - product - productRest(near, power, product) + rest) / power;
  } else {
    near = sum * power;
    more = productRest(sum, power, near) + rest * power;
  }
  const value = near + more;
  const left = Math.abs(more - (value - near));
  // Near the middle between two doubles. Below a power of two they lie closer.
  const bit = firstBit(value);
  return left > bit * halfStep * (bit === value ? 0.499 : 0.999) ? Number.NaN : value;
}

const digitRoom = Buffer.alloc(24);

/** Writes String(value) to b at `at`; gives the index behind it. -1: not surely. */
export function writeDecimal(value: number, b: Buffer, at: number): number {
  if (Number.isSafeInteger(value)) return writeInteger(value, b, at);
  const size = Math.abs(value);
  // Where it is written without exponent; all others are whole numbers.
  if (!(size >= 1e-6 && size < 2 ** 52)) return -1;
  let to = at;
  if (value < 0) b[to++] = minus;
  const scale = scaleOf(size);
  if (scale >= powers.length) return -1;
  const count = shortestDigits(size, scale);
  if (count < 0) return -1;
  // The power of ten of the first digit.
  let power = digitCount - 1 - scale;
  if (power < 0) {
    b[to++] = zero;
    b[to++] = dot;
    for (; power < -1; power++) b[to++] = zero;
    for (let i = 0; i < count; i++) b[to++] = digitRoom[i] as number;
    return to;
  }
  for (let i = 0; i < count || power >= 0; i++, power--) {
    if (power === -1) b[to++] = dot;
    b[to++] = i < count ? (digitRoom[i] as number) : zero;
  }
  return to;
}

/** So that 10^16 <= value * 10^scale < 10^17. */
function scaleOf(value: number): number {
  let scale = 16;
  if (value >= 1) {
    while (value >= (powers[17 - scale] as number)) scale--;
    return scale;
  }
  for (let shown = value * 10; shown < 1; shown *= 10) scale++;
  return scale + 1;
}

/** How many digits the last call of shortestDigits wrote before those that are zeros at the end. */
let digitCount = 0;

/**
 * Writes the digits of the shortest decimal that is read back as `value`, of those the nearest, times 10^scale. Gives how many there are
 * without zeros at the end; -1: not surely. With 15 digits or fewer there is one at most, for doubles are denser than those.
 */
function shortestDigits(value: number, scale: number): number {
  const power = powers[scale] as number;
  const product = value * power;
  const rest = productRest(value, power, product);
  // Decimals within `inner` are read back as the value, those beyond `outer` are not.
  const bit = firstBit(value);
  const outer = bit * halfStep * power;
  const inner = bit === value ? outer / 2 : outer;
  let upper = Math.floor(product / eight);
  // Off by 10^-8 at most.
  let lower = product - upper * eight + rest;
  if (lower < 0) {
    upper--;
    lower += eight;
  }
  const unsure = 1e-6;
  let chosen = -1;
  for (let step = 100; chosen < 0; step /= 10) {
    const near = Math.round(lower / step) * step;
    const distance = Math.abs(near - lower);
    // Two that are equally near, or one at the edge.
    if (step < 100 && distance > step / 2 - unsure) return -1;
    if (distance < inner - unsure) chosen = near;
    else if (distance < outer + unsure || step === 1) return -1;
  }
  if (chosen >= eight) {
    upper++;
    chosen -= eight;
  }
  const end = writePadded(chosen, digitRoom, writeDigits(upper, digitRoom, 0), 8);
  digitCount = end;
  let count = end;
  while (count > 1 && digitRoom[count - 1] === zero) count--;
  return count;
}
