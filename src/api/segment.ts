/**
 * Names as one part of a path. What reads addresses takes away the parts "." and "..", also written as %2e (WHATWG URL, section 4.1), so that a
 * run by such a name, which callers are free to claim, would have no address: they are written with a tilde before them, and so is whatever
 * could be taken for that.
 */

/** The name that a decoded part of a path stands for. */
export function nameOfSegment(part: string): string {
  return /^~+\.{1,2}$/.test(part) ? part.slice(1) : part;
}
