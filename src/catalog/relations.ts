/**
 * System relations whose rows hold values or secrets that no label of a policy reaches, so that reading them is more than
 * looking at a database's structure (PostgreSQL manual, "System Catalogs", "System Views").
 */
import type { Effect } from "../facts/effects.ts";
import type { Verdict } from "./types.ts";

const lines: readonly { effect: Effect; reason: string; names: string }[] = [
  {
    effect: "admin",
    reason: "holds values of columns that ANALYZE sampled",
    names: "pg_statistic pg_statistic_ext_data pg_stats pg_stats_ext pg_stats_ext_exprs",
  },
  { effect: "admin", reason: "holds passwords of roles", names: "pg_authid pg_shadow" },
  {
    effect: "admin",
    reason: "holds logins to other servers",
    names:
      "pg_user_mapping pg_user_mappings pg_subscription pg_stat_wal_receiver user_mapping_options _pg_user_mappings",
  },
  {
    effect: "file",
    reason: "holds large objects, which no column's label reaches",
    names: "pg_largeobject",
  },
  {
    effect: "file",
    reason: "shows configuration files of the server",
    names: "pg_file_settings pg_hba_file_rules pg_ident_file_mappings pg_config",
  },
  {
    effect: "admin",
    reason: "tells what other sessions do, with the values in their statements",
    names: "pg_stat_activity pg_stat_replication",
  },
];
const unsafe = new Map<string, Verdict>();
for (const { effect, reason, names } of lines)
  for (const name of names.split(" ")) unsafe.set(name, { safe: false, effect, reason });

const safe: Verdict = { safe: true };
const toast: Verdict = {
  safe: false,
  effect: "admin",
  reason: "holds the stored pieces of another table's values",
};

/** The verdict on a relation by its name, kind and whether initdb made its schema. */
export function relationVerdict(schema: string, name: string, kind: string): Verdict {
  if (kind === "t" || schema === "pg_toast" || schema.startsWith("pg_toast_temp_")) return toast;
  if (schema === "pg_catalog" || schema === "information_schema") return unsafe.get(name) ?? safe;
  return safe;
}
