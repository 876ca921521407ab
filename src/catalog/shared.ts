/**
 * What initdb made is the same in all databases of a server, and of servers of its version: thousands of functions, operators and
 * types. It is kept once, however many catalogs are held. Nothing is taken for granted: facts are shared where they are equal.
 */
import { firstNormalOid } from "./queries.ts";
import { append } from "./rows.ts";
import type { Column } from "./types.ts";

export interface Named {
  readonly oid: number;
  readonly name: string;
}

/** Objects of one catalog by oid and by name: those of initdb, often shared with other catalogs, and its own. */
export class Objects<T extends Named> {
  private readonly parts: readonly Index<T>[];

  constructor(parts: readonly Index<T>[]) {
    this.parts = parts;
  }

  get(oid: number): T | undefined {
    for (const { byOid } of this.parts) {
      const found = byOid.get(oid);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  named(name: string): readonly T[] {
    const found = this.parts.flatMap(({ byName }) => byName.get(name) ?? []);
    return found.length === 0 ? none : found;
  }

  *values<R>(as: (one: T) => R): Generator<R> {
    for (const { byOid } of this.parts) for (const one of byOid.values()) yield as(one);
  }
}

interface Index<T> {
  readonly byOid: ReadonlyMap<number, T>;
  readonly byName: ReadonlyMap<string, readonly T[]>;
}

const none: readonly never[] = [];

function indexOf<T extends Named>(list: readonly T[]): Index<T> {
  const byName = new Map<string, T[]>();
  for (const one of list) append(byName, one.name, one);
  return { byOid: new Map(list.map((one) => [one.oid, one])), byName };
}

/** What is known of one kind of object. Only oids below 16384 come in: that bounds it. */
class Pool<T extends Named> {
  private readonly known = new Map<number, T>();
  private last: readonly T[] = none;
  private readonly indexes = new WeakMap<readonly T[], Index<T>>();

  /** The same facts, as those objects, and that very list, that are known already. */
  adopt(list: readonly T[]): readonly T[] {
    const adopted = list.map((one) =>
      one.oid >= firstNormalOid ? one : shared(this.known, one.oid, one, sameFacts),
    );
    if (!sameList(this.last, adopted, Object.is)) this.last = adopted;
    return this.last;
  }

  /** @param system what was adopted; @param own the catalog's own, of no other. */
  objects(system: readonly T[], own: readonly T[]): Objects<T> {
    let index = this.indexes.get(system);
    if (index === undefined) {
      index = indexOf(system);
      this.indexes.set(system, index);
    }
    return new Objects([index, indexOf(own)]);
  }
}

/** The one that is known under this oid where it is equal, else the fresh one. */
function shared<T>(known: Map<number, T>, oid: number, fresh: T, same: (a: T, b: T) => boolean): T {
  const one = known.get(oid);
  if (one !== undefined) return same(one, fresh) ? one : fresh;
  known.set(oid, fresh);
  return fresh;
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((one, i) => same(one, b[i] as T));
}

/** Whether two objects have equal members: plain values, and lists of plain values. */
function sameFacts(a: object, b: object): boolean {
  const left: readonly [string, unknown][] = Object.entries(a);
  const right = new Map<string, unknown>(Object.entries(b));
  return (
    left.length === right.size &&
    left.every(([name, value]) => {
      const other = right.get(name);
      return Array.isArray(value) && Array.isArray(other)
        ? sameList(value, other, Object.is)
        : Object.is(value, other);
    })
  );
}

/** The facts of servers of one version. */
export class SystemFacts<F extends Named, O extends Named, T extends Named> {
  readonly functions = new Pool<F>();
  readonly operators = new Pool<O>();
  readonly types = new Pool<T>();
  private readonly knownColumns = new Map<number, readonly Column[]>();

  /** The columns of a relation. */
  columns(relation: number, columns: readonly Column[]): readonly Column[] {
    if (relation >= firstNormalOid) return columns;
    return shared(this.knownColumns, relation, columns, (a, b) => sameList(a, b, sameFacts));
  }
}

/** Versions whose facts are kept: those used last. */
const maxVersions = 4;

/** The facts of each server version (server_version_num). */
export class Versions<S> {
  private readonly known = new Map<number, S>();
  private readonly make: () => S;

  constructor(make: () => S) {
    this.make = make;
  }

  of(version: number): S {
    const found = this.known.get(version) ?? this.make();
    this.known.delete(version);
    this.known.set(version, found);
    for (const oldest of this.known.keys()) {
      if (this.known.size <= maxVersions) break;
      this.known.delete(oldest);
    }
    return found;
  }
}
