/** FROM of the static fallback: ordinary tables, found by name as PostgreSQL finds them, and the columns in them. */
import type { CatalogSnapshot, Column, Relation } from "../../catalog/index.ts";
import { qualified } from "../../catalog/index.ts";
import type { JsonObject } from "../../sql/tree.ts";
import { stringAt } from "../../sql/tree.ts";
import { node, only, outside } from "./node.ts";

/** One table in FROM. */
export interface Entry {
  readonly relation: Relation;
  /** What its columns may be qualified by. */
  readonly name: string;
  readonly aliased: boolean;
}

export interface FoundColumn {
  readonly entry: Entry;
  readonly column: Column;
}

/** Finds a table: in the schema that is named, or in the only schema of the search path that has one of that name. */
function findRelation(range: JsonObject, snapshot: CatalogSnapshot, searchPath: readonly string[]): Relation {
  only(range, "a table", ["schemaname", "relname", "inh", "relpersistence", "alias"]);
  const name = stringAt(range, "relname");
  const schema = stringAt(range, "schemaname");
  const schemas = schema === "" ? searchPath : [schema];
  if (schema === "pg_temp") outside("temporary tables");
  const found = schemas.flatMap((one) => snapshot.relationNamed(one, name) ?? []);
  const [relation, second] = found;
  if (relation === undefined) outside("a relation that the catalog does not hold", name);
  const text = qualified(relation.schema, relation.name);
  if (second !== undefined) outside("a name that several schemas of the search path hold", text);
  if (relation.kind !== "r" && relation.kind !== "p" && relation.kind !== "m")
    outside("anything but ordinary tables", text);
  if (relation.temporary) outside("temporary tables", text);
  if (relation.hasRules && relation.kind !== "m") outside("tables with rules", text);
  if (relation.rowSecurity) outside("tables with row-level security", text);
  if (hasForeignParts(relation, snapshot)) outside("tables with foreign partitions", text);
  if (!relation.verdict.safe) outside(`a relation that ${relation.verdict.reason}`, text);
  return relation;
}

/** What inherits from a table is read with it. */
function hasForeignParts(relation: Relation, snapshot: CatalogSnapshot): boolean {
  const reached = new Set([relation.oid]);
  for (const oid of reached) {
    const one = snapshot.relation(oid);
    if (one === undefined || one.kind === "f") return true;
    for (const child of one.children) reached.add(child);
  }
  return false;
}

export class TableScope {
  readonly entries: Entry[] = [];
  readonly #snapshot: CatalogSnapshot;
  readonly #searchPath: readonly string[];

  constructor(snapshot: CatalogSnapshot, searchPath: readonly string[]) {
    this.#snapshot = snapshot;
    this.#searchPath = searchPath;
  }

  addTable(range: JsonObject): void {
    const relation = findRelation(range, this.#snapshot, this.#searchPath);
    const { alias } = range;
    let name = relation.name;
    if (alias !== undefined) {
      if (typeof alias !== "object" || alias === null) outside("such an alias");
      only(alias as JsonObject, "an alias", ["aliasname"]);
      name = stringAt(alias as JsonObject, "aliasname");
    }
    if (this.entries.some((entry) => entry.name === name)) outside("two tables of one name");
    this.entries.push({ relation, name, aliased: alias !== undefined });
  }

  /** The column that a dotted name means; ends the reading when it is none, several, or perhaps something else. */
  column(parts: readonly string[]): FoundColumn {
    const name = parts.at(-1) ?? "";
    const found = this.table(parts.slice(0, -1)).flatMap((entry) => {
      const column = entry.relation.columns.find((one) => one.name === name);
      return column === undefined ? [] : [{ entry, column }];
    });
    const [first, second] = found;
    // A row as a whole, a function in the notation of a column, a system column.
    if (first === undefined) outside("a name that is no column of the tables in FROM");
    if (second !== undefined) outside("a column name that several tables in FROM have");
    return this.#checked(first);
  }

  /** Every column of a table, as a star stands for. */
  all(entry: Entry): FoundColumn[] {
    return entry.relation.columns.map((column) => this.#checked({ entry, column }));
  }

  /** Its values are read, written and compared by the functions of its type. */
  #checked(found: FoundColumn): FoundColumn {
    if (this.#snapshot.type(found.column.type)?.verdict.safe !== true)
      outside("columns of a type whose functions are not known to be harmless");
    const verdict = this.#snapshot.columnVerdict(found.entry.relation.oid, found.column.attnum);
    if (!verdict.safe) outside(`a column that ${verdict.reason}`, found.column.name);
    return found;
  }

  /** The entries that a qualification means: none means all. */
  table(parts: readonly string[]): readonly Entry[] {
    const [first, second] = parts;
    if (first === undefined) return this.entries;
    if (parts.length > 2) outside("names with a database");
    const found = this.entries.filter((entry) =>
      second === undefined
        ? entry.name === first
        : !entry.aliased && entry.relation.schema === first && entry.name === second,
    );
    return found.length === 1 ? found : outside("a name that is no table in FROM");
  }
}

/** Adds the tables of one item of FROM; gives the conditions of its joins. */
export function readFrom(item: unknown, scope: TableScope): unknown[] {
  const conditions: unknown[] = [];
  // Left sides may be nested deeply; right ones come in order all the same.
  const work: unknown[] = [item];
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    const { name, node: inner } = node(next);
    if (name === "RangeVar") scope.addTable(inner);
    else if (name === "JoinExpr") {
      only(inner, "a join", ["jointype", "larg", "rarg", "quals"]);
      const kind = stringAt(inner, "jointype");
      if (kind !== "JOIN_INNER" && kind !== "JOIN_LEFT") outside("joins other than INNER and LEFT");
      if (inner.quals !== undefined) conditions.push(inner.quals);
      work.push(inner.rarg, inner.larg);
    } else outside("anything but tables and joins in FROM");
  }
  return conditions;
}
