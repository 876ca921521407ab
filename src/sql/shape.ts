/**
 * The key under which statements of equal shape meet: one quick pass over a text that copies everything but plain literals,
 * comments and surplus white space (MASKING.md section 1.5). Each literal becomes one unit that tells its class, for
 * PostgreSQL takes numbers for integer, bigint or numeric by their size, and functions are chosen by type. Whatever is not plain gives no key at all, and the text is parsed:
 * backslashes (so the key does not depend on standard_conforming_strings), E'' U&'' B'' X'' N'', $tag$, strings that go on in
 * the next line, nested comments, unusual numbers, control characters, anything unterminated.
 */
import { charactersOf } from "./characters.ts";
import type { Marks } from "./marks.ts";
import { looksSecret, secretLiteralLength } from "./secrets.ts";

const integer = "\u0001";
const bigint = "\u0004";
const numeric = "\u0002";
const string = "\u0003";

const other = 0;
const blank = 1;
const letter = 2;
const digit = 3;
const quote = 4;
const doubleQuote = 5;
const dash = 6;
const slash = 7;
const dot = 8;
const dollar = 9;
const semicolon = 10;
const refused = 11;
/** Everything beyond ASCII is a letter. */
const classes = new Uint8Array(256).fill(refused, 0, 32).fill(letter, 128);
classes[127] = refused;
for (const c of " \t\n\r\f\v") classes[c.charCodeAt(0)] = blank;
for (let c = 65; c <= 90; c++) classes[c] = classes[c + 32] = letter;
classes[95] = letter;
for (let c = 48; c <= 57; c++) classes[c] = digit;
for (const [c, kind] of Object.entries({
  "'": quote,
  '"': doubleQuote,
  "-": dash,
  "/": slash,
  ".": dot,
  $: dollar,
  ";": semicolon,
})) {
  classes[c.charCodeAt(0)] = kind;
}
function classOf(code: number | undefined): number {
  return classes[code ?? 0] ?? refused;
}

/** The key of `text`, or null where a parse must decide. Fills `marks` (cleared by the caller). Linear. */
export function shapeKey(text: string, marks: Marks): string | null {
  if (text.includes("\\") || !text.isWellFormed()) return null;
  const length = text.length;
  const bytes = charactersOf(text);
  let key = "";
  let copied = 0;
  let at = 0;
  let gap = false;
  let afterString = false;
  while (at < length) {
    const code = bytes[at] ?? 0;
    const kind = classOf(code);
    if (kind === blank) {
      // A single blank between two tokens is copied along with them.
      if (code === 32 && at > copied && plain(bytes[at + 1])) {
        at++;
        continue;
      }
      if (at > copied) key += text.slice(copied, at);
      gap = true;
      at++;
      while (at < length && classOf(bytes[at]) === blank) at++;
      copied = at;
      continue;
    }
    if (kind === dash || kind === slash) {
      const comment = commentEnd(text, bytes, at, kind);
      if (comment < 0) return null;
      if (comment > 0) {
        if (at > copied) key += text.slice(copied, at);
        gap = true;
        if (kind === slash) marks.comment(at, comment);
        copied = at = comment;
        continue;
      }
    }
    if (gap) {
      if (key !== "") key += " ";
      gap = false;
    }
    if (kind === semicolon) {
      marks.semicolon(at);
      afterString = false;
      at++;
      continue;
    }
    marks.token();
    switch (kind) {
      case letter: {
        let end = at + 1;
        while (end < length) {
          const next = bytes[end];
          const nextKind = classOf(next);
          if (nextKind !== letter && nextKind !== digit && nextKind !== dollar) break;
          end++;
        }
        if (end === at + 1 && prefixed(code, bytes[end])) return null;
        at = end;
        break;
      }
      case digit: {
        const end = numberEnd(bytes, at, length);
        if (end < 0) return null;
        const mark = numberClass(text, bytes, at, end);
        if (mark === null) return null;
        key += text.slice(copied, at) + mark;
        copied = at = end;
        break;
      }
      case quote: {
        // 'a' 'b' is one string where a line end stands between.
        if (afterString) return null;
        const end = stringEnd(text, bytes, at);
        if (end < 0) return null;
        if (end - at >= secretLiteralLength && looksSecret(stringValue(text, at, end))) return null;
        key += text.slice(copied, at) + string;
        copied = at = end;
        afterString = true;
        continue;
      }
      case doubleQuote: {
        let end = at + 1;
        while (end < length && bytes[end] !== 34) {
          if (classOf(bytes[end]) === refused) return null;
          end++;
        }
        if (end >= length) return null;
        at = end + 1;
        break;
      }
      case dot:
        if (classOf(bytes[at + 1]) === digit) return null;
        at++;
        break;
      case dollar: {
        let end = at + 1;
        while (end < length && classOf(bytes[end]) === digit) end++;
        if (end === at + 1) return null;
        const next = end < length ? classOf(bytes[end]) : other;
        if (next === letter || next === dollar) return null;
        at = end;
        break;
      }
      case refused:
        return null;
      default:
        at++;
    }
    afterString = false;
  }
  marks.end();
  return withoutEnd(copied === 0 ? text : key + text.slice(copied));
}

/** Semicolons and blanks at the end say nothing. */
function withoutEnd(key: string): string {
  let end = key.length;
  while (end > 0) {
    const code = key.charCodeAt(end - 1);
    if (code !== 59 && code !== 32) break;
    end--;
  }
  return end === key.length ? key : key.slice(0, end);
}

/** Neither white space nor what may start a comment. */
function plain(code: number | undefined): boolean {
  const kind = classOf(code);
  return kind !== blank && kind !== dash && kind !== slash;
}

/** 0: no comment starts here; -1: nested or unterminated; else its end. */
function commentEnd(text: string, bytes: Uint8Array, at: number, kind: number): number {
  const next = bytes[at + 1];
  if (kind === dash) {
    if (next !== 45) return 0;
    let end = at + 2;
    while (end < text.length && bytes[end] !== 10 && bytes[end] !== 13) end++;
    return end;
  }
  if (next !== 42) return 0;
  const close = text.indexOf("*/", at + 2);
  if (close < 0) return -1;
  const inner = text.indexOf("/*", at + 2);
  return inner >= 0 && inner < close ? -1 : close + 2;
}

/** E'…' and its kin, U&"…". */
function prefixed(code: number, follows: number | undefined): boolean {
  const lower = code | 32;
  if (follows === 39) return lower === 101 || lower === 98 || lower === 120 || lower === 110;
  return follows === 38 && lower === 117;
}

function stringEnd(text: string, bytes: Uint8Array, open: number): number {
  let at = open + 1;
  for (;;) {
    const close = text.indexOf("'", at);
    if (close < 0) return -1;
    if (bytes[close + 1] !== 39) return close + 1;
    at = close + 2;
  }
}

/** The value of a plain string literal: what the parser's tree would hold. */
function stringValue(text: string, open: number, end: number): string {
  const raw = text.slice(open + 1, end - 1);
  return raw.includes("'") ? raw.replaceAll("''", "'") : raw;
}

function digitsEnd(bytes: Uint8Array, from: number, length: number): number {
  let at = from;
  while (at < length && classOf(bytes[at]) === digit) at++;
  return at;
}

/** Digits, digits.digits, digitse±digits; -1 for every other form and for anything glued to it. */
function numberEnd(bytes: Uint8Array, from: number, length: number): number {
  let at = digitsEnd(bytes, from, length);
  if (bytes[at] === 46) {
    const fraction = digitsEnd(bytes, at + 1, length);
    if (fraction === at + 1) return -1;
    at = fraction;
  }
  if (((bytes[at] ?? 0) | 32) === 101) {
    const sign = bytes[at + 1];
    const power = sign === 43 || sign === 45 ? at + 2 : at + 1;
    const end = digitsEnd(bytes, power, length);
    if (end === power) return -1;
    at = end;
  }
  if (at >= length) return at;
  const next = classOf(bytes[at]);
  return next === letter || next === dot || next === dollar ? -1 : at;
}

/**
 * make_const() of parse_node.c. null for what is of another type behind a minus sign: 2147483648, 9223372036854775808, and for
 * leading zeros.
 */
function numberClass(text: string, bytes: Uint8Array, from: number, end: number): string | null {
  for (let at = from; at < end; at++) if (classOf(bytes[at]) !== digit) return numeric;
  const length = end - from;
  if (length < 10) return integer;
  if (bytes[from] === 48) return null;
  if (length > 19) return numeric;
  if (length > 10 && length < 19) return bigint;
  const digits = text.slice(from, end);
  const limit = length === 10 ? "2147483648" : "9223372036854775808";
  if (digits === limit) return null;
  if (digits < limit) return length === 10 ? integer : bigint;
  return length === 10 ? bigint : numeric;
}
