/** The store of one node: an SQLite file in WAL mode, which several processes of a machine may share. */
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreUnavailable, storeFault } from "./errors.ts";
import { checkNames, expiresOf, pageOf, tagsOf, textOf } from "./names.ts";
import { followChanges } from "./sqlitechanges.ts";
import { migrate } from "./sqliteschema.ts";
import type { Json, Store, StoredDocument } from "./types.ts";
import { createWatchers } from "./watchers.ts";

/** How long a call waits for another process's write; SQLite itself blocks the event loop only for `busyMs` a time. */
const patienceMs = 5_000;
const busyMs = 20;
const sweepMs = 60_000;
/** Changes are remembered so long; whoever has not looked by then looks at everything. */
const rememberMs = 10 * 60_000;
const sqliteBusy = 5;

/**
 * Opens (or makes, with mode 0600 in a folder of mode 0700) the file at `path`. Rejects with StoreUnavailable.
 */
export async function openSqlite(path: string): Promise<Store> {
  const db = await patiently(() => open(path), "cannot be opened");
  return sqliteStore(db);
}

/** A store that is gone with the process: for tests and tools. */
export function memoryStore(): Store {
  return sqliteStore(open(":memory:"));
}

function open(path: string): DatabaseSync {
  if (path !== ":memory:") {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // SQLite gives the files beside it the same mode.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  }
  const db = new DatabaseSync(path, { timeout: busyMs });
  try {
    // FULL: what has been answered survives a power cut.
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

async function patiently<T>(work: () => T, what: string): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (error instanceof TypeError || error instanceof StoreUnavailable) throw error;
      if (!isBusy(error) || Date.now() >= end)
        throw new StoreUnavailable(`the store ${what}: ${storeFault(error)}`, { cause: error });
    }
    await sleep(5 + Math.random() * 30);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === sqliteBusy;
}

type Row = Record<string, SQLInputValue>;

function documentOf(row: Row): StoredDocument {
  const expires = row.expires;
  return {
    key: String(row.key),
    value: JSON.parse(String(row.value)) as Json,
    version: Number(row.version),
    created: Number(row.created),
    updated: Number(row.updated),
    expires: expires === null || expires === undefined ? null : Number(expires),
  };
}

const fields = "d.key, d.value, d.version, d.created, d.updated, d.expires, d.seq";
const alive = "(d.expires IS NULL OR d.expires > ?)";

function sqliteStore(db: DatabaseSync): Store {
  const watchers = createWatchers();
  let failure: Error | null = null;
  let closed = false;
  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  const prepare = (sql: string) => {
    const known = statements.get(sql) ?? db.prepare(sql);
    statements.set(sql, known);
    return known;
  };
  const one = (sql: string, ...values: SQLInputValue[]) => prepare(sql).get(...values) as Row | undefined;
  const all = (sql: string, ...values: SQLInputValue[]) => prepare(sql).all(...values) as Row[];
  const run = (sql: string, ...values: SQLInputValue[]) => Number(prepare(sql).run(...values).changes);

  async function call<T>(work: () => T): Promise<T> {
    if (closed) throw new StoreUnavailable("the store is closed");
    try {
      const result = await patiently(() => {
        if (closed) throw new StoreUnavailable("the store is closed");
        return work();
      }, "does not answer");
      failure = null;
      return result;
    } catch (error) {
      if (error instanceof StoreUnavailable && !closed) failure = error;
      throw error;
    }
  }

  function write<T>(work: () => T): Promise<T> {
    return call(() => {
      db.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        db.exec("COMMIT");
        changes.soon();
        return result;
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    });
  }

  function note(collection: string, key: string, now: number): void {
    run("INSERT INTO changes (collection, key, at) VALUES (?, ?, ?)", collection, key, now);
  }

  function tag(collection: string, seq: SQLInputValue, tags: readonly string[]): void {
    for (const word of tags)
      run("INSERT INTO tags (collection, tag, seq) VALUES (?, ?, ?)", collection, word, seq);
  }

  const changes = followChanges(
    { one, all },
    { wanted: () => watchers.size > 0 && !closed, heard: watchers.tell, missed: watchers.tellAll },
  );

  async function sweep(): Promise<number> {
    const now = Date.now();
    return write(() => {
      const gone = all("SELECT collection, key, seq FROM documents WHERE expires <= ? LIMIT 5000", now);
      for (const row of gone) {
        run("DELETE FROM documents WHERE seq = ?", row.seq ?? null);
        note(String(row.collection), String(row.key), now);
      }
      // The newest stays: ids go on from it, and whoever watches can tell that nothing was missed.
      run("DELETE FROM changes WHERE at < ? AND id < (SELECT max(id) FROM changes)", now - rememberMs);
      return gone.length;
    });
  }
  const sweeper = setInterval(() => void sweep().catch(() => {}), sweepMs).unref();

  return {
    async get(collection, key) {
      checkNames(collection, key);
      const row = await call(() =>
        one(
          `SELECT ${fields} FROM documents d WHERE d.collection = ? AND d.key = ? AND ${alive}`,
          collection,
          key,
          Date.now(),
        ),
      );
      return row === undefined ? null : documentOf(row);
    },
    async insert(collection, key, value, options) {
      checkNames(collection, key);
      const text = textOf(value);
      const tags = tagsOf(options) ?? [];
      const expires = expiresOf(options) ?? null;
      return write(() => {
        const now = Date.now();
        run("DELETE FROM documents WHERE collection = ? AND key = ? AND expires <= ?", collection, key, now);
        const row = one(
          "INSERT INTO documents (collection, key, value, version, created, updated, expires) VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq",
          collection,
          key,
          text,
          now,
          now,
          expires,
        );
        if (row === undefined) return false;
        tag(collection, row.seq ?? null, tags);
        note(collection, key, now);
        return true;
      });
    },
    async update(collection, key, version, value, options) {
      checkNames(collection, key);
      const text = textOf(value);
      const tags = tagsOf(options);
      const expires = expiresOf(options);
      return write(() => {
        const now = Date.now();
        const row = one(
          `UPDATE documents AS d SET value = ?, version = version + 1, updated = ?, expires = CASE WHEN ? THEN ? ELSE expires END
           WHERE d.collection = ? AND d.key = ? AND d.version = ? AND ${alive} RETURNING seq`,
          text,
          now,
          expires === undefined ? 0 : 1,
          expires ?? null,
          collection,
          key,
          version,
          now,
        );
        if (row === undefined) return false;
        if (tags !== undefined) {
          run("DELETE FROM tags WHERE seq = ?", row.seq ?? null);
          tag(collection, row.seq ?? null, tags);
        }
        note(collection, key, now);
        return true;
      });
    },
    async remove(collection, key, version) {
      checkNames(collection, key);
      return write(() => {
        const now = Date.now();
        const removed = run(
          `DELETE FROM documents AS d WHERE d.collection = ? AND d.key = ? AND ${alive} AND (? OR d.version = ?)`,
          collection,
          key,
          now,
          version === undefined ? 1 : 0,
          version ?? 0,
        );
        if (removed > 0) note(collection, key, now);
        return removed > 0;
      });
    },
    async list(collection, options) {
      checkNames(collection);
      const { tags, after, limit, newestFirst } = pageOf(options);
      const [first, ...others] = tags;
      const from =
        first === undefined
          ? "documents d WHERE d.collection = ?"
          : "tags t JOIN documents d ON d.seq = t.seq WHERE t.collection = ? AND t.tag = ?";
      const order = first === undefined ? "d.seq" : "t.seq";
      const also = others.map(
        () =>
          " AND EXISTS (SELECT 1 FROM tags o WHERE o.collection = d.collection AND o.tag = ? AND o.seq = d.seq)",
      );
      const values: SQLInputValue[] = [collection, ...tags, Date.now()];
      if (after !== null) values.push(after);
      const rows = await call(() =>
        all(
          `SELECT ${fields} FROM ${from}${also.join("")} AND ${alive}${after === null ? "" : ` AND ${order} ${newestFirst ? "<" : ">"} ?`}
           ORDER BY ${order} ${newestFirst ? "DESC" : "ASC"} LIMIT ${limit + 1}`,
          ...values,
        ),
      );
      const page = rows.slice(0, limit);
      return {
        items: page.map(documentOf),
        next: rows.length > limit ? String(page.at(-1)?.seq) : null,
      };
    },
    watch(collection, changed) {
      checkNames(collection);
      if (watchers.size === 0 && !closed) changes.begin();
      return watchers.add(collection, changed);
    },
    sweep,
    get failure() {
      return failure;
    },
    async close() {
      if (closed) return;
      closed = true;
      changes.stop();
      clearInterval(sweeper);
      statements.clear();
      db.close();
    },
  };
}
