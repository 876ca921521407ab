/**
 * System relations whose rows hold values or secrets that no label of a policy reaches, so that reading them is more than
 * looking at a database's structure (PostgreSQL manual, "System Catalogs"). By column, as the harmless columns of the same
 * tables stand behind views that every driver reads (pg_roles is pg_authid, pg_stats is pg_statistic). What views take from
 * functions (pg_file_settings, …) is judged by the functions, but for pg_stat_get_activity: tools ask how many sessions
 * there are, and whether their own is encrypted.
 */
import type { Effect } from "../facts/effects.ts";
import type { CatalogSnapshot, FunctionFacts, Verdict } from "./types.ts";

export const safe: Verdict = { safe: true };

interface Line {
  readonly effect: Effect;
  readonly reason: string;
  /** Columns by relation; null: every one. */
  readonly columns: Readonly<Record<string, readonly string[] | null>>;
}

const sampled = ["stavalues1", "stavalues2", "stavalues3", "stavalues4", "stavalues5"];
const lines: readonly Line[] = [
  {
    effect: "admin",
    reason: "holds values of columns that ANALYZE sampled",
    columns: {
      pg_statistic: sampled,
      pg_statistic_ext_data: ["stxdmcv", "stxdexpr"],
      pg_stats: ["most_common_vals", "histogram_bounds", "most_common_elems", "range_bounds_histogram"],
      pg_stats_ext: ["most_common_vals", "most_common_val_nulls"],
      pg_stats_ext_exprs: ["most_common_vals", "histogram_bounds", "most_common_elems"],
    },
  },
  {
    effect: "admin",
    reason: "holds passwords of roles",
    columns: { pg_authid: ["rolpassword"], pg_shadow: ["passwd"] },
  },
  {
    effect: "admin",
    reason: "holds logins to other servers",
    columns: {
      pg_user_mapping: ["umoptions"],
      pg_user_mappings: ["umoptions"],
      _pg_user_mappings: ["umoptions"],
      user_mapping_options: ["option_value"],
      pg_subscription: ["subconninfo"],
    },
  },
  {
    effect: "admin",
    reason: "tells who else is connected, from where, and what they say",
    columns: {
      pg_stat_activity: [
        "usesysid",
        "usename",
        "application_name",
        "client_addr",
        "client_hostname",
        "client_port",
        "query",
      ],
      pg_stat_gssapi: ["principal"],
      pg_stat_ssl: ["client_dn", "client_serial", "issuer_dn"],
    },
  },
  {
    effect: "file",
    reason: "holds large objects, which no column's label reaches",
    columns: { pg_largeobject: null },
  },
];
const toast: Verdict = {
  safe: false,
  effect: "admin",
  reason: "holds the stored pieces of another table's values",
};

const whole = new Map<string, Verdict>();
const byColumn = new Map<string, Verdict>();
for (const { effect, reason, columns } of lines) {
  const verdict: Verdict = { safe: false, effect, reason };
  for (const [relation, names] of Object.entries(columns)) {
    if (names === null) whole.set(relation, verdict);
    else for (const name of names) byColumn.set(`${relation}.${name}`, verdict);
  }
}

function isSystem(schema: string): boolean {
  return schema === "pg_catalog" || schema === "information_schema";
}

/** The verdict on a relation as a whole, whichever of its columns are read. */
export function relationVerdict(schema: string, name: string, kind: string): Verdict {
  if (kind === "t" || schema === "pg_toast" || schema.startsWith("pg_toast_temp_")) return toast;
  return isSystem(schema) ? (whole.get(name) ?? safe) : safe;
}

/** The verdict on reading one column; that on the relation counts as well. */
export function columnVerdict(schema: string, relation: string, column: string): Verdict {
  return isSystem(schema) ? (byColumn.get(`${relation}.${column}`) ?? safe) : safe;
}

/**
 * Whether what this function tells is decided by the columns of the views of PostgreSQL 14 to 18 that call it (pg_stat_activity,
 * pg_stat_gssapi, pg_stat_ssl; pg_stat_replication calls others that are refused as well).
 */
export function isDecidedByColumns({ serverVersion }: CatalogSnapshot, func: FunctionFacts): boolean {
  return func.name === "pg_stat_get_activity" && func.schema === "pg_catalog" && serverVersion < 190_000;
}
