/**
 * The tokens of a server tree. PostgreSQL writes them with outToken() and reads them with pg_strtok(): blanks separate,
 * each of `(){}` is a token of its own, and a backslash takes the next character as it is. On its way into the log the text
 * is cut into lines of at most 78 bytes (format_node_dump() in src/backend/nodes/print.c): a blank becomes a line feed,
 * also one behind a backslash; only where a line has no blank the line feed is put in between.
 */
const space = 0x20;
const lineFeed = 0x0a;
const tab = 0x09;
const backslash = 0x5c;
const lineBytes = 78;

/** Characters that end a word, and the backslash. */
const special = new Uint8Array(0x7e);
for (const c of [space, lineFeed, tab, backslash, 0x28, 0x29, 0x7b, 0x7d]) special[c] = 1;

/** What `next` found. `end`: no more text. `torn`: a word that the server cut in two, so that it cannot be put together safely. */
export type TokenKind = "open" | "close" | "node" | "node-end" | "word" | "end" | "torn";

export interface Tokens {
  /** Reads one token; `start` and `stop` then span it. */
  next(): TokenKind;
  readonly start: number;
  readonly stop: number;
  /** The span's text without the backslashes. */
  text(): string;
  /** The span's text as written. */
  raw(): string;
  /** The span is `:` and this name. */
  names(field: string): boolean;
  /** The span's first character. */
  first(): number;
  /** Steps over `[` if that is what comes next. */
  bracket(): boolean;
  /** Behind `[`: the decimal numbers up to `]`; null when it is anything else. */
  datum(): string | null;
  /** Behind `(`: steps over the letter that says what a list of numbers holds; null when it is another list. */
  letter(): "i" | "o" | "x" | "b" | null;
}

export function tokensOf(source: string): Tokens {
  const length = source.length;
  let at = 0;
  let start = 0;
  let stop = 0;
  let escaped = false;
  let lineStart = 0;

  function skipBlanks(): void {
    for (; at < length; at++) {
      const c = source.charCodeAt(at);
      if (c === lineFeed) lineStart = at + 1;
      else if (c !== space && c !== tab) return;
    }
  }

  /** The line from `from` ends behind the word with a line feed that may have been put into the word. */
  function torn(from: number): boolean {
    if (stop - from < lineBytes / 4) return false;
    // The cut looks for a blank from the second byte of the line on.
    const blank = source.indexOf(" ", from + 1);
    if (blank !== -1 && blank < stop) return false;
    return Buffer.byteLength(source.slice(from, stop)) >= lineBytes;
  }

  function next(): TokenKind {
    skipBlanks();
    start = at;
    escaped = false;
    if (at >= length) {
      stop = at;
      return "end";
    }
    switch (source.charCodeAt(at)) {
      case 0x28:
        stop = ++at;
        return "open";
      case 0x29:
        stop = ++at;
        return "close";
      case 0x7b:
        stop = ++at;
        return "node";
      case 0x7d:
        stop = ++at;
        return "node-end";
    }
    // Where the last line begins, should a line feed behind a backslash be a cut.
    let inner = lineStart;
    let i = at;
    for (; i < length; i++) {
      const c = source.charCodeAt(i);
      if (c > 0x7d || special[c] === 0) continue;
      if (c !== backslash) break;
      escaped = true;
      i++;
      if (source.charCodeAt(i) === lineFeed) inner = i + 1;
    }
    at = i;
    // A backslash as the last character would step over the end.
    if (at > length) at = length;
    stop = at;
    if (source.charCodeAt(stop) !== lineFeed) return "word";
    return torn(lineStart) || (inner !== lineStart && torn(inner)) ? "torn" : "word";
  }

  /** A line feed behind a backslash is one of the name's own, or a blank that a line was cut at. */
  function wasBlank(feed: number): boolean {
    if (feed - lineStart > lineBytes) return false;
    // Cut here: whatever follows did not fit into the line any more, so there is no other place to cut up to its end.
    for (let i = feed + 1, bytes = Buffer.byteLength(source.slice(lineStart, feed)) + 1; i < length; i++) {
      const c = source.charCodeAt(i);
      if (bytes > lineBytes) return true;
      if (c === space || c === lineFeed) return false;
      bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c >= 0xd800 && c < 0xe000 ? 2 : 3;
    }
    return false;
  }

  function unescaped(): string {
    let text = "";
    let from = start;
    for (let i = start; i < stop; i++) {
      if (source.charCodeAt(i) !== backslash) continue;
      text += source.slice(from, i);
      i++;
      if (i < stop && source.charCodeAt(i) === lineFeed && wasBlank(i)) {
        text += " ";
        lineStart = i + 1;
        from = i + 1;
      } else from = i;
    }
    return text + source.slice(from, stop);
  }

  return {
    next,
    get start() {
      return start;
    },
    get stop() {
      return stop;
    },
    text: () => (escaped ? unescaped() : source.slice(start, stop)),
    raw: () => source.slice(start, stop),
    names: (field) => stop - start === field.length + 1 && source.startsWith(field, start + 1),
    first: () => source.charCodeAt(start),
    bracket() {
      const mark = at;
      skipBlanks();
      if (source.charCodeAt(at) === 0x5b) {
        at++;
        return true;
      }
      at = mark;
      return false;
    },
    letter() {
      const letter = source[at];
      if (letter !== "i" && letter !== "o" && letter !== "x" && letter !== "b") return null;
      const behind = source.charCodeAt(at + 1);
      if (behind !== space && behind !== lineFeed && behind !== 0x29) return null;
      at++;
      return letter;
    },
    datum() {
      const end = source.indexOf("]", at);
      if (end === -1) return null;
      const from = at;
      for (; at < end; at++) {
        const c = source.charCodeAt(at);
        if (c === lineFeed) lineStart = at + 1;
        else if (c !== space && c !== 0x2d && (c < 0x30 || c > 0x39)) return null;
      }
      at = end + 1;
      return source.slice(from, end);
    },
  };
}
