/** The index's file: `index.db` beside the segments. It holds nothing that could not be made anew from them. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Another layout is another version: the index is then made anew. */
const layout = 2;

const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE part (id INTEGER PRIMARY KEY, terms TEXT NOT NULL);
CREATE TABLE record (
  idx INTEGER PRIMARY KEY, first INTEGER NOT NULL, offset INTEGER NOT NULL, hash BLOB NOT NULL,
  time INTEGER, id TEXT, request TEXT, intent INTEGER,
  session INTEGER, statement INTEGER, own INTEGER, outcome INTEGER, status TEXT);
CREATE INDEX record_id ON record (id);
CREATE INDEX record_request ON record (request);
CREATE TABLE block (number INTEGER PRIMARY KEY, least INTEGER NOT NULL, most INTEGER NOT NULL);
CREATE TABLE frame (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, offset INTEGER NOT NULL, idx INTEGER NOT NULL, day TEXT NOT NULL);
CREATE TABLE value (day TEXT NOT NULL, mac BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (day, mac, idx)) WITHOUT ROWID;
CREATE TABLE tally (hour INTEGER NOT NULL, subject TEXT NOT NULL, db TEXT NOT NULL, verdict TEXT NOT NULL, rule TEXT NOT NULL, status TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (hour, subject, db, verdict, rule, status)) WITHOUT ROWID;
CREATE TABLE touched (hour INTEGER NOT NULL, subject TEXT NOT NULL, db TEXT NOT NULL, verdict TEXT NOT NULL, relation TEXT NOT NULL, access TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (hour, subject, db, verdict, relation, access)) WITHOUT ROWID;
CREATE VIEW document AS
  SELECT r.idx AS idx, a.terms || ' ' || b.terms || ' ' || c.terms || coalesce(' ' || r.status, '') AS terms
  FROM record r JOIN part a ON a.id = r.session JOIN part b ON b.id = r.statement JOIN part c ON c.id = r.own
  WHERE r.own IS NOT NULL;
CREATE VIRTUAL TABLE term USING fts5(terms, content = document, content_rowid = idx, detail = none, columnsize = 0, tokenize = ascii);
`;
const tables = ["term", "document", "touched", "tally", "value", "frame", "block", "record", "part", "meta"];

/** Records of one `block`, whose span of time is known. */
export const blockSize = 1024;

export function indexPath(dir: string): string {
  return join(dir, "index.db");
}

const usualCacheKiB = 65_536;

/** Opens the index to write, an empty one where there is none or one of another layout. Throws what SQLite throws. */
export function openToWrite(dir: string, cacheKiB = usualCacheKiB): DatabaseSync {
  const db = new DatabaseSync(indexPath(dir), { timeout: 10_000 });
  try {
    // What a power cut takes is made again; only a torn file would be worse, and WAL with NORMAL has none.
    db.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${cacheKiB}; PRAGMA temp_store = MEMORY`,
    );
    if (version(db) !== layout) makeAnew(db);
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
  if (version(db) === layout) return db;
  db.close();
  return null;
}

function version(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}

/** Throws the content away, in one transaction: readers see the old index or the empty one. */
export function makeAnew(db: DatabaseSync): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const name of tables) {
      const type = db.prepare("SELECT type FROM sqlite_master WHERE name = ?").get(name)?.type;
      if (type !== undefined) db.exec(`DROP ${String(type) === "view" ? "VIEW" : "TABLE"} ${name}`);
    }
    db.exec(schema);
    db.exec(`PRAGMA user_version = ${layout}`);
    db.prepare("INSERT INTO part VALUES (0, '')").run();
    // Whoever else writes here remembers parts of the old content by number: the generation tells it to forget them.
    setMeta(db, "generation", crypto.randomUUID());
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

export function meta(db: DatabaseSync, name: string): string | number | null {
  const value = db.prepare("SELECT value FROM meta WHERE name = ?").get(name)?.value;
  return typeof value === "string" || typeof value === "number" ? value : null;
}

export function setMeta(db: DatabaseSync, name: string, value: string | number): void {
  db.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(name, value);
}

export function removeIndex(dir: string): void {
  for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(`${indexPath(dir)}${end}`, { force: true });
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, extended codes included (https://sqlite.org/rescode.html). */
export function isDamage(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  return code === 11 || code === 26;
}
