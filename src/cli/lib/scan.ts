/** Samples the columns of a database and proposes labels for them. How it connects is the caller's. */
import { type ColumnSample, isScanned, proposeLabels, type ScanReport } from "../../masking/index.ts";

/** Runs one read-only statement and gives its rows as text. Rejects when the server refuses it; with ScanLost when nothing more can be asked. */
export type ScanQuery = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** The connection is of no more use: what is left cannot be sampled. */
export class ScanLost extends Error {
  override readonly name = "ScanLost";
}

export interface ScanOptions {
  /** The database's name in the configuration: labels name it. */
  readonly database: string;
  /** Rows of each relation. */
  readonly rows: number;
  /** Confidence from which a label is proposed. */
  readonly threshold: number;
  /** "schema.relation.column", as PostgreSQL quotes them, of columns that need no proposal: they have a label. */
  readonly covered?: ReadonlySet<string>;
  /** Called before each relation. */
  onProgress(done: number, total: number, relation: string): void;
}

export interface DatabaseScan extends ScanReport {
  readonly relations: number;
  /** Columns that were looked at; those that are covered do not count. */
  readonly columns: number;
  /** Relations that could not be read. */
  readonly skipped: readonly string[];
}

/**
 * Tables, partitioned tables and materialized views outside the system's schemas, with what the login may read of them.
 * Partitions are read through their parents. Quoted by the server: it knows its keywords.
 */
const columnsSql = `select pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname),
  pg_catalog.quote_ident(a.attname), a.attname, a.atttypid, c.reltuples, c.relkind
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind in ('r', 'p', 'm') and not c.relispartition
  and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
  and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  and pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
order by 1, 2, a.attnum`;

/** Characters of a value that are looked at, at most and at least; and of one statement's result, roughly. */
const maxCharacters = 8192;
const minCharacters = 256;
const resultCharacters = 3 * 1024 * 1024;
/** Columns of one statement, at most. */
const maxColumns = 16;
/** From this many rows on a sample is taken from all over the table. */
const largeTable = 10_000;

interface ScannedColumn {
  readonly quoted: string;
  readonly bare: string;
}

interface Relation {
  readonly name: string;
  readonly tuples: number;
  readonly sampled: boolean;
  readonly columns: ScannedColumn[];
  readonly others: ScannedColumn[];
}

/** Samples a database. Rejects when its columns cannot be listed, or with ScanLost; a relation that cannot be read is skipped. */
export async function scanDatabase(query: ScanQuery, options: ScanOptions): Promise<DatabaseScan> {
  const relations = relationsOf(await query(columnsSql), options.covered ?? new Set());
  const samples: ColumnSample[] = [];
  const skipped: string[] = [];
  let columns = 0;
  for (const [i, relation] of relations.entries()) {
    options.onProgress(i, relations.length, relation.name);
    columns += relation.columns.length + relation.others.length;
    const named = (column: ScannedColumn, values: readonly string[]): ColumnSample => ({
      name: `${options.database}.${relation.name}.${column.quoted}`,
      column: column.bare,
      values,
    });
    // Of other types only the name speaks.
    for (const column of relation.others) samples.push(named(column, []));
    for (const part of parts(relation.columns, options.rows)) {
      const rows = await sample(query, { ...relation, columns: part }, options.rows);
      if (rows === null) {
        skipped.push(relation.name);
        break;
      }
      for (const [at, column] of part.entries())
        samples.push(
          named(
            column,
            rows.map((row) => row[at] ?? null).filter((value) => value !== null),
          ),
        );
    }
  }
  options.onProgress(relations.length, relations.length, "");
  const report = proposeLabels(samples, { threshold: options.threshold });
  return { ...report, relations: relations.length, columns, skipped };
}

/** Columns that are sampled together: the result of one statement stays small, whatever the values. */
function parts(columns: readonly ScannedColumn[], rows: number): ScannedColumn[][] {
  const size = Math.min(maxColumns, Math.max(1, Math.floor(resultCharacters / (rows * minCharacters))));
  return Array.from({ length: Math.ceil(columns.length / size) }, (_, i) =>
    columns.slice(i * size, (i + 1) * size),
  );
}

function relationsOf(
  rows: readonly (readonly (string | null)[])[],
  covered: ReadonlySet<string>,
): Relation[] {
  const relations = new Map<string, Relation>();
  for (const [schema, table, quoted, bare, type, tuples, kind] of rows) {
    const name = `${schema}.${table}`;
    let relation = relations.get(name);
    if (relation === undefined) {
      const sampled = Number(tuples) >= largeTable && kind !== "p";
      relation = { name, tuples: Number(tuples), sampled, columns: [], others: [] };
      relations.set(name, relation);
    }
    const column = { quoted: quoted ?? "", bare: bare ?? "" };
    if (covered.has(`${name}.${column.quoted}`)) continue;
    (isScanned(Number(type)) ? relation.columns : relation.others).push(column);
  }
  return [...relations.values()];
}

/** null: it cannot be read. */
async function sample(
  query: ScanQuery,
  relation: Relation,
  count: number,
): Promise<readonly (readonly (string | null)[])[] | null> {
  const share = Math.floor(resultCharacters / (count * relation.columns.length));
  const characters = Math.max(minCharacters, Math.min(maxCharacters, share));
  const list = relation.columns
    .map(({ quoted }) => `pg_catalog.left(${quoted}::text, ${characters})`)
    .join(", ");
  const percent = Math.min(100, (count * 300) / Math.max(1, relation.tuples));
  try {
    if (relation.sampled) {
      const rows = await query(
        `select ${list} from ${relation.name} tablesample system (${percent.toFixed(4)}) limit ${count}`,
      );
      if (rows.length * 2 >= count) return rows;
    }
    return await query(`select ${list} from ${relation.name} limit ${count}`);
  } catch (error) {
    if (error instanceof ScanLost) throw error;
    return null;
  }
}
