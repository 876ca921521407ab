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

const wordStart = /[A-Za-z_\u0080-\uffff]/;
const wordPart = /[A-Za-z0-9_$\u0080-\uffff]/;
const symbolRun = /[-+*/<>=~!@#%^&|`?]/;

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
  const char = sql[start] ?? "";
  const two = sql.slice(start, start + 2);
  if (isSpace(char)) return { kind: "space", start, end: run(sql, start, isSpace) };
  if (two === "--") return { kind: "comment", start, end: lineEnd(sql, start) };
  if (two === "/*") return { kind: "comment", start, end: blockComment(sql, start) };
  if (char === "'") return { kind: "string", start, end: quoted(sql, start, "'", false) };
  if (char === '"') return { kind: "quoted", start, end: quoted(sql, start, '"', false) };
  if (char === "$") return dollar(sql, start);
  if (isDigit(char) || (char === "." && isDigit(sql[start + 1] ?? ""))) return number(sql, start);
  if (wordStart.test(char)) return word(sql, start);
  if (symbolRun.test(char)) return { kind: "symbol", start, end: symbols(sql, start) };
  return { kind: "symbol", start, end: start + 1 };
}

function isSpace(char: string): boolean {
  return char === " " || char === "\n" || char === "\t" || char === "\r" || char === "\f" || char === "\v";
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

function run(sql: string, start: number, test: (char: string) => boolean): number {
  let end = start + 1;
  while (end < sql.length && test(sql[end] ?? "")) end += 1;
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
    const two = sql.slice(at, at + 2);
    if (two === "/*") depth += 1;
    else if (two === "*/") depth -= 1;
    at += two === "/*" || two === "*/" ? 2 : 1;
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
  if (isDigit(sql[start + 1] ?? "")) return { kind: "parameter", start, end: run(sql, start, isDigit) };
  const tag = /^\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/.exec(
    sql.slice(start, start + 70),
  )?.[0];
  if (tag === undefined) return { kind: "symbol", start, end: start + 1 };
  const close = sql.indexOf(tag, start + tag.length);
  return { kind: "string", start, end: close < 0 ? sql.length : close + tag.length };
}

function number(sql: string, start: number): Token {
  let end = run(sql, start, (char) => /[0-9A-Za-z_.]/.test(char));
  // 1e-5: the sign belongs to the exponent.
  if (
    /[eE]/.test(sql[end - 1] ?? "") &&
    /[-+]/.test(sql[end] ?? "") &&
    isDigit(sql[end + 1] ?? "") &&
    !/^0[xX]/.test(sql.slice(start, end))
  )
    end = run(sql, end, isDigit);
  return { kind: "number", start, end };
}

function word(sql: string, start: number): Token {
  const end = run(sql, start, (char) => wordPart.test(char));
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
  while (end < sql.length && symbolRun.test(sql[end] ?? "")) {
    const two = sql.slice(end, end + 2);
    if (two === "--" || two === "/*") break;
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
