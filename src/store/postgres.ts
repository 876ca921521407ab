/** The store of several nodes: a PostgreSQL database, in a schema of its own. Changes travel by LISTEN and NOTIFY. */
import type pg from "pg";
import { StoreUnavailable, storeFault } from "./errors.ts";
import { channel, openListener } from "./listen.ts";
import { checkNames, expiresOf, pageOf, tagsOf, textOf } from "./names.ts";
import { migrate, schema } from "./postgresschema.ts";
import type { Json, Store, StoredDocument } from "./types.ts";
import { createWatchers } from "./watchers.ts";

const timeoutMs = 5_000;
const sweepMs = 60_000;
const retries = 5;

/**
 * Opens the store in the database that `url` names; makes or updates its tables under an advisory lock. The role needs CREATE on the
 * database for that the first time. Rejects with StoreUnavailable, whose message holds no address.
 */
export async function openPostgres(url: string): Promise<Store> {
  const { default: driver } = await import("pg");
  const options: pg.PoolConfig = {
    connectionString: url,
    application_name: "postern-store",
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    statement_timeout: timeoutMs,
    keepAlive: true,
    max: 4,
    allowExitOnIdle: true,
  };
  let pool: pg.Pool;
  try {
    pool = new driver.Pool(options);
  } catch (error) {
    throw new StoreUnavailable("the store's address is not a PostgreSQL URL", { cause: error });
  }
  // An idle connection that breaks is replaced when the next one is needed.
  pool.on("error", () => {});
  try {
    await migrate(pool);
  } catch (error) {
    await pool.end().catch(() => {});
    if (error instanceof StoreUnavailable) throw error;
    throw new StoreUnavailable(`the store cannot be opened: ${storeFault(error)}`, { cause: error });
  }
  return postgresStore(pool, () => new driver.Client(options));
}

interface Row {
  readonly key: string;
  readonly value: string;
  readonly version: string;
  readonly created: string;
  readonly updated: string;
  readonly expires: string | null;
  readonly seq: string;
}

function documentOf(row: Row): StoredDocument {
  return {
    key: row.key,
    value: JSON.parse(row.value) as Json,
    version: Number(row.version),
    created: Number(row.created),
    updated: Number(row.updated),
    expires: row.expires === null ? null : Number(row.expires),
  };
}

/** serialization_failure and deadlock_detected: nothing was done, the same may be tried again. */
function isPassing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "40001" || error.code === "40P01");
}

const table = `${schema}.documents`;
const fields = "key, value, version, created, updated, expires, seq";
/** Tells the watchers of each row of `w`, in the same transaction. */
const tell = `SELECT pg_notify('${channel}', w.collection || ' ' || w.key) FROM w`;

function postgresStore(pool: pg.Pool, makeClient: () => pg.Client): Store {
  const watchers = createWatchers();
  let failure: Error | null = null;
  let closed = false;

  async function query<R extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<R[]> {
    for (let attempt = 1; ; attempt++) {
      if (closed) throw new StoreUnavailable("the store is closed");
      try {
        const { rows } = await pool.query<R>(text, values);
        failure = null;
        return rows;
      } catch (error) {
        if (isPassing(error) && attempt < retries) continue;
        failure = new StoreUnavailable(`the store does not answer: ${storeFault(error)}`, { cause: error });
        throw failure;
      }
    }
  }
  const wrote = async (text: string, values: unknown[]) => (await query(text, values)).length > 0;

  const listener = openListener(makeClient, {
    wanted: () => watchers.size > 0,
    heard: (collection, key) => watchers.tell(collection, key),
    missed: () => watchers.tellAll(),
  });

  async function sweep(): Promise<number> {
    const rows = await query(
      `WITH w AS (DELETE FROM ${table} WHERE ctid IN (SELECT ctid FROM ${table} WHERE expires <= $1 LIMIT 5000) AND expires <= $1
         RETURNING collection, key) ${tell}`,
      [Date.now()],
    );
    return rows.length;
  }
  const sweeper = setInterval(() => void sweep().catch(() => {}), sweepMs).unref();

  return {
    async get(collection, key) {
      checkNames(collection, key);
      const [row] = await query<Row & pg.QueryResultRow>(
        `SELECT ${fields} FROM ${table} WHERE collection = $1 AND key = $2 AND (expires IS NULL OR expires > $3)`,
        [collection, key, Date.now()],
      );
      return row === undefined ? null : documentOf(row);
    },
    async insert(collection, key, value, options) {
      checkNames(collection, key);
      return wrote(
        `WITH w AS (INSERT INTO ${table} AS d (collection, key, value, version, created, updated, expires, tags)
           VALUES ($1, $2, $3, 1, $4, $4, $5, $6)
           ON CONFLICT (collection, key) DO UPDATE SET seq = DEFAULT, value = excluded.value, version = 1,
             created = excluded.created, updated = excluded.updated, expires = excluded.expires, tags = excluded.tags
           WHERE d.expires <= $4 RETURNING collection, key) ${tell}`,
        [collection, key, textOf(value), Date.now(), expiresOf(options) ?? null, tagsOf(options) ?? []],
      );
    },
    async update(collection, key, version, value, options) {
      checkNames(collection, key);
      const expires = expiresOf(options);
      return wrote(
        `WITH w AS (UPDATE ${table} SET value = $4, version = version + 1, updated = $5,
             expires = CASE WHEN $6 THEN $7::bigint ELSE expires END, tags = coalesce($8, tags)
           WHERE collection = $1 AND key = $2 AND version = $3 AND (expires IS NULL OR expires > $5) RETURNING collection, key) ${tell}`,
        [
          collection,
          key,
          version,
          textOf(value),
          Date.now(),
          expires !== undefined,
          expires ?? null,
          tagsOf(options) ?? null,
        ],
      );
    },
    async remove(collection, key, version) {
      checkNames(collection, key);
      return wrote(
        `WITH w AS (DELETE FROM ${table} WHERE collection = $1 AND key = $2 AND (expires IS NULL OR expires > $3)
           AND ($4::bigint IS NULL OR version = $4) RETURNING collection, key) ${tell}`,
        [collection, key, Date.now(), version ?? null],
      );
    },
    async list(collection, options) {
      checkNames(collection);
      const { tags, after, limit, newestFirst } = pageOf(options);
      const rows = await query<Row & pg.QueryResultRow>(
        `SELECT ${fields} FROM ${table} WHERE collection = $1 AND (expires IS NULL OR expires > $2) AND tags @> $3
           AND ($4::bigint IS NULL OR seq ${newestFirst ? "<" : ">"} $4) ORDER BY seq ${newestFirst ? "DESC" : "ASC"} LIMIT $5`,
        [collection, Date.now(), tags, after, limit + 1],
      );
      const page = rows.slice(0, limit);
      return {
        items: page.map(documentOf),
        next: rows.length > limit ? (page.at(-1)?.seq ?? null) : null,
      };
    },
    watch(collection, changed) {
      checkNames(collection);
      const stop = watchers.add(collection, changed);
      listener.wake();
      return stop;
    },
    sweep,
    get failure() {
      return failure;
    },
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(sweeper);
      await listener.close();
      await pool.end().catch(() => {});
    },
  };
}
