/** What an open transaction costs others while a person thinks: its age, its locks, and the server's own limits on it. */
import type { Approval } from "../../facts/approval.ts";
import type { Query } from "./definitions.ts";

/** At most so many locks are shown. */
const maxLocks = 20;

/** The transaction of the server process `pid`, as another connection of the same login sees it; null: nothing is known. */
export async function transactionOf(query: Query, pid: number): Promise<Approval["transaction"]> {
  const [activity] = await query(
    `SELECT pg_catalog.round(1000 OPERATOR(pg_catalog.*) EXTRACT(epoch FROM
       (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) xact_start)))
       FROM pg_catalog.pg_stat_activity WHERE pid OPERATOR(pg_catalog.=) ${pid} AND xact_start IS NOT NULL`,
  );
  const locks = await query(
    `SELECT DISTINCT pg_catalog.concat_ws(' on ', l.mode, pg_catalog.format('%I.%I', n.nspname, c.relname))
       FROM pg_catalog.pg_locks l
       JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) l.relation
       JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
      WHERE l.pid OPERATOR(pg_catalog.=) ${pid} AND l.granted AND l.locktype OPERATOR(pg_catalog.=) 'relation'
        AND l.database OPERATOR(pg_catalog.=)
            (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
        AND c.relkind IN ('r', 'p', 'm', 'v', 'f') AND n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'
      ORDER BY 1 LIMIT ${maxLocks}`,
  );
  return {
    open: true,
    ageMs: Number(activity?.[0] ?? 0),
    locks: locks.flatMap(([lock]) => (lock === null || lock === undefined ? [] : [lock])),
  };
}

/** Milliseconds after which the server ends a session that does nothing in its transaction; null: never. */
export interface TransactionLimits {
  readonly idleMs: number | null;
  readonly wholeMs: number | null;
}

/** As a connection has them: of the session itself, or of another one of the same login. */
export async function transactionLimits(query: Query): Promise<TransactionLimits> {
  const [row] = await query(
    `SELECT (SELECT setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'idle_in_transaction_session_timeout'),
            (SELECT setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'transaction_timeout')`,
  );
  const limit = (text: string | null | undefined) => {
    const ms = Number(text ?? 0);
    return Number.isFinite(ms) && ms > 0 ? ms : null;
  };
  return { idleMs: limit(row?.[0]), wholeMs: limit(row?.[1]) };
}
