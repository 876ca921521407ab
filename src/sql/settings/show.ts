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
