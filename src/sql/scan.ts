/** What is looked at before any parser sees a text: linear checks, and what the lexer can tell of it. */
import { DepthMeter } from "./depth.ts";
import { isSpace, Lexer, token } from "./lexer.ts";
import { type SqlLimits, UnreadableSql } from "./limits.ts";
import { Marks } from "./marks.ts";

/** The text's length in UTF-8 bytes. Throws UnreadableSql for a NUL, a lone surrogate, or a text over the cap. */
export function checkText(text: string, limits: SqlLimits): number {
  if (text.length > limits.bytes) throw new UnreadableSql("too-large");
  if (text.includes("\0")) throw new UnreadableSql("nul");
  if (!text.isWellFormed()) throw new UnreadableSql("encoding");
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.bytes) throw new UnreadableSql("too-large");
  return bytes;
}

/**
 * The quick part of scan(): throws UnreadableSql for unterminated tokens, nested comments and long operators, so that a
 * hostile text does not even reach a worker.
 */
export function checkTokens(text: string, limits: SqlLimits): void {
  const lexer = new Lexer(text, 0, text.length, limits.comments);
  let tokens = 0;
  for (let kind = lexer.next(); kind !== token.end; kind = lexer.next()) {
    if (kind === token.operator && lexer.end - lexer.start > limits.operator)
      throw new UnreadableSql("operators");
    if (++tokens > limits.tokens) throw new UnreadableSql("tokens");
  }
}

/** A literal's place, and that of the sign before it: the parser folds `- 1` into one constant that starts at the sign. */
export interface LiteralPlace {
  /** Index of a "-" that is the last token before it, else -1. */
  readonly sign: number;
  readonly start: number;
}

export interface Scan {
  /** As StatementShape.stripped, for the whole text. */
  readonly stripped: string;
  readonly literals: readonly LiteralPlace[];
  readonly marks: Marks;
  /** As Lexer.bridged. */
  readonly bridged: readonly number[];
  /** Not null: the text is written so that another reader could take it for something else. Holds nothing of it. */
  readonly doubt: string | null;
}

const backslash =
  "a backslash stands before a quote in a plain string, and where the string ends depends on a setting; write E'…', or bind a parameter";
const openEnd =
  "the text ends in an empty -- comment, as texts do that something was put into to cut them off";

/** A plain string with an odd number of backslashes before one of its quotes ends elsewhere where they escape. */
function endsInDoubt(piece: string): boolean {
  return piece.startsWith("'") && /(?:^|[^\\])(?:\\\\)*\\'/.test(piece.slice(1));
}

/** Whether the text is one, if another one, where a backslash escapes in plain strings: no string is left open. */
function readsOtherwise(text: string, limits: SqlLimits, start: number, end: number): boolean {
  const lexer = new Lexer(text, start, end, limits.comments, true);
  try {
    while (lexer.next() !== token.end);
    return true;
  } catch (error) {
    if (error instanceof UnreadableSql) return error.reason !== "syntax";
    throw error;
  }
}

/**
 * Reads all tokens of `text.slice(start, end)`. Throws UnreadableSql where the lexer does, and for operators, nesting and tokens
 * over the limits. Literals become `?`, comments and white space one blank, semicolons at both ends are dropped.
 */
export function scan(text: string, limits: SqlLimits, start = 0, end: number = text.length): Scan {
  const lexer = new Lexer(text, start, end, limits.comments);
  const depth = new DepthMeter();
  const literals: LiteralPlace[] = [];
  const marks = new Marks();
  let stripped = "";
  let gap = false;
  let sign = -1;
  let tokens = 0;
  let doubt: string | null = null;
  let cutOff = false;
  for (;;) {
    const kind = lexer.next();
    if (kind === token.end) break;
    if (++tokens > limits.tokens) throw new UnreadableSql("tokens");
    if (kind === token.space || kind === token.comment) {
      gap = true;
      if (kind === token.comment) cutOff = /^--\s*$/.test(text.slice(lexer.start, lexer.end));
      if (kind === token.comment && text.charCodeAt(lexer.start) === 47)
        marks.comment(lexer.start, lexer.end);
      continue;
    }
    let piece = text.slice(lexer.start, lexer.end);
    cutOff = false;
    let nextSign = -1;
    switch (kind) {
      case token.literal:
        if (endsInDoubt(piece)) doubt = backslash;
        literals.push({ sign, start: lexer.start });
        piece = "?";
        break;
      case token.word:
        depth.word(piece);
        break;
      case token.operator:
        if (piece.length > limits.operator) throw new UnreadableSql("operators");
        depth.link();
        if (piece.endsWith("-")) nextSign = lexer.end - 1;
        break;
      case token.punctuation:
        punctuation(piece, depth);
        break;
      case token.quoted:
      case token.parameter:
        break;
      default:
        kind satisfies never;
    }
    if (depth.deepest > limits.depth) throw new UnreadableSql("nesting");
    sign = nextSign;
    if (piece === ";") marks.semicolon(lexer.start);
    else marks.token();
    if (stripped === "" && piece === ";") continue;
    stripped += gap && stripped !== "" ? ` ${piece}` : piece;
    gap = false;
  }
  marks.end();
  // ESCAPE '\' and 'C:\' leave a string open in the other reading: nothing could be hidden in it.
  if (doubt !== null && !readsOtherwise(text, limits, start, end)) doubt = null;
  return {
    stripped: withoutSemicolons(stripped),
    literals,
    marks,
    bridged: lexer.bridged,
    doubt: doubt ?? (cutOff ? openEnd : null),
  };
}

function punctuation(piece: string, depth: DepthMeter): void {
  if (piece === "(" || piece === "[") depth.open();
  else if (piece === ")" || piece === "]") depth.close();
  else if (piece === ",") depth.comma();
  else if (piece === ";") depth.semicolon();
  else depth.link();
}

function withoutSemicolons(stripped: string): string {
  let end = stripped.length;
  while (end > 0) {
    const code = stripped.charCodeAt(end - 1);
    if (code !== 59 && !isSpace(code)) break;
    end--;
  }
  return stripped.slice(0, end);
}

/**
 * The text with blanks for those comments inside strings. To PostgreSQL both are the same; libpg_query, which keeps comments as
 * tokens, ends a string at one. Lengths stay, in UTF-16 and in UTF-8: a comment beyond ASCII is left, and the parser refuses it.
 */
export function withoutBridges(text: string, bridged: readonly number[]): string {
  let result = "";
  let done = 0;
  for (let i = 0; i + 1 < bridged.length; i += 2) {
    const [start = 0, end = 0] = bridged.slice(i, i + 2);
    const comment = text.slice(start, end);
    if (Buffer.byteLength(comment) !== comment.length) continue;
    result += text.slice(done, start) + " ".repeat(end - start);
    done = end;
  }
  return done === 0 ? text : result + text.slice(done);
}
