/**
 * An upper bound for how deep the parser's tree will be, from tokens alone. Recursion over that tree is what exhausts the
 * WASM stack and ruins the parser's instance (MASKING.md 1.4), so deep texts are refused before it sees them. A bound that
 * is too low somewhere only costs an instance, never a wrong reading.
 */

const link = 1;
const sibling = 2;
const setOperation = 3;
const join = 4;
const words: ReadonlyMap<string, number> = new Map([
  // They put one more node above what stands left of them, or one more below.
  ...each(
    link,
    "not case else when is isnull notnull collate like ilike similar between in at operator over",
  ),
  // After them a sibling expression starts, so that the chain before no longer counts.
  ...each(
    sibling,
    "and or from where having values set returning group order limit offset select on using window by",
  ),
  ...each(setOperation, "union intersect except"),
  ...each(join, "join"),
]);
const longest = 9;

function each(kind: number, list: string): [word: string, kind: number][] {
  return list.split(" ").map((word) => [word, kind]);
}

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

  /** A key word or identifier. */
  word(word: string): void {
    if (word.length > longest) return;
    switch (words.get(word.toLowerCase())) {
      case join:
        this.#joins++;
        break;
      case setOperation:
        this.#sets++;
        this.#joins = 0;
        this.#chain = 0;
        break;
      case sibling:
        this.#chain = 0;
        break;
      case link:
        this.#chain++;
        break;
      default:
        return;
    }
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
