/** What a server allows the analysis to do, and the SQL that allows more (MASKING.md section 3.1). */
import type { CatalogQuery } from "../catalog/index.ts";
import { quoteIdentifier } from "../catalog/index.ts";

export interface Probe {
  /** server_version_num. */
  readonly serverVersion: number;
  /** The role that asks. */
  readonly login: string;
  /** The server prints query trees for this login; else only the static fallback is left. */
  readonly trees: boolean;
  /**
   * Can the trees be kept out of the server's log? `granted`: questions do so themselves; `server`: its settings do already;
   * `grant`: `advice` allows it; `role`: only a role of its own can (PostgreSQL 14), as `advice` says.
   */
  readonly log: "granted" | "server" | "grant" | "role";
  /** One statement for an administrator; null: nothing to do. */
  readonly advice: string | null;
}

/** PostgreSQL 15: GRANT SET ON PARAMETER. */
const parameterPrivileges = 150_000;

/**
 * Finds out by asking, not by trying: two read-only statements. Whether a pooler or proxy in between passes the trees on
 * shows only a real question; see hasTree(). Rejects with what the query rejects with.
 */
export async function probe(query: CatalogQuery): Promise<Probe> {
  const [row] = await query(
    `select pg_catalog.current_setting('server_version_num'), current_user,
       (select rolsuper from pg_catalog.pg_roles where rolname = current_user),
       pg_catalog.current_setting('log_min_messages'),
       (select count(*) from pg_catalog.pg_settings where context = 'user'
         and name in ('debug_print_rewritten', 'client_min_messages', 'debug_pretty_print', 'debug_print_parse'))`,
  );
  const serverVersion = Number(row?.[0]);
  const login = row?.[1] ?? "";
  const mayPrint = Number(row?.[4]) === 4;
  const granted =
    row?.[2] === "t" ||
    (serverVersion >= parameterPrivileges &&
      (await query("select pg_catalog.has_parameter_privilege('log_min_messages', 'SET')"))[0]?.[0] === "t");
  const facts = { serverVersion, login, trees: mayPrint && serverVersion >= 140_000 };
  if (granted) return { ...facts, log: "granted", advice: null };
  if (["fatal", "panic"].includes(row?.[3] ?? "")) return { ...facts, log: "server", advice: null };
  const role = quoteIdentifier(login);
  return serverVersion >= parameterPrivileges
    ? { ...facts, log: "grant", advice: `GRANT SET ON PARAMETER log_min_messages TO ${role};` }
    : { ...facts, log: "role", advice: `ALTER ROLE ${role} SET log_min_messages = 'fatal';` };
}

/** A statement for a first question on a new connection: an answer without a tree of it means that none come through. */
export const probeText = "select 1 as postern_probe";

/** The trees of an answer to probeText hold it. */
export function hasTree(trees: readonly string[]): boolean {
  return trees.some((tree) => tree.includes(":resname postern_probe"));
}
