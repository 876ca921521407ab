/** Reads a server tree, positionally: behind each `:field` stands exactly one value, whatever that value looks like. */
import { type TokenKind, type Tokens, tokensOf } from "./tokens.ts";
import {
  ServerFields,
  type ServerList,
  type ServerNode,
  type ServerNumbers,
  type ServerTreeLimits,
  type ServerTreeResult,
  type ServerValue,
} from "./types.ts";

export const defaultLimits: ServerTreeLimits = { length: 64 << 20, depth: 2000, values: 4_000_000 };

/** What is open while reading: a node that waits for a field or the end, or a list. */
type Open =
  | {
      readonly kind: "node";
      readonly tag: string;
      readonly list: ServerValue[];
      /** Names of its fields; while `shared`, those of the last node with this tag, which it most likely has as well. */
      names: string[];
      shared: boolean;
      /** A field waits for its value. */
      named: boolean;
    }
  | { readonly kind: "list"; readonly items: ServerValue[] };

class Unreadable extends Error {}

/**
 * Reads the text of one tree: a list of QUERY nodes (what `debug_print_rewritten` prints and pg_rewrite.ev_action holds), a
 * single QUERY, or `<>` (nothing is run). Never throws; the reason holds nothing of the text.
 */
export function readServerTree(text: string, limits: ServerTreeLimits = defaultLimits): ServerTreeResult {
  try {
    const top = readValue(text, limits);
    const items =
      top === null ? [] : typeof top === "string" ? [top] : top.kind === "list" ? top.items : [top];
    const queries: ServerNode[] = [];
    for (const item of items) {
      if (item === null || typeof item === "string" || item.kind !== "node" || item.tag !== "QUERY")
        return { ok: false, reason: "the tree is not a list of queries" };
      queries.push(item);
    }
    return { ok: true, queries };
  } catch (error) {
    return { ok: false, reason: error instanceof Unreadable ? error.message : "the tree cannot be read" };
  }
}

/** Reads one value that fills the whole text. Throws `Unreadable` or what the engine throws. */
function readValue(text: string, limits: ServerTreeLimits): ServerValue {
  if (text.length > limits.length) throw new Unreadable("the tree is too long");
  const tokens = tokensOf(text);
  const stack: Open[] = [];
  const layouts = new Map<string, string[]>();
  let values = 0;
  for (let kind = tokens.next(); ; kind = tokens.next()) {
    const top = stack[stack.length - 1];
    if (top?.kind === "node" && !top.named && kind !== "node-end") {
      nameField(tokens, kind, top);
      continue;
    }
    let value: ServerValue;
    switch (kind) {
      case "node":
      case "open": {
        if (++values > limits.values) throw new Unreadable("the tree has too many parts");
        const open = kind === "node" ? openNode(tokens, layouts) : openList(tokens);
        if (open.kind === "numbers") {
          value = open;
          break;
        }
        if (stack.length >= limits.depth) throw new Unreadable("the tree is too deep");
        stack.push(open);
        continue;
      }
      case "close": {
        if (top?.kind !== "list") throw new Unreadable("a list ends where none began");
        stack.pop();
        const list: ServerList = top;
        value = list;
        break;
      }
      case "node-end": {
        if (top?.kind !== "node" || top.named) throw new Unreadable("a node ends where none began");
        stack.pop();
        const node: ServerNode = { kind: "node", tag: top.tag, fields: fieldsOf(top, layouts) };
        value = node;
        break;
      }
      case "word":
        if (++values > limits.values) throw new Unreadable("the tree has too many parts");
        value = scalar(tokens, top?.kind === "node");
        break;
      case "torn":
        throw new Unreadable("the tree holds a name that the server's line breaks cut in two");
      case "end":
        throw new Unreadable("the tree ends too early");
    }
    const into = stack[stack.length - 1];
    if (into === undefined) {
      if (tokens.next() !== "end") throw new Unreadable("something follows the tree");
      return value;
    }
    if (into.kind === "list") into.items.push(value);
    else {
      into.list.push(value);
      into.named = false;
    }
  }
}

type OpenNode = Extract<Open, { kind: "node" }>;

function nameField(tokens: Tokens, kind: TokenKind, node: OpenNode): void {
  const at = node.list.length;
  node.named = true;
  if (node.shared) {
    const guess = node.names[at];
    if (guess !== undefined && kind === "word" && tokens.first() === 0x3a && tokens.names(guess)) return;
    node.names = node.names.slice(0, at);
    node.shared = false;
  }
  const raw = kind === "word" ? tokens.raw() : "";
  if (raw.length < 2 || raw.charCodeAt(0) !== 0x3a) throw new Unreadable("a node has a value without a name");
  const name = raw.slice(1);
  if (node.names.includes(name)) throw new Unreadable("a node has a field twice");
  node.names.push(name);
}

function openNode(tokens: Tokens, layouts: ReadonlyMap<string, string[]>): Open {
  if (tokens.next() !== "word") throw new Unreadable("a node has no name");
  const tag = tokens.raw();
  const layout = layouts.get(tag);
  return { kind: "node", tag, list: [], names: layout ?? [], shared: layout !== undefined, named: false };
}

function fieldsOf(node: OpenNode, layouts: Map<string, string[]>): ServerFields {
  if (node.shared && node.names.length === node.list.length) return new ServerFields(node.names, node.list);
  const names = node.names.slice(0, node.list.length);
  layouts.set(node.tag, names);
  return new ServerFields(names, node.list);
}

/** A list of numbers is told by its first word; nodes, strings and numbers in other lists never are one of these letters. */
function openList(tokens: Tokens): Open | ServerNumbers {
  const of = tokens.letter();
  if (of === null) return { kind: "list", items: [] };
  const numbers: number[] = [];
  for (;;) {
    const kind = tokens.next();
    if (kind === "close") return { kind: "numbers", of, numbers };
    const number = kind === "word" ? Number(tokens.raw()) : Number.NaN;
    if (!Number.isSafeInteger(number)) throw new Unreadable("a list of numbers holds something else");
    numbers.push(number);
  }
}

/** A word as a value. In lists a word in quotation marks is a String node; behind a field only "" stands for the empty string. */
function scalar(tokens: Tokens, field: boolean): ServerValue {
  const first = tokens.first();
  if (first >= 0x30 && first <= 0x39) {
    const number = tokens.text();
    if (!field || !tokens.bracket()) return number;
    const text = tokens.datum();
    if (text === null) throw new Unreadable("a constant is not written as bytes");
    return { kind: "datum", length: Number(number), text };
  }
  if (first !== 0x3c && first !== 0x22) return tokens.text();
  const raw = tokens.raw();
  if (raw === "<>") return null;
  if (raw === '""') return "";
  if (field || first !== 0x22) return tokens.text();
  if (raw.length < 2 || raw.charCodeAt(raw.length - 1) !== 0x22)
    throw new Unreadable("a string does not end");
  return tokens.text().slice(1, -1);
}
