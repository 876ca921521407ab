/** sqlcommenter comments (google.github.io/sqlcommenter/spec): what the caller says of itself, percent-encoded. */

const maxComment = 8192;
const maxKeys = 32;
const maxValue = 1024;
const pair = /\s*([A-Za-z][\w.%-]{0,127})\s*=\s*'((?:[^'\\]|\\.)*)'\s*(,|$)/y;

/** True for a comment that may be sqlcommenter's: a cheap test for the hot path. */
export function resembles(comment: string): boolean {
  return comment.length <= maxComment && comment.includes("='");
}

/**
 * Decodes a whole comment, its marks included. Gives {} for anything that is not a list of key='value' pairs. A pair
 * whose encoding is broken, or whose value is longer than 1024 characters, is left out; of equal keys the last counts.
 */
export function sqlCommenter(comment: string): Record<string, string> {
  if (comment.length > maxComment || !comment.startsWith("/*") || !comment.endsWith("*/")) return {};
  const inner = comment.slice(2, -2).trim();
  const entries: [string, string][] = [];
  pair.lastIndex = 0;
  while (pair.lastIndex < inner.length) {
    const match = pair.exec(inner);
    const last = match?.[3] === "";
    if (match === null || entries.length >= maxKeys || last !== (pair.lastIndex === inner.length)) {
      pair.lastIndex = 0;
      return {};
    }
    const key = decode(match[1] ?? "");
    const value = decode((match[2] ?? "").replaceAll(/\\(.)/gs, "$1"));
    if (key !== null && value !== null && value.length <= maxValue && /^[A-Za-z][\w.-]*$/.test(key))
      entries.push([key, value]);
  }
  // fromEntries defines own members, whatever their names.
  return Object.fromEntries(entries);
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
