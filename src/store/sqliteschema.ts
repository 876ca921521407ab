/** The tables of an SQLite store, by version (`PRAGMA user_version`). */
import type { DatabaseSync } from "node:sqlite";
import { StoreUnavailable } from "./errors.ts";

/** Each takes a store from the version of its place to the next. Never change one that was released: add another. */
const migrations: readonly string[] = [
  `CREATE TABLE documents (
     seq INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
     version INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, expires INTEGER,
     UNIQUE (collection, key)) STRICT;
   CREATE INDEX documents_order ON documents (collection, seq);
   CREATE INDEX documents_expires ON documents (expires) WHERE expires IS NOT NULL;
   CREATE TABLE tags (
     collection TEXT NOT NULL, tag TEXT NOT NULL, seq INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
     PRIMARY KEY (collection, tag, seq)) STRICT, WITHOUT ROWID;
   CREATE INDEX tags_seq ON tags (seq);
   CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL) STRICT;`,
];

/** Brings the tables up to date in one transaction. Throws StoreUnavailable for a file of a newer Postern, and what SQLite throws. */
export function migrate(db: DatabaseSync): void {
  if (versionOf(db) === migrations.length) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    const version = versionOf(db);
    if (version > migrations.length)
      throw new StoreUnavailable("the store was made by a newer version of Postern");
    for (const step of migrations.slice(version)) db.exec(step);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}
