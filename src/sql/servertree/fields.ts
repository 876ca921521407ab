/**
 * The fields of a server node. Nodes of one kind have the same names in the same order, so these are kept once: a node holds
 * its values and the layout that says where each stands.
 */
import type { ServerFields, ServerValue } from "./types.ts";

/** Layouts kept for nodes to come; a server writes some 300. */
const maxLayouts = 4_000;
/** Layouts that go on from one of them, kept. */
const maxNext = 24;

let kept = 0;
const first = new Map<string, Layout>();

/** The names of the fields that a node has so far. */
export class Layout {
  readonly parent: Layout | null;
  /** The last name; "" before the first. */
  readonly name: string;
  readonly size: number;
  /** What the node after this field had last time. */
  likely: Layout | null = null;
  readonly #next: Layout[] = [];
  #places: ReadonlyMap<string, number> | null = null;

  constructor(parent: Layout | null, name: string, size: number) {
    this.parent = parent;
    this.name = name;
    this.size = size;
  }

  /** The layout with one more field; null: it has that name already. */
  with(name: string): Layout | null {
    for (const layout of this.#next) {
      if (layout.name !== name) continue;
      this.likely = layout;
      return layout;
    }
    for (let at: Layout | null = this; at !== null; at = at.parent)
      if (at.size > 0 && at.name === name) return null;
    const made = new Layout(this, name, this.size + 1);
    if (this.#next.length < maxNext && kept < maxLayouts) {
      kept++;
      this.#next.push(made);
    }
    this.likely = made;
    return made;
  }

  /** The place of each name. */
  get places(): ReadonlyMap<string, number> {
    if (this.#places === null) {
      const names: string[] = [];
      for (let at: Layout = this; at.parent !== null; at = at.parent) names.push(at.name);
      this.#places = new Map(names.reverse().map((name, place) => [name, place]));
    }
    return this.#places;
  }
}

/** Where the fields of a node begin. */
export function layoutOf(tag: string): Layout {
  let layout = first.get(tag);
  if (layout === undefined) {
    layout = new Layout(null, "", 0);
    if (kept < maxLayouts) {
      kept++;
      first.set(tag, layout);
    }
  }
  return layout;
}

export class Fields implements ServerFields {
  layout: Layout;
  readonly list: ServerValue[] = [];

  constructor(layout: Layout) {
    this.layout = layout;
  }

  get(name: string): ServerValue | undefined {
    const place = this.layout.places.get(name);
    return place === undefined ? undefined : this.list[place];
  }

  has(name: string): boolean {
    return this.layout.places.has(name);
  }
}
