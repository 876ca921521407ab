/** What leaves the log leaves the index: records of pruned segments, and the keyed values of days whose key was destroyed. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { blockSize, setMeta } from "./database.ts";
import { hourMs } from "./tally.ts";

const chunk = 2000;

/** Removes all records before `first`, the oldest leaf that the log still has. Throws what SQLite throws. */
export function prune(db: DatabaseSync, first: number): void {
  const oldest = db.prepare("SELECT min(idx) AS idx FROM record").get()?.idx;
  if (typeof oldest !== "number" || oldest >= first) return;
  const rows = db.prepare("SELECT idx, terms FROM document WHERE idx < ? ORDER BY idx LIMIT ?");
  for (let more = true; more; ) {
    inTransaction(db, () => {
      const found = rows.all(first, chunk);
      for (const { idx, terms } of found)
        db.prepare("INSERT INTO term (term, rowid, terms) VALUES ('delete', ?, ?)").run(
          Number(idx),
          String(terms),
        );
      const last = found.at(-1)?.idx;
      more = found.length === chunk;
      db.prepare("DELETE FROM record WHERE idx < ?").run(more ? Number(last) + 1 : first);
    });
  }
  inTransaction(db, () => {
    db.prepare("DELETE FROM block WHERE number < ?").run(Math.floor(first / blockSize));
    db.prepare("DELETE FROM value WHERE idx < ?").run(first);
    db.prepare(
      "DELETE FROM frame WHERE idx < ? AND number < (SELECT max(number) FROM frame WHERE idx <= ?)",
    ).run(first, first);
    db.exec(
      "DELETE FROM part WHERE id > 0 AND id NOT IN (SELECT session FROM record WHERE session IS NOT NULL UNION SELECT statement FROM record WHERE statement IS NOT NULL UNION SELECT own FROM record WHERE own IS NOT NULL)",
    );
    const time = db.prepare("SELECT min(time) AS time FROM record").get()?.time;
    // The hour in which the cut lies counts records that are gone: it goes too.
    const hour = typeof time === "number" ? Math.floor(time / hourMs) + 1 : 0;
    for (const table of ["tally", "touched"]) db.prepare(`DELETE FROM ${table} WHERE hour < ?`).run(hour);
    setMeta(db, "tally_from", hour);
    setMeta(db, "generation", crypto.randomUUID());
  });
}

/** Removes the keyed values of days whose key is gone: without it nobody can ask for them any more. */
export function forgetDestroyedDays(db: DatabaseSync, dir: string): void {
  const next = db.prepare("SELECT day FROM value WHERE day > ? ORDER BY day LIMIT 1");
  for (let row = next.get(""); row !== undefined; row = next.get(String(row.day)))
    if (!existsSync(join(dir, "keys", `${String(row.day)}.key`)))
      db.prepare("DELETE FROM value WHERE day = ?").run(String(row.day));
}

function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    work();
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
