/**
 * What fields nodes have. A server writes the nodes of one tag with the same few sequences of fields, so each sequence is kept
 * once: as a path through a tree, whose root is the tag and whose steps are the fields. Reading a node follows its path.
 */

/** Sequences and their beginnings; a server of one version makes some 1,500. Further ones are not kept, and read slowly. */
const maxKept = 16_384;
/** Fields that may follow one: each is compared with what comes. Of all servers together there are some ten. */
const maxNext = 32;
/** What a struct member of PostgreSQL's source may be called. Anything else is read as well, but never kept. */
const usual = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

let kept = 0;

/** The same text, as the engine keeps names in programs: comparing it with those is quick. */
function interned(text: string): string {
  return Object.keys({ [text]: null })[0] ?? text;
}

/** A tag and the names of a node's fields so far. */
export class Layout {
  readonly tag: string;
  /** The last field; "" when there is none yet. */
  readonly name: string;
  /** `:` and that name. */
  readonly bytes: Uint8Array;
  readonly tagBytes: Uint8Array;
  readonly parent: Layout | null;
  /** How many fields. */
  readonly size: number;
  /** A small number of its own; -1: it is not kept, and each node has another one. */
  readonly id: number;
  /** With one field more. */
  readonly next: Layout[] = [];
  #places: Map<string, number> | null = null;

  constructor(tag: string, name: string, parent: Layout | null, id: number) {
    this.tag = tag;
    this.name = name;
    this.bytes = Buffer.from(`:${name}`);
    this.tagBytes = parent?.tagBytes ?? Buffer.from(tag);
    this.parent = parent;
    this.size = parent === null ? 0 : parent.size + 1;
    this.id = id;
  }

  /** The field's place among the node's values; -1: there is none of that name. */
  place(name: string): number {
    this.#places ??= new Map(this.names.map((one, i) => [one, i]));
    return this.#places.get(name) ?? -1;
  }

  /** All fields, in the server's order. */
  get names(): string[] {
    const names: string[] = [];
    for (let at: Layout | null = this; at !== null && at.parent !== null; at = at.parent) names.push(at.name);
    return names.reverse();
  }

  /** With one field more; null: the node has it already. */
  with(name: string): Layout | null {
    const known = this.next.find((one) => one.name === name);
    if (known !== undefined) return known;
    for (let at: Layout | null = this; at !== null && at.parent !== null; at = at.parent)
      if (at.name === name) return null;
    const keeps = this.id !== -1 && this.next.length < maxNext && kept < maxKept && usual.test(name);
    const layout = new Layout(this.tag, interned(name), this, keeps ? kept++ : -1);
    if (keeps) this.next.push(layout);
    return layout;
  }
}

const roots = new Map<string, Layout>();
/** The same, found by the tag's bytes: each place holds the one that was asked for last. */
const quick: (Layout | undefined)[] = new Array(256);

/** As layoutOf(), for the tag that stands in `bytes` from `at` to `end`; null: none is known of that tag, or ask by its text. */
export function knownLayout(bytes: Uint8Array, at: number, end: number): Layout | null {
  const root = quick[placeOf(bytes, at, end)];
  const name = root?.tagBytes;
  if (root === undefined || name === undefined || name.length !== end - at) return null;
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return null;
  return root;
}

function placeOf(bytes: Uint8Array, at: number, end: number): number {
  return (
    ((bytes[at] ?? 0) * 5 + (bytes[at + 2] ?? 0) * 17 + (bytes[end - 1] ?? 0) * 3 + (end - at) * 11) & 255
  );
}

/** The layout of a node of that tag before its first field. */
export function layoutOf(tag: string): Layout {
  let root = roots.get(tag);
  if (root === undefined) {
    const keeps = kept < maxKept && usual.test(tag);
    root = new Layout(interned(tag), "", null, keeps ? kept++ : -1);
    if (keeps) roots.set(tag, root);
  }
  if (root.id !== -1) quick[placeOf(root.tagBytes, 0, root.tagBytes.length)] = root;
  return root;
}
