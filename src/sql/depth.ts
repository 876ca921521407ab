/**
 * An upper bound for how deep the parser's tree will be, from tokens alone. Recursion over that tree is what exhausts the
 * WASM stack and ruins the parser's instance (MASKING.md 1.4), so deep texts are refused before it sees them. A bound that
 * is too low somewhere only costs an instance, never a wrong reading.
 */

/** Words that put one more node above what stands left of them, or one more below. */
const deepening = new Set([
  "not",
  "case",
  "else",
  "when",
  "is",
  "isnull",
  "notnull",
  "collate",
  "like",
  "ilike",
  "similar",
  "between",
  "in",
  "at",
  "operator",
  "over",
]);
/** Words after which a sibling expression starts, so that the chain before no longer counts. */
const siblings = new Set([
  "and",
  "or",
  "from",
  "where",
  "having",
  "values",
  "set",
  "returning",
  "group",
  "order",
  "limit",
  "offset",
  "select",
  "on",
  "using",
  "window",
  "by",
]);
const setOperations = new Set(["union", "intersect", "except"]);

/** A nested level weighs more than a link of a chain: a sub-select takes about three times the stack of an operator. */
const levelWeight = 4;

export class DepthMeter {
  /** The deepest estimate so far. */
  deepest = 0;
  #base = 0;
  #chain = 0;
  #joins = 0;
  #sets = 0;
  readonly #levels: [base: number, chain: number, joins: number, sets: number][] = [];

  /** A key word or identifier, in lower case. */
  word(word: string): void {
    if (word.length > 9) return;
    if (word === "join") this.#joins++;
    else if (setOperations.has(word)) {
      this.#sets++;
      this.#joins = 0;
      this.#chain = 0;
    } else if (siblings.has(word)) this.#chain = 0;
    else if (deepening.has(word)) this.#chain++;
    else return;
    this.#note();
  }

  /** One operator, or a dot or colon (indirection and casts chain like operators). */
  link(): void {
    this.#chain++;
    this.#note();
  }

  open(): void {
    this.#levels.push([this.#base, this.#chain, this.#joins, this.#sets]);
    this.#base += this.#chain + this.#joins + this.#sets + levelWeight;
    this.#chain = this.#joins = this.#sets = 0;
    this.#note();
  }

  close(): void {
    const level = this.#levels.pop();
    if (level !== undefined) [this.#base, this.#chain, this.#joins, this.#sets] = level;
    // What was in the brackets now stands below whatever follows; f(…)(…) and a[…][…] chain.
    this.#chain++;
  }

  comma(): void {
    this.#chain = 0;
    this.#joins = 0;
  }

  semicolon(): void {
    if (this.#levels.length > 0) return;
    this.#chain = this.#joins = this.#sets = 0;
  }

  #note(): void {
    const depth = this.#base + this.#chain + this.#joins + this.#sets;
    if (depth > this.deepest) this.deepest = depth;
  }
}
