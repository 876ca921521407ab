/**
 * The literals of an SQL text, for the search of known values only: nothing is decided on them. Strings, dollar-quoted
 * strings and numbers (PostgreSQL manual, section 4.1.2), as they read without their quotes.
 */
const token =
  /--[^\n]*|\/\*|"(?:[^"]|"")*"?|[eE]'(?:[^'\\]|''|\\[\s\S])*'?|(?:[uU]&|[bBxXnN])?'(?:[^']|'')*'?|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|\$\d+|[\p{L}_][\p{L}\p{N}_$]*|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/gu;
const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** At most `limit` literals, in order. */
export function literalsOf(sql: string, limit: number): string[] {
  const found: string[] = [];
  token.lastIndex = 0;
  for (let match = token.exec(sql); match !== null && found.length < limit; match = token.exec(sql)) {
    const [raw] = match;
    if (raw === "/*") token.lastIndex = commentEnd(sql, match.index);
    else if (raw.startsWith("$")) {
      if (!raw.endsWith("$")) continue;
      const from = token.lastIndex;
      const end = sql.indexOf(raw, from);
      found.push(sql.slice(from, end < 0 ? undefined : end));
      token.lastIndex = end < 0 ? sql.length : end + raw.length;
    } else if (/^[eE]'/.test(raw)) found.push(unescaped(quoted(raw)));
    else if (/^(?:[uU]&|[bBxXnN])?'/.test(raw)) found.push(quoted(raw));
    else if (/^[\d.]/.test(raw)) found.push(raw);
  }
  return found;
}

function quoted(raw: string): string {
  const from = raw.indexOf("'") + 1;
  const end = raw.length > from && raw.endsWith("'") ? -1 : undefined;
  return raw.slice(from, end).replaceAll("''", "'");
}

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([0-7]{1,3})|([\s\S]))/g, (_, hex, octal, char) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    return escapes[char] ?? char;
  });
}

/** Block comments nest. */
function commentEnd(sql: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let m = mark.exec(sql); m !== null; m = mark.exec(sql)) {
    depth += m[0] === "/*" ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return sql.length;
}
