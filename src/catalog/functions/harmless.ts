/**
 * Functions of pg_catalog that were looked at and found harmless though their volatility, or a name that begins with pg_,
 * says that they read more than their arguments. What is on neither list is refused: so is what a new PostgreSQL brings.
 */

/** VOLATILE ones. */
const volatile = names(`
  random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday array_sample array_shuffle current_query
  pg_blocking_pids pg_safe_snapshot_blocking_pids pg_lock_status pg_notification_queue_usage pg_get_wait_events
  pg_collation_actual_version pg_database_collation_actual_version pg_jit_available
  pg_database_size pg_tablespace_size pg_indexes_size pg_relation_size pg_table_size pg_total_relation_size
  pg_is_in_recovery pg_is_in_backup pg_is_wal_replay_paused pg_get_wal_replay_pause_state
  pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_last_wal_receive_lsn
  pg_last_wal_replay_lsn pg_last_xact_replay_timestamp
  pg_last_committed_xact pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status txid_status
  pg_get_multixact_members pg_partition_ancestors pg_partition_tree pg_sequence_last_value pg_get_sequence_data
  pg_stat_have_stats timezone pg_stat_get_io pg_stat_get_recovery_prefetch
  pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
  pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
  pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
  pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned
  pg_stat_get_xact_tuples_updated`);

/** VOLATILE ones that the server itself calls (indexes, storage, triggers, sampling, dictionaries); called by hand they fail. */
const called = names(`
  amvalidate brinhandler bthandler ginhandler gisthandler hashhandler spghandler heap_tableam_handler bernoulli system
  dsnowball_init dsnowball_lexize RI_FKey_cascade_del RI_FKey_cascade_upd RI_FKey_check_ins RI_FKey_check_upd
  RI_FKey_noaction_del RI_FKey_noaction_upd RI_FKey_restrict_del RI_FKey_restrict_upd RI_FKey_setdefault_del
  RI_FKey_setdefault_upd RI_FKey_setnull_del RI_FKey_setnull_upd suppress_redundant_updates_trigger
  tsvector_update_trigger tsvector_update_trigger_column unique_key_recheck`);

/** STABLE and IMMUTABLE ones whose names begin with pg_. */
const settled = names(`
  pg_available_extension_versions pg_available_extensions pg_backend_pid pg_backup_start_time pg_basetype
  pg_char_to_encoding pg_client_encoding pg_collation_for pg_collation_is_visible pg_column_compression
  pg_column_is_updatable pg_column_size pg_column_toast_chunk_id pg_conf_load_time pg_conversion_is_visible
  pg_current_snapshot pg_current_xact_id_if_assigned pg_cursor pg_describe_object pg_encoding_max_length
  pg_encoding_to_char pg_extension_update_paths pg_filenode_relation pg_function_is_visible pg_get_acl
  pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr pg_get_function_arg_default pg_get_function_arguments
  pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef
  pg_get_keywords pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables
  pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
  pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef
  pg_has_role pg_identify_object pg_identify_object_as_address pg_index_column_has_property pg_index_has_property
  pg_indexam_has_property pg_indexam_progress_phasename pg_is_other_temp_schema pg_listening_channels pg_lsn
  pg_my_temp_schema pg_numa_available pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible
  pg_options_to_table pg_partition_root pg_postmaster_start_time pg_prepared_statement pg_relation_filenode
  pg_relation_filepath pg_relation_is_publishable pg_relation_is_updatable pg_sequence_parameters
  pg_settings_get_flags pg_show_all_settings pg_size_bytes pg_size_pretty pg_split_walfile_name
  pg_statistics_obj_is_visible pg_table_is_visible pg_tablespace_databases pg_tablespace_location pg_timezone_abbrevs
  pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone pg_timezone_names pg_trigger_depth pg_ts_config_is_visible
  pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible pg_typeof
  pg_visible_in_snapshot pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset
  pg_stat_get_progress_info pg_stat_get_slru pg_stat_get_snapshot_timestamp pg_stat_get_wal pg_stat_get_archiver`);

/** Families of STABLE and IMMUTABLE ones: input and output of types, and counters of the cumulative statistics. */
const families: readonly RegExp[] = [
  /^pg_(ddl_command|dependencies|lsn|mcv_list|ndistinct|node_tree|snapshot)_(in|out|recv|send)$/,
  /^pg_lsn_(cmp|eq|ge|gt|hash|hash_extended|larger|le|lt|mi|mii|ne|pli|smaller)$/,
  /^pg_snapshot_(xip|xmax|xmin)$/,
  /^pg_stat_get_(bgwriter|checkpointer|checkpoint|buf|db|function)_[a-z_]+$/,
  /^pg_stat_get_(blocks|tuples)_(fetched|hit|deleted|hot_updated|inserted|newpage_updated|returned|updated)$/,
  /^pg_stat_get_(total|last)?_?(auto)?(analyze|vacuum)_(count|time)$/,
  /^pg_stat_get_(dead_tuples|live_tuples|lastscan|numscans|ins_since_vacuum|mod_since_analyze)$/,
];

function names(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

/** A function of pg_catalog that nothing speaks against, by its name and volatility. */
export function isHarmless(name: string, volatility: "i" | "s" | "v"): boolean {
  if (volatility === "v") return volatile.has(name) || called.has(name);
  if (!name.startsWith("pg_")) return true;
  return settled.has(name) || families.some((family) => family.test(name));
}
