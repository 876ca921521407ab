/**
 * Patterns of users, in an engine that takes time linear in the text: a Thompson automaton over bytes, its sets of states kept
 * as a table while it is small. Understood are literals, `.`, classes `[a-z]` `[^…]` `\d` `\w` `\s` and their capitals, groups
 * `(…)` `(?:…)`, `|`, `?` `*` `+` `{m}` `{m,}` `{m,n}`, and `^` `$` at the ends. What is not (look-around, back-references, lazy
 * and possessive repetition, `\b`, flags, named groups) is refused.
 */

/** A pattern that is not understood. `message` says which part; it is the user's own text. */
export class PatternError extends Error {
  override readonly name = "PatternError";
  readonly code = "PATTERN_UNSUPPORTED";
}

/** Whether b[from, to) holds the pattern anywhere. Time is linear in the number of bytes. */
export type Matcher = (b: Uint8Array, from: number, to: number) => boolean;

const maxStates = 1024;
const maxRepeat = 256;
const maxPattern = 1024;
/** Sets of states that are remembered before the table begins anew. */
const maxSets = 256;

type Node =
  | { readonly kind: "bytes"; readonly set: Uint8Array }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly least: number; readonly most: number };

/** Compiles a pattern. Throws PatternError. */
export function compilePattern(source: string): Matcher {
  if (source.length > maxPattern)
    throw new PatternError(`the pattern is longer than ${maxPattern} characters`);
  const anchoredStart = source.startsWith("^");
  const anchoredEnd = /(?<!\\)(?:\\\\)*\$$/.test(source);
  const tree = parse(source.slice(anchoredStart ? 1 : 0, anchoredEnd ? -1 : undefined));
  return automaton(tree, anchoredStart, anchoredEnd);
}

/** Parses by recursive descent; positions are told in the whole pattern's own characters. */
function parse(source: string): Node {
  const characters = Array.from(source);
  let at = 0;
  let depth = 0;

  function choice(): Node {
    const parts = [sequence()];
    while (characters[at] === "|") {
      at++;
      parts.push(sequence());
    }
    return parts.length === 1 ? (parts[0] as Node) : { kind: "choice", parts };
  }

  function sequence(): Node {
    const parts: Node[] = [];
    for (;;) {
      const c = characters[at];
      if (c === undefined || c === "|" || c === ")") return { kind: "sequence", parts };
      parts.push(repeated(atom(c)));
    }
  }

  function repeated(part: Node): Node {
    const c = characters[at];
    let least = 1;
    let most = 1;
    if (c === "?" || c === "*" || c === "+") {
      least = c === "+" ? 1 : 0;
      most = c === "?" ? 1 : Number.POSITIVE_INFINITY;
      at++;
    } else if (c === "{") {
      const close = characters.indexOf("}", at);
      const bounds = /^(\d{1,4})(,(\d{0,4}))?$/.exec(
        close < 0 ? "" : characters.slice(at + 1, close).join(""),
      );
      if (bounds === null) throw new PatternError("a { that is no repetition; write \\{ for the character");
      least = Number(bounds[1]);
      most =
        bounds[2] === undefined ? least : bounds[3] === "" ? Number.POSITIVE_INFINITY : Number(bounds[3]);
      if (least > maxRepeat || (Number.isFinite(most) && (most > maxRepeat || most < least)))
        throw new PatternError(`a repetition whose bounds are not in order or above ${maxRepeat}`);
      at = close + 1;
    } else return part;
    const next = characters[at];
    if (next === "?" || next === "+" || next === "*" || next === "{")
      throw new PatternError("lazy, possessive and double repetition are not understood");
    return { kind: "repeat", part, least, most };
  }

  function atom(c: string): Node {
    at++;
    switch (c) {
      case "(": {
        if (characters[at] === "?") {
          if (characters[at + 1] !== ":")
            throw new PatternError(
              "of groups with (? only (?: is understood: no look-around, names or flags",
            );
          at += 2;
        }
        if (++depth > 32) throw new PatternError("groups are nested too deeply");
        const inner = choice();
        if (characters[at] !== ")") throw new PatternError("a ( without its )");
        at++;
        depth--;
        return inner;
      }
      case "[":
        return { kind: "bytes", set: characterClass() };
      case ".":
        return { kind: "bytes", set: negated(setOf("\n")) };
      case "\\":
        return escaped();
      case "*":
      case "+":
      case "?":
      case "{":
        throw new PatternError(`a ${c} with nothing to repeat`);
      case "^":
      case "$":
        throw new PatternError(`${c} is understood only at the ends of the pattern`);
      default:
        return literal(c);
    }
  }

  function escaped(): Node {
    const c = characters[at++];
    if (c === undefined) throw new PatternError("a \\ at the end");
    const set = classOf(c);
    return set === null ? literal(c) : { kind: "bytes", set };
  }

  function characterClass(): Uint8Array {
    const set = new Uint8Array(256);
    const negative = characters[at] === "^";
    if (negative) at++;
    for (let first = true; ; first = false) {
      const c = characters[at++];
      if (c === undefined) throw new PatternError("a [ without its ]");
      if (c === "]" && !first) break;
      if (c === "[" && ":.=".includes(characters[at] ?? " "))
        throw new PatternError("POSIX classes are not understood");
      let from = c;
      if (c === "\\") {
        from = characters[at++] ?? "";
        const named = classOf(from);
        if (named !== null) {
          for (let i = 0; i < 256; i++) if (named[i] === 1) set[i] = 1;
          continue;
        }
      }
      let to = from;
      if (characters[at] === "-" && characters[at + 1] !== "]" && characters[at + 1] !== undefined) {
        to = characters[at + 1] as string;
        at += 2;
        if (to === "\\") to = characters[at++] ?? "";
      }
      const low = asciiOf(from);
      const high = asciiOf(to);
      if (high < low) throw new PatternError("a range of a class that runs backwards");
      for (let i = low; i <= high; i++) set[i] = 1;
    }
    return negative ? negated(set) : set;
  }

  const tree = choice();
  if (at < characters.length) throw new PatternError("a ) without its (");
  return tree;
}

function asciiOf(c: string): number {
  const code = c.codePointAt(0);
  if (code === undefined || code > 0x7f) throw new PatternError("classes hold ASCII characters only");
  return code;
}

const spaces = setOf(" \t\n\v\f\r");
const digits = setOf("0123456789");
const words = setOf("0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
const controls: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", f: "\f", v: "\v", 0: "\0" };

/** The class behind a backslash; null: the character itself. */
function classOf(c: string): Uint8Array | null {
  switch (c) {
    case "d":
      return digits;
    case "D":
      return negated(digits);
    case "w":
      return words;
    case "W":
      return negated(words);
    case "s":
      return spaces;
    case "S":
      return negated(spaces);
    default: {
      const control = controls[c];
      if (control !== undefined) return setOf(control);
      if (/[A-Za-z1-9]/.test(c)) throw new PatternError(`\\${c} is not understood`);
      return null;
    }
  }
}

function setOf(characters: string): Uint8Array {
  const set = new Uint8Array(256);
  for (const c of characters) set[c.charCodeAt(0)] = 1;
  return set;
}

function negated(set: Uint8Array): Uint8Array {
  return set.map((member) => 1 - member);
}

/** A character as the bytes of its UTF-8 form. */
function literal(c: string): Node {
  const parts = Array.from(Buffer.from(c), (byte): Node => {
    const set = new Uint8Array(256);
    set[byte] = 1;
    return { kind: "bytes", set };
  });
  return parts.length === 1 ? (parts[0] as Node) : { kind: "sequence", parts };
}

/** A state either takes one byte of a set and goes on to `next`, or goes on to all of `splits` at once. */
interface State {
  readonly set: Uint8Array | null;
  next: number;
  readonly splits: number[];
}

function automaton(tree: Node, anchoredStart: boolean, anchoredEnd: boolean): Matcher {
  const states: State[] = [];
  const add = (set: Uint8Array | null, next: number, splits: number[]): number => {
    if (states.length >= maxStates) throw new PatternError("the pattern is too large");
    states.push({ set, next, splits });
    return states.length - 1;
  };
  const final = add(null, -1, []);
  const first = build(tree, final);

  /** Builds what matches `node` and goes on to `next`; gives its first state. */
  function build(node: Node, next: number): number {
    switch (node.kind) {
      case "bytes":
        return add(node.set, next, []);
      case "sequence":
        return node.parts.reduceRight((to, part) => build(part, to), next);
      case "choice":
        return add(
          null,
          -1,
          node.parts.map((part) => build(part, next)),
        );
      case "repeat": {
        let to = next;
        if (Number.isFinite(node.most)) {
          for (let i = node.least; i < node.most; i++) to = add(null, -1, [build(node.part, to), next]);
        } else {
          const loop = add(null, -1, [next]);
          (states[loop] as State).splits.push(build(node.part, loop));
          to = loop;
        }
        for (let i = 0; i < node.least; i++) to = build(node.part, to);
        return to;
      }
      default:
        return node satisfies never;
    }
  }

  interface Known {
    readonly members: readonly number[];
    readonly isFinal: boolean;
    readonly next: (Known | undefined)[];
  }
  const start = closure([first]);
  if (start.includes(final) && !(anchoredStart && anchoredEnd))
    throw new PatternError("the pattern matches the empty text, so it matches everything");
  let table = new Map<string, Known>();

  /** All states that are reached without a byte; those that take none are left out. */
  function closure(from: readonly number[]): number[] {
    const seen = new Uint8Array(states.length);
    const open = [...from];
    const reached: number[] = [];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (seen[index] === 1) continue;
      seen[index] = 1;
      const state = states[index] as State;
      if (state.set !== null || index === final) reached.push(index);
      for (const split of state.splits) open.push(split);
    }
    return reached.sort((x, y) => x - y);
  }

  function known(members: readonly number[]): Known {
    const name = members.join();
    let entry = table.get(name);
    if (entry === undefined) {
      if (table.size >= maxSets) table = new Map();
      entry = { members, isFinal: members.includes(final), next: [] };
      table.set(name, entry);
    }
    return entry;
  }

  function step(from: Known, byte: number): Known {
    const reached: number[] = anchoredStart ? [] : [...start];
    for (const index of from.members) {
      const state = states[index] as State;
      if (state.set?.[byte] === 1) reached.push(state.next);
    }
    const to = known(closure(reached));
    from.next[byte] = to;
    return to;
  }

  return (b, from, to) => {
    let current = known(start);
    for (let i = from; i < to; i++) {
      if (current.isFinal && !anchoredEnd) return true;
      if (current.members.length === 0) return false;
      const byte = b[i] as number;
      current = current.next[byte] ?? step(current, byte);
    }
    return current.isFinal;
  };
}
