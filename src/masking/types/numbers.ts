/** Masks of int2, int4, int8, numeric, float4 and float8. Their sign counts as hidden. */
import { mayKeep } from "./partial.ts";
import type { ScalarType } from "./scalar.ts";

const minDigits = 6;

/** @param bytes size of the type. */
export function integerType(bytes: 2 | 4 | 8): ScalarType {
  const greatest = 2n ** BigInt(bytes * 8 - 1) - 1n;
  return {
    redact: () => "0",
    normal: (text) => (/^-?\d{1,19}$/.test(text) ? text : null),
    // Below 2^53, so that clients which read int8 as a double keep equal values equal.
    hash: (digest) => String(BigInt.asUintN(53, digest.readBigUInt64BE(0)) & greatest),
    partial: partialOf,
    keep: (text, first, last) => keepDigits(digitsOf(text), first, last),
    binary(text) {
      const b = Buffer.alloc(bytes);
      const value = BigInt(text);
      if (value > greatest || value < -greatest - 1n) return null;
      if (bytes === 8) b.writeBigInt64BE(value);
      else b.writeIntBE(Number(value), 0, bytes);
      return b;
    },
  };
}

/** numeric(p, s): s digits behind the point, p in all; typmod as make_numeric_typmod packs it. */
export interface Precision {
  readonly precision: number;
  readonly scale: number;
}

/** What a numeric's typmod says; null: it has none. */
export function precisionOf(typmod: number): Precision | null {
  if (typmod < 4) return null;
  const packed = typmod - 4;
  // The scale is an 11-bit number with a sign (PostgreSQL 15).
  return { precision: (packed >>> 16) & 0xffff, scale: ((packed & 0x7ff) ^ 1024) - 1024 };
}

export const hashDigits = 15;
const finite = /^-?\d+(?:\.\d+)?$/;

export const numericType: ScalarType = {
  redact: (typmod) => zero(precisionOf(typmod)?.scale ?? 0),
  normal(text) {
    if (!finite.test(text)) return /^(?:NaN|-?Infinity)$/.test(text) ? text : null;
    const shown = text.includes(".") ? withoutZeros(text) : text;
    return shown === "-0" ? "0" : shown;
  },
  hash(digest, typmod) {
    const { precision, scale } = precisionOf(typmod) ?? { precision: hashDigits, scale: 0 };
    // Three digits and fewer hide nobody among a table's rows, and collide.
    if (precision < 4) return null;
    const digits = Math.min(precision, hashDigits);
    return shift(String(digest.readBigUInt64BE(0) % 10n ** BigInt(digits)), scale);
  },
  partial: (text) => (finite.test(text) ? partialOf(text) : null),
  keep: (text, first, last) => (finite.test(text) ? keepDigits(digitsOf(text), first, last) : null),
  binary: numericBinary,
};

/** A fraction without zeros at its end. No regular expression: it would look at each of many zeros in front of others again. */
function withoutZeros(text: string): string {
  let end = text.length;
  while (text[end - 1] === "0") end--;
  return text.slice(0, text[end - 1] === "." ? end - 1 : end);
}

/** Text without sign and leading zeros. */
function digitsOf(text: string): string {
  return text.replace(/^-?0*(?=\d)/, "");
}

/** How many digits a partial mask shows of so many. */
export function partialDigits(count: number): { readonly first: number; readonly last: number } {
  return { first: 0, last: count < minDigits ? 0 : Math.min(4, Math.floor(count / 3)) };
}

function partialOf(text: string): string {
  const digits = digitsOf(text);
  return keepDigits(digits, 0, partialDigits(countDigits(digits)).last);
}

function countDigits(text: string): number {
  return text.includes(".") ? text.length - 1 : text.length;
}

/** Sets all digits but the first and last to zero; all of them where too few would be hidden. */
function keepDigits(text: string, first: number, last: number): string {
  const count = countDigits(text);
  const shows = mayKeep(count, first, last);
  let seen = 0;
  const shown = text.replace(/\d/g, (digit) => {
    seen++;
    return shows && (seen <= first || seen > count - last) ? digit : "0";
  });
  return shown.replace(/^0+(?=\d)/, "");
}

function zero(scale: number): string {
  return scale > 0 ? `0.${"0".repeat(scale)}` : "0";
}

/** Puts the point before the last `scale` of the digits; a negative scale appends zeros. */
function shift(digits: string, scale: number): string {
  if (scale <= 0) return digits === "0" ? "0" : digits + "0".repeat(-scale);
  const padded = digits.padStart(scale + 1, "0");
  return `${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

/** numeric_send: base-10000 digits from the first that is not zero, with weight, sign and scale in front. */
function numericBinary(text: string): Buffer | null {
  const parts = /^(\d+)(?:\.(\d+))?$/.exec(text);
  if (parts === null) return null;
  const [, whole = "", fraction = ""] = parts;
  const groups: number[] = [];
  const padded = whole.padStart(Math.ceil(whole.length / 4) * 4, "0");
  for (let i = 0; i < padded.length; i += 4) groups.push(Number(padded.slice(i, i + 4)));
  let weight = groups.length - 1;
  for (let i = 0; i < fraction.length; i += 4) groups.push(Number(fraction.slice(i, i + 4).padEnd(4, "0")));
  while (groups[0] === 0) {
    groups.shift();
    weight--;
  }
  while (groups.at(-1) === 0) groups.pop();
  if (groups.length > 0xffff || weight > 0x7fff || fraction.length > 0x3fff) return null;
  const b = Buffer.alloc(8 + groups.length * 2);
  b.writeUInt16BE(groups.length, 0);
  b.writeInt16BE(groups.length === 0 ? 0 : weight, 2);
  b.writeUInt16BE(fraction.length, 6);
  for (const [i, group] of groups.entries()) b.writeUInt16BE(group, 8 + i * 2);
  return b;
}

/** @param bytes size of the type. */
export function floatType(bytes: 4 | 8): ScalarType {
  // What is printed without exponent and read back exactly.
  const values = bytes === 4 ? 1_000_000n : 1_000_000_000_000_000n;
  return {
    redact: () => "0",
    normal(text) {
      if (!/^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/.test(text)) return null;
      const value = bytes === 4 ? Math.fround(Number(text)) : Number(text);
      // -0 equals 0.
      return String(value === 0 ? 0 : value);
    },
    hash: (digest) => String(digest.readBigUInt64BE(0) % values),
    binary(text) {
      const b = Buffer.alloc(bytes);
      if (bytes === 4) b.writeFloatBE(Number(text));
      else b.writeDoubleBE(Number(text));
      return b;
    },
  };
}
