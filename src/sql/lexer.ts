/**
 * PostgreSQL's lexical structure (manual section 4.1; src/backend/parser/scan.l of PostgreSQL 18) with
 * standard_conforming_strings = on. It decides nothing about meaning: it finds where literals and comments are.
 * Linear in the text. Where PostgreSQL would report an error inside a literal or a number, the whole of it counts as literal.
 */
import { defaultLimits, UnreadableSql } from "./limits.ts";

export const token = {
  end: 0,
  space: 1,
  /** Block or line comment. */
  comment: 2,
  /** Key word or plain identifier. */
  word: 3,
  /** "…" or U&"…" */
  quoted: 4,
  /** Any string, bit string or number. */
  literal: 5,
  /** $1 */
  parameter: 6,
  operator: 7,
  /** One of , ( ) [ ] . .. ; : or a character PostgreSQL does not know. */
  punctuation: 8,
} as const;
export type Token = (typeof token)[keyof typeof token];

const space = 1;
const letter = 2;
const digit = 4;
const operatorChar = 8;
const hexDigit = 16;
const classes = new Uint8Array(128);
for (const c of " \t\n\r\f\v") classes[c.charCodeAt(0)] = space;
for (let c = 65; c <= 90; c++) classes[c] = classes[c + 32] = letter;
classes[95] = letter;
for (let c = 48; c <= 57; c++) classes[c] = digit | hexDigit;
for (const c of "abcdefABCDEF") classes[c.charCodeAt(0)] = letter | hexDigit;
for (const c of "~!@#^&|`?+-*/%<>=") classes[c.charCodeAt(0)] = operatorChar;

/** The class bits of a UTF-16 unit: everything beyond ASCII is an identifier letter, as in scan.l. */
function classOf(code: number): number {
  return code < 128 ? (classes[code] ?? 0) : letter;
}
/** White space as PostgreSQL sees it; no-break space and the like are letters. */
export function isSpace(code: number): boolean {
  return classOf(code) === space;
}

const quote = 39;
const doubleQuote = 34;
const backslash = 92;
const dollar = 36;
const dash = 45;
const slash = 47;
const star = 42;
const underscore = 95;
const lineFeed = 10;
const carriageReturn = 13;

/** Gives the tokens of `text.slice(start, end)` one after the other, white space and comments included. */
export class Lexer {
  readonly text: string;
  readonly limit: number;
  /** Start and end of each comment inside a string that goes on behind it, one after the other. */
  readonly bridged: number[] = [];
  /** Of the token last given by next(). */
  start: number;
  end: number;
  readonly #comments: number;
  readonly #escapes: boolean;

  /** `escapes`: a backslash escapes in plain strings, too, as where standard_conforming_strings is off. */
  constructor(
    text: string,
    start = 0,
    end: number = text.length,
    comments: number = defaultLimits.comments,
    escapes = false,
  ) {
    this.#escapes = escapes;
    this.text = text;
    this.start = start;
    this.end = start;
    this.limit = end;
    this.#comments = comments;
  }

  /** The next token; throws UnreadableSql for unterminated ones ("syntax") and deeply nested comments ("comments"). */
  next(): Token {
    const at = this.end;
    this.start = at;
    if (at >= this.limit) return token.end;
    const code = this.text.charCodeAt(at);
    const kind = classOf(code);
    if (kind === space) {
      let to = at + 1;
      while (to < this.limit && isSpace(this.text.charCodeAt(to))) to++;
      this.end = to;
      return token.space;
    }
    if ((kind & letter) !== 0) return this.#word(at, code);
    if ((kind & digit) !== 0) return this.#number(at);
    if (code === quote) return this.#string(at, this.#escapes);
    if (code === doubleQuote) return this.#quoted(at);
    if (code === dollar) return this.#dollar(at);
    if (code === dash && this.#code(at + 1) === dash) return this.#lineComment(at);
    if (code === slash && this.#code(at + 1) === star) return this.#blockComment(at);
    if (kind === operatorChar) return this.#operator(at);
    if (code === 46 && (classOf(this.#code(at + 1)) & digit) !== 0) return this.#number(at);
    // ".." is one token, so that the digits behind it do not begin with a point.
    this.end = code === 46 && this.#code(at + 1) === 46 ? at + 2 : at + 1;
    return token.punctuation;
  }

  #code(at: number): number {
    return at < this.limit ? this.text.charCodeAt(at) : 0;
  }

  /** Ends the current token at the next line end (not taken) from `from`. */
  #lineEnd(from: number): number {
    let at = from;
    while (at < this.limit) {
      const code = this.text.charCodeAt(at);
      if (code === lineFeed || code === carriageReturn) break;
      at++;
    }
    return at;
  }

  #lineComment(at: number): Token {
    this.end = this.#lineEnd(at + 2);
    return token.comment;
  }

  #blockComment(from: number): Token {
    let depth = 1;
    let at = from + 2;
    while (at < this.limit) {
      const code = this.text.charCodeAt(at);
      if (code === star && this.#code(at + 1) === slash) {
        at += 2;
        if (--depth === 0) {
          this.end = at;
          return token.comment;
        }
      } else if (code === slash && this.#code(at + 1) === star) {
        at += 2;
        if (++depth > this.#comments) throw new UnreadableSql("comments");
      } else {
        at++;
      }
    }
    throw new UnreadableSql("syntax");
  }

  /** An operator ends before a comment starts (section 4.1.3); its last sign is of no interest here. */
  #operator(from: number): Token {
    let at = from + 1;
    while (at < this.limit) {
      const code = this.text.charCodeAt(at);
      if (classOf(code) !== operatorChar) break;
      if (code === dash && this.#code(at + 1) === dash) break;
      if (code === slash && this.#code(at + 1) === star) break;
      at++;
    }
    this.end = at;
    return token.operator;
  }

  #word(from: number, first: number): Token {
    const after = this.#code(from + 1);
    if (after === quote) {
      // B'' X'' N'' have no escapes, E'' has. All of them may go on in the next line.
      const lower = first | 32;
      if (lower === 101) return this.#string(from + 1, true);
      if (lower === 98 || lower === 120 || lower === 110) return this.#string(from + 1, false);
    } else if (after === 38 && (first | 32) === 117) {
      const third = this.#code(from + 2);
      if (third === quote) return this.#string(from + 2, false);
      if (third === doubleQuote) return this.#quoted(from + 2);
    }
    this.end = this.#wordEnd(from + 1);
    return token.word;
  }

  #wordEnd(from: number): number {
    let at = from;
    while (at < this.limit) {
      const code = this.text.charCodeAt(at);
      if ((classOf(code) & (letter | digit)) === 0 && code !== dollar) break;
      at++;
    }
    return at;
  }

  #quoted(open: number): Token {
    let at = open + 1;
    for (;;) {
      const close = this.text.indexOf('"', at);
      if (close < 0 || close >= this.limit) throw new UnreadableSql("syntax");
      if (this.#code(close + 1) !== doubleQuote) {
        this.end = close + 1;
        return token.quoted;
      }
      at = close + 2;
    }
  }

  #string(open: number, escapes: boolean): Token {
    let at = this.#stringEnd(open + 1, escapes);
    for (;;) {
      const more = this.#continuation(at);
      if (more < 0) break;
      at = this.#stringEnd(more, escapes);
    }
    this.end = at;
    return token.literal;
  }

  /** From behind an opening quote to behind the closing one. */
  #stringEnd(from: number, escapes: boolean): number {
    let at = from;
    while (at < this.limit) {
      const code = this.text.charCodeAt(at);
      if (code === quote) {
        if (this.#code(at + 1) !== quote) return at + 1;
        at += 2;
      } else {
        at += escapes && code === backslash ? 2 : 1;
      }
    }
    throw new UnreadableSql("syntax");
  }

  /**
   * A string goes on where only white space with a line end, and line comments, stand before the next quote
   * (section 4.1.2.1; scan.l {quotecontinue}). Gives the place behind that quote, or -1.
   */
  #continuation(from: number): number {
    let at = from;
    let newline = false;
    const comments: number[] = [];
    while (at < this.limit) {
      const code = this.text.charCodeAt(at);
      if (code === lineFeed || code === carriageReturn) {
        newline = true;
        at++;
      } else if (isSpace(code)) {
        at++;
      } else if (code === dash && this.#code(at + 1) === dash) {
        comments.push(at);
        at = this.#lineEnd(at + 2);
        comments.push(at);
        if (at >= this.limit) return -1;
        // Its line end is part of what may follow, so it is looked at next.
      } else {
        if (!newline || code !== quote) return -1;
        for (const place of comments) this.bridged.push(place);
        return at + 1;
      }
    }
    return -1;
  }

  /** $1, or $tag$ … $tag$ (section 4.1.2.4). */
  #dollar(from: number): Token {
    let at = from + 1;
    if ((classOf(this.#code(at)) & digit) !== 0) {
      do at++;
      while ((classOf(this.#code(at)) & digit) !== 0);
      this.end = at;
      return token.parameter;
    }
    if ((classOf(this.#code(at)) & letter) !== 0 && at < this.limit) {
      do at++;
      while (at < this.limit && (classOf(this.#code(at)) & (letter | digit)) !== 0);
    }
    if (this.#code(at) !== dollar) {
      this.end = from + 1;
      return token.punctuation;
    }
    const tag = this.text.slice(from, at + 1);
    const close = this.text.indexOf(tag, at + 1);
    if (close < 0 || close + tag.length > this.limit) throw new UnreadableSql("syntax");
    this.end = close + tag.length;
    return token.literal;
  }

  #digits(from: number, kind: number): number {
    let at = from;
    for (;;) {
      const code = this.#code(at);
      if ((classOf(code) & kind) !== 0) at++;
      else if (code === underscore && (classOf(this.#code(at + 1)) & kind) !== 0) at += 2;
      else return at;
    }
  }

  /** 42, 3.5, 4., .001, 5e2, 1_500, 0x1F, 0o7, 0b1 (section 4.1.2.6). Junk glued to it is taken as part of it. */
  #number(from: number): Token {
    const radix = this.#code(from) === 48 ? this.#code(from + 1) | 32 : 0;
    let at: number;
    if (radix === 120 || radix === 111 || radix === 98) {
      at = this.#digits(from + 2, hexDigit);
      if (at === from + 2) at = from + 1;
    } else {
      at = this.#digits(from, digit);
      // "1..10" is 1, "..", 10.
      if (this.#code(at) === 46 && this.#code(at + 1) !== 46) at = this.#digits(at + 1, digit);
      if ((this.#code(at) | 32) === 101) {
        const sign = this.#code(at + 1);
        const power = sign === 43 || sign === 45 ? at + 2 : at + 1;
        if ((classOf(this.#code(power)) & digit) !== 0) at = this.#digits(power, digit);
      }
    }
    this.end = at < this.limit && (classOf(this.#code(at)) & letter) !== 0 ? this.#wordEnd(at) : at;
    return token.literal;
  }
}
