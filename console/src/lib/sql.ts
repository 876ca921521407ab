/** SQL cut into tokens for colouring, after PostgreSQL's lexical structure (manual, section 4.1). It decides nothing. */

export type TokenKind =
  | "space"
  | "comment"
  | "keyword"
  | "word"
  | "quoted"
  | "string"
  | "number"
  | "parameter"
  | "symbol";

export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
}

const keywords = new Set(
  `all alter analyze and any array as asc begin between by call cascade case cast check close cluster collate column
  comment commit conflict constraint copy create cross cube current current_date current_timestamp current_user cursor
  database deallocate declare default delete desc discard distinct do domain drop else end escape except exclude execute
  exists explain extension fetch filter first following for foreign from full function grant group grouping having if ilike
  in index inner insert intersect into is join key last lateral left like limit listen local lock materialized merge move
  natural next not nothing notify null nulls of off offset on only or order outer over overlaps partition policy preceding
  prepare primary procedure range recursive references refresh reindex release rename replace reset restrict returning
  revoke right role rollback rollup row rows savepoint schema security select sequence session session_user set sets share
  show similar some start symmetric table tablesample temp temporary then to transaction trigger true false truncate type
  unbounded union unique unlisten unlogged update user using vacuum values view when where window with within`.split(
    /\s+/,
  ),
);

/** What a UTF-16 unit may be part of; units beyond ASCII are letters, as PostgreSQL takes them. */
const space = 1;
const digit = 2;
const letter = 4;
const operator = 8;
const classes = new Uint8Array(128);
for (const char of " \n\t\r\f\v") classes[char.charCodeAt(0)] = space;
for (const char of "0123456789") classes[char.charCodeAt(0)] = digit;
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
  classes[char.charCodeAt(0)] = letter;
for (const char of "+-*/<>=~!@#%^&|`?") classes[char.charCodeAt(0)] = operator;

/** 0 past the end. */
function classAt(sql: string, at: number): number {
  const code = sql.charCodeAt(at);
  return code < 128 ? (classes[code] ?? 0) : code >= 128 ? letter : 0;
}

/** Every character of `sql` belongs to exactly one token. Whatever is left open runs to the end. */
export function tokens(sql: string): readonly Token[] {
  const out: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    const token = next(sql, at);
    out.push(token);
    at = token.end;
  }
  return out;
}

function next(sql: string, start: number): Token {
  const kind = classAt(sql, start);
  if (kind === space) return { kind: "space", start, end: run(sql, start, space) };
  if (kind === letter) return word(sql, start);
  if (kind === digit) return number(sql, start);
  const char = sql[start];
  if (char === "-" && sql[start + 1] === "-") return { kind: "comment", start, end: lineEnd(sql, start) };
  if (char === "/" && sql[start + 1] === "*")
    return { kind: "comment", start, end: blockComment(sql, start) };
  if (char === "'") return { kind: "string", start, end: quoted(sql, start, "'", false) };
  if (char === '"') return { kind: "quoted", start, end: quoted(sql, start, '"', false) };
  if (char === "$") return dollar(sql, start);
  if (char === "." && classAt(sql, start + 1) === digit) return number(sql, start);
  if (kind === operator) return { kind: "symbol", start, end: symbols(sql, start) };
  return { kind: "symbol", start, end: start + 1 };
}

/** Where the run of units of these classes ends that begins at `start`. */
function run(sql: string, start: number, kinds: number): number {
  let end = start + 1;
  while ((classAt(sql, end) & kinds) !== 0) end += 1;
  return end;
}

function lineEnd(sql: string, start: number): number {
  let end = start;
  while (end < sql.length && sql[end] !== "\n" && sql[end] !== "\r") end += 1;
  return end;
}

/** Comments nest (section 4.1.5). */
function blockComment(sql: string, start: number): number {
  let depth = 1;
  let at = start + 2;
  while (at < sql.length && depth > 0) {
    const opens = sql[at] === "/" && sql[at + 1] === "*";
    const closes = sql[at] === "*" && sql[at + 1] === "/";
    if (opens) depth += 1;
    if (closes) depth -= 1;
    at += opens || closes ? 2 : 1;
  }
  return Math.min(at, sql.length);
}

/** From the opening quote to after the closing one; doubled quotes stay inside. */
function quoted(sql: string, start: number, quote: string, backslashes: boolean): number {
  let at = start + 1;
  while (at < sql.length) {
    const char = sql[at];
    if (backslashes && char === "\\") at += 2;
    else if (char !== quote) at += 1;
    else if (sql[at + 1] === quote) at += 2;
    else return at + 1;
  }
  return sql.length;
}

/** `$1`, `$$…$$`, `$tag$…$tag$`, or a lone dollar. */
function dollar(sql: string, start: number): Token {
  if (classAt(sql, start + 1) === digit) return { kind: "parameter", start, end: run(sql, start, digit) };
  const tag = /^\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/.exec(
    sql.slice(start, start + 70),
  )?.[0];
  if (tag === undefined) return { kind: "symbol", start, end: start + 1 };
  const close = sql.indexOf(tag, start + tag.length);
  return { kind: "string", start, end: close < 0 ? sql.length : close + tag.length };
}

function number(sql: string, start: number): Token {
  let end = start + 1;
  while ((classAt(sql, end) & (digit | letter)) !== 0 || sql[end] === ".") end += 1;
  // 1e-5: the sign belongs to the exponent.
  const sign = sql[end] === "-" || sql[end] === "+";
  if (sign && /^[\d.]+[eE]$/.test(sql.slice(start, end)) && classAt(sql, end + 1) === digit)
    end = run(sql, end, digit);
  return { kind: "number", start, end };
}

function word(sql: string, start: number): Token {
  let end = start + 1;
  while ((classAt(sql, end) & (letter | digit)) !== 0 || sql[end] === "$") end += 1;
  const text = sql.slice(start, end).toLowerCase();
  const after = sql[end];
  if (after === "'" && (text === "e" || text === "b" || text === "x" || text === "n"))
    return { kind: "string", start, end: quoted(sql, end, "'", text === "e") };
  if (text === "u" && after === "&" && sql[end + 1] === "'")
    return { kind: "string", start, end: quoted(sql, end + 1, "'", false) };
  if (text === "u" && after === "&" && sql[end + 1] === '"')
    return { kind: "quoted", start, end: quoted(sql, end + 1, '"', false) };
  return { kind: keywords.has(text) ? "keyword" : "word", start, end };
}

/** An operator ends where a comment begins (section 4.1.3). */
function symbols(sql: string, start: number): number {
  let end = start + 1;
  while (classAt(sql, end) === operator) {
    if (sql[end] === "-" && sql[end + 1] === "-") break;
    if (sql[end] === "/" && sql[end + 1] === "*") break;
    end += 1;
  }
  return end;
}

/** true: both texts have the same tokens, exactly, and differ in white space between them only. */
export function sameTokens(one: string, other: string): boolean {
  const left = tokens(one).filter((token) => token.kind !== "space");
  const right = tokens(other).filter((token) => token.kind !== "space");
  return (
    left.length === right.length &&
    left.every((token, index) => {
      const twin = right[index];
      return (
        twin !== undefined &&
        twin.kind === token.kind &&
        one.slice(token.start, token.end) === other.slice(twin.start, twin.end)
      );
    })
  );
}

/** Lines as they are drawn: broken at line ends, and where a line is longer than `width`. */
export function displayLines(
  sql: string,
  width: number,
): readonly { readonly start: number; readonly end: number; readonly number: number | null }[] {
  const out: { start: number; end: number; number: number | null }[] = [];
  let start = 0;
  let number = 1;
  for (;;) {
    const feed = sql.indexOf("\n", start);
    const end = feed < 0 ? sql.length : feed;
    for (let from = start; from === start || from < end; ) {
      let to = Math.min(end, from + width);
      // Never between the halves of a surrogate pair.
      if (to < end && (sql.charCodeAt(to) & 0xfc00) === 0xdc00) to += 1;
      out.push({ start: from, end: to, number: from === start ? number : null });
      if (to <= from) break;
      from = to;
    }
    if (feed < 0) return out;
    start = feed + 1;
    number += 1;
  }
}
