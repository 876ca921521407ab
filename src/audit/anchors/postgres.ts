/** The PostgreSQL anchor: checkpoints in a table that belongs to a role other than ours. */
import type pg from "pg";
import type { SecretSource } from "../../facts/secret.ts";
import { type Anchor, AnchorError, recentNotes } from "./types.ts";

const timeoutMs = 10_000;

/**
 * The table `postern_anchors (id, received, origin, size, checkpoint)` (docs/audit.md has its SQL) is found by the search path
 * of the connection. The role needs INSERT and SELECT; what it must not have is UPDATE, DELETE or TRUNCATE, or the table.
 */
export function postgresAnchor(url: SecretSource): Anchor {
  let client: pg.Client | null = null;

  async function connected(): Promise<pg.Client> {
    if (client !== null) return client;
    const { default: driver } = await import("pg");
    const fresh = new driver.Client({
      connectionString: await url.read(),
      application_name: "postern-anchor",
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      statement_timeout: timeoutMs,
      keepAlive: true,
    });
    fresh.on("error", () => {
      if (client === fresh) client = null;
    });
    try {
      await fresh.connect();
    } catch (error) {
      // A login that failed on our side leaves the connection open, and it would keep the process from ending.
      void fresh.end().catch(() => {});
      throw error;
    }
    client = fresh;
    return fresh;
  }

  async function query(text: string, values: unknown[]): Promise<unknown[]> {
    try {
      const { rows } = await (await connected()).query({ text, values, rowMode: "array" });
      return rows;
    } catch (error) {
      drop();
      throw new AnchorError(explain(error));
    }
  }

  function drop(): void {
    const old = client;
    client = null;
    void old?.end().catch(() => {});
  }

  return {
    name: "postgres",
    async put({ origin, size, note }) {
      await query("insert into postern_anchors (origin, size, checkpoint) values ($1, $2, $3)", [
        origin,
        size,
        note,
      ]);
    },
    async recent(origin) {
      const rows = await query(
        "select checkpoint from postern_anchors where origin = $1 order by id desc limit $2",
        [origin, recentNotes],
      );
      return rows.flatMap((row) =>
        Array.isArray(row) && typeof row[0] === "string" ? [Buffer.from(row[0], "utf8")] : [],
      );
    },
    async close() {
      drop();
    },
  };
}

/** By SQLSTATE or system code: messages hold addresses and names. */
function explain(error: unknown): string {
  const code =
    error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
  switch (code) {
    case "42P01":
      return "there is no table postern_anchors (42P01)";
    case "42501":
      return "the role lacks a privilege on postern_anchors (42501)";
    case "28P01":
    case "28000":
      return `the server refused the login (${code})`;
    case null:
      if (error instanceof Error && error.message.includes("password must be"))
        return "the server asks for a password, and the URL has none";
      return "no answer in time, or the connection was lost";
    default:
      return `failed (${code})`;
  }
}
