/** Reading the text rows of a query. What does not look as it should is a CatalogError: nothing is guessed. */
import { unreadable } from "./errors.ts";

export type TextRow = readonly (string | null)[];

/** Most lists are empty: one stands for all of them. */
const none: readonly never[] = [];

/** One row, read column by column from the left. */
export class RowReader {
  readonly #what: string;
  readonly #words = new Map<string, string>();
  #row: TextRow = [];
  #at = 0;

  /** @param what what the rows are about, for the error. */
  constructor(what: string) {
    this.#what = what;
  }

  on(row: TextRow): this {
    this.#row = row;
    this.#at = 0;
    return this;
  }

  fail(): never {
    throw unreadable(this.#what);
  }

  textOrNull(): string | null {
    const value = this.#row[this.#at++];
    return value === undefined ? this.fail() : value;
  }

  text(): string {
    return this.textOrNull() ?? this.fail();
  }

  /** A text that many rows have, as one string. */
  word(): string {
    const text = this.text();
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    this.#words.set(text, text);
    return text;
  }

  /** As word(), or NULL. */
  wordOrNull(): string | null {
    if (this.#row[this.#at] !== null) return this.word();
    this.#at++;
    return null;
  }

  /** An integer that JavaScript holds exactly. */
  int(): number {
    const text = this.text();
    const value = Number(text);
    return /^-?\d{1,16}$/.test(text) && Number.isSafeInteger(value) ? value : this.fail();
  }

  /** Only "t" is true: a privilege that is not known is not there. */
  flag(): boolean {
    return this.textOrNull() === "t";
  }

  /** One of the given letters. */
  letter<T extends string>(allowed: readonly T[]): T {
    const text = this.text();
    return allowed.find((letter) => letter === text) ?? this.fail();
  }

  /** Integers with blanks between them; "" and NULL are none. */
  ints(): readonly number[] {
    const text = this.textOrNull() ?? "";
    if (text === "") return none;
    if (!/^[-0-9 ]*$/.test(text)) this.fail();
    return text.split(" ").flatMap((part) => (part === "" ? [] : [Number(part)]));
  }

  /** A JSON array of strings; NULL is none. */
  texts(): readonly string[] {
    const text = this.textOrNull();
    if (text === null || text === "[]") return none;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.fail();
    }
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === "string"))
      this.fail();
    return value;
  }
}

/** Sorted, each once. */
export function sortedUnique(values: readonly number[]): readonly number[] {
  return values.length === 0
    ? none
    : values.length === 1
      ? values
      : [...new Set(values)].sort((a, b) => a - b);
}

/** Adds to the list under a key. */
export function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
