/** Greatest number of dimensions (PostgreSQL's MAXDIM). */
const maxDimensions = 6;
/** An element that PostgreSQL puts in quotes: empty, NULL, or with a character that means something to array_in. */
const needsQuotes = /^$|^null$|["\\{},\t\n\v\f\r ]/i;

interface Dimension {
  readonly length: number;
  readonly lower: number;
}

/**
 * Text of an array in binary form (array_send): Int32 number of dimensions, flags, element type, for each dimension length
 * and lower bound, then the elements with an Int32 length in front (manual, "Arrays", section on input and output syntax).
 * @param element the element type the array type says.
 * @param textOf gives an element's text, null when it cannot.
 * @returns null when malformed, an element cannot be shown, or the text would grow out of proportion to the bytes.
 */
export function arrayText(
  element: number,
  b: Buffer,
  textOf: (oid: number, bytes: Buffer) => string | null,
): string | null {
  if (b.length < 12) return null;
  const count = b.readInt32BE(0);
  const flags = b.readInt32BE(4);
  if (count < 0 || count > maxDimensions || (flags !== 0 && flags !== 1)) return null;
  if (b.readUInt32BE(8) !== element || b.length < 12 + count * 8) return null;

  const dimensions: Dimension[] = [];
  let items = count === 0 ? 0 : 1;
  for (let i = 0; i < count; i++) {
    const dimension = { length: b.readInt32BE(12 + i * 8), lower: b.readInt32BE(16 + i * 8) };
    if (dimension.length < 0) return null;
    dimensions.push(dimension);
    items *= dimension.length;
  }
  const start = 12 + count * 8;
  // Each element takes four bytes at least; this also keeps `items` exact.
  if (items * 4 > b.length - start) return null;
  if (items === 0) return b.length === start ? "{}" : null;
  const texts = elementTexts(element, b, start, items, textOf);
  return texts === null ? null : bounds(dimensions) + nest(dimensions, texts);
}

function elementTexts(
  element: number,
  b: Buffer,
  start: number,
  items: number,
  textOf: (oid: number, bytes: Buffer) => string | null,
): string[] | null {
  // A numeric of ten bytes can have 131072 digits: an array of them must not fill the memory.
  let room = 1_000_000 + b.length * 8;
  const texts: string[] = [];
  let at = start;
  for (let i = 0; i < items; i++) {
    if (at + 4 > b.length) return null;
    const length = b.readInt32BE(at);
    at += 4;
    if (length === -1) {
      texts.push("NULL");
      continue;
    }
    if (length < 0 || at + length > b.length) return null;
    const text = textOf(element, b.subarray(at, at + length));
    if (text === null) return null;
    room -= text.length;
    if (room < 0) return null;
    texts.push(needsQuotes.test(text) ? `"${text.replace(/["\\]/g, "\\$&")}"` : text);
    at += length;
  }
  return at === b.length ? texts : null;
}

/** "[2:3][0:1]=" where a lower bound is not 1. */
function bounds(dimensions: readonly Dimension[]): string {
  if (dimensions.every((dimension) => dimension.lower === 1)) return "";
  return `${dimensions.map(({ lower, length }) => `[${lower}:${lower + length - 1}]`).join("")}=`;
}

/** Puts the elements, last dimension running fastest, into braces. */
function nest(dimensions: readonly Dimension[], texts: readonly string[]): string {
  let level = texts;
  for (const { length } of dimensions.toReversed()) {
    const outer: string[] = [];
    for (let i = 0; i < level.length; i += length) outer.push(`{${level.slice(i, i + length).join(",")}}`);
    level = outer;
  }
  return level.join(",");
}
