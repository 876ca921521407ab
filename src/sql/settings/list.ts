/**
 * The curated list of settings that a session may change (context "user" of PostgreSQL 14 to 18, manual chapter 20), each with
 * what changing it means here. A name that is not on the list is refused.
 */
import { booleanValue, bytes, identifiers, milliseconds, numberValue } from "./values.ts";

/**
 * - `harmless`: changes nothing that analysis, masks or limits rest on, and nobody else notices
 * - `tracked`: the gateway must know the value, as what statements mean or what is recorded depends on it
 * - `session`: changes what the session may use up, write or show; a policy decides (effect "session")
 * - `refused`: would change how statements are read or what Postern sees; no policy can allow it
 */
export type SettingKind = "harmless" | "tracked" | "session" | "refused";

export interface Judgement {
  readonly kind: SettingKind;
  /** Changing it counts as effect "session". */
  readonly session: boolean;
  readonly reason: string;
}

export interface Rule {
  /** Judges a value; null: a bound parameter, whose value is not known when the statement is decided. */
  readonly judge: (value: string | null) => Judgement;
  /** What RESET and SET … TO DEFAULT mean: back to what the session began with. */
  readonly reset: Judgement;
}

export const harmless = (reason: string): Judgement => ({ kind: "harmless", session: false, reason });
export const session = (reason: string): Judgement => ({ kind: "session", session: true, reason });
export const refused = (reason: string): Judgement => ({ kind: "refused", session: true, reason });
const tracked = (reason: string, effect = false): Judgement => ({ kind: "tracked", session: effect, reason });

/** Any value. */
const always = (judgement: Judgement): Rule => ({ judge: () => judgement, reset: judgement });

/** Harmless where `accept` takes the value, else what `otherwise` says. RESET is harmless. */
function within(
  accept: (value: string) => boolean,
  reason: string,
  otherwise: Judgement,
  reset: Judgement = harmless(reason),
): Rule {
  return {
    judge: (value) => (value !== null && accept(value) ? harmless(reason) : otherwise),
    reset,
  };
}

const oneOf =
  (...words: string[]) =>
  (value: string): boolean =>
    words.includes(value.trim().toLowerCase());
const is =
  (wanted: boolean) =>
  (value: string): boolean =>
    booleanValue(value) === wanted;
const upTo =
  (limit: number) =>
  (value: string): boolean => {
    const number = numberValue(value);
    return number !== null && number >= 0 && number <= limit;
  };
const sizeUpTo =
  (limit: number, unit: number) =>
  (value: string): boolean => {
    const size = bytes(value, unit);
    return size !== null && size >= 0 && size <= limit;
  };
/** A limit in force: zero turns it off. */
const timeUpTo =
  (limit: number) =>
  (value: string): boolean => {
    const time = milliseconds(value);
    // Parts of a millisecond are rounded, to zero at worst.
    return time !== null && time >= 1 && time <= limit;
  };

const minute = 60_000;
const MiB = 1024 ** 2;

const planner = harmless("Only the planner's choice among plans of equal result.");
const format = "Only how values are written, in a form that masks and drivers know.";
const otherFormat = session("Another form of values than masks and drivers expect.");
const memory = (limit: number, unit: number): Rule =>
  within(sizeUpTo(limit, unit), "A modest amount of memory.", session("Memory that others then lack."));
const workers = (limit: number): Rule =>
  within(
    upTo(limit),
    "No more parallel workers than the default.",
    session("Workers that others then lack."),
  );
const maintenance = session("Only of use to maintenance commands, which are decided themselves.");
const connection = session("Decides when the server gives up a connection, which is the gateway's own.");
const timeout = (limit: number): Rule =>
  within(
    timeUpTo(limit),
    "A bound on the session's own waits or work.",
    session("Takes away, or raises, a bound on how long the session may wait, work or hold locks."),
    session("Brings back a bound that this session may have lowered, or none."),
  );
const isolation = (serializable: Judgement): Rule =>
  within(
    oneOf("read uncommitted", "read committed", "repeatable read"),
    "BEGIN says the same.",
    serializable,
  );

/** pg_catalog in any place but the first lets other schemas' functions stand in for built-in ones. */
function searchPath(value: string | null): Judgement {
  if (value === null) return refused("A search_path that is not known when the statement is decided.");
  const names = identifiers(value);
  if (names === null) return refused("No well-formed list of schemas.");
  if (names.lastIndexOf("pg_catalog") > 0)
    return refused("pg_catalog behind other schemas lets their functions stand in for built-in ones.");
  // "pg_temp" itself is no news: unless it is named, it is searched first. A numbered one is another session's.
  if (names.some((name) => /^pg_(?:temp_|toast)/.test(name)))
    return refused("Temporary objects of another session, or tables that only hold other tables' values.");
  return tracked("Decides which relations and functions names stand for.");
}

const rules: { readonly [name: string]: Rule } = {
  // How values are written.
  datestyle: within(isoDates, format, otherFormat),
  intervalstyle: within(oneOf("postgres", "iso_8601"), format, otherFormat),
  timezone: always(harmless("Every client sets it. Only how times are read and written.")),
  timezone_abbreviations: always(session("Changes what times in statements mean.")),
  bytea_output: within(oneOf("hex"), format, otherFormat),
  extra_float_digits: within(
    (value) => {
      const number = numberValue(value);
      return number !== null && number >= -15 && number <= 3;
    },
    "Drivers set it. Only how many digits of floats are written.",
    otherFormat,
  ),
  xmlbinary: within(oneOf("base64"), format, otherFormat),
  xmloption: within(oneOf("content"), "The default.", session("Changes what casts to xml accept.")),
  lc_monetary: always(session("Changes how money is read and written.")),
  lc_numeric: always(session("Changes what to_char and to_number read and write.")),
  lc_time: always(harmless("Only the names of days and months that to_char writes.")),
  quote_all_identifiers: always(harmless("Only how definitions are written. pg_dump.")),
  default_text_search_config: always(session("Changes what text search functions return.")),
  array_nulls: within(is(true), "The default.", session("Changes what array literals mean.")),
  client_encoding: {
    judge: (value) =>
      value !== null && /^(?:utf8|unicode)$/i.test(value.replaceAll(/[^a-z0-9]/gi, ""))
        ? harmless("Statements are read as UTF-8.")
        : refused("In another encoding than UTF8 a statement's bytes may mean something else."),
    reset: tracked("Back to what the session began with, which the gateway knows."),
  },
  client_min_messages: within(
    oneOf("notice", "warning", "error"),
    "Only which notices are sent.",
    refused("Debug and log messages tell of the server, and of the analysis."),
    harmless("Only which notices are sent."),
  ),

  // What statements mean.
  standard_conforming_strings: within(
    is(true),
    "What statements are read with.",
    refused("Strings with a backslash would end elsewhere than where they are read to end."),
    refused("Brings back a default that may be off."),
  ),
  backslash_quote: within(
    oneOf("safe_encoding"),
    "The default.",
    refused("Decides where strings end."),
    refused("Decides where strings end."),
  ),
  escape_string_warning: always(harmless("Only a warning.")),
  transform_null_equals: within(
    is(false),
    "The default.",
    refused("Changes what `= NULL` means."),
    refused("Changes what `= NULL` means."),
  ),
  search_path: {
    judge: searchPath,
    reset: tracked("Decides which relations and functions names stand for."),
  },
  role: always(tracked("Another role's rights, and other row filters.", true)),
  session_authorization: {
    judge: () => refused("The login is the gateway's choice."),
    // Nothing can have changed it. It implies SET ROLE NONE, which is tracked alike.
    reset: tracked("The login itself, in no other role. Pools reset connections with it (Npgsql).", true),
  },
  row_security: within(
    is(true),
    "The default.",
    session("Statements under row filters then fail. pg_dump."),
    session("Statements under row filters may then fail."),
  ),
  session_replication_role: always(refused("Skips triggers, foreign keys and rules.")),
  restrict_nonsystem_relation_kind: always(harmless("Only forbids more. pg_dump.")),
  check_function_bodies: always(
    harmless("Only an early check of definitions, which are decided themselves. pg_dump."),
  ),
  createrole_self_grant: always(session("Which grants CREATE ROLE adds.")),
  default_table_access_method: always(session("How new tables are stored. pg_dump.")),
  default_tablespace: always(session("Where new tables are stored. pg_dump.")),
  default_toast_compression: always(session("How new values are stored. pg_dump.")),
  temp_tablespaces: always(session("Where temporary files go.")),
  file_copy_method: always(session("How CREATE DATABASE copies files.")),
  password_encryption: always(session("How new passwords are stored.")),
  scram_iterations: always(session("How new passwords are stored.")),
  md5_password_warnings: always(harmless("Only a warning.")),
  icu_validation_level: always(harmless("Only a warning.")),

  // Transactions.
  transaction_isolation: always(harmless("Of one transaction. BEGIN says the same.")),
  transaction_deferrable: always(harmless("Only makes this transaction wait.")),
  transaction_read_only: within(
    is(true),
    "Only forbids more.",
    session("Undoes a read-only transaction."),
    session("May undo a read-only transaction."),
  ),
  default_transaction_isolation: isolation(
    session("Serializable transactions make others fail, for as long as the session lasts."),
  ),
  default_transaction_deferrable: always(harmless("Only makes the session's own transactions wait.")),
  default_transaction_read_only: within(
    is(true),
    "Only forbids more.",
    session("Undoes a read-only session."),
    session("May undo a read-only session."),
  ),
  synchronous_commit: within(
    oneOf("on", "remote_apply"),
    "The default, or stricter.",
    session("Commits may be lost."),
  ),
  "transaction snapshot": always(session("Another session's view of the data. pg_dump -j.")),

  // Time.
  statement_timeout: timeout(60 * minute),
  lock_timeout: timeout(60 * minute),
  idle_in_transaction_session_timeout: timeout(60 * minute),
  idle_session_timeout: timeout(24 * 60 * minute),
  transaction_timeout: timeout(60 * minute),
  client_connection_check_interval: always(harmless("Only how soon a lost client is noticed.")),

  // Memory, workers, files.
  work_mem: memory(64 * MiB, 1024),
  maintenance_work_mem: memory(64 * MiB, 1024),
  temp_buffers: memory(8 * MiB, 8192),
  hash_mem_multiplier: within(upTo(2), "No more than the default.", session("Memory that others then lack.")),
  logical_decoding_work_mem: memory(64 * MiB, 1024),
  gin_pending_list_limit: always(maintenance),
  max_parallel_workers: workers(8),
  max_parallel_workers_per_gather: workers(2),
  max_parallel_maintenance_workers: workers(2),
  effective_io_concurrency: within(
    upTo(16),
    "No more than the default.",
    session("Reads that others then lack."),
  ),
  maintenance_io_concurrency: always(maintenance),
  io_combine_limit: always(planner),
  backend_flush_after: always(session("How the server writes files.")),
  commit_siblings: always(session("How commits wait for others.")),
  wal_sender_timeout: always(connection),
  wal_skip_threshold: always(session("How the server writes files.")),
  vacuum_buffer_usage_limit: always(maintenance),
  vacuum_cost_delay: always(maintenance),
  vacuum_cost_limit: always(maintenance),
  vacuum_cost_page_dirty: always(maintenance),
  vacuum_cost_page_hit: always(maintenance),
  vacuum_cost_page_miss: always(maintenance),
  vacuum_failsafe_age: always(maintenance),
  vacuum_freeze_min_age: always(maintenance),
  vacuum_freeze_table_age: always(maintenance),
  vacuum_max_eager_freeze_failure_rate: always(maintenance),
  vacuum_multixact_failsafe_age: always(maintenance),
  vacuum_multixact_freeze_min_age: always(maintenance),
  vacuum_multixact_freeze_table_age: always(maintenance),
  vacuum_truncate: always(maintenance),

  // The connection.
  application_name: {
    judge: () => tracked("Claimed by the client; the gateway tells the server its own."),
    reset: tracked("Claimed by the client; the gateway tells the server its own."),
  },
  tcp_keepalives_count: always(connection),
  tcp_keepalives_idle: always(connection),
  tcp_keepalives_interval: always(connection),
  tcp_user_timeout: always(connection),
  exit_on_error: within(is(false), "The default.", session("Every error then ends the session.")),

  // The planner.
  ...Object.fromEntries(
    `constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction
    effective_cache_size enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge
    enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan
    enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash
    enable_partition_pruning enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate
    enable_self_join_elimination enable_seqscan enable_sort enable_tidscan from_collapse_limit geqo geqo_effort
    geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold jit jit_above_cost jit_expressions
    jit_inline_above_cost jit_optimize_above_cost jit_tuple_deforming join_collapse_limit min_parallel_index_scan_size
    min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode
    random_page_cost recursive_worktable_factor seq_page_cost`
      .split(/\s+/)
      .map((name) => [name, always(planner)]),
  ),
  gin_fuzzy_search_limit: within(
    upTo(0),
    "The default.",
    session("Results then hold fewer rows, by chance."),
  ),
  synchronize_seqscans: always(harmless("Only the order in which rows come that nobody ordered. pg_dump.")),
  stats_fetch_consistency: always(harmless("Only how statistics are read.")),
  default_statistics_target: always(maintenance),

  // Extensions: only those that decide how well, or how fast, an index is searched.
  ...Object.fromEntries(
    [
      "hnsw.ef_search",
      "hnsw.iterative_scan",
      "hnsw.max_scan_tuples",
      "ivfflat.iterative_scan",
      "ivfflat.max_probes",
      "ivfflat.probes",
      "pg_trgm.similarity_threshold",
      "pg_trgm.strict_word_similarity_threshold",
      "pg_trgm.word_similarity_threshold",
    ].map((name) => [name, always(harmless("Only how closely an index is searched (pgvector, pg_trgm)."))]),
  ),

  // What the server tells.
  log_parameter_max_length_on_error: always(refused("What the server logs is its owner's choice.")),
  local_preload_libraries: always(refused("Loads code into the server.")),
  trace_notify: always(refused("Prints the server's inner workings.")),
  trace_sort: always(refused("Prints the server's inner workings.")),
  force_parallel_mode: always(session("Only for tests of the server.")),
  ...Object.fromEntries(
    [
      "debug_logical_replication_streaming",
      "debug_parallel_query",
      "debug_pretty_print",
      "debug_print_parse",
      "debug_print_plan",
      "debug_print_rewritten",
    ].map((name) => [
      name,
      always(refused("Prints the server's inner workings, or changes what the analysis rests on.")),
    ]),
  ),
};

/** DateStyle is a list of a style and an order of fields; without a style the one in force stays. */
function isoDates(value: string): boolean {
  return (
    identifiers(value)?.every((word) => /^(?:iso|ymd|dmy|mdy|euro.*|us|non-?european|default)$/.test(word)) ??
    false
  );
}

export const settingRules: ReadonlyMap<string, Rule> = new Map(Object.entries(rules));
