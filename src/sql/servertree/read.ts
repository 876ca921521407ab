/** Reads a server tree, positionally: behind each `:field` stands exactly one value, whatever that value looks like. */
import { knownLayout, type Layout, layoutOf } from "./layout.ts";
import {
  type Kept,
  type ServerDatum,
  ServerNode,
  type ServerNumbers,
  type ServerTreeLimits,
  type ServerTreeResult,
  type ServerValue,
} from "./types.ts";
import { endsWord, isPlain, Torn, Words } from "./words.ts";

export const defaultLimits: ServerTreeLimits = { length: 64 << 20, depth: 2000, values: 4_000_000 };

const lineFeed = 0x0a;
const space = 0x20;
const tab = 0x09;
const quotation = 0x22;
const openList = 0x28;
const closeList = 0x29;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;
const colon = 0x3a;
const less = 0x3c;
const openNode = 0x7b;
const closeNode = 0x7d;
const bracket = 0x5b;
const falseBytes = Buffer.from("false");
const trueBytes = Buffer.from("true");

class Unreadable extends Error {}

/**
 * Reads the text of one tree: a list of QUERY nodes (what `debug_print_rewritten` prints and pg_rewrite.ev_action holds), a
 * single QUERY, or `<>` (nothing is run). Never throws; the reason holds nothing of the text.
 */
export function readServerTree(text: string, limits: ServerTreeLimits = defaultLimits): ServerTreeResult {
  try {
    if (text.length > limits.length) throw new Unreadable("the tree is too long");
    const top = new Reader(text, limits).read();
    const items =
      top === null ? [] : typeof top === "object" ? (top.kind === "list" ? top.items : [top]) : [top];
    const queries: ServerNode[] = [];
    for (const item of items) {
      if (item === null || typeof item !== "object" || item.kind !== "node" || item.tag !== "QUERY")
        return { ok: false, reason: "the tree is not a list of queries" };
      queries.push(item);
    }
    return { ok: true, queries };
  } catch (error) {
    if (error instanceof Torn)
      return { ok: false, reason: "the tree holds a name that the server's line breaks cut in two" };
    return { ok: false, reason: error instanceof Unreadable ? error.message : "the tree cannot be read" };
  }
}

/** A list that is being read. */
interface OpenList {
  readonly kind: "list";
  readonly items: ServerValue[];
}

/** What is open while reading: a node that waits for a field or the end, or a list; null: nothing. */
type Open = ServerNode | OpenList | null;

class Reader {
  readonly #words: Words;
  readonly #bytes: Uint8Array;
  readonly #limits: ServerTreeLimits;
  #at = 0;

  constructor(text: string, limits: ServerTreeLimits) {
    this.#words = new Words(text);
    this.#bytes = this.#words.bytes;
    this.#limits = limits;
  }

  /** Reads one value that fills the whole text. Throws Unreadable, Torn or what the engine throws. */
  read(): Kept {
    const limits = this.#limits;
    const stack: Open[] = [];
    /** For each of them the node whose children stand in it. */
    const owners: (ServerNode | null)[] = [];
    let top: Open = null;
    let owner: ServerNode | null = null;
    /** `top` is a node, and a field of it waits for its value. */
    let named = false;
    let count = 0;
    for (;;) {
      if (top !== null && top.kind === "node" && !named) {
        count += this.#plainFields(top);
        if (count > limits.values) throw new Unreadable("the tree has too many parts");
      }
      const c = this.#skipBlanks();
      let value: Kept;
      if (top !== null && top.kind === "node" && !named && c !== closeNode) {
        if (c !== colon) throw new Unreadable("a node has a value without a name");
        top.layout = this.#field(top.layout);
        named = true;
        continue;
      }
      if (c === closeNode || c === closeList) {
        if (top === null || named || (top.kind === "node") !== (c === closeNode))
          throw new Unreadable("a node or list ends where none began");
        this.#at++;
        value = top;
        top = stack.pop() ?? null;
        owner = owners.pop() ?? null;
      } else {
        if (++count > limits.values) throw new Unreadable("the tree has too many parts");
        if (c === openNode || c === openList) {
          this.#at++;
          const opened = c === openNode ? new ServerNode(this.#tag()) : this.#list();
          if (opened.kind !== "numbers") {
            if (stack.length >= limits.depth) throw new Unreadable("the tree is too deep");
            stack.push(top);
            owners.push(owner);
            top = opened;
            named = false;
            if (opened.kind === "list") continue;
            if (owner !== null) owner.adopt(opened);
            owner = opened;
            continue;
          }
          value = opened;
        } else value = top !== null && top.kind === "node" ? this.#scalar(c) : this.#item(c);
      }
      if (top === null) return this.#last(value);
      if (top.kind === "node") {
        top.take(value);
        named = false;
      } else top.items.push(typeof value === "number" ? String(value) : value);
    }
  }

  /**
   * Reads fields of a node as long as they are what most of them are: of a name that is expected here, with an integer, a truth,
   * NULL or an empty set behind it. At anything else it stops before the field. Gives how many it has read.
   */
  #plainFields(node: ServerNode): number {
    const words = this.#words;
    const bytes = this.#bytes;
    const { values } = node;
    const before = values.length;
    let { layout } = node;
    let lineStart = words.lineStart;
    let at = this.#at;
    for (;;) {
      let line = lineStart;
      let i = at;
      let c = bytes[i];
      if (c === lineFeed) line = i + 1;
      if (c === space || c === lineFeed) c = bytes[++i];
      if (c !== colon) break;
      const next = this.#expected(i, layout);
      if (next === null) break;
      i += next.bytes.length;
      c = bytes[i];
      if (c === lineFeed) {
        if (words.torn(line, i)) break;
        line = i + 1;
      } else if (c !== space) break;
      const from = ++i;
      c = bytes[i] ?? 0;
      let value: Kept;
      if (c === minus || (c >= zero && c <= nine)) {
        if (c === minus) c = bytes[++i] ?? 0;
        const first = i;
        let number = 0;
        while (c >= zero && c <= nine) {
          number = number * 10 + c - zero;
          c = bytes[++i] ?? 0;
        }
        // The words that say it otherwise, and values in memory format, are for #scalar().
        if (i === first || i - first > 15) break;
        if (bytes[first] === zero && (i > first + 1 || first > from)) break;
        if (bytes[i + 1] === bracket) break;
        value = first > from ? -number : number;
      } else if (c === 0x66 && this.#is(i, falseBytes)) {
        i += 5;
        value = "false";
      } else if (c === 0x74 && this.#is(i, trueBytes)) {
        i += 4;
        value = "true";
      } else if (c === less) {
        if (bytes[i + 1] !== 0x3e) break;
        i += 2;
        value = null;
      } else if (c === openList) {
        if (bytes[i + 1] !== 0x62 || bytes[i + 2] !== closeList) break;
        i += 3;
        value = emptyNumbers.b;
      } else if (c !== quotation) {
        while (isPlain(c)) c = bytes[++i] ?? 0;
        if (i === from) break;
        value = words.text.slice(from, i);
      } else break;
      c = bytes[i];
      if (c === lineFeed ? words.torn(line, i) : c !== space && c !== closeNode) break;
      // One blank alone stands before what follows.
      if (c !== closeNode && (bytes[i + 1] ?? 0) <= space) break;
      values.push(value);
      layout = next;
      lineStart = line;
      at = i;
    }
    node.layout = layout;
    words.lineStart = lineStart;
    this.#at = at;
    return values.length - before;
  }

  /** The layout with the field that stands at `at`, if it is one that is known to come here. */
  #expected(at: number, { next }: Layout): Layout | null {
    const bytes = this.#bytes;
    for (let i = 0; i < next.length; i++) {
      const layout = next[i] as Layout;
      const name = layout.bytes;
      const { length } = name;
      let j = 1;
      while (j < length && bytes[at + j] === name[j]) j++;
      if (j === length && endsWord(bytes[at + length])) return layout;
    }
    return null;
  }

  #is(at: number, word: Uint8Array): boolean {
    for (let i = 0; i < word.length; i++) if (this.#bytes[at + i] !== word[i]) return false;
    return true;
  }

  /** The next character that is no blank; 0 also at the end. */
  #skipBlanks(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    for (; ; at++) {
      const c = bytes[at] ?? 0;
      if (c === lineFeed) this.#words.lineStart = at + 1;
      else if (c !== space && c !== tab) {
        this.#at = at;
        return c;
      }
    }
  }

  #word(): string {
    this.#at = this.#words.scan(this.#at);
    return this.#words.raw();
  }

  /** At a colon: with the field that it begins. */
  #field(layout: Layout): Layout {
    const known = this.#expected(this.#at, layout);
    if (known !== null) {
      this.#at += known.bytes.length;
      if (this.#bytes[this.#at] === lineFeed) this.#words.whole(this.#at);
      return known;
    }
    const raw = this.#word();
    if (raw.length < 2) throw new Unreadable("a node has a value without a name");
    const found = layout.with(raw.slice(1));
    if (found === null) throw new Unreadable("a node has a field twice");
    return found;
  }

  #tag(): Layout {
    const bytes = this.#bytes;
    let end = this.#at;
    while (isPlain(bytes[end] ?? 0)) end++;
    const known = bytes[end] === space ? knownLayout(bytes, this.#at, end) : null;
    if (known !== null) {
      this.#at = end;
      return known;
    }
    const c = this.#skipBlanks();
    if (this.#atEnd(c) || c === openNode || c === openList || c === closeNode || c === closeList)
      throw new Unreadable("a node has no name");
    return layoutOf(this.#word());
  }

  #atEnd(c: number): boolean {
    return c === 0 && this.#at >= this.#words.text.length;
  }

  #last(value: Kept): Kept {
    if (!this.#atEnd(this.#skipBlanks())) throw new Unreadable("something follows the tree");
    return value;
  }

  /** A list of numbers is told by its first word; nodes, strings and numbers in other lists never are one of these letters. */
  #list(): OpenList | ServerNumbers {
    const bytes = this.#bytes;
    const of = letters.get(bytes[this.#at] ?? 0);
    const behind = bytes[this.#at + 1];
    if (of === undefined || (behind !== space && behind !== lineFeed && behind !== closeList))
      return { kind: "list", items: [] };
    this.#at++;
    if (behind === closeList) {
      this.#at++;
      return emptyNumbers[of];
    }
    const numbers: number[] = [];
    for (;;) {
      const c = this.#skipBlanks();
      if (c === closeList) {
        this.#at++;
        return { kind: "numbers", of, numbers };
      }
      const special = c === openNode || c === openList || c === closeNode || this.#atEnd(c);
      const number = special ? Number.NaN : Number(this.#word());
      if (!Number.isSafeInteger(number)) throw new Unreadable("a list of numbers holds something else");
      numbers.push(number);
    }
  }

  /** A word behind a field. */
  #scalar(c: number): Kept {
    const bytes = this.#bytes;
    const at = this.#at;
    if ((c >= zero && c <= nine) || c === minus) {
      let i = c === minus ? at + 1 : at;
      const from = i;
      let number = 0;
      for (let digit = bytes[i] ?? 0; digit >= zero && digit <= nine; digit = bytes[++i] ?? 0)
        number = number * 10 + digit - zero;
      const behind = bytes[i];
      const usual = bytes[from] !== zero ? i > from : i === from + 1 && c !== minus;
      if (usual && i - from < 16 && endsWord(behind)) {
        this.#at = i;
        if (behind === lineFeed) this.#words.whole(i);
        if (c === minus) return -number;
        return this.#bracket() ? this.#datum(number) : number;
      }
    } else if (c === less && bytes[at + 1] === 0x3e && bytes[at + 2] === space) {
      this.#at = at + 2;
      return null;
    }
    const words = this.#words;
    this.#at = words.scan(at);
    if (words.stop === at) throw new Unreadable("the tree ends too early");
    switch (c) {
      case less:
        if (words.raw() === "<>") return null;
        break;
      case quotation:
        if (words.raw() === '""') return "";
        break;
    }
    const value = words.value();
    if (c < zero || c > nine || !this.#bracket()) return value;
    return this.#datum(Number(value));
  }

  /** A word in a list; in quotation marks it is a String node. */
  #item(c: number): ServerValue {
    const words = this.#words;
    this.#at = words.scan(this.#at);
    if (words.stop === words.start) throw new Unreadable("the tree ends too early");
    if (c !== less && c !== quotation) return words.value();
    const raw = words.raw();
    if (raw === "<>") return null;
    if (raw === '""') return "";
    if (c !== quotation) return words.value();
    if (raw.length < 2 || raw.charCodeAt(raw.length - 1) !== quotation)
      throw new Unreadable("a string does not end");
    return words.escaped ? words.value().slice(1, -1) : raw.slice(1, -1);
  }

  /** Steps over `[` if that is what comes next. */
  #bracket(): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    let c = bytes[at];
    while (c === space || c === lineFeed || c === tab) c = bytes[++at];
    if (c !== bracket) return false;
    this.#skipBlanks();
    this.#at++;
    return true;
  }

  /** Behind `[`: the bytes of a value as decimal numbers, up to `]`. */
  #datum(length: number): ServerDatum {
    const { text } = this.#words;
    const bytes = this.#bytes;
    const from = this.#at;
    const end = text.indexOf("]", from);
    if (end === -1) throw new Unreadable("a constant is not written as bytes");
    for (let i = from; i < end; i++) {
      const c = bytes[i] ?? 0;
      if (c === lineFeed) this.#words.lineStart = i + 1;
      else if (c !== space && c !== minus && (c < zero || c > nine))
        throw new Unreadable("a constant is not written as bytes");
    }
    this.#at = end + 1;
    return { kind: "datum", length, text: text.slice(from, end) };
  }
}

type Letter = ServerNumbers["of"];
const letters: ReadonlyMap<number, Letter> = new Map(
  (["i", "o", "x", "b"] as const).map((letter) => [letter.charCodeAt(0), letter]),
);
const empty = (of: Letter): ServerNumbers => ({ kind: "numbers", of, numbers: [] });
const emptyNumbers: Readonly<Record<Letter, ServerNumbers>> = {
  i: empty("i"),
  o: empty("o"),
  x: empty("x"),
  b: empty("b"),
};
