/**
 * Patterns of users, in an engine that takes time linear in the text: a Thompson automaton over bytes, its sets of states kept
 * as a table while it is small. `^` and `$` are understood at the ends; for the rest see patternsyntax.ts.
 */
import { PatternError, type PatternNode, parsePattern } from "./patternsyntax.ts";

export { PatternError };

/** Whether b[from, to) holds the pattern anywhere. Time is linear in the number of bytes. */
export type Matcher = (b: Uint8Array, from: number, to: number) => boolean;

const maxStates = 1024;
const maxPattern = 1024;
/** Sets of states that are remembered before the table begins anew. */
const maxSets = 256;

/** Compiles a pattern. Throws PatternError. */
export function compilePattern(source: string): Matcher {
  if (source.length > maxPattern)
    throw new PatternError(`the pattern is longer than ${maxPattern} characters`);
  const anchoredStart = source.startsWith("^");
  const anchoredEnd = /(?<!\\)(?:\\\\)*\$$/.test(source);
  const tree = parsePattern(source.slice(anchoredStart ? 1 : 0, anchoredEnd ? -1 : undefined));
  // ^a|b would hold for the first alternative only.
  if (tree.kind === "choice" && (anchoredStart || anchoredEnd))
    throw new PatternError("alternatives beside ^ or $ need a group: ^(a|b)$");
  return automaton(tree, anchoredStart, anchoredEnd);
}

/** A state either takes one byte of a set and goes on to `next`, or goes on to all of `splits` at once. */
interface State {
  readonly set: Uint8Array | null;
  next: number;
  readonly splits: number[];
}

function automaton(tree: PatternNode, anchoredStart: boolean, anchoredEnd: boolean): Matcher {
  const states: State[] = [];
  const add = (set: Uint8Array | null, next: number, splits: number[]): number => {
    if (states.length >= maxStates) throw new PatternError("the pattern is too large");
    states.push({ set, next, splits });
    return states.length - 1;
  };
  const final = add(null, -1, []);
  const first = build(tree, final);

  /** Builds what matches `node` and goes on to `next`; gives its first state. */
  function build(node: PatternNode, next: number): number {
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
