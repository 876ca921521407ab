/** Cutting pieces out of a statement's text by its tokens. Whoever cuts must check what was cut by parsing it. */
import { Lexer, type Token, token } from "./lexer.ts";

interface Piece {
  readonly kind: Token;
  readonly start: number;
  readonly end: number;
  /** How many brackets are open around it; a bracket itself counts as outside. */
  readonly depth: number;
  /** A word in lower case, or a punctuation mark; "" for everything else. */
  readonly word: string;
}

/** The tokens of a statement, or of a part of it, without white space, comments and semicolons at its end. */
export class Tokens {
  readonly text: string;
  readonly #pieces: readonly Piece[];
  readonly #from: number;
  readonly #to: number;

  private constructor(text: string, pieces: readonly Piece[], from: number, to: number) {
    this.text = text;
    this.#pieces = pieces;
    this.#from = from;
    this.#to = to;
  }

  /** Throws UnreadableSql as the lexer does. */
  static of(text: string, start: number, end: number): Tokens {
    const lexer = new Lexer(text, start, end);
    const pieces: Piece[] = [];
    let depth = 0;
    for (let kind = lexer.next(); kind !== token.end; kind = lexer.next()) {
      if (kind === token.space || kind === token.comment) continue;
      const marked = kind === token.word || kind === token.punctuation;
      const word = marked ? text.slice(lexer.start, lexer.end).toLowerCase() : "";
      if (word === ")" || word === "]") depth--;
      pieces.push({ kind, start: lexer.start, end: lexer.end, depth, word });
      if (word === "(" || word === "[") depth++;
    }
    let to = pieces.length;
    while (to > 0 && pieces[to - 1]?.word === ";") to--;
    return new Tokens(text, pieces, 0, to);
  }

  get length(): number {
    return this.#to - this.#from;
  }

  /** The word or punctuation mark at `index`, negative from the end; "" for other tokens and beyond the ends. */
  word(index: number): string {
    return this.#at(index)?.word ?? "";
  }

  /** The first `word` that stands outside all brackets; -1: none. */
  find(word: string): number {
    const base = this.#at(0)?.depth ?? 0;
    for (let i = 0; i < this.length; i++) {
      const piece = this.#at(i);
      if (piece?.word === word && piece.depth === base) return i;
    }
    return -1;
  }

  /** The token that starts at `start` of the whole text; -1: none does. */
  at(start: number): number {
    for (let i = 0; i < this.length; i++) if (this.#at(i)?.start === start) return i;
    return -1;
  }

  /** The bracket that closes the one at `open`; -1: none. */
  close(open: number): number {
    const depth = this.#at(open)?.depth;
    for (let i = open + 1; i < this.length; i++) {
      const piece = this.#at(i);
      if (piece?.depth === depth && (piece?.word === ")" || piece?.word === "]")) return i;
    }
    return -1;
  }

  slice(from: number, to: number = this.length): Tokens {
    const start = Math.min(this.#from + from, this.#to);
    return new Tokens(this.text, this.#pieces, start, Math.max(start, Math.min(this.#from + to, this.#to)));
  }

  /** The source from the first to the last token, comments between them included. "" when there is none. */
  source(): string {
    const first = this.#at(0);
    const last = this.#at(-1);
    return first === undefined || last === undefined ? "" : this.text.slice(first.start, last.end);
  }

  /** The source without the tokens from `from` up to `to`. */
  without(from: number, to: number): string {
    return `${this.slice(0, from).source()} ${this.slice(to).source()}`.trim();
  }

  /** The source with each parameter $n replaced by what `by` gives for it. */
  withParameters(by: (number: number) => string): string {
    const first = this.#at(0);
    if (first === undefined) return "";
    let result = "";
    let done = first.start;
    for (let i = 0; i < this.length; i++) {
      const piece = this.#at(i);
      if (piece?.kind !== token.parameter) continue;
      result += this.text.slice(done, piece.start) + by(Number(this.text.slice(piece.start + 1, piece.end)));
      done = piece.end;
    }
    return result + this.text.slice(done, this.#at(-1)?.end);
  }

  #at(index: number): Piece | undefined {
    const i = index < 0 ? this.#to + index : this.#from + index;
    return i < this.#from || i >= this.#to ? undefined : this.#pieces[i];
  }
}
