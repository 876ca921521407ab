/** The server's parse tree as values: what `nodeToString()` of PostgreSQL writes (src/backend/nodes/outfuncs.c), for 14 to 18. */
import type { Layout } from "./layout.ts";

/** What a node keeps of a field: integers in their usual form are numbers, so that nobody has to make texts of them. */
export type Kept = ServerValue | number;

/** The fields of a node by name, each as the server wrote it. */
export interface ServerFields {
  get(name: string): ServerValue | undefined;
  has(name: string): boolean;
}

/**
 * `{TAG :field value …}`. Field names are the struct members' names of PostgreSQL's source. Only the reader makes nodes, and
 * nothing of one changes once it is read.
 */
export class ServerNode implements ServerFields {
  readonly kind = "node";
  /** As the server spells it, upper case. */
  readonly tag: string;
  /** Names of its fields, in the server's order; nodes with the same fields share it. */
  layout: Layout;
  /** The fields' values, by their places in the layout. */
  readonly values: Kept[] = [];
  /** The nodes in its fields, those in lists (also lists of lists) too, in the server's order. */
  children: ServerNode[] = childless;
  /** How many of the fields hold a node or a list. */
  holders = 0;

  constructor(layout: Layout) {
    this.tag = layout.tag;
    this.layout = layout;
  }

  /** For the reader: one node more in its fields. */
  adopt(child: ServerNode): void {
    if (this.children === childless) this.children = [child];
    else this.children.push(child);
  }

  /** For the reader: the value of the field that was named last. */
  take(value: Kept): void {
    this.values.push(value);
    if (typeof value === "object" && value !== null && (value.kind === "node" || value.kind === "list"))
      this.holders++;
  }

  get fields(): ServerFields {
    return this;
  }

  /** The field as it is kept. */
  kept(name: string): Kept | undefined {
    const place = this.layout.place(name);
    return place === -1 ? undefined : this.values[place];
  }

  get(name: string): ServerValue | undefined {
    const value = this.kept(name);
    return typeof value === "number" ? String(value) : value;
  }

  has(name: string): boolean {
    return this.layout.place(name) !== -1;
  }
}

/** Stands for no children: nobody adds to it. */
export const childless: ServerNode[] = [];
Object.freeze(childless);

/** `(…)` of nodes, lists and scalars. */
export interface ServerList {
  readonly kind: "list";
  readonly items: readonly ServerValue[];
}

/** `(i 1 2)`, `(o 1 2)`, `(x 1 2)`, `(b 1 2)`: integers, oids, transaction ids, bit numbers of a set. */
export interface ServerNumbers {
  readonly kind: "numbers";
  readonly of: "i" | "o" | "x" | "b";
  readonly numbers: readonly number[];
}

/** `4 [ 1 0 0 0 ]`: a value in the server's memory format; `text` holds its bytes as decimal numbers. */
export interface ServerDatum {
  readonly kind: "datum";
  readonly length: number;
  readonly text: string;
}

/** A scalar is its unescaped text; null is `<>`. */
export type ServerValue = string | null | ServerNode | ServerList | ServerNumbers | ServerDatum;

export type ServerTreeResult =
  | { readonly ok: true; readonly queries: readonly ServerNode[] }
  | { readonly ok: false; readonly reason: string };

export interface ServerTreeLimits {
  /** UTF-16 units of the text. */
  readonly length: number;
  /** Nodes and lists inside each other. */
  readonly depth: number;
  /** Nodes, lists and scalars in all. */
  readonly values: number;
}
