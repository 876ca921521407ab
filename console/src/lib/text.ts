/** Hostile text made visible: characters that hide, reorder or imitate are named instead of obeyed. */

/** A piece of a text: plain, or one character that a reader would not see as what it is. */
export interface Segment {
  readonly text: string;
  /** For a character that is shown by name: e.g. "U+202E RIGHT-TO-LEFT OVERRIDE". */
  readonly hidden: string | null;
}

/**
 * Control characters but line feed and tab; spaces that look like others or like nothing; everything that changes
 * direction or joins (Unicode Bidirectional Algorithm, UAX 9, section 2); fillers; tags; halves of surrogate pairs;
 * and marks piled on a letter beyond the fourth, which would be drawn over other lines.
 */
const hiddenPattern =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  /[\u0000-\u0008\u000b-\u001f\u007f-\u00a0\u00ad\u061c\u115f\u1160\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufeff\uffa0\ufff0-\ufffb]|\u034f|[\u17b4-\u17b5]|[\u180b-\u180f]|[\ufe00-\ufe0e]|[\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|\p{Cs}|(?<=\p{M}{4})\p{M}+/gu;

const names: Readonly<Record<string, string>> = {
  "U+0000": "NULL",
  "U+0007": "BELL",
  "U+0008": "BACKSPACE",
  "U+000D": "CARRIAGE RETURN",
  "U+001B": "ESCAPE",
  "U+007F": "DELETE",
  "U+00A0": "NO-BREAK SPACE",
  "U+00AD": "SOFT HYPHEN",
  "U+061C": "ARABIC LETTER MARK",
  "U+200B": "ZERO WIDTH SPACE",
  "U+200C": "ZERO WIDTH NON-JOINER",
  "U+200D": "ZERO WIDTH JOINER",
  "U+200E": "LEFT-TO-RIGHT MARK",
  "U+200F": "RIGHT-TO-LEFT MARK",
  "U+2028": "LINE SEPARATOR",
  "U+2029": "PARAGRAPH SEPARATOR",
  "U+202A": "LEFT-TO-RIGHT EMBEDDING",
  "U+202B": "RIGHT-TO-LEFT EMBEDDING",
  "U+202C": "POP DIRECTIONAL FORMATTING",
  "U+202D": "LEFT-TO-RIGHT OVERRIDE",
  "U+202E": "RIGHT-TO-LEFT OVERRIDE",
  "U+2060": "WORD JOINER",
  "U+2066": "LEFT-TO-RIGHT ISOLATE",
  "U+2067": "RIGHT-TO-LEFT ISOLATE",
  "U+2068": "FIRST STRONG ISOLATE",
  "U+2069": "POP DIRECTIONAL ISOLATE",
  "U+3164": "HANGUL FILLER",
  "U+FEFF": "ZERO WIDTH NO-BREAK SPACE",
};

/** "U+202E" of the first code point of `character`. */
export function codePointOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Splits at characters that must be shown by name. The pieces' texts join to `value` exactly. */
export function segments(value: string): readonly Segment[] {
  const out: Segment[] = [];
  let from = 0;
  for (const match of value.matchAll(hiddenPattern)) {
    if (match.index > from) out.push({ text: value.slice(from, match.index), hidden: null });
    out.push({ text: match[0], hidden: nameOf(match[0]) });
    from = match.index + match[0].length;
  }
  if (from < value.length) out.push({ text: value.slice(from), hidden: null });
  return out;
}

/** "U+202E RIGHT-TO-LEFT OVERRIDE", "596 combining marks". */
function nameOf(hidden: string): string {
  if (/^\p{M}/u.test(hidden) && !/^[\u034f\u180b-\u180f\ufe00-\ufe0e]/.test(hidden))
    return `${[...hidden].length} combining marks`;
  const code = codePointOf(hidden);
  const name = names[code];
  return name === undefined ? code : `${code} ${name}`;
}

/** What stands on the page for a hidden piece, by its name: "U+202E". */
export function labelOf(name: string): string {
  return name.startsWith("U+") ? (name.split(" ", 1)[0] ?? name) : name;
}

/** true: some of it would not be seen for what it is. */
export function hasHidden(value: string): boolean {
  return value.search(hiddenPattern) >= 0;
}

/** For places that take only a string (titles, labels, notifications): hidden characters as ⟨U+202E⟩. */
export function visible(value: string): string {
  return value.replace(hiddenPattern, (hidden) => `⟨${labelOf(nameOf(hidden))}⟩`);
}

/** At most `limit` UTF-16 units, with an ellipsis when cut; never half a surrogate pair. */
export function clip(value: string, limit: number): string {
  if (value.length <= limit) return value;
  const last = value.charCodeAt(limit - 2);
  return `${value.slice(0, last >= 0xd800 && last < 0xdc00 ? limit - 2 : limit - 1)}…`;
}

/** White space runs become one space: for one-line views of SQL. Looks at no more than it needs for `limit`. */
export function oneLine(value: string, limit: number): string {
  const head = value.length > limit * 4 ? value.slice(0, limit * 4) : value;
  const flat = head.replace(/[ \t\r\n]+/g, " ").trim();
  return flat.length > limit || head.length < value.length ? clip(`${flat}  `, limit) : flat;
}

const sizes = ["B", "kB", "MB", "GB", "TB"] as const;

/** 1536 → "1.5 kB" (powers of 1000). */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < sizes.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${sizes[unit]}`;
}

const whole = new Intl.NumberFormat("en");

/** 1234567 → "1,234,567". */
export function count(value: number): string {
  return whole.format(value);
}

/** "1 row", "3 rows". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
