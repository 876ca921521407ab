/**
 * System relations that hold samples of other tables' values, statements of other sessions, or secrets. Once anything is
 * protected, their columns are refused, but for those listed as readable (MASKING.md section 6; PostgreSQL manual, "System
 * Catalogs" and "System Views").
 */
import { type CatalogSnapshot, columnText, type Relation, relationText } from "../catalog/index.ts";
import { emptiedOf } from "./emptied.ts";
import type { LabelMatcher, ProtectedColumn } from "./protected.ts";

interface SystemEntry {
  readonly reason: string;
  /** Columns that give nothing away; null: none may be read. */
  readonly readable: ReadonlySet<string>;
}

const definitions = "it holds definitions, which tell where protected values come from";
const samples = "it holds values that ANALYZE took from other tables";
const sessions = "it shows what other sessions do and say";
const objects = "it holds large objects, which no label reaches";
const remote = "it holds logins to other servers";

function entry(reason: string, readable = ""): SystemEntry {
  return { reason, readable: new Set(readable.split(" ").filter((name) => name !== "")) };
}

const entries: Readonly<Record<string, SystemEntry>> = {
  pg_statistic: entry(samples, "starelid staattnum stainherit stanullfrac stawidth"),
  pg_stats: entry(samples, "schemaname tablename attname inherited null_frac avg_width"),
  pg_statistic_ext_data: entry(samples, "stxoid stxdinherit"),
  pg_stats_ext: entry(
    samples,
    "schemaname tablename statistics_schemaname statistics_name statistics_owner attnames exprs kinds inherited",
  ),
  pg_stats_ext_exprs: entry(
    samples,
    "schemaname tablename statistics_schemaname statistics_name statistics_owner expr inherited null_frac avg_width",
  ),
  pg_stat_activity: entry(
    sessions,
    `datid datname pid leader_pid backend_start xact_start query_start state_change wait_event_type wait_event state
     backend_xid backend_xmin backend_type query_id`.replace(/\s+/g, " "),
  ),
  pg_stat_replication: entry(sessions, "pid backend_start state sync_priority sync_state"),
  pg_stat_statements: entry(
    "it holds texts of other sessions' statements",
    `userid dbid toplevel queryid plans total_plan_time calls total_exec_time min_exec_time max_exec_time mean_exec_time
     stddev_exec_time rows shared_blks_hit shared_blks_read`.replace(/\s+/g, " "),
  ),
  pg_prepared_statements: entry(
    "it holds texts of statements with their values",
    "name prepare_time parameter_types result_types from_sql generic_plans custom_plans",
  ),
  pg_prepared_xacts: entry("it holds names that other sessions gave", "transaction prepared owner database"),
  pg_cursors: entry(
    "it holds texts of statements with their values",
    "name is_holdable is_binary is_scrollable creation_time",
  ),
  pg_views: entry(definitions, "schemaname viewname viewowner"),
  pg_matviews: entry(definitions, "schemaname matviewname matviewowner tablespace hasindexes ispopulated"),
  // information_schema.views
  views: entry(
    definitions,
    `table_catalog table_schema table_name check_option is_updatable is_insertable_into is_trigger_updatable
     is_trigger_deletable is_trigger_insertable_into`.replace(/\s+/g, " "),
  ),
  pg_rules: entry(definitions, "schemaname tablename rulename"),
  pg_largeobject: entry(objects, "loid pageno"),
  pg_user_mapping: entry(remote, "oid umuser umserver"),
  pg_user_mappings: entry(remote, "umid srvid srvname umuser usename"),
  _pg_user_mappings: entry(remote, "oid authorization_identifier foreign_server_catalog foreign_server_name"),
  user_mapping_options: entry(remote),
  pg_foreign_server: entry(remote, "oid srvname srvowner srvfdw srvtype srvversion srvacl"),
  pg_subscription: entry(remote, "oid subdbid subname subowner subenabled subpublications"),
  pg_stat_wal_receiver: entry(remote, "pid status"),
  pg_authid: entry(
    "it holds passwords",
    "oid rolname rolsuper rolinherit rolcreaterole rolcreatedb rolcanlogin rolreplication rolbypassrls rolconnlimit rolvaliduntil",
  ),
  pg_shadow: entry(
    "it holds passwords",
    "usename usesysid usecreatedb usesuper userepl usebypassrls valuntil useconfig",
  ),
  pg_file_settings: entry("it shows the server's configuration files"),
  pg_hba_file_rules: entry("it shows the server's configuration files"),
  pg_ident_file_mappings: entry("it shows the server's configuration files"),
};

/** The label of columns that come back as NULL (emptied.ts); policies cannot name one so. */
export const emptiedLabel: LabelMatcher = {
  label: "(catalog)",
  matches: () => false,
  mask: { kind: "null" },
  access: "masked",
  use: "derived",
};

/** Those of the snapshot, by relation. */
export function emptiedColumns(catalog: CatalogSnapshot): ReadonlyMap<number, readonly ProtectedColumn[]> {
  const found = new Map<number, ProtectedColumn[]>();
  for (const relation of catalog.relations()) {
    const columns = emptiedOf(relation);
    if (columns.length === 0) continue;
    const relationName = relationText(catalog, relation.oid);
    found.set(
      relation.oid,
      columns.map(({ attnum }) => ({
        relation: relation.oid,
        attribute: attnum,
        name: columnText(catalog, relation.oid, attnum),
        relationName,
        labels: [emptiedLabel],
        why: ["it holds values of other tables' rows, or tells of them"],
      })),
    );
  }
  return found;
}

const toast = entry("it holds the stored pieces of another table's values");

/** Columns of one relation that are refused once anything is protected. */
export interface RefusedRelation {
  readonly relation: number;
  /** Attribute numbers that may be read all the same. */
  readonly readable: ReadonlySet<number>;
  readonly reason: string;
}

/** All relations of the snapshot that hold others' values. */
export function refusedRelations(catalog: CatalogSnapshot): RefusedRelation[] {
  const found: RefusedRelation[] = [];
  for (const relation of catalog.relations()) {
    const known = entryFor(relation);
    if (known === undefined) continue;
    const readable = relation.columns.filter((column) => known.readable.has(column.name));
    found.push({
      relation: relation.oid,
      readable: new Set(readable.map((column) => column.attnum)),
      reason: known.reason,
    });
  }
  return found;
}

function entryFor(relation: Relation): SystemEntry | undefined {
  if (relation.kind === "t" || relation.schema === "pg_toast") return toast;
  // The extension's view lies in whatever schema it was installed into.
  if (relation.name === "pg_stat_statements") return entries.pg_stat_statements;
  const system = relation.schema === "pg_catalog" || relation.schema === "information_schema";
  return system && Object.hasOwn(entries, relation.name) ? entries[relation.name] : undefined;
}
