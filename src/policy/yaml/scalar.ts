/** Where a character of a scalar's value stands in the file, for mistakes inside conditions. */
import type { Scalar } from "yaml";

/**
 * Gives the offset in `text` of the value's character `index`. Exact for values on one line (plain, or in quotes without
 * backslashes) and for literal blocks (`|`); otherwise where the value begins.
 */
export function offsetInScalar(text: string, scalar: Scalar, index: number): number {
  const start = scalar.range?.[0] ?? 0;
  const end = scalar.range?.[1] ?? start;
  const source = text.slice(start, end);
  switch (scalar.type) {
    case "PLAIN":
      return source.includes("\n") ? start : start + index;
    case "QUOTE_DOUBLE":
      return source.includes("\n") || source.includes("\\") ? start : start + 1 + index;
    case "QUOTE_SINGLE":
      return source.includes("\n") ? start : start + singleQuoted(source, index);
    case "BLOCK_LITERAL":
      return literalBlock(text, scalar, start, end, index);
    default:
      return start;
  }
}

/** Within single quotes every quote is written twice. */
function singleQuoted(source: string, index: number): number {
  let at = 1;
  for (let passed = 0; passed < index && at < source.length - 1; passed++) at += source[at] === "'" ? 2 : 1;
  return at;
}

function literalBlock(text: string, scalar: Scalar, start: number, end: number, index: number): number {
  const before = String(scalar.value).slice(0, index).split("\n");
  const lines = text.slice(start, end).split("\n");
  const first = lines.slice(1).find((line) => line.trim() !== "");
  if (first === undefined) return start;
  const indent = first.length - first.trimStart().length;
  let offset = start;
  for (let i = 0; i < before.length; i++) offset += (lines[i]?.length ?? 0) + 1;
  return Math.min(offset + indent + (before.at(-1)?.length ?? 0), end);
}
