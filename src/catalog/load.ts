/** Loads a snapshot of a database's catalog through a query function that is handed in. */
import { type CatalogState, catalogState } from "./digest.ts";
import { tooLarge, unreadable } from "./errors.ts";
import * as queries from "./queries.ts";
import { relationVerdict } from "./relations.ts";
import { append, RowReader, sortedUnique, type TextRow } from "./rows.ts";
import { buildSnapshot, type FunctionTrust, type RawFunction, type RawType } from "./snapshot.ts";
import type {
  CastFacts,
  CatalogQuery,
  CatalogSnapshot,
  Column,
  LoginFacts,
  OperatorFacts,
  Relation,
  RoleFacts,
} from "./types.ts";

/** How much of a catalog is held; beyond it there is none, and what needs one is refused. */
export interface CatalogLimits {
  readonly relations: number;
  readonly columns: number;
  readonly functions: number;
  /** Types; operators, casts, roles and schemas are bounded by the same number. */
  readonly types: number;
  /** Bytes of the query trees of views, all together. */
  readonly treeBytes: number;
  /** Bytes of the bodies of functions, all together. */
  readonly bodyBytes: number;
}

export const defaultCatalogLimits: CatalogLimits = {
  relations: 100_000,
  columns: 2_000_000,
  functions: 100_000,
  types: 300_000,
  treeBytes: 128 * 1024 * 1024,
  bodyBytes: 64 * 1024 * 1024,
};

export interface LoadOptions extends Partial<FunctionTrust> {
  readonly limits?: Partial<CatalogLimits>;
  /** Where the objects that initdb made are kept from one load to the next. Without it they are read each time. */
  readonly kept?: KeptSystem;
}

/** The half of one database's catalog that hardly ever changes, as one login saw it; see queries.Half. */
export interface KeptSystem {
  /** By state, the newest first: the login's own, and that of a role that a session has taken. */
  system: readonly { readonly state: string; readonly half: HalfRead }[];
}

/** One half of what is read in halves. */
interface HalfRead {
  readonly columns: ReadonlyMap<number, readonly Column[]>;
  readonly relations: readonly TextRow[];
  readonly functions: readonly RawFunction[];
  readonly operators: readonly Omit<OperatorFacts, "verdict">[];
  readonly types: readonly RawType[];
  readonly casts: readonly CastFacts[];
}

/** Characters of one body; longer ones are not read. */
const bodyLimit = 64 * 1024;
/** Some megabytes each. */
const statesKept = 2;
/** A catalog that changes while it is read is read again, so many times at most. */
const attempts = 3;

/**
 * Reads the whole catalog that the query's login sees, in some fifteen statements. The query should run them on one
 * connection, and may do so in one REPEATABLE READ transaction.
 * @param epoch the number the snapshot bears.
 * @param state the catalog's state, if it was just asked for.
 * Rejects with CatalogError ("catalog-too-large", "catalog-unreadable"), or with what the query rejects with.
 */
export async function loadCatalog(
  query: CatalogQuery,
  epoch: number,
  options: LoadOptions = {},
  state: CatalogState | null = null,
): Promise<CatalogSnapshot> {
  const limits = { ...defaultCatalogLimits, ...options.limits };
  const trust: FunctionTrust = { trusted: options.trusted ?? [], parse: options.parse ?? null };
  let before = state ?? (await catalogState(query));
  for (let attempt = 1; ; attempt++) {
    const kept = options.kept?.system.find((one) => one.state === before.system)?.half ?? null;
    const { snapshot, system } = await loadOnce(query, epoch, before.digest, limits, trust, kept);
    const after = await catalogState(query);
    if (options.kept !== undefined && after.system === before.system)
      options.kept.system = [
        { state: before.system, half: system },
        ...options.kept.system.filter((one) => one.state !== before.system).slice(0, statesKept - 1),
      ];
    // The digest of before the load: should the last attempt be torn as well, the next poll sees a difference.
    if (after.digest === before.digest || attempt === attempts) return snapshot;
    before = after;
  }
}

type Bounded = (what: string, limit: number, sql: (limit: number) => string) => Promise<readonly TextRow[]>;

async function loadOnce(
  query: CatalogQuery,
  epoch: number,
  digest: string,
  limits: CatalogLimits,
  trust: FunctionTrust,
  kept: HalfRead | null,
): Promise<{ readonly snapshot: CatalogSnapshot; readonly system: HalfRead }> {
  const server = await loadServer(query);
  await checkSizes(query, limits);
  const bounded: Bounded = async (what, limit, sql) => {
    const rows = await query(sql(limit));
    if (rows.length > limit) throw tooLarge(what, limit);
    return rows;
  };
  const schemas = await bounded("schemas", limits.types, queries.schemasQuery);
  const roles = await bounded("roles", limits.types, queries.rolesQuery);
  const inheritance = await bounded("inheritances", limits.columns, queries.inheritanceQuery);
  const conditions = await bounded("conditions", limits.columns, queries.conditionsQuery);
  const trees = await bounded("views", limits.relations, queries.treesQuery);
  const aggregates = await bounded("aggregates", limits.functions, queries.aggregatesQuery);
  const system = kept ?? (await loadHalf(bounded, limits, "system"));
  const user = await loadHalf(bounded, limits, "user");
  // The snapshot completes its facts in place: those that are kept stay as they are.
  const both = <T extends object>(of: (half: HalfRead) => readonly T[]): T[] =>
    [...of(system), ...of(user)].map((facts) => ({ ...facts }));
  const snapshot = buildSnapshot(
    {
      ...server,
      epoch,
      digest,
      schemas: new Set(schemas.map((row) => row[0] ?? "")),
      roles: roles.map((row) => readRole(new RowReader("roles").on(row))),
      relations: readRelations([system, user], inheritance, conditions, trees),
      functions: both((half) => half.functions),
      aggregates: readAggregates(aggregates),
      operators: both((half) => half.operators),
      types: both((half) => half.types),
      casts: [...system.casts, ...user.casts],
    },
    trust,
  );
  return { snapshot, system };
}

async function loadHalf(bounded: Bounded, limits: CatalogLimits, part: queries.Half): Promise<HalfRead> {
  const of = (what: string, limit: number, sql: (limit: number, part: queries.Half) => string) =>
    bounded(what, limit, (limit) => sql(limit, part));
  return {
    columns: readColumns(await of("columns", limits.columns, queries.columnsQuery)),
    relations: await of("relations", limits.relations, queries.relationsQuery),
    functions: readFunctions(
      await of("functions", limits.functions, (limit) => queries.functionsQuery(limit, bodyLimit, part)),
    ),
    operators: readOperators(await of("operators", limits.types, queries.operatorsQuery)),
    types: readTypes(await of("types", limits.types, queries.typesQuery)),
    casts: readCasts(await of("casts", limits.types, queries.castsQuery)),
  };
}

interface ServerFacts {
  readonly serverVersion: number;
  readonly database: string;
  readonly searchPath: readonly string[];
  readonly login: LoginFacts;
}

async function loadServer(query: CatalogQuery): Promise<ServerFacts> {
  const rows = await query(queries.serverQuery);
  const [row] = rows;
  if (row === undefined || rows.length !== 1) throw unreadable("the server");
  const r = new RowReader("the server").on(row);
  const serverVersion = r.int();
  const database = r.text();
  const searchPath = r.texts();
  // Operators in our statements are not qualified: another schema in front could stand in for them.
  if (searchPath.find((schema) => !schema.startsWith("pg_temp")) !== "pg_catalog") r.fail();
  const role = readRole(r);
  const mayCreateSchemas = r.flag();
  const mayCreateTemporary = r.flag();
  const memberOf = r.texts();
  const mayCreateIn = r.texts();
  const quiet = serverVersion >= 150_000 ? await query(queries.quietLogQuery) : [];
  return {
    serverVersion,
    database,
    searchPath,
    login: {
      ...role,
      memberOf,
      mayCreateSchemas,
      mayCreateTemporary,
      mayCreateIn,
      mayQuietLog: role.superuser || quiet[0]?.[0] === "t",
    },
  };
}

async function checkSizes(query: CatalogQuery, limits: CatalogLimits): Promise<void> {
  const r = new RowReader("the catalog's size").on((await query(queries.sizesQuery))[0] ?? []);
  const sizes: readonly (readonly [string, number])[] = [
    ["relations", limits.relations],
    ["columns", limits.columns],
    ["functions", limits.functions],
    ["types", limits.types],
    ["bytes of views", limits.treeBytes],
    ["bytes of functions", limits.bodyBytes],
  ];
  for (const [what, limit] of sizes) if (r.int() > limit) throw tooLarge(what, limit);
}

function readRole(r: RowReader): RoleFacts {
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
      generatedFrom: sortedUnique(r.ints()),
    });
  }
  return byRelation;
}

const none: readonly never[] = [];

function readRelations(
  halves: readonly HalfRead[],
  inheritance: readonly TextRow[],
  conditions: readonly TextRow[],
  treeRows: readonly TextRow[],
): Relation[] {
  const parents = new Map<number, number[]>();
  const children = new Map<number, number[]>();
  const r = new RowReader("inheritance");
  for (const row of inheritance) {
    r.on(row);
    const child = r.int();
    const parent = r.int();
    append(parents, child, parent);
    append(children, parent, child);
  }
  const conditioned = new Map<number, number[]>();
  const k = new RowReader("conditions");
  for (const row of conditions) append(conditioned, k.on(row).int(), k.int());
  const trees = new Map<number, string>();
  const t = new RowReader("views");
  for (const row of treeRows) trees.set(t.on(row).int(), t.text());
  const c = new RowReader("relations");
  const read = (row: TextRow, columns: HalfRead["columns"]): Relation => {
    c.on(row);
    const oid = c.int();
    const schema = c.word();
    const name = c.text();
    const kind = c.letter(["r", "v", "m", "p", "f", "S", "t", "c"]);
    const owner = c.int();
    const temporary = c.text() === "t";
    const rowSecurity = c.flag();
    const forceRowSecurity = c.flag();
    const hasTriggers = c.flag();
    const hasRules = c.flag();
    const options = c.texts();
    const systemSchema = schema === "pg_catalog" || schema === "information_schema";
    return {
      oid,
      schema,
      name,
      kind,
      owner,
      system: (systemSchema && oid < queries.firstNormalOid) || kind === "t",
      temporary,
      columns: columns.get(oid) ?? none,
      parents: sortedUnique(parents.get(oid) ?? none),
      children: sortedUnique(children.get(oid) ?? none),
      conditioned: sortedUnique(conditioned.get(oid) ?? none),
      rowSecurity,
      forceRowSecurity,
      hasTriggers,
      hasRules,
      securityBarrier: hasOption(options, "security_barrier"),
      securityInvoker: hasOption(options, "security_invoker"),
      privileges: {
        owns: c.flag(),
        select: c.flag(),
        insert: c.flag(),
        update: c.flag(),
        delete: c.flag(),
        truncate: c.flag(),
      },
      storedTree: trees.get(oid) ?? null,
      verdict: relationVerdict(schema, name, kind),
    };
  };
  return halves.flatMap(({ relations, columns }) => relations.map((row) => read(row, columns)));
}

/** A Boolean storage parameter as pg_class.reloptions holds it: any spelling of true that the server takes. */
function hasOption(options: readonly string[], name: string): boolean {
  const value = options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  return value !== undefined && /^(t(r(ue?)?)?|on|y(es?)?|1)$/i.test(value);
}

function readFunctions(rows: readonly TextRow[]): RawFunction[] {
  const r = new RowReader("functions");
  return rows.map((row) => {
    r.on(row);
    const oid = r.int();
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
      system: oid < queries.firstNormalOid && (schema === "pg_catalog" || schema === "information_schema"),
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

function readAggregates(rows: readonly TextRow[]): Map<number, readonly number[]> {
  const r = new RowReader("aggregates");
  return new Map(
    rows.map((row) => {
      r.on(row);
      return [r.int(), row.slice(1).map(() => r.int())] as const;
    }),
  );
}

function readOperators(rows: readonly TextRow[]): Omit<OperatorFacts, "verdict">[] {
  const r = new RowReader("operators");
  return rows.map((row) => {
    r.on(row);
    const oid = r.int();
    const schema = r.word();
    return {
      oid,
      schema,
      name: r.text(),
      left: r.int(),
      right: r.int(),
      result: r.int(),
      func: r.int(),
      system: oid < queries.firstNormalOid && schema === "pg_catalog",
    };
  });
}

function readTypes(rows: readonly TextRow[]): RawType[] {
  const r = new RowReader("types");
  return rows.map((row) => {
    r.on(row);
    const oid = r.int();
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
      system: oid < queries.firstNormalOid && (schema === "pg_catalog" || schema === "information_schema"),
    };
  });
}

function readCasts(rows: readonly TextRow[]): CastFacts[] {
  const r = new RowReader("casts");
  return rows.map((row) => {
    r.on(row);
    return { source: r.int(), target: r.int(), func: r.int(), context: r.letter(["e", "a", "i"]) };
  });
}
