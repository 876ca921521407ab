/** The tables of a PostgreSQL store, by version. */
import type pg from "pg";
import { StoreUnavailable } from "./errors.ts";

/** A schema of its own: the database may hold other things. */
export const schema = "postern_store";
/** Of the advisory lock under which nodes that start together take turns; "postern" in ASCII. */
const lock = "0x706f737465726e";

/** Each takes the store from the version of its place to the next. Never change one that was released: add another. */
const migrations: readonly string[] = [
  `CREATE TABLE ${schema}.documents (
     seq bigint GENERATED ALWAYS AS IDENTITY, collection text NOT NULL, key text NOT NULL, value text NOT NULL,
     version bigint NOT NULL, created bigint NOT NULL, updated bigint NOT NULL, expires bigint, tags text[] NOT NULL,
     PRIMARY KEY (collection, key));
   CREATE UNIQUE INDEX documents_order ON ${schema}.documents (collection, seq);
   CREATE INDEX documents_expires ON ${schema}.documents (expires) WHERE expires IS NOT NULL;
   CREATE INDEX documents_tags ON ${schema}.documents USING gin (tags);`,
];

/** Brings the tables up to date. Rejects with StoreUnavailable for those of a newer Postern, and with what the driver says. */
export async function migrate(pool: pg.Pool): Promise<void> {
  if ((await versionOf(pool)) === migrations.length) return;
  const client = await pool.connect();
  let fault: Error | undefined;
  try {
    await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED`);
    await client.query(`SELECT pg_advisory_xact_lock(${BigInt(lock)})`);
    const version = await versionOf(client);
    if (version > migrations.length)
      throw new StoreUnavailable("the store was made by a newer version of Postern");
    if (version === 0)
      await client.query(
        `CREATE SCHEMA IF NOT EXISTS ${schema}; CREATE TABLE ${schema}.version (version integer NOT NULL); INSERT INTO ${schema}.version VALUES (0)`,
      );
    for (const step of migrations.slice(version)) await client.query(step);
    await client.query(`UPDATE ${schema}.version SET version = ${migrations.length}`);
    await client.query("COMMIT");
  } catch (error) {
    // The connection may still be in its transaction: it is not given back.
    fault = error instanceof Error ? error : new Error("failed");
    throw error;
  } finally {
    client.release(fault);
  }
}

/** 0: there are no tables yet. */
async function versionOf(on: Pick<pg.Pool, "query">): Promise<number> {
  // Not to_regclass(): what it remembers as missing is not looked up again behind an advisory lock.
  const there = await on.query<{ there: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = '${schema}' AND c.relname = 'version') AS there`,
  );
  if (there.rows[0]?.there !== true) return 0;
  const { rows } = await on.query<{ version: number }>(`SELECT version FROM ${schema}.version`);
  return rows[0]?.version ?? 0;
}
