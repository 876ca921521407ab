/**
 * Text of float4 and float8 as PostgreSQL prints it since version 12 with extra_float_digits > 0 (manual, "Floating-Point
 * Types"): the fewest digits that give the same value back, whatever way ties are rounded. JavaScript's own shortest form
 * differs where the decimal lies exactly between two doubles: it counts on round-to-even, PostgreSQL does not.
 */

/** From here on all doubles are integers, and a decimal of few digits may lie exactly between two of them. */
const wholeFrom = 2 ** 52;
const wholeTo = 1e40;

export function float8Text(x: number): string {
  const special = specialText(x);
  if (special !== null) return special;
  const size = Math.abs(x);
  const digits = size >= wholeFrom && size < wholeTo ? wholeDigits(size) : split(size.toExponential());
  return layOut(x < 0, digits, 15);
}

export function float4Text(x: number): string {
  const special = specialText(x);
  return special ?? layOut(x < 0, float4Digits(Math.abs(x)), 6);
}

function specialText(x: number): string | null {
  if (Number.isNaN(x)) return "NaN";
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  if (!Number.isFinite(x)) return x < 0 ? "-Infinity" : "Infinity";
  return null;
}

interface Decimal {
  /** Without leading or trailing zeros. */
  readonly digits: string;
  /** Of the first digit. */
  readonly exponent: number;
}

function split(exponential: string): Decimal {
  const [mantissa = "", exponent = "0"] = exponential.split("e");
  return { digits: mantissa.replace(".", "").replace(/(?<=.)0+$/, ""), exponent: Number(exponent) };
}

/** Fixed notation where the first digit's exponent is from -4 to below `fixedBelow`, else d.ddde+XX. */
function layOut(negative: boolean, { digits, exponent }: Decimal, fixedBelow: number): string {
  const sign = negative ? "-" : "";
  if (exponent < -4 || exponent >= fixedBelow) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    const power = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${digits.charAt(0)}${fraction}e${exponent < 0 ? "-" : "+"}${power}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = digits.slice(exponent + 1);
  return sign + whole + (fraction === "" ? "" : `.${fraction}`);
}

const bits = new DataView(new ArrayBuffer(8));

/** Shortest digits of a double that is a whole number of 53 bits or more, by exact integer arithmetic. */
function wholeDigits(x: number): Decimal {
  bits.setFloat64(0, x);
  const raw = bits.getBigUint64(0);
  const shift = (raw >> 52n) - 1075n;
  const mantissa = (raw & 0xfffffffffffffn) | 0x10000000000000n;
  // In quarters of the spacing above: below a power of two the spacing is half.
  const unit = 1n << (shift < 0n ? 0n : shift);
  const value = mantissa * 4n * unit;
  const low = value - (mantissa === 0x10000000000000n ? 1n : 2n) * unit;
  const high = value + 2n * unit;
  const length = String(value / 4n).length;
  // The fewest digits are found at the greatest power of ten that has a multiple inside the open interval.
  for (let power = length; power >= 0; power--) {
    const step = 4n * 10n ** BigInt(power);
    const below = (value / step) * step;
    const best = nearest(value, [below, below + step], low, high, step);
    if (best !== null) {
      const text = String(best / 4n);
      return { digits: text.replace(/(?<=.)0+$/, ""), exponent: text.length - 1 };
    }
  }
  // Not reached: power 0 always has the value itself.
  return split(x.toExponential());
}

function nearest(
  value: bigint,
  candidates: readonly bigint[],
  low: bigint,
  high: bigint,
  step: bigint,
): bigint | null {
  let best: bigint | null = null;
  for (const candidate of candidates) {
    if (candidate <= low || candidate >= high || candidate === 0n) continue;
    if (best === null) {
      best = candidate;
      continue;
    }
    const distance = abs(candidate - value);
    const bestDistance = abs(best - value);
    // A tie goes to the even digit.
    if (distance < bestDistance || (distance === bestDistance && (candidate / step) % 2n === 0n))
      best = candidate;
  }
  return best;
}

function abs(x: bigint): bigint {
  return x < 0n ? -x : x;
}

/** Shortest digits of a float4: its neighbours and the points between them are doubles. */
function float4Digits(x: number): Decimal {
  bits.setFloat32(0, x);
  const raw = bits.getUint32(0);
  const low = (float4(raw - 1) + x) / 2;
  const next = float4(raw + 1);
  // Above the greatest float4 the spacing goes on as if there were more.
  const high = Number.isFinite(next) ? (next + x) / 2 : x + (x - float4(raw - 1)) / 2;
  // Enough digits to tell a tie: where a float4 goes on behind a 5, it does so within 40 digits.
  const [mantissa = "", exponentText = ""] = x.toExponential(40).split("e");
  const exact = BigInt(mantissa.replace(".", ""));
  const exponent = Number(exponentText);
  for (let length = 1; length < 9; length++) {
    const unit = 10n ** BigInt(41 - length);
    const below = exact / unit;
    const rest = (exact % unit) * 2n;
    const upFirst = rest > unit || (rest === unit && below % 2n === 1n);
    for (const digits of upFirst ? [below + 1n, below] : [below, below + 1n]) {
      const value = Number(`${digits}e${exponent - length + 1}`);
      if (value <= low || value >= high) continue;
      const text = String(digits);
      return { digits: text.replace(/(?<=.)0+$/, ""), exponent: exponent - length + text.length };
    }
  }
  return split(x.toExponential(8));
}

function float4(raw: number): number {
  bits.setUint32(0, raw);
  return bits.getFloat32(0);
}
