import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTouched } from "../../src/analysis/touched.ts";
import { type CatalogSnapshot, loadCatalog } from "../../src/catalog/index.ts";
import type { Touched } from "../../src/facts/effects.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Bare, bare } from "./ask-support.ts";

let cluster: Database;
let database: string;
let session: Bare;
let snapshot: CatalogSnapshot;

beforeAll(async () => {
  cluster = await sharedCluster();
  database = await cluster.createDatabase();
  await cluster.query(database, "create table items (id serial primary key, word text default md5('x'))");
  session = await bare({ connectionString: cluster.url(database) });
  snapshot = await loadCatalog((sql) => session.run(sql), 1);
});
afterAll(async () => {
  await session.end();
  await cluster.dropDatabase(database);
});

async function touched(text: string): Promise<Touched> {
  const answer = await session.ask({ text });
  if (!answer.ok) throw new Error(`${answer.sqlstate} ${answer.message}`);
  return readTouched(answer.trees, snapshot, { kind: "statement" });
}

describe("looking at a database's structure is reading and nothing else", () => {
  it.each([
    "select version(), current_schema(), current_database(), current_user, pg_backend_pid(), pg_is_in_recovery()",
    "select * from pg_catalog.pg_roles where rolname = current_user",
    "select usename, usesuper from pg_catalog.pg_user",
    "select c.oid, n.nspname, c.relname, pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class'), pg_size_pretty(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace where pg_table_is_visible(c.oid) and c.relkind in ('r', 'p') and n.nspname !~ '^pg_toast' order by 1",
    "select a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid, true), a.attnotnull, col_description(a.attrelid, a.attnum) from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attrelid = 'items'::regclass and a.attnum > 0",
    "select conname, pg_get_constraintdef(oid, true), (information_schema._pg_expandarray(conkey)).n from pg_constraint",
    "select indexrelid::regclass, pg_get_indexdef(indexrelid, 0, true), indisunique from pg_index",
    "select proname, pg_get_function_identity_arguments(oid), pg_get_function_result(oid), array_to_string(proacl, E'\\n') from pg_proc",
    "select t.oid, t.typname, format_type(t.oid, null), t.typelem, array(select enumlabel from pg_enum e where e.enumtypid = t.oid order by enumsortorder) from pg_type t",
    "select * from information_schema.tables",
    "select * from information_schema.columns where table_name = 'items'",
    "select * from information_schema.table_constraints natural join information_schema.key_column_usage",
    "select * from information_schema.referential_constraints",
    "select * from information_schema.schemata",
    "select * from information_schema.views",
    "select * from information_schema.routines",
    "select * from information_schema.sequences",
    "select * from pg_catalog.pg_tables",
    "select * from pg_catalog.pg_indexes",
    "select * from pg_catalog.pg_views",
    "select * from pg_catalog.pg_matviews",
    "select * from pg_catalog.pg_sequences",
    "select * from pg_catalog.pg_policies",
    "select name, setting, unit from pg_catalog.pg_settings where name = 'search_path'",
    "select extname, extversion from pg_extension",
    "select * from pg_available_extensions",
    "select datname, pg_encoding_to_char(encoding), datcollate, has_database_privilege(datname, 'CONNECT') from pg_database where not datistemplate",
    "select rolname, array(select b.rolname from pg_auth_members m join pg_roles b on m.roleid = b.oid where m.member = r.oid) from pg_roles r",
    "select spcname, pg_tablespace_location(oid) from pg_tablespace",
    "select relname, n_live_tup, seq_scan, last_autovacuum from pg_stat_user_tables",
    "select datname, xact_commit, blks_hit from pg_stat_database",
    "select schemaname, tablename, attname, null_frac from pg_stats",
    "select locktype, relation::regclass, mode from pg_locks",
    "select has_table_privilege('items', 'SELECT'), has_schema_privilege('public', 'USAGE'), has_column_privilege('items', 'word', 'SELECT')",
    "select gen_random_uuid(), random(), now(), clock_timestamp(), current_setting('search_path'), to_regclass('items')",
    "select json_agg(row_to_json(i)) from items i",
    "select * from generate_series(1, 3) g, unnest(array['a']) u, lateral jsonb_each(jsonb_build_object('a', 1)) j",
    "select i.*, count(*) over (), string_agg(word, ',') over (order by id) from items i",
    "select * from items tablesample bernoulli (10)",
  ])("%s", async (text) => {
    const result = await touched(text);
    expect(result.problems).toEqual([]);
    expect(result.unsafe).toEqual([]);
    expect(result.effects).toEqual(["read"]);
  });
});

describe("what reaches further says so", () => {
  it.each<[string, string]>([
    ["select * from pg_authid", "admin"],
    ["select passwd from pg_shadow", "admin"],
    ["select umoptions from pg_user_mappings", "admin"],
    ["select subconninfo from pg_subscription", "admin"],
    ["select most_common_vals from pg_stats", "admin"],
    ["select * from pg_stats_ext", "admin"],
    ["select s from pg_statistic s", "admin"],
    ["select query from pg_stat_activity", "admin"],
    ["select * from pg_hba_file_rules", "file"],
    ["select data from pg_largeobject", "file"],
    ["select loid from pg_largeobject", "file"],
    ["select lo_get(1)", "file"],
    ["select pg_sleep(1)", "admin"],
    ["select nextval('items_id_seq')", "write"],
    ["select proname from pg_proc where pg_try_advisory_lock(7)", "lock"],
    ["select set_config('role', 'x', true)", "session"],
    ["select query_to_xml('select 1', true, false, '')", "execute"],
    ["select inet_server_addr()", "network"],
  ])("%s: %s", async (text, effect) => {
    expect((await touched(text)).effects).toContain(effect);
  });

  it("an INSERT that draws from its own sequence is a write like others", async () => {
    const result = await touched("insert into items (word) values ($1) returning id");
    expect(result.effects).toEqual(["read", "write"]);
    expect(result.unsafe.filter((f) => f.effect !== "write")).toEqual([]);
  });
});
