/** Reading values of known shape out of a YAML file; every mistake is noted with its place and reading goes on. */
import { maxProblems } from "../limits.ts";
import { type PolicyProblem, quote } from "../problem.ts";
import type { YamlFile, YamlNode, YamlPair } from "./document.ts";

/** A value with its path and its place. */
export interface Spot {
  readonly path: string;
  readonly node: YamlNode;
}

export type Fields<Known extends string> = { readonly [Key in Known]?: Spot };

export class Reader {
  readonly source: YamlFile;
  private readonly problems: PolicyProblem[];

  constructor(source: YamlFile, problems: PolicyProblem[]) {
    this.source = source;
    this.problems = problems;
  }

  root(): Spot {
    return { path: "", node: this.source.node(this.source.root, 0) };
  }

  /** Notes a mistake at a value, or at an offset within it. */
  fail(spot: Spot, what: string, expected: string, offset = spot.node.offset): null {
    this.note(spot.path, offset, what, expected);
    return null;
  }

  private note(key: string, offset: number, what: string, expected: string): void {
    if (this.problems.length >= maxProblems) return;
    this.problems.push({ file: this.source.file, ...this.source.place(offset), key, what, expected });
  }

  /** The fields of a mapping; unknown keys are mistakes. null: it is no mapping. */
  map<const Known extends string>(
    spot: Spot,
    known: readonly Known[],
    expected: string,
  ): Fields<Known> | null {
    if (spot.node.kind !== "map") return this.fail(spot, describe(spot.node), expected);
    const fields: { [Key in Known]?: Spot } = {};
    for (const { key, path, keyOffset, value } of this.pairs(spot.path, spot.node.pairs)) {
      const name = known.find((one) => one === key);
      if (name !== undefined) fields[name] = { path, node: this.source.node(value, keyOffset) };
      else if (this.problems.length < maxProblems) {
        const near = nearest(key, known);
        const hint = near === null ? known.join(", ") : `${near} (known here: ${known.join(", ")})`;
        this.note(path, keyOffset, "unknown key", hint);
      }
    }
    return fields;
  }

  /** The entries of a mapping whose keys are free. null: it is no mapping. */
  entries(spot: Spot, expected: string): { readonly key: string; readonly spot: Spot }[] | null {
    if (spot.node.kind !== "map") return this.fail(spot, describe(spot.node), expected);
    return this.pairs(spot.path, spot.node.pairs).map(({ key, path, keyOffset, value }) => ({
      key,
      spot: { path, node: this.source.node(value, keyOffset) },
    }));
  }

  /** Pairs with their paths; a key that comes again is a mistake and left out. */
  private pairs(parent: string, pairs: readonly YamlPair[]): (YamlPair & { readonly path: string })[] {
    const seen = new Set<string>();
    return pairs.flatMap((pair) => {
      const path = this.join(parent, pair.key);
      if (!seen.has(pair.key)) {
        seen.add(pair.key);
        return [{ ...pair, path }];
      }
      this.note(path, pair.keyOffset, "this key is given twice", "each key once");
      return [];
    });
  }

  /** The items of a list of `least` to `most` items. null: it is none such. */
  list(spot: Spot, expected: string, least: number, most: number): Spot[] | null {
    const { node } = spot;
    if (node.kind !== "list") return this.fail(spot, describe(node), expected);
    if (node.items.length < least || node.items.length > most)
      return this.fail(spot, `this list has ${node.items.length} items`, `${least} to ${most}: ${expected}`);
    return node.items.map((item, index) => ({
      path: `${spot.path}[${index}]`,
      node: this.source.node(item, node.offset),
    }));
  }

  /** A text of 1 to `most` characters without control characters other than line ends. */
  text(spot: Spot, expected: string, most = 1024): string | null {
    const { node } = spot;
    if (node.kind !== "scalar" || typeof node.value !== "string")
      return this.fail(spot, describe(node), expected);
    if (node.value.trim() === "") return this.fail(spot, "is empty", expected);
    if (node.value.length > most)
      return this.fail(spot, `is ${node.value.length} characters long`, `at most ${most}: ${expected}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(node.value))
      return this.fail(spot, "holds control characters", expected);
    return node.value;
  }

  texts(spot: Spot, expected: string, least: number, most: number): string[] | null {
    const items = this.list(spot, `a list: ${expected}`, least, most);
    if (items === null) return null;
    const texts: string[] = [];
    let whole = true;
    for (const item of items) {
      const text = this.text(item, expected);
      if (text === null) whole = false;
      else if (texts.includes(text)) this.fail(item, `${quote(text)} is listed twice`, "each once");
      else texts.push(text);
    }
    return whole ? texts : null;
  }

  choice<const Choice extends string>(spot: Spot, choices: readonly Choice[]): Choice | null {
    const { node } = spot;
    const value = node.kind === "scalar" && typeof node.value === "string" ? node.value : null;
    const found = choices.find((choice) => choice === value);
    return found ?? this.fail(spot, describe(node), choices.join(", "));
  }

  flag(spot: Spot): boolean | null {
    const { node } = spot;
    if (node.kind === "scalar" && typeof node.value === "boolean") return node.value;
    return this.fail(spot, describe(node), "true or false");
  }

  whole(spot: Spot, least: number, most: number): number | null {
    const { node } = spot;
    const value = node.kind === "scalar" ? node.value : null;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    const expected = least === most ? String(least) : `a whole number from ${least} to ${most}`;
    return this.fail(spot, describe(node), expected);
  }

  private join(path: string, key: string): string {
    if (!/^[A-Za-z_][\w-]*$/.test(key)) return `${path}[${quote(key)}]`;
    return path === "" ? key : `${path}.${key}`;
  }
}

/** What stands there, for a message. */
export function describe(node: YamlNode): string {
  switch (node.kind) {
    case "none":
      return "has no value";
    case "list":
      return "is a list";
    case "map":
      return "is a mapping";
    case "scalar":
      if (node.value === null) return "is null";
      if (typeof node.value === "string") return `is ${quote(node.value)}`;
      return `is ${String(node.value).slice(0, 60)}`;
  }
}

/** The known word that a mistyped one was probably meant to be. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let least = Math.min(3, Math.ceil(word.length / 2));
  if (word.length > 40) return null;
  for (const candidate of known) {
    const distance = edits(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
