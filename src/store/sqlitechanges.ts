/** What changed in an SQLite store, by this process or another: rows of the table `changes`, in order. */
import type { SQLInputValue } from "node:sqlite";

type Row = Record<string, SQLInputValue>;

export interface ChangeFollower {
  /** Somebody begins to watch: what happened before is nobody's news. */
  begin(): void;
  /** Something was written here: look in a moment. */
  soon(): void;
  stop(): void;
}

const pollMs = 200;
const page = 500;

export function followChanges(
  db: {
    one(sql: string, ...values: SQLInputValue[]): Row | undefined;
    all(sql: string, ...values: SQLInputValue[]): Row[];
  },
  ears: { wanted(): boolean; heard(collection: string, key: string): void; missed(): void },
): ChangeFollower {
  const newest = () => Number(db.one("SELECT coalesce(max(id), 0) AS id FROM changes")?.id ?? 0);
  let seen = newest();
  let dataVersion = -1;
  let soon: NodeJS.Immediate | null = null;

  /** What cannot be read now stays in its table until the next look. */
  function quietly(work: () => void): void {
    if (!ears.wanted()) return;
    try {
      work();
    } catch {
      // As above.
    }
  }

  function look(): void {
    const first = Number(db.one("SELECT min(id) AS id FROM changes")?.id ?? 0);
    if (first > seen + 1) {
      seen = newest();
      ears.missed();
      return;
    }
    for (;;) {
      const rows = db.all(
        `SELECT id, collection, key FROM changes WHERE id > ? ORDER BY id LIMIT ${page}`,
        seen,
      );
      for (const row of rows) {
        seen = Number(row.id);
        ears.heard(String(row.collection), String(row.key));
      }
      if (rows.length < page) return;
    }
  }

  const poll = setInterval(
    () =>
      quietly(() => {
        // Another number: somebody else has written (https://sqlite.org/pragma.html#pragma_data_version).
        const version = Number(db.one("PRAGMA data_version")?.data_version);
        if (version !== dataVersion) look();
        dataVersion = version;
      }),
    pollMs,
  ).unref();

  return {
    begin() {
      try {
        seen = newest();
      } catch {
        // Old news then.
      }
    },
    soon() {
      if (!ears.wanted()) return;
      soon ??= setImmediate(() => {
        soon = null;
        quietly(look);
      });
    },
    stop() {
      clearInterval(poll);
      if (soon !== null) clearImmediate(soon);
    },
  };
}
