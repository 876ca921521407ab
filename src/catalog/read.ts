/** Rows of the catalogs as facts, in lists by the piece that each belongs to. */
import { firstNormalOid, pieceOf } from "./queries.ts";
import { relationVerdict } from "./relations.ts";
import { append, RowReader, sortedUnique, type TextRow } from "./rows.ts";
import type { RawFunction, RawOperator, RawType } from "./snapshot.ts";
import type { CastFacts, Column, Relation, RoleFacts } from "./types.ts";

/** Characters of one body; longer ones are not read. */
export const bodyLimit = 64 * 1024;

const none: readonly never[] = [];

export function readRole(r: RowReader): RoleFacts {
  return {
    oid: r.int(),
    name: r.text(),
    superuser: r.flag(),
    inherit: r.flag(),
    createRole: r.flag(),
    createDatabase: r.flag(),
    replication: r.flag(),
    bypassRowSecurity: r.flag(),
    canLogin: r.flag(),
  };
}

/** Facts by the piece of their oid. */
function byPiece<T>(
  what: string,
  rows: readonly TextRow[],
  read: (r: RowReader, oid: number) => T,
): Map<number, T[]> {
  const pieces = new Map<number, T[]>();
  const r = new RowReader(what);
  for (const row of rows) {
    const oid = r.on(row).int();
    append(pieces, pieceOf(oid), read(r, oid));
  }
  return pieces;
}

function readColumns(rows: readonly TextRow[]): Map<number, Column[]> {
  const byRelation = new Map<number, Column[]>();
  const r = new RowReader("columns");
  for (const row of rows) {
    r.on(row);
    append(byRelation, r.int(), {
      attnum: r.int(),
      name: r.word(),
      type: r.int(),
      typmod: r.int(),
      notNull: r.flag(),
      inPrimaryKey: r.flag(),
      inDefaultKey: r.flag(),
      generatedFrom: sortedUnique(r.ints()),
    });
  }
  return byRelation;
}

/** What a relation's facts stand in. */
export interface RelationRows {
  readonly relations: readonly TextRow[];
  readonly columns: readonly TextRow[];
  readonly inheritance: readonly TextRow[];
  readonly conditions: readonly TextRow[];
  readonly trees: readonly TextRow[];
}

/**
 * Relations, whose children are not known yet: those may be of other pieces.
 * @param share gives the list that is known already for a relation of the system, where it is equal.
 */
export function readRelations(
  rows: RelationRows,
  share: (relation: number, columns: readonly Column[]) => readonly Column[],
): Map<number, Relation[]> {
  const parents = new Map<number, number[]>();
  const i = new RowReader("inheritance");
  for (const row of rows.inheritance) append(parents, i.on(row).int(), i.int());
  const conditioned = new Map<number, number[]>();
  const k = new RowReader("conditions");
  for (const row of rows.conditions) append(conditioned, k.on(row).int(), k.int());
  const trees = new Map<number, string>();
  const t = new RowReader("views");
  for (const row of rows.trees) trees.set(t.on(row).int(), t.text());
  const columns = readColumns(rows.columns);
  return byPiece("relations", rows.relations, (r, oid) => {
    const schema = r.word();
    const name = r.text();
    const kind = r.letter(["r", "v", "m", "p", "f", "S", "t", "c"]);
    const owner = r.int();
    const temporary = r.text() === "t";
    const rowSecurity = r.flag();
    const forceRowSecurity = r.flag();
    const runsCode = r.flag();
    const hasRules = r.flag();
    const options = r.texts();
    return {
      oid,
      schema,
      name,
      kind,
      owner,
      system: isSystem(oid, schema) || kind === "t",
      temporary,
      columns: share(oid, columns.get(oid) ?? none),
      parents: sortedUnique(parents.get(oid) ?? none),
      children: none,
      conditioned: sortedUnique(conditioned.get(oid) ?? none),
      rowSecurity,
      forceRowSecurity,
      runsCode,
      hasRules,
      securityBarrier: hasOption(options, "security_barrier"),
      checksRows: options.some((option) => option.startsWith("check_option=")),
      securityInvoker: hasOption(options, "security_invoker"),
      privileges: {
        owns: r.flag(),
        select: r.flag(),
        insert: r.flag(),
        update: r.flag(),
        delete: r.flag(),
        truncate: r.flag(),
      },
      storedTree: trees.get(oid) ?? null,
      verdict: relationVerdict(schema, name, kind),
    };
  });
}

function isSystem(oid: number, schema: string): boolean {
  return oid < firstNormalOid && (schema === "pg_catalog" || schema === "information_schema");
}

/** A Boolean storage parameter as pg_class.reloptions holds it: any spelling of true that the server takes. */
function hasOption(options: readonly string[], name: string): boolean {
  const value = options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  return value !== undefined && /^(t(r(ue?)?)?|on|y(es?)?|1)$/i.test(value);
}

export function readFunctions(rows: readonly TextRow[]): Map<number, RawFunction[]> {
  return byPiece("functions", rows, (r, oid) => {
    const schema = r.word();
    return {
      oid,
      schema,
      name: r.text(),
      kind: r.letter(["f", "p", "a", "w"]),
      language: r.word(),
      volatility: r.letter(["i", "s", "v"]),
      securityDefiner: r.flag(),
      owner: r.int(),
      system: isSystem(oid, schema),
      returnsSet: r.flag(),
      strict: r.flag(),
      arguments: r.ints(),
      result: r.int(),
      body: shortBody(r.textOrNull()),
      config: r.texts(),
      extension: r.wordOrNull(),
    };
  });
}

function shortBody(body: string | null): string | null {
  return body === null || body === "" || body.length > bodyLimit ? null : body;
}

/** An aggregate, and the functions that it calls. */
export type Aggregate = readonly [oid: number, calls: readonly number[]];

export function readAggregates(rows: readonly TextRow[]): Map<number, Aggregate[]> {
  const calls = rows[0]?.length ?? 1;
  return byPiece("aggregates", rows, (r, oid) => [oid, Array.from({ length: calls - 1 }, () => r.int())]);
}

export function readOperators(rows: readonly TextRow[]): Map<number, RawOperator[]> {
  return byPiece("operators", rows, (r, oid) => {
    const schema = r.word();
    return {
      oid,
      schema,
      name: r.text(),
      left: r.int(),
      right: r.int(),
      result: r.int(),
      func: r.int(),
      system: oid < firstNormalOid && schema === "pg_catalog",
    };
  });
}

export function readTypes(rows: readonly TextRow[]): Map<number, RawType[]> {
  return byPiece("types", rows, (r, oid) => {
    const schema = r.word();
    return {
      oid,
      schema,
      name: r.text(),
      kind: r.letter(["b", "c", "d", "e", "p", "r", "m"]),
      category: r.word(),
      relation: r.int(),
      element: r.int(),
      array: r.int(),
      base: r.int(),
      input: r.int(),
      output: r.int(),
      receive: r.int(),
      send: r.int(),
      subtype: r.int(),
      canonical: r.int(),
      constraintFunctions: sortedUnique(r.ints()),
      system: isSystem(oid, schema),
    };
  });
}

export function readCasts(rows: readonly TextRow[]): Map<number, CastFacts[]> {
  return byPiece("casts", rows, (r) => ({
    source: r.int(),
    target: r.int(),
    func: r.int(),
    context: r.letter(["e", "a", "i"]),
  }));
}
