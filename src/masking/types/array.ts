/** Masks of arrays: element by element, in array_out's text and array_send's binary form. Dimensions stay. */
import type { CellMask } from "../cell.ts";
import type { HashAhead } from "../lanes/ahead.ts";
import { MaskOutput } from "../output.ts";

const comma = 0x2c;
const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;
const equals = 0x3d;
/** PostgreSQL's MAXDIM. */
const maxDimensions = 6;

/** An element that array_in would not read as it stands (manual, "Array Input and Output Syntax"). */
const plain = new Uint8Array(256).fill(1);
for (const c of `"\\{}, \t\n\v\f\r`) plain[c.charCodeAt(0)] = 0;

/** `{a,"b c",NULL}`, with bounds `[0:2]=` in front where they are unusual. Malformed arrays become NULL. */
export function textArray(element: CellMask): CellMask {
  const masked = new MaskOutput();
  let value = Buffer.alloc(256);
  return collecting(element, collectText, (b, at, end, out) => {
    const mark = out.length;
    let i = at;
    if (b[i] === 0x5b) {
      while (i < end && b[i] !== equals) i++;
      // Bounds are digits, signs, colons and brackets.
      if (i === end || !isBounds(b, at, i)) return -1;
      out.copy(b, at, ++i);
    }
    let depth = 0;
    // An element or a brace may come: after "{" and ",". Otherwise "," or "}".
    let expects = true;
    let afterOpen = false;
    while (i < end) {
      const c = b[i] as number;
      if (c === open && expects && depth < maxDimensions) {
        depth++;
        afterOpen = true;
        out.byte(c);
        i++;
      } else if (c === close && depth > 0 && (!expects || afterOpen)) {
        depth--;
        expects = false;
        afterOpen = false;
        out.byte(c);
        i++;
        if (depth === 0) break;
      } else if (c === comma && depth > 0 && !expects) {
        expects = true;
        out.byte(c);
        i++;
      } else if (expects && depth > 0) {
        if (value.length < end - i) value = Buffer.alloc(end - i);
        const quoted = c === quote;
        if (quoted) i++;
        const from = i;
        let size = 0;
        for (; i < end; i++) {
          let x = b[i] as number;
          if (x === backslash) {
            if (++i >= end) break;
            x = b[i] as number;
          } else if (quoted ? x === quote : x === comma || x === close) break;
          else if (!quoted && plain[x] === 0) break;
          value[size++] = x;
        }
        if (quoted && i++ >= end) break;
        if (!quoted && size === 0) break;
        const to = quoted ? i - 1 : i;
        if (!quoted && isNull(value, size)) out.ascii("NULL");
        else if (to - from === size) appendElement(element, b, from, to, masked, out);
        else appendElement(element, value, 0, size, masked, out);
        expects = false;
        afterOpen = false;
      } else break;
    }
    if (i === end && depth === 0 && end > at && !expects) return out.length - mark;
    out.truncate(mark);
    return -1;
  });
}

/** Gives the mask of an array a way to collect its elements, if they are collected. */
function collecting(
  element: CellMask,
  collectElements: (b: Buffer, at: number, end: number, collect: (from: number, to: number) => void) => void,
  mask: (b: Buffer, at: number, end: number, out: MaskOutput) => number,
): CellMask {
  const { collect } = element;
  if (collect === undefined) return mask;
  return Object.assign(mask, {
    collect(b: Buffer, at: number, end: number, ahead: HashAhead) {
      collectElements(b, at, end, (from, to) => collect(b, from, to, ahead));
    },
  });
}

/** Elements between braces and commas, of arrays without backslashes. What is wrong with the rest is for the mask to find. */
function collectText(b: Buffer, at: number, end: number, collect: (from: number, to: number) => void): void {
  let from = at;
  for (let i = at; i < end; i++) {
    const c = b[i];
    if (c === backslash) return;
    if (c === quote) {
      const start = i + 1;
      for (i = start; i < end && b[i] !== quote; i++) if (b[i] === backslash) return;
      if (i === end) return;
      collect(start, i);
      from = i + 1;
    } else if (c === comma || c === close || c === open) {
      if (i > from && c !== open && b[i - 1] !== quote) collect(from, i);
      from = i + 1;
    }
  }
}

function appendElement(
  element: CellMask,
  source: Buffer,
  from: number,
  to: number,
  masked: MaskOutput,
  out: MaskOutput,
): void {
  masked.truncate(0);
  if (element(source, from, to, masked) < 0) {
    out.ascii("NULL");
    return;
  }
  const text = masked.view();
  let quoted = text.length === 0 || isNull(text, text.length);
  for (const c of text) if (plain[c] === 0) quoted = true;
  if (!quoted) {
    out.copy(text, 0, text.length);
    return;
  }
  out.byte(quote);
  for (const c of text) {
    if (c === quote || c === backslash) out.byte(backslash);
    out.byte(c);
  }
  out.byte(quote);
}

function isBounds(b: Buffer, at: number, end: number): boolean {
  for (let i = at; i < end; i++) {
    const c = b[i] as number;
    if (!((c >= 0x30 && c <= 0x39) || c === 0x2b || c === 0x2d || c === 0x3a || c === 0x5b || c === 0x5d))
      return false;
  }
  return true;
}

function isNull(b: Uint8Array, size: number): boolean {
  if (size !== 4) return false;
  for (let i = 0; i < 4; i++) if (((b[i] as number) | 0x20) !== "null".charCodeAt(i)) return false;
  return true;
}

/** Dimensions, flags, element type; length and bound of each dimension; elements. Malformed arrays become NULL. */
export function binaryArray(element: CellMask, elementOid: number): CellMask {
  return collecting(element, collectBinary, (b, at, end, out) => {
    if (end - at < 12) return -1;
    const dimensions = b.readInt32BE(at);
    if (dimensions < 0 || dimensions > maxDimensions || b.readUInt32BE(at + 8) !== elementOid) return -1;
    let i = at + 12 + dimensions * 8;
    if (i > end) return -1;
    let items = dimensions === 0 ? 0 : 1;
    for (let d = 0; d < dimensions; d++) items *= Math.max(0, b.readInt32BE(at + 12 + d * 8));
    if (items * 4 > end - i) return -1;
    const mark = out.length;
    out.copy(b, at, i);
    let nulls = 0;
    for (let n = 0; n < items; n++) {
      const size = i + 4 <= end ? b.readInt32BE(i) : -2;
      i += 4;
      if (size < -1 || (size > 0 && i + size > end)) {
        out.truncate(mark);
        return -1;
      }
      const lengthAt = out.length;
      out.int32(-1);
      if (size >= 0) {
        const masked = element(b, i, i + size, out);
        if (masked >= 0) out.patch(lengthAt, masked);
        else nulls = 1;
        i += size;
      } else nulls = 1;
    }
    if (i !== end) {
      out.truncate(mark);
      return -1;
    }
    out.patch(mark + 4, nulls);
    return out.length - mark;
  });
}

function collectBinary(
  b: Buffer,
  at: number,
  end: number,
  collect: (from: number, to: number) => void,
): void {
  if (end - at < 12) return;
  const dimensions = b.readInt32BE(at);
  if (dimensions < 0 || dimensions > maxDimensions) return;
  for (let i = at + 12 + dimensions * 8; i + 4 <= end; ) {
    const size = b.readInt32BE(i);
    i += 4;
    if (size < 0) continue;
    if (i + size > end) return;
    collect(i, i + size);
    i += size;
  }
}
