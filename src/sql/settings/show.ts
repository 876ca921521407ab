/** Which settings may be read with SHOW and current_setting(), as these are not in any table of the server tree. */
import { settingRules } from "./list.ts";

/** Read-only facts that clients ask for and that name no file, host or key. */
const readable = new Set(
  `block_size data_checksums default_transaction_isolation in_hot_standby integer_datetimes is_superuser lc_collate lc_ctype
  lc_messages max_connections max_function_args max_identifier_length max_index_keys max_prepared_transactions
  max_worker_processes segment_size server_encoding server_version server_version_num session_authorization shared_buffers
  ssl superuser_reserved_connections wal_block_size wal_level wal_segment_size autovacuum track_activities track_counts
  hot_standby jit_provider compute_query_id deadlock_timeout max_stack_depth session_replication_role transaction_isolation
  postern.subject postern.groups postern.kind`.split(/\s+/),
);

/** true: telling its value to anyone does no harm. Settings that sessions may change are harmless to read; others are listed. */
export function mayShow(name: string): boolean {
  return readable.has(name) || settingRules.has(name);
}

/**
 * Settings that name files, hosts, commands or libraries of the server (manual, chapter "Server Configuration"; most are shown to
 * superusers and pg_read_all_settings only).
 */
const hidden = new Set(
  `archive_cleanup_command archive_command archive_library bonjour_name cluster_name config_file data_directory
  dynamic_library_path event_source extension_control_path external_pid_file hba_file ident_file krb_server_keyfile
  listen_addresses local_preload_libraries log_destination log_directory log_filename oauth_validator_libraries port
  primary_conninfo primary_slot_name promote_trigger_file recovery_end_command restore_command session_preload_libraries
  shared_preload_libraries ssl_ca_file ssl_cert_file ssl_crl_dir ssl_crl_file ssl_dh_params_file ssl_key_file
  ssl_library ssl_passphrase_command stats_temp_directory synchronous_standby_names synchronized_standby_slots
  syslog_ident unix_socket_directories unix_socket_group`.split(/\s+/),
);

/** A text that is the name of such a setting, for whoever asks pg_settings for it by name. */
export function isHiddenName(text: string): boolean {
  return text.length <= 63 && hidden.has(text.toLowerCase());
}
