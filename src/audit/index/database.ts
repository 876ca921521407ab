/** The index's file: `index.db` beside the segments. It holds nothing that could not be made anew from them. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** Another layout is another version: the index is then made anew. Numbers in it are in the order of the machine's bytes. */
const layout = 3;
const version = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? layout : layout + 1000;

/**
 * Records stand in blocks of 1024 by their leaf index (columns.ts): three numbers of parts each (`chunk`), where to find them (`place`), and
 * what became of a statement (`ended`). `part` holds the terms of a part, `term` finds parts by terms, `posting` the spans of blocks in which
 * records have a part. `block` says which times and ids stand in one.
 */
const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE part (id INTEGER PRIMARY KEY, digest INTEGER NOT NULL, terms TEXT NOT NULL);
CREATE INDEX part_digest ON part (digest);
CREATE VIRTUAL TABLE term USING fts5(terms, content = part, content_rowid = id, detail = none, columnsize = 0, tokenize = ascii);
CREATE TABLE posting (part INTEGER NOT NULL, span INTEGER NOT NULL, PRIMARY KEY (part, span)) WITHOUT ROWID;
CREATE TABLE block (number INTEGER PRIMARY KEY, least INTEGER, most INTEGER, id_least INTEGER, id_most INTEGER, request_least INTEGER, request_most INTEGER);
CREATE TABLE chunk (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE place (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE ended (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE frame (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, offset INTEGER NOT NULL, idx INTEGER NOT NULL, day TEXT NOT NULL);
CREATE TABLE value (id INTEGER PRIMARY KEY, day TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX value_block ON value (number, day);
CREATE INDEX value_day ON value (day, number);
CREATE TABLE tally (hour INTEGER NOT NULL, subject TEXT NOT NULL, db TEXT NOT NULL, verdict TEXT NOT NULL, rule TEXT NOT NULL, status TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (hour, subject, db, verdict, rule, status)) WITHOUT ROWID;
CREATE TABLE touched (hour INTEGER NOT NULL, subject TEXT NOT NULL, db TEXT NOT NULL, verdict TEXT NOT NULL, relation TEXT NOT NULL, access TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (hour, subject, db, verdict, relation, access)) WITHOUT ROWID;
`;
/** What this layout and earlier ones consist of, in the order in which it can be dropped. */
const tables = [
  "term",
  "document",
  "touched",
  "tally",
  "value",
  "frame",
  "block",
  "ended",
  "place",
  "chunk",
].concat(["posting", "record", "part", "meta"]);

export function indexPath(dir: string): string {
  return join(dir, "index.db");
}

/** SQLite's page cache. A log is written in order: its newest pages are all that an indexer comes back to. */
const usualCacheKiB = 4096;

/** Opens the index to write, an empty one where there is none or one of another layout. Throws what SQLite throws. */
export function openToWrite(dir: string, cacheKiB = usualCacheKiB): DatabaseSync {
  const db = new DatabaseSync(indexPath(dir), { timeout: 10_000 });
  try {
    // What a power cut takes is made again; only a torn file would be worse, and WAL with NORMAL has none.
    // What retention removes must not stay behind in pages that are free.
    db.exec(
      `PRAGMA secure_delete = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${cacheKiB}; PRAGMA temp_store = MEMORY`,
    );
    const found = versionOf(db);
    if (found !== version) {
      makeAnew(db);
      // What an earlier layout took on the disk is given back; beside a reader it waits for another time.
      if (found !== 0) shrink(db);
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** As openToWrite(); a file that SQLite cannot read is thrown away. */
export function openOrReplace(dir: string, cacheKiB = usualCacheKiB): DatabaseSync {
  try {
    return openToWrite(dir, cacheKiB);
  } catch (error) {
    if (!isDamage(error)) throw error;
    removeIndex(dir);
    return openToWrite(dir, cacheKiB);
  }
}

/** Opens the index to read; null when there is none of this layout. Throws what SQLite throws. */
export function openToRead(dir: string): DatabaseSync | null {
  if (!existsSync(indexPath(dir))) return null;
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(indexPath(dir), { readOnly: true, timeout: 2000 });
    db.prepare("SELECT count(*) FROM sqlite_master").get();
  } catch (error) {
    // A copy on a medium that cannot be written has no place for SQLite's shared memory.
    if (existsSync(`${indexPath(dir)}-wal`)) throw error;
    db = new DatabaseSync(
      `file:${encodeURI(indexPath(dir)).replace(/[?#]/g, encodeURIComponent)}?immutable=1`,
      { readOnly: true },
    );
  }
  if (versionOf(db) === version) return db;
  db.close();
  return null;
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}

function shrink(db: DatabaseSync): void {
  try {
    db.exec("VACUUM");
  } catch (error) {
    if (isDamage(error)) throw error;
  }
}

/** Throws the content away, in one transaction: readers see the old index or the empty one. */
export function makeAnew(db: DatabaseSync): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const name of tables) {
      const type = db.prepare("SELECT type FROM sqlite_master WHERE name = ?").get(name)?.type;
      if (type === "view" || type === "table") db.exec(`DROP ${type} ${name}`);
    }
    db.exec(schema);
    db.exec(`PRAGMA user_version = ${version}`);
    // Whoever else writes here remembers parts of the old content by number: the generation tells it to forget them.
    setMeta(db, "generation", crypto.randomUUID());
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

/** Statements that are asked for by name, each made once a connection. */
const prepared = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

function statement(db: DatabaseSync, sql: string): StatementSync {
  let known = prepared.get(db);
  if (known === undefined) {
    known = new Map();
    prepared.set(db, known);
  }
  let found = known.get(sql);
  if (found === undefined) {
    found = db.prepare(sql);
    known.set(sql, found);
  }
  return found;
}

export function meta(db: DatabaseSync, name: string): string | number | null {
  const value = statement(db, "SELECT value FROM meta WHERE name = ?").get(name)?.value;
  return typeof value === "string" || typeof value === "number" ? value : null;
}

export function setMeta(db: DatabaseSync, name: string, value: string | number): void {
  statement(db, "INSERT OR REPLACE INTO meta VALUES (?, ?)").run(name, value);
}

export function removeIndex(dir: string): void {
  for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(`${indexPath(dir)}${end}`, { force: true });
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, extended codes included (https://sqlite.org/rescode.html). */
export function isDamage(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  return code === 11 || code === 26;
}
