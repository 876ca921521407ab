/**
 * The gateway's questions to one database under one login: its catalog, and what statements touch. Two connections, made
 * when they are first needed and again after they broke; never the client's.
 */
import type pino from "pino";
import { encodeAsk } from "../../analysis/ask.ts";
import { EstimateReader, encodeEstimate } from "../../analysis/ask-estimate.ts";
import { AskReader, type AskResult } from "../../analysis/ask-read.ts";
import { type ProtectedSet, resolveProtected } from "../../analysis/protected.ts";
import {
  type Catalog,
  type CatalogQuery,
  type CatalogSnapshot,
  createCatalog,
  type LoadOptions,
} from "../../catalog/index.ts";
import type { CompiledPolicy, Estimate, LabelMatcher } from "../../policy/index.ts";
import { encodeQuery } from "../../protocol/index.ts";
import { parseSql } from "../../sql/index.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { connectUpstream } from "../upstream/connect.ts";
import { type KnownReadable, mustBeHardened, readableColumns } from "./exposure.ts";
import { queryRows } from "./rows.ts";
import { createTalk, type Talk, TalkLost } from "./talk.ts";

/** A policy laid over a catalog: what is protected in this database. */
export interface View {
  readonly policy: CompiledPolicy;
  readonly catalog: CatalogSnapshot;
  readonly protectedSet: ProtectedSet;
  /** Columns under labels that only observe: told to conditions and the record, and nothing more. */
  readonly observedSet: ProtectedSet;
}

/** Lays `policy` over `catalog`. */
export function viewOf(policy: CompiledPolicy, catalog: CatalogSnapshot, database: string): View {
  const lay = (labels: readonly LabelMatcher[]) => resolveProtected(catalog, labels, database);
  return {
    policy,
    catalog,
    protectedSet: lay(policy.labelsFor(database)),
    observedSet: lay(policy.observedLabelsFor(database)),
  };
}

export interface Analyst {
  /** How functions of the database are judged: for catalogs that are loaded elsewhere, too. */
  readonly trust: LoadOptions;
  /**
   * Protected columns that the login may read in the database itself, as of the newest view; null: not known. Of a login with
   * `hardened: secrets` those with `access: none`. A login that must be hardened has none, or nothing runs.
   */
  readonly exposed: number | null;
  /** The newest view of `policy`, if the catalog is loaded and fresh; else null: await `ready()`. */
  view(policy: CompiledPolicy): View | null;
  /** Rejects when the catalog cannot be loaded. */
  ready(policy: CompiledPolicy): Promise<View>;
  /** DDL was seen: the catalogs of all logins of the database are looked at again before the next statement is judged. */
  bump(): void;
  /** `searchPath`: null for the login's own. Rejects when the server cannot be asked. */
  ask(text: string, types: readonly number[], searchPath: string | null): Promise<AskResult>;
  /** The planner's guess; null: it would not say. Rejects when the server cannot be asked. */
  estimate(text: string, types: readonly number[], searchPath: string | null): Promise<Estimate | null>;
  /** The schemas in which names are looked up under a search_path, in order (current_schemas(true)). Rejects as `query` does. */
  schemas(searchPath: string | null): Promise<readonly string[]>;
  /** Rejects when the server cannot be asked, or refuses. */
  query(sql: string): Promise<(string | null)[][]>;
  close(): void;
}

/** For one question; a server that needs longer is asked again when the statement comes again. */
const questionMs = 15_000;
const answerBytes = 64 * 1024 * 1024;
const connectMs = 10_000;
/** All sessions ask on one connection: whoever must wait for a lock asks again instead (statement/ask.ts). */
const lockMs = 50;
/** How often the catalog's digest is looked at. */
const catalogMs = 5_000;

const maxPaths = 100;
/** Both statements of one Query are one transaction: a path that was set for it is forgotten with it. */
const schemasText = "select pg_catalog.unnest(pg_catalog.current_schemas(true))";

/** PostgreSQL manual, "String Constants with C-Style Escapes": means the same whatever standard_conforming_strings is. */
function literal(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** How a configuration says that a database's functions are to be judged. */
function trustOf({ functions }: DatabaseSettings): LoadOptions {
  const { trusted, readBodies } = functions ?? { trusted: [], readBodies: true };
  return { trusted, parse: readBodies ? parseSql : null, kept: { own: null, other: null } };
}

/** Questions change nothing: one whose connection was ended under it is asked once more, on the next one. */
async function onOpen<T>(line: { get(): Promise<Talk> }, use: (talk: Talk) => Promise<T>): Promise<T> {
  const talk = await line.get();
  try {
    return await use(talk);
  } catch (error) {
    if (!(error instanceof TalkLost) || !error.ended) throw error;
    return use(await line.get());
  }
}

/** @param siblings what tells the other logins' catalogs of the same database that something has changed; shared by their analysts. */
export function createAnalyst(
  database: DatabaseSettings,
  login: LoginSettings,
  logger: pino.Logger,
  siblings: Set<() => void> = new Set(),
): Analyst {
  const trust = trustOf(database);
  const asking = line(async () => undefined);
  // Where the owner has made the event trigger of docs/policy.md, DDL that did not come this way is known at once.
  const reading = line(async (talk) => {
    await talk.run(encodeQuery("LISTEN postern_ddl"), () => undefined);
  });
  let catalog: Catalog | null = null;
  let view: View | null = null;
  let closed = false;
  let paths: { readonly of: CatalogSnapshot | null; readonly found: Map<string | null, readonly string[]> } =
    {
      of: null,
      found: new Map(),
    };
  const readableIn: KnownReadable = new WeakMap();
  /** The view whose exposure was looked at, and how many columns it is. */
  let examined: { readonly view: View; readonly exposed: number } | null = null;

  /** One connection, made anew when the last one is gone. */
  function line(prepare: (talk: Talk) => Promise<void>) {
    let talk: Promise<Talk> | null = null;
    async function connect(): Promise<Talk> {
      // The plan of a large catalog's digest looks dear, and takes longer to compile than to run.
      const parameters = new Map([
        ["application_name", "postern:analysis"],
        ["jit", "off"],
      ]);
      const connection = await connectUpstream(database, login, parameters, { timeoutMs: connectMs });
      if (closed) connection.socket.destroy();
      const made = createTalk(connection.socket, { timeoutMs: questionMs, answerBytes }, () =>
        catalog?.bump(),
      );
      await prepare(made);
      return made;
    }
    return {
      async get(): Promise<Talk> {
        if (closed) throw new TalkLost("the gateway is shutting down");
        const before = talk;
        const known = await before?.catch(() => null);
        if (known?.open === true) return known;
        // Of those that waited, the first connects for all.
        if (talk !== null && talk !== before) return talk;
        talk = connect();
        return talk;
      },
      close(): void {
        talk?.then(
          (open) => open.close(),
          () => undefined,
        );
      },
    };
  }

  function query(sql: string): Promise<(string | null)[][]> {
    return onOpen(reading, (talk) => queryRows((request, onFrame) => talk.run(request, onFrame), sql));
  }

  /** One transaction: what the catalog is compared by, and what is read of it, are of one moment. */
  function atOnce<T>(use: (query: CatalogQuery) => Promise<T>): Promise<T> {
    return onOpen(reading, (talk) =>
      talk.alone(async (run) => {
        const ask = (sql: string) => queryRows(run, sql);
        await ask("begin isolation level repeatable read, read only");
        try {
          return await use(ask);
        } finally {
          if (talk.open) await ask("rollback");
        }
      }),
    );
  }

  function loaded(): Catalog {
    catalog ??= createCatalog(query, {
      intervalMs: catalogMs,
      atOnce,
      ...trust,
      onError: (error) =>
        logger.warn({ database: database.name, err: error }, "the catalog cannot be refreshed"),
    });
    return catalog;
  }

  function laidOver(policy: CompiledPolicy, current: CatalogSnapshot): View {
    if (view?.policy === policy && view.catalog === current) return view;
    view = viewOf(policy, current, database.name);
    return view;
  }

  async function examine(laid: View): Promise<void> {
    if (examined?.view === laid) return;
    const readable = await readableColumns(query, laid.protectedSet, laid.catalog, readableIn);
    const exposed =
      login.hardened === "secrets"
        ? readable.filter(({ labels }) => labels.some(({ access }) => access === "none")).length
        : readable.length;
    if (exposed > 0 && exposed !== examined?.exposed)
      logger.warn(
        { database: database.name, login: login.user, columns: exposed },
        mustBeHardened(login)
          ? "the login may read protected columns in the database itself: nothing runs; postern check --harden prints the SQL"
          : "the login may read protected columns in the database itself; postern check --harden prints the SQL",
      );
    examined = { view: laid, exposed };
  }

  const bumpOwn = () => catalog?.bump();
  siblings.add(bumpOwn);

  return {
    trust,
    get exposed() {
      return examined?.exposed ?? null;
    },
    view(policy) {
      if (catalog?.isFresh !== true) return null;
      const laid = laidOver(policy, catalog.current);
      // Grants are the catalog's, too: whoever must be hardened is looked at anew with each of its versions.
      return mustBeHardened(login) && examined?.view !== laid ? null : laid;
    },
    async ready(policy) {
      const laid = laidOver(policy, await loaded().fresh());
      if (mustBeHardened(login)) await examine(laid);
      else if (examined?.view !== laid)
        examine(laid).catch((error: unknown) =>
          logger.warn({ database: database.name, err: error }, "grants could not be looked at"),
        );
      return laid;
    },
    bump() {
      for (const one of siblings) one();
    },
    ask: (text, types, searchPath) =>
      onOpen(asking, async (talk) => {
        const quietLog = loaded().current.login.mayQuietLog;
        const reader = new AskReader();
        const question = { text, parameterTypes: types, searchPath, quietLog, lockTimeoutMs: lockMs };
        await talk.run(encodeAsk(question), ({ type, body }) => {
          reader.push(type, body);
        });
        if (reader.result === null) throw new TalkLost("a question without an answer");
        return reader.result;
      }),
    estimate: (text, types, searchPath) =>
      onOpen(asking, async (talk) => {
        const quietLog = loaded().current.login.mayQuietLog;
        const reader = new EstimateReader();
        await talk.run(
          encodeEstimate({ text, parameterTypes: types, searchPath, quietLog }),
          ({ type, body }) => {
            reader.push(type, body);
          },
        );
        const { result } = reader;
        return result?.ok === true ? { rows: result.rows, cost: result.cost } : null;
      }),
    async schemas(searchPath) {
      // Schemas and the rights to use them are the catalog's: what was found holds for one version of it.
      const of = loaded().current;
      if (paths.of !== of) paths = { of, found: new Map() };
      const kept = paths.found.get(searchPath);
      if (kept !== undefined) return kept;
      const rows =
        searchPath === null
          ? await query(schemasText)
          : await query(
              `select pg_catalog.set_config('search_path', ${literal(searchPath)}, true); ${schemasText}`,
            );
      const found = rows.slice(searchPath === null ? 0 : 1).map(([schema]) => schema ?? "");
      if (paths.found.size >= maxPaths) paths.found.clear();
      paths.found.set(searchPath, found);
      return found;
    },
    query,
    close() {
      closed = true;
      siblings.delete(bumpOwn);
      catalog?.close();
      asking.close();
      reading.close();
    },
  };
}
