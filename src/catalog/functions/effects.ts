/**
 * Functions of pg_catalog that do more than compute a value, with what they bring about and why it matters. A line holds for
 * every function of that name, whatever its arguments, unless `volatileOnly` says that a namesake only computes.
 * Read from pg_proc of PostgreSQL 14 to 18 (manual, chapters "Functions and Operators" and "Client Interfaces").
 */
import type { Effect } from "../../facts/effects.ts";

export interface Danger {
  readonly effect: Effect;
  readonly reason: string;
  /** Only where it is VOLATILE: an overload of the same name is harmless. */
  readonly volatileOnly: boolean;
}

/** They read values of whatever type their second argument names: rows, arrays, ranges, domains. */
export const partReaders: ReadonlySet<string> = new Set([
  "array_in",
  "array_recv",
  "domain_in",
  "domain_recv",
  "record_in",
  "record_recv",
  "range_in",
  "range_recv",
  "multirange_in",
  "multirange_recv",
]);

interface Line {
  readonly effect: Effect;
  readonly reason: string;
  /** Names, blanks between them. A name that ends in * stands for all that begin so. */
  readonly names: string;
  readonly volatileOnly?: true;
}

const lines: readonly Line[] = [
  {
    effect: "file",
    reason: "reads files of the database server, or lists them",
    names: `pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_* pg_current_logfile
      pg_show_all_file_settings pg_hba_file_rules pg_ident_file_mappings pg_config`,
  },
  {
    effect: "file",
    reason: "reads or writes large objects, which no column's label reaches",
    names: "lo_* loread lowrite",
  },
  {
    effect: "execute",
    reason: "runs SQL, or reads tables, that only its arguments name",
    names: `query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema
      table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema
      schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema
      ts_stat currtid currtid2`,
  },
  {
    effect: "execute",
    reason: "runs SQL that is in its argument",
    names: "ts_rewrite",
    volatileOnly: true,
  },
  {
    effect: "execute",
    reason: "converts to a type that only its argument names, which may run the type's own checks",
    names: `pg_input_is_valid pg_input_error_info ${[...partReaders].join(" ")}`,
  },
  {
    effect: "execute",
    reason: "is part of a procedural language, which is not meant to be called from SQL",
    names: `plpgsql_call_handler plpgsql_inline_handler plpgsql_validator fmgr_internal_validator fmgr_c_validator
      fmgr_sql_validator`,
  },
  { effect: "session", reason: "changes a setting of the session", names: "set_config" },
  { effect: "session", reason: "changes the session's sequence of random numbers", names: "setseed" },
  {
    effect: "session",
    reason: "tells values that the session drew from a sequence",
    names: "currval lastval",
  },
  {
    effect: "session",
    reason: "opens a snapshot of this session to other sessions",
    names: "pg_export_snapshot",
  },
  {
    effect: "session",
    reason: "changes when this session's statistics are read or written",
    names: "pg_stat_clear_snapshot pg_stat_force_next_flush",
  },
  {
    effect: "write",
    reason: "changes a sequence, which no ROLLBACK takes back",
    names: "nextval setval",
  },
  {
    effect: "write",
    reason: "takes a transaction number, which makes a reading transaction a writing one",
    names: "txid_current pg_current_xact_id",
  },
  {
    effect: "lock",
    reason: "takes or gives up an advisory lock, which may outlive its transaction",
    names: "pg_advisory_* pg_try_advisory_*",
  },
  {
    effect: "network",
    reason: "sends text to other sessions",
    names: "pg_notify",
  },
  {
    effect: "network",
    reason: "tells network addresses behind the gateway",
    names: "inet_client_addr inet_client_port inet_server_addr inet_server_port",
  },
  {
    effect: "admin",
    reason: "keeps a server process, and the locks it holds, busy",
    names: "pg_sleep pg_sleep_for pg_sleep_until",
  },
  {
    effect: "admin",
    reason: "interferes with other sessions or with the server's processes",
    names: `pg_cancel_backend pg_terminate_backend pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old
      pg_log_backend_memory_contexts pg_promote pg_isolation_test_session_is_blocked`,
  },
  {
    effect: "admin",
    reason: "writes to the write-ahead log or governs it, backups or recovery",
    names: `pg_logical_emit_message pg_create_restore_point pg_switch_wal pg_backup_start pg_backup_stop
      pg_start_backup pg_stop_backup pg_wal_replay_pause pg_wal_replay_resume pg_log_standby_snapshot
      pg_available_wal_summaries pg_wal_summary_contents pg_get_wal_summarizer_state`,
  },
  {
    effect: "admin",
    reason: "reads or governs replication",
    names: `pg_create_physical_replication_slot pg_create_logical_replication_slot pg_drop_replication_slot
      pg_copy_physical_replication_slot pg_copy_logical_replication_slot pg_replication_slot_advance
      pg_sync_replication_slots pg_get_replication_slots pg_logical_slot_* pg_replication_origin_*
      pg_show_replication_origin_status pg_stat_get_wal_receiver pg_stat_get_wal_senders
      pg_stat_get_subscription pg_stat_get_subscription_stats pg_stat_get_replication_slot`,
  },
  {
    effect: "admin",
    reason: "resets or overwrites statistics that the server and its administrators rely on",
    names: `pg_stat_reset pg_stat_reset_* pg_clear_attribute_stats pg_clear_relation_stats
      pg_restore_attribute_stats pg_restore_relation_stats`,
  },
  {
    effect: "admin",
    reason: "tells what other sessions do, with the values in their statements",
    names: "pg_stat_get_activity pg_stat_get_backend_*",
  },
  {
    effect: "admin",
    reason: "prints values of columns that ANALYZE sampled",
    names: "pg_mcv_list_items",
  },
  {
    effect: "admin",
    reason: "writes to an index or changes how it is kept",
    names: `brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list`,
  },
  {
    effect: "admin",
    reason: "tells of the server's insides",
    names: `pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_get_loaded_modules
      pg_get_aios pg_get_backend_memory_contexts pg_get_process_memory_contexts pg_get_shmem_allocations
      pg_get_shmem_allocations_numa pg_get_wal_resource_managers pg_prepared_xact`,
  },
  {
    effect: "admin",
    reason: "is meant for initdb, pg_upgrade or event triggers",
    names: `binary_upgrade_* pg_nextoid pg_stop_making_pinned_objects pg_event_trigger_*`,
  },
  {
    effect: "ddl",
    reason: "writes to the system catalogs",
    names: "pg_import_system_collations pg_extension_config_dump",
  },
];

const exact = new Map<string, Danger>();
const prefixes: (readonly [prefix: string, danger: Danger])[] = [];
for (const { effect, reason, names, volatileOnly } of lines) {
  const danger: Danger = { effect, reason, volatileOnly: volatileOnly === true };
  for (const name of names.split(/\s+/)) {
    if (name.endsWith("*")) prefixes.push([name.slice(0, -1), danger]);
    else exact.set(name, danger);
  }
}

/** What a function of pg_catalog brings about, by its name; null: nothing that is known of. */
export function dangerOf(name: string): Danger | null {
  return exact.get(name) ?? prefixes.find(([prefix]) => name.startsWith(prefix))?.[1] ?? null;
}
