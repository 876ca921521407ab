/**
 * The literals of an SQL text, for the search of known values only: nothing is decided on them. Strings, dollar-quoted
 * strings and numbers (PostgreSQL manual, section 4.1.2), as they read without their quotes.
 */
const token =
  /--[^\n]*|\/\*|"(?:[^"]|"")*"?|[eE]'(?:[^'\\]|''|\\[\s\S])*'?|(?:[uU]&|[bBxXnN])?'(?:[^']|'')*'?|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|\$\d+|[\p{L}_][\p{L}\p{N}_$]*|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/uy;
const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** What an ASCII character begins: nothing, a word, digits, a plain string; 4: the pattern above says. */
const begins = new Uint8Array(128);
for (let c = 0; c < 128; c++) {
  const char = String.fromCharCode(c);
  if (/[A-Za-z_]/.test(char)) begins[c] = 1;
  else if (/\d/.test(char)) begins[c] = 2;
  else if (char === "'") begins[c] = 3;
  else if (/["$./-]/.test(char)) begins[c] = 4;
}
const inWord = new Uint8Array(128);
for (let c = 0; c < 128; c++) if (/[A-Za-z_0-9$]/.test(String.fromCharCode(c))) inWord[c] = 1;
const quote = 0x27;

/** At most `limit` literals, in order. */
export function literalsOf(sql: string, limit: number): string[] {
  const found: string[] = [];
  const { length } = sql;
  // Plain words, whole numbers and strings without a quote in them are most of all SQL: they are read here, all else by the pattern.
  for (let i = 0; i < length && found.length < limit; ) {
    const c = sql.charCodeAt(i);
    const what = c < 128 ? begins[c] : 4;
    if (what === 0) {
      i++;
      continue;
    }
    let end = i + 1;
    if (what === 1) {
      while (end < length && inWord[sql.charCodeAt(end)] === 1) end++;
      const next = end < length ? sql.charCodeAt(end) : 0;
      if (next !== quote && next !== 0x26 && next < 128) {
        i = end;
        continue;
      }
    } else if (what === 2) {
      while (end < length && begins[sql.charCodeAt(end)] === 2) end++;
      const next = end < length ? sql.charCodeAt(end) : 0;
      if (next !== 0x2e && next !== 0x5f && next !== 0x65 && next !== 0x45) {
        found.push(sql.slice(i, end));
        i = end;
        continue;
      }
    } else if (what === 3) {
      end = sql.indexOf("'", end);
      if (end >= 0 && sql.charCodeAt(end + 1) !== quote) {
        found.push(sql.slice(i + 1, end));
        i = end + 1;
        continue;
      }
    }
    token.lastIndex = i;
    const match = token.exec(sql);
    i = match === null ? i + 1 : literal(sql, match[0], token.lastIndex, found);
  }
  return found;
}

/** Takes what the token is; gives where to go on. */
function literal(sql: string, raw: string, next: number, found: string[]): number {
  if (raw === "/*") return commentEnd(sql, next - raw.length);
  if (raw.startsWith("$")) {
    if (!raw.endsWith("$")) return next;
    const end = sql.indexOf(raw, next);
    found.push(sql.slice(next, end < 0 ? undefined : end));
    return end < 0 ? sql.length : end + raw.length;
  }
  if (/^[eE]'/.test(raw)) found.push(unescaped(quoted(raw)));
  else if (/^(?:[uU]&|[bBxXnN])?'/.test(raw)) found.push(quoted(raw));
  else if (/^[\d.]/.test(raw)) found.push(raw);
  return next;
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
