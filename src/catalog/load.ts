/** Loads a snapshot of a database's catalog through a query function that is handed in. */
import { type CatalogState, catalogState } from "./digest.ts";
import { createFetcher, fetchServer } from "./fetch.ts";
import {
  type CatalogLimits,
  checkSize,
  defaultCatalogLimits,
  hasRows,
  joined,
  type Kept,
  outdated,
  type Pieces,
  renames,
  sameNames,
  systemOnly,
} from "./pieces.ts";
import type { Range } from "./queries.ts";
import { buildSnapshot, type FunctionTrust, noTemporary } from "./snapshot.ts";
import type { CatalogQuery, CatalogSnapshot } from "./types.ts";

export interface LoadOptions extends Partial<FunctionTrust> {
  readonly limits?: Partial<CatalogLimits>;
  /** What was read stays here from one load to the next, and is not read again while it is the same. Without it everything is read. */
  readonly kept?: KeptCatalog;
}

/** One database's catalog as it was read last. */
export interface KeptCatalog {
  /** All of it, under the gateway's own login, and as it is committed. */
  own: Kept | null;
  /** Under the role that a session has taken: what initdb made. */
  other: Kept | null;
}

/** Whose catalog it is. */
export type LoadedFor =
  /** The gateway's own connection, to be kept. `atOnce`: all statements see the same state, as in a REPEATABLE READ transaction. */
  | { readonly by: "gateway"; readonly atOnce: boolean }
  /** A session, with its temporary objects and what it has not committed yet. */
  | { readonly by: "session" };

/** A catalog that changes while it is read is read again, so many times at most. */
const attempts = 3;
const bySession: LoadedFor = { by: "session" };

/**
 * Reads the whole catalog that the query's login sees, or what of it is not kept. The query should run all statements on one connection.
 * @param epoch the number the snapshot bears.
 * @param state the catalog's state, if it was just asked for.
 * Rejects with CatalogError ("catalog-too-large", "catalog-unreadable"), or with what the query rejects with.
 */
export async function loadCatalog(
  query: CatalogQuery,
  epoch: number,
  options: LoadOptions = {},
  state: CatalogState | null = null,
  loadedFor: LoadedFor = bySession,
): Promise<CatalogSnapshot> {
  const limits = { ...defaultCatalogLimits, ...options.limits };
  const trust: FunctionTrust = { trusted: options.trusted ?? [], parse: options.parse ?? null };
  let before = state ?? (await catalogState(query));
  for (let attempt = 1; ; attempt++) {
    const known = [options.kept?.own, options.kept?.other].find((one) => one?.login === before.login);
    const { snapshot, kept } = await loadOnce(query, epoch, before, limits, trust, known ?? null, loadedFor);
    const after = loadedFor.by === "gateway" && loadedFor.atOnce ? before : await catalogState(query);
    const whole = after.digest === before.digest;
    if (whole && before.settled && after.settled && options.kept !== undefined) {
      if (loadedFor.by === "gateway") options.kept.own = kept;
      else if (options.kept.own?.login !== kept.login) options.kept.other = systemOnly(kept);
    }
    // The digest of before the load: should the last attempt be torn as well, the next poll sees a difference.
    if (whole || attempt === attempts) return snapshot;
    before = after;
  }
}

async function loadOnce(
  query: CatalogQuery,
  epoch: number,
  state: CatalogState,
  limits: CatalogLimits,
  trust: FunctionTrust,
  kept: Kept | null,
  { by }: LoadedFor,
): Promise<{ readonly snapshot: CatalogSnapshot; readonly kept: Kept }> {
  const server = await fetchServer(query);
  const fetcher = createFetcher(query, limits, server.serverVersion);
  const same = kept !== null && kept.others === state.others;
  const schemas = same ? kept.schemas : await fetcher.schemas();
  const roles = same ? kept.roles : await fetcher.roles();
  // The names of schemas stand in what is kept.
  const known = kept !== null && sameNames(kept.schemas, schemas) ? kept.pieces : null;
  const relations = outdated("relations", state, known);
  const operators = outdated("operators", state, known);
  const types = outdated("types", state, known);
  const functions = outdated("functions", state, known);
  const casts = outdated("casts", state, known);
  await fetcher.checkSizes({ relations, functions, types });
  const functionsIn = async (ranges: readonly Range[]) =>
    joined(
      state.pieces.functions,
      known?.functions,
      ranges,
      await fetcher.functions(ranges, hasRows(state.pieces.functions, ranges, "aggregate")),
      { functions: [], aggregates: [] },
    );
  const read: Pieces = {
    relations: joined(
      state.pieces.relations,
      known?.relations,
      relations,
      await fetcher.relations(
        relations,
        hasRows(state.pieces.relations, relations, "inherits"),
        hasRows(state.pieces.relations, relations, "rewrite"),
      ),
      [],
    ),
    functions: await functionsIn(functions),
    operators: joined(
      state.pieces.operators,
      known?.operators,
      operators,
      await fetcher.operators(operators),
      [],
    ),
    types: joined(state.pieces.types, known?.types, types, await fetcher.types(types), []),
    casts: joined(state.pieces.casts, known?.casts, casts, await fetcher.casts(casts), []),
  };
  // Bodies that are kept as trees are printed with the names that are in force: what bears another one now may be anything.
  const pieces =
    known !== null && renames(known, read)
      ? { ...read, functions: await functionsIn(outdated("functions", state, known, "body")) }
      : read;
  checkSize(pieces, limits);
  // Whoever is the gateway has none, and nobody else may use them.
  const temporary = by === "gateway" ? noTemporary : await fetcher.temporary();
  const found: Kept = { login: state.login, others: state.others, schemas, roles, pieces };
  return {
    kept: found,
    snapshot: buildSnapshot(
      { ...server, epoch, digest: state.digest, schemas, roles, pieces, temporary },
      trust,
    ),
  };
}
