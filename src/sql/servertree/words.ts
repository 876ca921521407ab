/**
 * The words of a server tree. PostgreSQL writes them with outToken() and reads them with pg_strtok(): blanks separate,
 * each of `(){}` is a token of its own, and a backslash takes the next character as it is. On its way into the log the text
 * is cut into lines of at most 78 bytes (format_node_dump() in src/backend/nodes/print.c): a blank becomes a line feed,
 * also one behind a backslash; only where a line has no blank the line feed is put in between.
 */
import { charactersOf } from "../characters.ts";

const space = 0x20;
const lineFeed = 0x0a;
const tab = 0x09;
const backslash = 0x5c;
const lineBytes = 78;

/** 1: ends a word; 2: a backslash, or the end of the text, if it is not a NUL. */
const special = new Uint8Array(256);
for (const c of [space, lineFeed, tab, 0x28, 0x29, 0x7b, 0x7d]) special[c] = 1;
special[backslash] = special[0] = 2;

/** The character ends a word. */
export function endsWord(c: number | undefined): boolean {
  return c !== undefined && special[c] === 1;
}

/** The character is a word's, and stands for itself. */
export function isPlain(c: number): boolean {
  return special[c] === 0;
}

/** A word that the server cut in two, so that it cannot be put together safely. */
export class Torn extends Error {}

/** Goes through a tree's text word by word. Throws Torn for a word that was cut in two. */
export class Words {
  readonly text: string;
  /** The text's characters, a byte for each, with a 0 behind them; 0x80 stands for all beyond ASCII. */
  readonly bytes: Uint8Array;
  /** The word that was scanned last. */
  start = 0;
  stop = 0;
  escaped = false;
  /** Where the line begins that is being read. */
  lineStart = 0;

  constructor(text: string) {
    this.text = text;
    this.bytes = charactersOf(text);
  }

  /** Scans the word that begins at `at`; gives the place behind it. Throws Torn. */
  scan(at: number): number {
    const { bytes, text, lineStart } = this;
    const { length } = text;
    // Where the last line begins, should a line feed behind a backslash be a cut.
    let inner = lineStart;
    let i = at;
    this.start = at;
    this.escaped = false;
    for (; i < length; i++) {
      const kind = special[bytes[i] ?? 0];
      if (kind === 0 || (kind === 2 && bytes[i] === 0)) continue;
      if (kind === 1) break;
      this.escaped = true;
      i++;
      if (bytes[i] === lineFeed) inner = i + 1;
    }
    // A backslash as the last character would step over the end.
    const stop = i > length ? length : i;
    this.stop = stop;
    if (
      bytes[stop] === lineFeed &&
      (this.torn(lineStart, stop) || (inner !== lineStart && this.torn(inner, stop)))
    )
      throw new Torn();
    return stop;
  }

  /** The line from `from` ends behind a word, at `stop`, with a line feed that may have been put into the word. */
  torn(from: number, stop: number): boolean {
    if (stop - from < lineBytes / 4) return false;
    // The cut looks for a blank from the second byte of the line on.
    for (let i = from + 1; i < stop; i++) if (this.bytes[i] === space) return false;
    return Buffer.byteLength(this.text.slice(from, stop)) >= lineBytes;
  }

  /** A word, or the rest of one, ends at `stop` with a line feed behind it. Throws Torn. */
  whole(stop: number): void {
    if (this.torn(this.lineStart, stop)) throw new Torn();
  }

  /** The word as written. */
  raw(): string {
    return this.text.slice(this.start, this.stop);
  }

  /** The word without its backslashes. */
  value(): string {
    if (!this.escaped) return this.raw();
    const { bytes, stop } = this;
    let value = "";
    let from = this.start;
    for (let i = from; i < stop; i++) {
      if (bytes[i] !== backslash) continue;
      value += this.text.slice(from, i);
      i++;
      from = i;
      if (i < stop && bytes[i] === lineFeed && this.#wasBlank(i)) {
        value += " ";
        this.lineStart = from = i + 1;
      }
    }
    return value + this.text.slice(from, stop);
  }

  /** A line feed behind a backslash is one of the name's own, or a blank that a line was cut at. */
  #wasBlank(feed: number): boolean {
    const { text, bytes, lineStart } = this;
    if (feed - lineStart > lineBytes) return false;
    // Cut here: whatever follows did not fit into the line any more, so there is no other place to cut up to its end.
    let used = Buffer.byteLength(text.slice(lineStart, feed)) + 1;
    for (let i = feed + 1; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (used > lineBytes) return true;
      if (bytes[i] === space || bytes[i] === lineFeed) return false;
      used += c < 0x80 ? 1 : c < 0x800 ? 2 : c >= 0xd800 && c < 0xe000 ? 2 : 3;
    }
    return false;
  }
}
