/** The server's parse tree as values: what `nodeToString()` of PostgreSQL writes (src/backend/nodes/outfuncs.c), for 14 to 18. */

/** `{TAG :field value …}`. Field names are the struct members' names of PostgreSQL's source. */
export interface ServerNode {
  readonly kind: "node";
  /** As the server spells it, upper case. */
  readonly tag: string;
  readonly fields: ServerFields;
}

/** The fields of a node, in the server's order. Nodes of one shape share the list of names. */
export class ServerFields {
  readonly names: readonly string[];
  readonly list: readonly ServerValue[];

  constructor(names: readonly string[], list: readonly ServerValue[]) {
    this.names = names;
    this.list = list;
  }

  get(name: string): ServerValue | undefined {
    const at = this.names.indexOf(name);
    return at === -1 ? undefined : this.list[at];
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }
}

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
