import { isSpace } from "./lexer.ts";
import type { Span } from "./types.ts";

/** The segment holds neither tokens nor a block comment. */
const nothing = -2;
/** The segment holds tokens and no block comment behind them. */
const noComment = -1;

/**
 * Where a text's semicolons are, and the last block comment behind the tokens of each segment between them. Filled by a
 * lexer in the order of the text; can be used again after clear().
 */
export class Marks {
  readonly semicolons: number[] = [];
  /** Two numbers a segment: start and end of its trailing block comment, or one of the two marks above and 0. */
  readonly #comments: number[] = [];
  #start = nothing;
  #end = 0;

  clear(): void {
    if (this.semicolons.length > 0) this.semicolons.length = 0;
    if (this.#comments.length > 0) this.#comments.length = 0;
    this.#start = nothing;
    this.#end = 0;
  }

  token(): void {
    this.#start = noComment;
  }

  comment(start: number, end: number): void {
    this.#start = start;
    this.#end = end;
  }

  semicolon(at: number): void {
    this.semicolons.push(at);
    this.end();
    this.#start = nothing;
  }

  /** Ends a segment; at the text's end it must be called once. */
  end(): void {
    this.#comments.push(this.#start, this.#start < 0 ? 0 : this.#end);
  }

  /** The comment behind the tokens of a text of one statement. */
  lastComment(text: string): string | null {
    let at = this.semicolons.length;
    while (at > 0 && this.#comments[2 * at] === nothing) at--;
    const start = this.#comments[2 * at] ?? nothing;
    return start < 0 ? null : text.slice(start, this.#comments[2 * at + 1]);
  }

  /**
   * The statements' places, given which semicolon ends each of them but the last. One statement: the whole text, as it was
   * sent. Several: each up to its semicolon, without white space and empty statements around it; the last takes the rest.
   */
  spans(text: string, cuts: readonly number[]): Span[] {
    const spans: Span[] = [];
    let segment = 0;
    for (let i = 0; i <= cuts.length; i++) {
      const last = i === cuts.length;
      const cut = last ? this.semicolons.length : (cuts[i] ?? 0);
      let start = segment === 0 ? 0 : (this.semicolons[segment - 1] ?? 0) + 1;
      let end = last ? text.length : (this.semicolons[cut] ?? text.length);
      if (cuts.length > 0) {
        while (start < end && blank(text.charCodeAt(start))) start++;
        while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
      }
      let at = cut;
      while (at > segment && this.#comments[2 * at] === nothing) at--;
      const comment = this.#comments[2 * at] ?? nothing;
      spans.push({
        start,
        end,
        commentStart: Math.max(comment, 0),
        commentEnd: comment < 0 ? 0 : (this.#comments[2 * at + 1] ?? 0),
      });
      segment = cut + 1;
    }
    return spans;
  }
}

function blank(code: number): boolean {
  return code === 59 || isSpace(code);
}
