const nan = 0xc000;
const positiveInfinity = 0xd000;
const negativeInfinity = 0xf000;
const negative = 0x4000;

/**
 * Text of a numeric in binary form (numeric_send): Int16 number of base-10000 digits, weight of the first (power of
 * 10000), sign, number of decimal digits shown behind the point; then the digits. null when it is malformed.
 */
export function numericText(b: Buffer): string | null {
  if (b.length < 8) return null;
  const count = b.readUInt16BE(0);
  const weight = b.readInt16BE(2);
  const sign = b.readUInt16BE(4);
  const scale = b.readUInt16BE(6);
  if (b.length !== 8 + count * 2 || scale > 0x3fff) return null;
  if (sign === nan) return "NaN";
  if (sign === positiveInfinity) return "Infinity";
  if (sign === negativeInfinity) return "-Infinity";
  if (sign !== 0 && sign !== negative) return null;

  const groups: string[] = [];
  for (let i = 0; i < count; i++) {
    const group = b.readUInt16BE(8 + i * 2);
    if (group > 9999) return null;
    groups.push(String(group).padStart(4, "0"));
  }
  const digits = groups.join("");
  // Digits in front of the point; negative when zeros stand between the point and the first digit.
  const before = count === 0 ? 0 : (weight + 1) * 4;
  const whole = digits.slice(0, Math.max(before, 0)).padEnd(before, "0").replace(/^0+/, "");
  const fraction = ("0".repeat(Math.min(Math.max(-before, 0), scale)) + digits.slice(Math.max(before, 0)))
    .slice(0, scale)
    .padEnd(scale, "0");
  const isZero = whole === "" && /^0*$/.test(fraction);
  const head = (sign === negative && !isZero ? "-" : "") + (whole === "" ? "0" : whole);
  return scale === 0 ? head : `${head}.${fraction}`;
}
