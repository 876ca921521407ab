import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dangerOf } from "../../src/catalog/functions/effects.ts";
import { isHarmless } from "../../src/catalog/functions/harmless.ts";
import { userFunctionVerdict } from "../../src/catalog/functions/user.ts";
import { type CatalogSnapshot, type FunctionFacts, loadCatalog } from "../../src/catalog/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Connection, connect, parse } from "./support.ts";

let cluster: Database;
let database: string;
let connection: Connection;
let snapshot: CatalogSnapshot;

const ddl = `
set check_function_bodies = off;
create extension hstore; create extension citext; create extension pgcrypto; create extension tablefunc;
create extension dblink; create extension pg_trgm; create extension pageinspect; create extension xml2;
create table people (id int, email text);
create function lower_all(t text) returns text language sql immutable as $$ select lower(t) || '!' $$;
create function bare(t text) returns text language sql immutable return upper(t) || 'x';
create function atomic(t text) returns text language sql stable begin atomic select upper(t); end;
create function pl(i int) returns text language plpgsql immutable as $$
  -- a comment; with a semicolon
  begin if i > 3 then return 'big' || i; elsif i = 3 then return case when true then 'x' else 'y' end; else return null; end if; end $$;
create function again(i int) returns int language sql stable as $$ select case when i > 0 then again(i - 1) else 0 end $$;
create function over_one(a int) returns int language sql stable as $$ select over_one(a, 1) $$;
create function over_one(a int, b int) returns int language sql stable as $$ select a + b $$;
create function row_in(p people) returns text language sql stable as $$ select p.email || p.id $$;
create aggregate cat(text) (sfunc = textcat, stype = text);

create function reads(i int) returns text language sql stable as $$ select email from people where id = i $$;
create function reads_by_expression(i int) returns text language sql stable as $$ select (select email from people limit 1) $$;
create function writes() returns int language sql stable as $$ insert into people values (1, 'a') returning id $$;
create function volatile_one() returns int language sql as $$ select 1 $$;
create function definer() returns int language sql stable security definer as $$ select 1 $$;
create function setter() returns int language sql stable set session_replication_role = 'replica' as $$ select 1 $$;
create function files() returns text language sql stable as $$ select pg_read_file('PG_VERSION') $$;
create function hidden(p people) returns text language sql stable as $$ select p.attribute $$;
create function attribute(p people) returns text language sql volatile as $$ select 'x' $$;
create function deep() returns text language sql stable as $$ select lower(files()) $$;
create function dynamic(q text) returns text language plpgsql stable as $$ declare r text; begin execute q into r; return r; end $$;
create function pl_query() returns setof text language plpgsql stable as $$ begin return query select email from people; end $$;
create function pl_reads() returns text language plpgsql stable as $$ begin return (select email from people limit 1); end $$;
create function pl_perform() returns text language plpgsql stable as $$ begin perform pg_sleep(1); return 'x'; end $$;
create function pl_from() returns text language plpgsql stable as $$ begin return email from people; end $$;
create function two() returns int language sql stable as $$ select 1; select pg_sleep(1); select 2 $$;
create function locks() returns int language sql stable as $$ select 1 for update $$;
create function cte() returns int language sql stable as $$ with x as (select 1 as a) select a from x $$;
create function files_op(a text, b text) returns boolean language sql volatile as 'select true';
create operator === (leftarg = text, rightarg = text, function = files_op);
create function by_operator(a text) returns boolean language sql stable as $$ select a === 'x' $$;
create procedure proc() language sql as $$ select 1 $$;
create function inner_check(t text) returns boolean language sql volatile as $$ select true $$;
create domain checked as text check (inner_check(value));
create function to_domain(a text) returns checked language sql stable as $$ select a $$;
create function cast_domain(a text) returns text language sql stable as $$ select a::checked::text $$;
create function bad_step(a text, b text) returns text language sql volatile as 'select a';
create aggregate bad_cat(text) (sfunc = bad_step, stype = text);
`;

beforeAll(async () => {
  cluster = await sharedCluster();
  database = await cluster.createDatabase();
  await cluster.query(database, ddl);
  connection = await connect({ connectionString: cluster.url(database) });
  snapshot = await loadCatalog(connection.query, 1, { parse });
});

afterAll(async () => {
  await connection.end();
  await cluster.dropDatabase(database);
});

const all = (name: string): readonly FunctionFacts[] => {
  const found = snapshot.functionsNamed(name);
  if (found.length === 0) throw new Error(`no function ${name}`);
  return found;
};
/** Earlier majors (scripts/matrix.ts) do not have them all. */
const there = (name: string): boolean =>
  snapshot.serverVersion >= 180_000 || snapshot.functionsNamed(name).length > 0;
const effects = (name: string) => [
  ...new Set(all(name).map((f) => (f.verdict.safe ? "safe" : f.verdict.effect))),
];

describe("functions of the server", () => {
  it("are all looked at: no VOLATILE one and none that begins with pg_ is left to the default", () => {
    const left = [...snapshot.functions()].filter(
      (f) =>
        f.system &&
        f.schema === "pg_catalog" &&
        (f.volatility === "v" || f.name.startsWith("pg_")) &&
        dangerOf(f.name) === null &&
        !isHarmless(f.name, f.volatility),
    );
    expect([...new Set(left.map((f) => f.name))]).toEqual([]);
  });

  it("are on one list only", () => {
    const both = [...snapshot.functions()].filter((f) => {
      const danger = f.system && f.volatility === "v" ? dangerOf(f.name) : null;
      return danger !== null && isHarmless(f.name, "v");
    });
    expect(both.map((f) => f.name)).toEqual([]);
  });

  it("are refused when a new server brings one that nobody has looked at", () => {
    expect(isHarmless("pg_brand_new", "v")).toBe(false);
    expect(isHarmless("pg_brand_new", "s")).toBe(false);
    expect(isHarmless("brand_new", "v")).toBe(false);
    expect(isHarmless("pg_stat_get_everything", "s")).toBe(false);
  });

  it.each([
    [
      "file",
      "pg_read_file pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_waldir pg_ls_logdir pg_hba_file_rules lo_export lo_import lo_get lo_put lo_creat lo_from_bytea lo_unlink loread lowrite lo_open pg_current_logfile",
    ],
    [
      "execute",
      "query_to_xml query_to_xmlschema query_to_xml_and_xmlschema table_to_xml schema_to_xml database_to_xml cursor_to_xml cursor_to_xmlschema ts_stat currtid2 pg_input_is_valid",
    ],
    ["session", "set_config setseed currval lastval pg_export_snapshot"],
    ["write", "nextval setval txid_current pg_current_xact_id"],
    [
      "lock",
      "pg_advisory_lock pg_advisory_xact_lock pg_try_advisory_lock pg_advisory_unlock pg_advisory_unlock_all",
    ],
    ["network", "pg_notify inet_server_addr inet_client_addr"],
    [
      "admin",
      "pg_sleep pg_sleep_for pg_sleep_until pg_terminate_backend pg_cancel_backend pg_reload_conf pg_rotate_logfile pg_switch_wal pg_create_restore_point pg_backup_start pg_promote pg_logical_emit_message pg_logical_slot_get_changes pg_create_physical_replication_slot pg_replication_origin_create pg_stat_reset pg_stat_reset_shared pg_stat_get_activity pg_stat_get_backend_activity pg_stat_get_wal_receiver pg_mcv_list_items gin_clean_pending_list brin_summarize_new_values binary_upgrade_set_next_pg_type_oid pg_log_backend_memory_contexts pg_restore_relation_stats",
    ],
    ["ddl", "pg_import_system_collations pg_extension_config_dump"],
  ])("with the effect %s are refused", (effect, names) => {
    for (const name of names.split(" ").filter(there))
      expect([name, effects(name)]).toEqual([name, [effect]]);
  });

  it("that drivers and browsers call pass", () => {
    const names = `format_type pg_table_is_visible pg_get_expr pg_get_userbyid array_to_string has_table_privilege
      has_schema_privilege has_column_privilege has_database_privilege version current_schema current_schemas
      current_database pg_backend_pid pg_is_in_recovery pg_encoding_to_char pg_size_pretty pg_relation_size
      pg_total_relation_size pg_database_size now random gen_random_uuid uuidv7 clock_timestamp obj_description
      col_description shobj_description pg_get_constraintdef pg_get_indexdef pg_get_viewdef pg_get_functiondef
      pg_get_function_identity_arguments pg_get_function_arguments pg_get_function_result pg_get_triggerdef
      pg_get_ruledef pg_get_partkeydef pg_get_serial_sequence pg_get_keywords pg_type_is_visible
      pg_function_is_visible pg_get_statisticsobjdef_columns pg_relation_is_publishable pg_tablespace_location
      pg_options_to_table current_setting pg_show_all_settings generate_series generate_subscripts unnest
      information_schema._pg_expandarray quote_ident row_to_json json_agg jsonb_build_object to_regclass
      txid_current_if_assigned pg_postmaster_start_time pg_timezone_names pg_stat_get_numscans
      pg_stat_get_live_tuples pg_stat_get_last_autovacuum_time pg_stat_get_db_xact_commit pg_lock_status
      pg_blocking_pids pg_partition_tree pg_sequence_last_value count sum string_agg array_agg row_number lag
      percentile_cont lower md5 regexp_replace to_char date_trunc xmlagg xpath bernoulli system aclexplode`;
    const present = names
      .trim()
      .split(/\s+/)
      .map((name) => name.replace("information_schema.", ""))
      .filter(there);
    for (const name of present) expect([name, effects(name)]).toEqual([name, ["safe"]]);
  });

  it("give operators, types and aggregates their verdicts", () => {
    const unsafeOperators = ["=", "<", "~~", "||", "->", "@>", "&&", "@@"].filter(
      (name) => !snapshot.operatorsNamed(name).every((operator) => operator.verdict.safe),
    );
    expect(unsafeOperators).toEqual([]);
    expect(snapshot.operatorsNamed("===").map((o) => o.verdict.safe)).toEqual([false]);
    for (const name of ["text", "json", "regclass", "record", "hstore", "citext", "people", "_people"])
      expect([name, snapshot.typesNamed(name).map((t) => t.verdict.safe)]).toEqual([name, [true]]);
    expect(snapshot.typesNamed("checked").map((t) => t.verdict.safe)).toEqual([false]);
  });

  it("judge ts_rewrite by what it is, not by its name alone", () => {
    expect(
      all("ts_rewrite")
        .map((f) => `${f.volatility}${f.verdict.safe}`)
        .sort(),
    ).toEqual(["itrue", "vfalse"]);
  });
});

describe("functions of extensions", () => {
  it("that are known to compute pass, others do not", () => {
    const verdicts = (extension: string) => {
      const own = [...snapshot.functions()].filter((f) => f.extension === extension);
      expect(own.length).toBeGreaterThan(0);
      return own.filter((f) => !f.verdict.safe).map((f) => f.name);
    };
    expect(verdicts("hstore")).toEqual([]);
    expect(verdicts("citext")).toEqual([]);
    expect(verdicts("pg_trgm")).toEqual(["set_limit"]);
    expect([...new Set(verdicts("tablefunc"))].sort()).toEqual([
      "connectby",
      "crosstab",
      "crosstab2",
      "crosstab3",
      "crosstab4",
    ]);
    expect(verdicts("xml2")).toEqual(expect.arrayContaining(["xpath_table", "xslt_process"]));
    for (const extension of ["dblink", "pageinspect"]) {
      const own = [...snapshot.functions()].filter((f) => f.extension === extension);
      expect(own.filter((f) => f.verdict.safe)).toEqual([]);
    }
  });
});

describe("functions of the database", () => {
  it.each(["lower_all", "bare", "atomic", "pl", "again", "over_one", "row_in", "cat"])(
    "pass when all they do is compute: %s",
    (name) => {
      expect(all(name).map((f) => f.verdict)).toEqual(all(name).map(() => ({ safe: true })));
    },
  );

  it.each([
    "reads",
    "reads_by_expression",
    "writes",
    "volatile_one",
    "definer",
    "setter",
    "files",
    "hidden",
    "deep",
    "dynamic",
    "pl_query",
    "pl_reads",
    "pl_perform",
    "pl_from",
    "two",
    "locks",
    "cte",
    "by_operator",
    "proc",
    "to_domain",
    "cast_domain",
    "bad_cat",
  ])("are refused when they may do more: %s", (name) => {
    expect(effects(name)).toEqual(["execute"]);
  });

  it("are refused when no body may be read, and pass when the operator trusts them", async () => {
    const unread = await loadCatalog(connection.query, 1);
    expect(unread.functionsNamed("lower_all")[0]?.verdict.safe).toBe(false);
    const trusting = await loadCatalog(connection.query, 1, { trusted: ["public.reads"] });
    expect(trusting.functionsNamed("reads")[0]?.verdict).toEqual({ safe: true });
    expect(trusting.functionsNamed("definer")[0]?.verdict.safe).toBe(false);
  });

  it("are refused, not stumbled over, when their trees are damaged", async () => {
    const body = "select case when $1 > 3 then lower(t) else coalesce((x.y)[1]::text, 'a') end order by 1";
    const junk = fc.oneof(
      fc.constant(null),
      fc.constant({}),
      fc.constant([]),
      fc.constant("x"),
      fc.constant(7),
      fc.constant({ RangeVar: { relname: "a" } }),
      fc.constant({ Unheard: { x: 1 } }),
    );
    const func = all("lower_all")[0];
    if (func === undefined) throw new Error("no function");
    const names = {
      functionsNamed: () => [1],
      operatorsNamed: () => [1],
      typesNamed: () => [1],
      typeFunctions: () => [1],
      hiddenCasts: () => [],
    };
    fc.assert(
      fc.property(fc.nat(), junk, (place, value) => {
        const tree = structuredClone(parse(body)) as unknown[];
        const places: (() => void)[] = [];
        const walk = (node: unknown): void => {
          if (typeof node !== "object" || node === null) return;
          for (const key of Object.keys(node)) {
            // Constants and places are not looked into.
            if (["A_Const", "String", "Integer", "location"].includes(key)) continue;
            const holder = node as Record<string, unknown>;
            places.push(() => {
              holder[key] = value;
            });
            walk(holder[key]);
          }
        };
        walk(tree);
        places[place % places.length]?.();
        const { verdict } = userFunctionVerdict({ ...func, body }, names, () => tree);
        if (JSON.stringify(tree).match(/RangeVar|Unheard/)) expect(verdict.safe).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("say why, without values", () => {
    const verdict = all("deep")[0]?.verdict;
    expect(verdict).toMatchObject({ effect: "execute" });
    expect(verdict?.safe === false ? verdict.reason : "").toBe(
      "may call pg_read_file, which reads files of the database server, or lists them",
    );
  });
});

describe("columns of system catalogs", () => {
  const verdict = (name: string, column: string | null) => {
    const relation = snapshot.relationNamed("pg_catalog", name);
    const attnum = column === null ? 0 : relation?.columns.find((c) => c.name === column)?.attnum;
    if (relation === undefined || attnum === undefined) throw new Error(`no ${name}.${column}`);
    return snapshot.columnVerdict(relation.oid, attnum).safe;
  };

  it("that hold values or secrets are not read like others", () => {
    for (const [name, column] of [
      ["pg_statistic", "stavalues3"],
      ["pg_statistic_ext_data", "stxdmcv"],
      ["pg_stats", "histogram_bounds"],
      ["pg_stats", null],
      ["pg_authid", "rolpassword"],
      ["pg_authid", null],
      ["pg_user_mapping", "umoptions"],
      ["pg_subscription", "subconninfo"],
      ["pg_largeobject", "data"],
      ["pg_largeobject", "pageno"],
    ] as const)
      expect([name, column, verdict(name, column)]).toEqual([name, column, false]);
  });

  it("that tell of structure are", () => {
    for (const [name, column] of [
      ["pg_class", null],
      ["pg_authid", "rolname"],
      ["pg_stats", "null_frac"],
      ["pg_subscription", "subname"],
      ["pg_roles", null],
      ["pg_statistic_ext", null],
    ] as const)
      expect([name, column, verdict(name, column)]).toEqual([name, column, true]);
  });

  it("are all there: no list names a column that the server does not have", async () => {
    const names = [...snapshot.relations()].flatMap((r) =>
      r.system
        ? r.columns
            .filter((c) => !snapshot.columnVerdict(r.oid, c.attnum).safe)
            .map((c) => `${r.name}.${c.name}`)
        : [],
    );
    expect(names).toEqual(
      expect.arrayContaining([
        "pg_stats_ext.most_common_vals",
        "pg_stats_ext_exprs.histogram_bounds",
        "pg_shadow.passwd",
        "pg_user_mappings.umoptions",
        "user_mapping_options.option_value",
        "_pg_user_mappings.umoptions",
      ]),
    );
  });

  it("TOAST tables and unknown relations are refused whole", async () => {
    const toast = [...snapshot.relations()].find((r) => r.kind === "t");
    expect(snapshot.columnVerdict(toast?.oid ?? 0, 1).safe).toBe(false);
    expect(snapshot.columnVerdict(1, 1).safe).toBe(false);
  });
});
