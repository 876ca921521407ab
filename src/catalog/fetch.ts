/** Asks for parts of a catalog, within limits. */
import { tooLarge, unreadable } from "./errors.ts";
import { type CatalogLimits, type Facts, limitNames, sizeNames } from "./pieces.ts";
import * as queries from "./queries.ts";
import {
  type Aggregate,
  bodyLimit,
  readAggregates,
  readCasts,
  readFunctions,
  readOperators,
  readRelations,
  readRole,
  readTypes,
} from "./read.ts";
import { RowReader, type TextRow } from "./rows.ts";
import { systemOf, type Temporary } from "./snapshot.ts";
import type { CatalogQuery, LoginFacts, RoleFacts } from "./types.ts";

/** Facts by piece. */
type Read<F> = ReadonlyMap<number, F>;
type Ranges = readonly queries.Range[];

/** Every part rejects with CatalogError ("catalog-too-large", "catalog-unreadable"), or with what the query rejects with. */
export interface Fetcher {
  /** Names by oid. */
  schemas(): Promise<ReadonlyMap<number, string>>;
  roles(): Promise<readonly RoleFacts[]>;
  /** Rejects when there is more in the ranges than may be held. */
  checkSizes(read: Readonly<Record<"relations" | "functions" | "types", Ranges>>): Promise<void>;
  /** @param inherits, rewritten whether any of them are children, or views: what nobody is need not be asked for. */
  relations(ranges: Ranges, inherits: boolean, rewritten: boolean): Promise<Read<Facts["relations"]>>;
  functions(ranges: Ranges, aggregates: boolean): Promise<Read<Facts["functions"]>>;
  operators(ranges: Ranges): Promise<Read<Facts["operators"]>>;
  types(ranges: Ranges): Promise<Read<Facts["types"]>>;
  casts(ranges: Ranges): Promise<Read<Facts["casts"]>>;
  temporary(): Promise<Temporary>;
}

export function createFetcher(query: CatalogQuery, limits: CatalogLimits, serverVersion: number): Fetcher {
  const system = systemOf(serverVersion);

  /** Nothing is asked for nothing. */
  async function rows<P extends queries.Part>(
    what: string,
    limit: number,
    sql: (limit: number, part: P) => string,
    part: P,
  ): Promise<readonly TextRow[]> {
    if (part.length === 0) return [];
    const found = await query(sql(limit, part));
    if (found.length > limit) throw tooLarge(what, limit);
    return found;
  }

  async function relations(part: queries.Part, inherits: boolean, rewritten: boolean) {
    const columns = await rows("columns", limits.columns, queries.columnsQuery, part);
    const inheritance = inherits
      ? await rows("inheritances", limits.columns, queries.inheritanceQuery, part)
      : [];
    const trees = rewritten ? await rows("views", limits.relations, queries.treesQuery, part) : [];
    const found = await rows("relations", limits.relations, queries.relationsQuery, part);
    return readRelations({ relations: found, columns, inheritance, trees }, (oid, list) =>
      system.columns(oid, list),
    );
  }

  const types = async (part: queries.Part) => {
    const read = readTypes(await rows("types", limits.types, queries.typesQuery, part));
    return adopted(read, (list) => system.types.adopt(list));
  };

  return {
    async schemas() {
      const r = new RowReader("schemas");
      const found = await query(queries.schemasQuery(limits.types));
      if (found.length > limits.types) throw tooLarge("schemas", limits.types);
      return new Map(found.map((row) => [r.on(row).int(), r.text()]));
    },
    async roles() {
      const r = new RowReader("roles");
      const found = await query(queries.rolesQuery(limits.types));
      if (found.length > limits.types) throw tooLarge("roles", limits.types);
      return found.map((row) => readRole(r.on(row)));
    },
    async checkSizes(read) {
      if (read.relations.length + read.functions.length + read.types.length === 0) return;
      const r = new RowReader("the catalog's size").on((await query(queries.sizesQuery(read)))[0] ?? []);
      for (const what of limitNames)
        if (r.int() > limits[what]) throw tooLarge(sizeNames[what], limits[what]);
    },
    relations,
    async functions(ranges, withAggregates) {
      const sql = (limit: number, part: Ranges) => queries.functionsQuery(limit, bodyLimit, part);
      const functions = adopted(
        readFunctions(await rows("functions", limits.functions, sql, ranges)),
        (list) => system.functions.adopt(list),
      );
      const aggregates: ReadonlyMap<number, Aggregate[]> = withAggregates
        ? readAggregates(await rows("aggregates", limits.functions, queries.aggregatesQuery, ranges))
        : new Map();
      return new Map(
        [...functions].map(([piece, list]) => [
          piece,
          { functions: list, aggregates: aggregates.get(piece) ?? [] },
        ]),
      );
    },
    async operators(ranges) {
      const read = readOperators(await rows("operators", limits.types, queries.operatorsQuery, ranges));
      return adopted(read, (list) => system.operators.adopt(list));
    },
    types,
    casts: async (ranges) => readCasts(await rows("casts", limits.types, queries.castsQuery, ranges)),
    async temporary() {
      return {
        relations: [...(await relations("temporary", true, true)).values()].flat(),
        types: [...(await types("temporary")).values()].flat(),
      };
    },
  };
}

/** What initdb made is shared by all databases of a server. */
function adopted<T>(
  pieces: ReadonlyMap<number, readonly T[]>,
  adopt: (list: readonly T[]) => readonly T[],
): Map<number, readonly T[]> {
  return new Map(
    [...pieces].map(([piece, list]) => [piece, piece === queries.systemPiece ? adopt(list) : list]),
  );
}

export interface ServerFacts {
  readonly serverVersion: number;
  readonly database: string;
  readonly searchPath: readonly string[];
  readonly login: LoginFacts;
}

/** Whom the query talks to, and as whom. Rejects as the parts of a catalog do. */
export async function fetchServer(query: CatalogQuery): Promise<ServerFacts> {
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
