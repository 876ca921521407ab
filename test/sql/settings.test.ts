import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSqlReader, judgeReset, judgeSetting, judgeShow } from "../../src/sql/index.ts";
import { settingRules } from "../../src/sql/settings/list.ts";
import { bytes, identifiers, milliseconds } from "../../src/sql/settings/values.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";

const reader = createSqlReader();
const uses = (sql: string) => {
  const { statements, reason } = reader.read(sql);
  expect(reason).toBeNull();
  return statements.flatMap(({ shape }) => shape.facts.settings);
};
const effects = (sql: string) => reader.read(sql).statements[0]?.shape.facts.effects;

describe("a setting that a row of pg_settings names", () => {
  const dump = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = ";
  it("is known from the condition, as pg_dump writes it", () => {
    for (const sql of [
      `${dump}'restrict_nonsystem_relation_kind'`,
      "SELECT pg_catalog.set_config(name, 'off', true) FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'jit'",
    ])
      expect(uses(sql)).toMatchObject([{ action: "set", row: true, judgement: { kind: "harmless" } }]);
    expect(uses(`${dump}'Restrict_Nonsystem_Relation_Kind'`)).toMatchObject([
      { name: "restrict_nonsystem_relation_kind", value: "view, foreign-table", local: false },
    ]);
  });

  it.each([
    `${dump}'role'`,
    `${dump}'search_path'`,
    `${dump}'x.y'`,
    `${dump}'postern.user'`,
    `${dump}'jit'::text`,
    `${dump}$1`,
    `${dump}'jit' OR true`,
    `${dump}'jit' OR name = 'role'`,
    `${dump}'jit' LIMIT 1`,
    `${dump}'jit' UNION SELECT 'a'`,
    `WITH pg_settings AS (SELECT 'role' AS name) ${dump}'jit'`,
    `EXPLAIN ANALYZE ${dump}'jit'`,
    `PREPARE p AS ${dump}'jit'`,
    `SELECT 1 FROM (${dump}'jit') t`,
    "SELECT set_config(name, 'off', false) FROM pg_settings",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name <> 'jit'",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name OPERATOR(app.=) 'jit'",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE 'role' = 'jit'",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE lower(name) = 'jit'",
    "SELECT set_config(name, 'off', false), 1 FROM pg_settings WHERE name = 'jit'",
    "SELECT set_config(name, 'off', false) AS a FROM pg_settings WHERE name = 'jit'",
    "SELECT set_config(name, setting, false) FROM pg_settings WHERE name = 'jit'",
    "SELECT set_config(boot_val, 'off', false) FROM pg_settings WHERE name = 'jit'",
    "SELECT set_config(name, 'off', false) FROM app.pg_settings WHERE name = 'jit'",
    "SELECT set_config(name, 'off', false) FROM pg_settings AS s(name) WHERE name = 'jit'",
    "SELECT set_config(name, 'off', false) FROM pg_settings, t WHERE name = 'jit'",
    "SELECT set_config(name, 'off', false) FROM pg_settings TABLESAMPLE system (50) WHERE name = 'jit'",
    "SELECT set_config(name, 'off', false) FILTER (WHERE true) FROM pg_settings WHERE name = 'jit'",
  ])("anything else is refused: %s", (sql) => {
    const found = uses(sql).filter(({ action }) => action === "set");
    expect(found).toMatchObject([{ name: null, judgement: { kind: "refused" } }]);
  });
});

describe("spellings of settings", () => {
  it.each<[string, object]>([
    ["SET x.y = 1", { name: "x.y", action: "set", value: "1", local: false, scope: "session" }],
    ["SET LOCAL Work_Mem TO '64MB'", { name: "work_mem", action: "set", value: "64MB", local: true }],
    ["SET SESSION x TO on", { name: "x", value: "on", local: false }],
    ["SET x TO DEFAULT", { name: "x", action: "reset", value: null }],
    ["RESET x", { name: "x", action: "reset" }],
    ["RESET ALL", { name: null, action: "reset-all" }],
    ["SHOW x", { name: "x", action: "show" }],
    ["SHOW ALL", { name: null, action: "show-all" }],
    ["SHOW TIME ZONE", { name: "timezone", action: "show" }],
    ["SHOW TRANSACTION ISOLATION LEVEL", { name: "transaction_isolation", action: "show" }],
    ["SHOW SESSION AUTHORIZATION", { name: "session_authorization", action: "show" }],
    [
      "SELECT setting FROM pg_settings WHERE name = 'Primary_ConnInfo'",
      { name: "primary_conninfo", action: "show" },
    ],
    [
      "SELECT 1 FROM orders, LATERAL pg_show_all_settings() s WHERE s.name IN ('hba_file')",
      { name: "hba_file", action: "show" },
    ],
    ["DISCARD ALL", { name: null, action: "discard", value: "all" }],
    ["DISCARD TEMPORARY", { name: null, action: "discard", value: "temp" }],
    ["SET search_path = a, \"B\", 'c d', 'e\"f', 'g, h'", { value: 'a, "B", "c d", "e""f", "g, h"' }],
    ["SET SCHEMA 'a, b'", { name: "search_path", value: '"a, b"' }],
    ["SET DateStyle = ISO, DMY", { name: "datestyle", value: "iso, dmy" }],
    ["SET TIME ZONE 'UTC'", { name: "timezone", value: "UTC" }],
    ["SET TIME ZONE -7", { name: "timezone", value: "-7" }],
    ["SET TIME ZONE LOCAL", { name: "timezone", action: "reset" }],
    ["SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", { name: "timezone", value: "-08:00" }],
    ["SET NAMES 'SJIS'", { name: "client_encoding", value: "SJIS" }],
    ["SET NAMES", { name: "client_encoding", action: "reset" }],
    ["SET ROLE app_owner", { name: "role", value: "app_owner" }],
    ["SET LOCAL ROLE NONE", { name: "role", value: "none", local: true }],
    ["RESET ROLE", { name: "role", action: "reset" }],
    ["SET SESSION AUTHORIZATION 'bob'", { name: "session_authorization", value: "bob" }],
    ["SET SESSION AUTHORIZATION DEFAULT", { name: "session_authorization", action: "reset" }],
    ["SET XML OPTION DOCUMENT", { name: "xmloption", value: "DOCUMENT" }],
    ["SET TRANSACTION READ WRITE", { name: "transaction_read_only", value: "off", local: true }],
    ["SET TRANSACTION SNAPSHOT '00-1'", { name: "transaction snapshot", value: "00-1" }],
    ["BEGIN READ ONLY", { name: "transaction_read_only", value: "on", local: true }],
    [
      "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
      { name: "transaction_isolation", value: "serializable" },
    ],
    [
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
      { name: "default_transaction_read_only", value: "off", local: false },
    ],
    ["ALTER ROLE a SET x = 1", { name: "x", value: "1", scope: "role" }],
    ["ALTER ROLE ALL IN DATABASE d RESET ALL", { action: "reset-all", scope: "role" }],
    ["ALTER DATABASE d SET search_path = a", { name: "search_path", value: "a", scope: "database" }],
    ["ALTER SYSTEM SET x = 'y'", { name: "x", value: "y", scope: "system" }],
    ["ALTER FUNCTION f() SET x = 1", { name: "x", scope: "function" }],
    ["ALTER FUNCTION f() RESET x", { name: "x", action: "reset", scope: "function" }],
    ["CREATE FUNCTION f() RETURNS int SET x = 1 LANGUAGE sql AS 'x'", { name: "x", scope: "function" }],
    ["SELECT set_config('Role', 'a', true)", { name: "role", value: "a", local: true, bound: false }],
    ["SELECT pg_catalog.set_config('x'::text, '1', 't'::bool)", { name: "x", value: "1" }],
    ["SELECT set_config('x', $1, false)", { name: "x", value: null, bound: true }],
    ["SELECT set_config('x', $1::text, false)", { name: "x", value: null, bound: true }],
    ["SELECT set_config($1, 'a', false)", { name: null, value: "a" }],
    ["SELECT set_config('ro' || 'le', 'a', false)", { name: null }],
    ["SELECT set_config('x', (SELECT email FROM t), false)", { name: "x", value: null, bound: false }],
    ["SELECT set_config(VARIADIC ARRAY['role', 'a'], false)".replace(", false", ""), { name: null }],
    ["SELECT * FROM set_config('x', 'y', false)", { name: "x", value: "y" }],
    ["SELECT 1 FROM t WHERE a = (SELECT \"set_config\"('x', 'y', false))", { name: "x" }],
    ["SELECT U&\"set\\005fconfig\"('x', 'y', false)", { name: "x" }],
    ["EXECUTE p(set_config('x', 'y', false))", { name: "x" }],
    ["PREPARE p AS SELECT set_config('x', 'y', false)", { name: "x" }],
    ["SELECT current_setting('X')", { name: "x", action: "show" }],
    ["UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'", { name: null, action: "set" }],
    ["WITH a AS (UPDATE pg_catalog.pg_settings SET setting = '0' RETURNING 1) SELECT 1", { name: null }],
  ])("%s", (sql, expected) => {
    expect(uses(sql)).toMatchObject([expected]);
  });

  it.each([
    "SELECT app.set_config('role', 'x', true)",
    "UPDATE app.pg_settings SET setting = '0'",
    "SELECT 'set_config'",
    "BEGIN",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'x'",
  ])("are not seen in %s", (sql) => {
    expect(uses(sql)).toEqual([]);
  });
});

describe("the login", () => {
  it.each([
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET SESSION AUTHORIZATION",
    "SET LOCAL SESSION AUTHORIZATION DEFAULT",
  ])("%s goes back to what it is, and is the policy's business", (sql) => {
    expect(uses(sql)).toMatchObject([{ judgement: { kind: "tracked", session: true } }]);
    expect(effects(sql)).toEqual(["session"]);
  });
  it.each([
    "SET SESSION AUTHORIZATION bob",
    "SET session_authorization = 'default'",
    "SELECT set_config('session_authorization', 'bob', false)",
  ])("%s stays refused", (sql) => {
    expect(uses(sql)).toMatchObject([{ judgement: { kind: "refused" } }]);
  });
});

describe("judgements", () => {
  it.each<[string, string | null, string]>([
    ["DateStyle", "ISO, DMY", "harmless"],
    ["DateStyle", "German", "session"],
    ["DateStyle", "ISO, German", "session"],
    ["TimeZone", "PST8PDT", "harmless"],
    ["TimeZone", null, "harmless"],
    ["extra_float_digits", "3", "harmless"],
    ["bytea_output", "hex", "harmless"],
    ["bytea_output", "escape", "session"],
    ["bytea_output", null, "session"],
    ["application_name", "x", "tracked"],
    ["client_encoding", "UTF8", "harmless"],
    ["client_encoding", "utf-8", "harmless"],
    ["client_encoding", "UNICODE", "harmless"],
    ["client_encoding", "SJIS", "refused"],
    ["client_encoding", "SQL_ASCII", "refused"],
    ["client_encoding", null, "refused"],
    ["standard_conforming_strings", "on", "harmless"],
    ["standard_conforming_strings", "tru", "harmless"],
    ["standard_conforming_strings", "off", "refused"],
    ["backslash_quote", "on", "refused"],
    ["client_min_messages", "warning", "harmless"],
    ["client_min_messages", "log", "refused"],
    ["client_min_messages", "debug1", "refused"],
    ["debug_print_rewritten", "on", "refused"],
    ["log_statement", "none", "refused"],
    ["log_min_messages", "fatal", "refused"],
    ["local_preload_libraries", "x", "refused"],
    ["session_preload_libraries", "x", "refused"],
    ["session_replication_role", "replica", "refused"],
    ["session_authorization", "bob", "refused"],
    ["row_security", "off", "session"],
    ["role", "none", "tracked"],
    ["search_path", "evil, public", "tracked"],
    ["search_path", '"$user", public', "tracked"],
    ["search_path", "pg_catalog, app", "tracked"],
    ["search_path", "", "tracked"],
    ["search_path", "evil, app, pg_catalog", "refused"],
    ["search_path", "evil, PG_CATALOG", "refused"],
    ["search_path", 'evil, "pg_catalog"', "refused"],
    ["search_path", "app, pg_temp", "tracked"],
    ["search_path", "pg_temp_3, app", "refused"],
    ["search_path", 'a, "', "refused"],
    ["search_path", null, "refused"],
    ["statement_timeout", "0", "session"],
    ["statement_timeout", "30s", "harmless"],
    ["statement_timeout", "5000", "harmless"],
    ["statement_timeout", "2h", "session"],
    ["statement_timeout", "100us", "session"],
    ["statement_timeout", "-1", "session"],
    ["statement_timeout", "x", "session"],
    ["lock_timeout", "0", "session"],
    ["idle_in_transaction_session_timeout", "0", "session"],
    ["work_mem", "8GB", "session"],
    ["work_mem", "64MB", "harmless"],
    ["work_mem", "8388608", "session"],
    ["work_mem", "4096", "harmless"],
    ["default_transaction_read_only", "off", "session"],
    ["default_transaction_read_only", "on", "harmless"],
    ["transaction_read_only", "f", "session"],
    ["default_transaction_isolation", "serializable", "session"],
    ["default_transaction_isolation", "READ UNCOMMITTED", "harmless"],
    ["transaction_isolation", "serializable", "harmless"],
    ["enable_seqscan", "off", "harmless"],
    ["jit", "off", "harmless"],
    ["xmloption", "document", "session"],
    ["postern.agent", "x", "refused"],
    ["request.jwt.claims", "{}", "refused"],
    ["pg_stat_statements.track", "none", "refused"],
    ["hnsw.ef_search", "100", "harmless"],
    ["no_such_setting", "1", "refused"],
    ["constructor", "1", "refused"],
  ])("%s = %s is %s", (name, value, kind) => {
    const judgement = judgeSetting(name, value);
    expect(judgement.kind).toBe(kind);
    expect(judgement.reason).toMatch(/\.$/);
    if (kind === "session" || kind === "refused") expect(judgement.session).toBe(true);
    if (kind === "harmless") expect(judgement.session).toBe(false);
  });

  it("refuse a name that cannot be told", () => {
    expect(judgeSetting(null, "x").kind).toBe("refused");
    expect(uses("SELECT set_config(a, b, false) FROM t")).toMatchObject([{ judgement: { kind: "refused" } }]);
  });

  it("refuse a value that the database computes, whatever the setting", () => {
    for (const name of ["TimeZone", "application_name", "jit"])
      expect(uses(`SELECT set_config('${name}', email, false) FROM t`)).toMatchObject([
        { judgement: { kind: "refused", session: true } },
      ]);
    expect(uses("SELECT set_config('TimeZone', $1, false)")).toMatchObject([
      { judgement: { kind: "harmless" } },
    ]);
  });

  it("take RESET for what the session began with", () => {
    expect(judgeReset("work_mem").kind).toBe("harmless");
    expect(judgeReset("statement_timeout").kind).toBe("session");
    expect(judgeReset("standard_conforming_strings").kind).toBe("refused");
    expect(judgeReset("role")).toMatchObject({ kind: "tracked", session: true });
    expect(judgeReset("nobody.knows").kind).toBe("refused");
  });

  it("let clients read what they ask for, and no more", () => {
    for (const name of [
      "search_path",
      "server_version",
      "TimeZone",
      "standard_conforming_strings",
      "is_superuser",
    ])
      expect(judgeShow(name).kind).toBe("harmless");
    for (const name of [
      "primary_conninfo",
      "data_directory",
      "hba_file",
      "archive_command",
      "request.jwt.claims",
      null,
    ])
      expect(judgeShow(name).session).toBe(true);
  });

  it.each<[string, readonly string[]]>([
    ["SET TimeZone = 'UTC'", []],
    ["SET search_path = app", []],
    ["SET application_name = 'x'", []],
    ["SHOW server_version", []],
    ["DISCARD PLANS", []],
    ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", []],
    ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", []],
    ["SELECT set_config('jit', 'off', false)", []],
    ["SET work_mem = '8GB'", ["session"]],
    ["SET ROLE x", ["session"]],
    ["RESET ROLE", ["session"]],
    ["RESET ALL", ["session"]],
    ["DISCARD ALL", ["session"]],
    ["SHOW ALL", ["session"]],
    ["BEGIN READ WRITE", ["session"]],
    ["SELECT set_config('x.y', 'z', true)", ["session"]],
    ["EXPLAIN SELECT set_config('x.y', 'z', true)", []],
    ["EXPLAIN ANALYZE SELECT set_config('x.y', 'z', true)", ["session"]],
    ["ALTER ROLE a SET work_mem = '8GB'", ["admin", "ddl"]],
    ["ALTER ROLE a SET standard_conforming_strings = off", ["admin", "ddl", "session"]],
  ])("make the effects of %s", (sql, expected) => {
    expect(effects(sql)).toEqual(expected);
  });
});

describe("values", () => {
  it("are read with their units", () => {
    expect(["5", "5ms", " 5 s ", "1.5min", "1h", "1d", "5S", "", "1 2", "0x10"].map(milliseconds)).toEqual([
      5,
      5,
      5000,
      90_000,
      3_600_000,
      86_400_000,
      null,
      null,
      null,
      null,
    ]);
    expect(["1", "1kB", "1KB", "1GB", "-1"].map((value) => bytes(value, 1024))).toEqual([
      1024,
      1024,
      null,
      1024 ** 3,
      -1024,
    ]);
  });

  it("that are lists are split as PostgreSQL does", () => {
    expect(identifiers('a, "B""c" ,Dé')).toEqual(["a", 'B"c', "dé"]);
    for (const value of ["a,", ",a", 'a "b"', '"a', "a b"]) expect(identifiers(value)).toBeNull();
    expect(identifiers("  ")).toEqual([]);
  });
});

describe("the list, against a server", () => {
  let database: Database;
  let name: string;
  beforeAll(async () => {
    database = await sharedCluster();
    name = await database.createDatabase();
  });
  afterAll(() => database.dropDatabase(name));

  it("names every setting that a session may change, and none that it may not", async () => {
    const rows = await database.query(name, "SELECT lower(name) AS name, context FROM pg_settings");
    const context = new Map(rows.map((row) => [row.name, row.context]));
    const missing = rows.filter((row) => row.context === "user" && !settingRules.has(String(row.name)));
    expect(missing).toEqual([]);
    // Not shown in pg_settings, of another major version, or left to superusers and refused with a reason of its own.
    const others = [...settingRules.keys()].filter(
      (key) => !key.includes(".") && context.get(key) !== "user",
    );
    expect(others.sort()).toEqual([
      "force_parallel_mode",
      "role",
      "session_authorization",
      "session_replication_role",
      "transaction snapshot",
    ]);
  });

  it("gives the values that the server itself makes of SET", async () => {
    for (const [sql, setting] of [
      ["SET search_path = a, \"B\", 'c d', 'e\"f', 'g, h', _1", "search_path"],
      ["SET DateStyle = ISO, DMY", "DateStyle"],
      ["SET work_mem = '64MB'", "work_mem"],
      ["SET x.y = 1.50", "x.y"],
      ["SET x.y = -2", "x.y"],
      ["SET x.y TO 'It''s'", "x.y"],
    ] as const) {
      const [use] = uses(sql);
      const ours = `SELECT set_config('${setting}', '${use?.value?.replaceAll("'", "''")}', false) AS v`;
      const [theirs] = await database.query(name, `${sql}; SELECT current_setting('${setting}') AS v`);
      expect(await database.query(name, ours)).toEqual([theirs]);
    }
  });

  it("agrees with the server on lists of schemas", async () => {
    for (const path of ['a, "B""c" ,D', "a,", ",a", 'a "b"', '"a', "", "  ", '"pg_catalog" ,x', '""']) {
      const accepted = await database
        .query(name, `SELECT set_config('search_path', '${path}', false)`)
        .then(() => true)
        .catch(() => false);
      expect(identifiers(path) !== null, path).toBe(accepted);
    }
  });
});

describe("pg_settings", () => {
  it("is read like SHOW where a name is given, whatever was read before in the same form", () => {
    expect(effects("SELECT setting FROM pg_settings WHERE name = 'max_index_keys'")).toEqual([]);
    expect(effects("SELECT setting FROM pg_settings WHERE name = 'data_directory'")).toEqual(["session"]);
    expect(effects("SELECT setting FROM pg_settings WHERE category = 'x'")).toEqual([]);
    expect(effects("SELECT 'data_directory' FROM files WHERE name = 'hba_file'")).toEqual([]);
    expect(effects("SELECT port FROM own.pg_settings WHERE name = 'port'")).toEqual([]);
  });
});
