import {
  leftToRight,
  mappedToNothing,
  nonAsciiSpace,
  prohibitedOutput,
  rightToLeft,
  unassigned,
} from "./saslprep-tables.ts";

/**
 * Prepares a password as PostgreSQL does (RFC 4013 over RFC 3454, PostgreSQL's saslprep.c): ASCII stays as it is; the
 * rest is mapped, normalised to NFKC and checked. A password that may not be prepared is taken as it stands: PostgreSQL
 * stored it so. The checks look at the mapped text, not at the normalised one, because PostgreSQL's do.
 */
export function saslprep(password: string): string {
  if (/^[\0-\x7f]*$/.test(password)) return password;
  const points: number[] = [];
  for (const char of password) {
    const point = char.codePointAt(0) ?? 0;
    if (inRanges(nonAsciiSpace, point)) points.push(0x20);
    else if (!inRanges(mappedToNothing, point)) points.push(point);
  }
  if (points.length === 0 || points.some(isProhibited) || !isBidirectionalSound(points)) return password;
  return points
    .map((point) => String.fromCodePoint(point))
    .join("")
    .normalize("NFKC");
}

function isProhibited(point: number): boolean {
  return inRanges(prohibitedOutput, point) || inRanges(unassigned, point);
}

/** RFC 3454 section 6. */
function isBidirectionalSound(points: readonly number[]): boolean {
  const isRight = (point: number | undefined) => point !== undefined && inRanges(rightToLeft, point);
  if (!points.some(isRight)) return true;
  return (
    isRight(points[0]) && isRight(points.at(-1)) && !points.some((point) => inRanges(leftToRight, point))
  );
}

/** Binary search in ascending pairs of first and last. */
function inRanges(ranges: readonly number[], point: number): boolean {
  let low = 0;
  let high = ranges.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (point < (ranges[middle * 2] ?? 0)) high = middle - 1;
    else if (point > (ranges[middle * 2 + 1] ?? 0)) low = middle + 1;
    else return true;
  }
  return false;
}
