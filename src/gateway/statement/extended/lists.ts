/** How many values the lists hold that a Bind sends for parameters. */

/** @param lists numbers of parameters; `formats`: none, one for all, or one each (Bind). */
export function listed(
  lists: readonly number[],
  values: readonly (Buffer | null)[],
  formats: readonly number[],
): number {
  let all = 0;
  for (const number of lists) {
    const value = values[number - 1] ?? null;
    const format = formats.length === 1 ? formats[0] : formats[number - 1];
    if (value !== null) all += format === 1 ? inBinary(value) : inText(value);
  }
  return all;
}

/** array_send(): dimensions, flags, the elements' type, then of each dimension its length and lower bound. */
function inBinary(value: Buffer): number {
  if (value.length < 12) return 0;
  const dimensions = Math.min(value.readInt32BE(0), 6);
  let count = dimensions > 0 ? 1 : 0;
  for (let i = 0; i < dimensions && 16 + i * 8 <= value.length; i++)
    count *= Math.max(0, value.readInt32BE(12 + i * 8));
  // Each has its length before it: more than that there are not.
  return Math.min(count, value.length);
}

const [quote, backslash, comma, close] = [0x22, 0x5c, 0x2c, 0x7d];

/** array_out(): commas between elements, those in quotes aside. Empty: `{}`. */
function inText(value: Buffer): number {
  let commas = 0;
  let quoted = false;
  let last = 0;
  for (let i = 0; i < value.length; i++) {
    const byte = value[i];
    if (byte === backslash) i++;
    else if (byte === quote) quoted = !quoted;
    else if (byte === comma && !quoted) commas++;
    if (byte !== close) last = i;
  }
  return commas === 0 && value[last] === 0x7b ? 0 : commas + 1;
}
