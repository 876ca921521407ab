/**
 * The statements that read a database's catalog: set-based, read-only, schema-qualified, for PostgreSQL 14 to 18 as an
 * ordinary user (PostgreSQL manual, "System Catalogs"). Every one is bounded by a LIMIT of its own.
 */

/** Objects below are made by initdb (FirstNormalObjectId in transam.h). */
export const firstNormalOid = 16_384;

/**
 * Objects that initdb made, and all others. The first are most of a small catalog and hardly ever change: they are read once and
 * kept (system.ts).
 */
export type Half = "system" | "user";

const half = (oid: string, part: Half) => `${oid} ${part === "system" ? "<" : ">="} ${firstNormalOid}`;

const relationKinds = "('r', 'v', 'm', 'p', 'f', 'S', 't', 'c')";
const temporarySchemas =
  "(select oid from pg_catalog.pg_namespace where nspname ~ '^pg_(toast_)?temp_[0-9]+$')";

/** One row: server and login. Asked first: everything else relies on the search path that it tells. */
export const serverQuery = `
select pg_catalog.current_setting('server_version_num'), pg_catalog.current_database(),
  pg_catalog.array_to_json(pg_catalog.current_schemas(true))::text,
  r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls,
  r.rolcanlogin,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY'),
  coalesce((select pg_catalog.json_agg(m.rolname order by m.rolname) from pg_catalog.pg_roles m
    where m.oid <> r.oid and pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER'))::text, '[]'),
  coalesce((select pg_catalog.json_agg(n.nspname order by n.nspname) from pg_catalog.pg_namespace n
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and pg_catalog.has_schema_privilege(n.oid, 'CREATE'))::text, '[]')
from pg_catalog.pg_roles r where r.rolname = current_user`;

/** One row: may the login set log_min_messages? Only from PostgreSQL 15 on. */
export const quietLogQuery = "select pg_catalog.has_parameter_privilege('log_min_messages', 'SET')";

/** One row: how much there is of everything, before any of it is fetched. */
export const sizesQuery = `
select (select count(*) from pg_catalog.pg_class where relkind in ${relationKinds}),
  (select count(*) from pg_catalog.pg_attribute),
  (select count(*) from pg_catalog.pg_proc),
  (select count(*) from pg_catalog.pg_type),
  (select coalesce(sum(pg_catalog.octet_length(ev_action::text)), 0) from pg_catalog.pg_rewrite
    where ev_type = '1' and ev_class >= ${firstNormalOid}),
  (select coalesce(sum(pg_catalog.octet_length(prosrc)), 0) from pg_catalog.pg_proc where oid >= ${firstNormalOid})`;

export const schemasQuery = (limit: number) =>
  `select nspname from pg_catalog.pg_namespace limit ${limit + 1}`;

export const rolesQuery = (limit: number) => `
select oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin
from pg_catalog.pg_roles limit ${limit + 1}`;

export const relationsQuery = (limit: number, part: Half) => `
select c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
  c.relhastriggers, c.relhasrules, coalesce(pg_catalog.array_to_json(c.reloptions)::text, '[]'),
  pg_catalog.pg_has_role(c.relowner, 'MEMBER'),
  pg_catalog.has_table_privilege(c.oid, 'SELECT') or pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
  pg_catalog.has_table_privilege(c.oid, 'INSERT') or pg_catalog.has_any_column_privilege(c.oid, 'INSERT'),
  pg_catalog.has_table_privilege(c.oid, 'UPDATE') or pg_catalog.has_any_column_privilege(c.oid, 'UPDATE'),
  pg_catalog.has_table_privilege(c.oid, 'DELETE'), pg_catalog.has_table_privilege(c.oid, 'TRUNCATE')
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ${relationKinds} and ${half("c.oid", part)} limit ${limit + 1}`;

/** What a generated column is computed from stands in its expression's tree: the numbers of its variables. */
export const columnsQuery = (limit: number, part: Half) => `
select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
  case when a.attgenerated <> '' then coalesce((
    select pg_catalog.string_agg(m[1], ' ') from pg_catalog.pg_attrdef d,
      pg_catalog.regexp_matches(d.adbin::text, ':varattno (-?[0-9]+)', 'g') m
    where d.adrelid = a.attrelid and d.adnum = a.attnum), '') end
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
where a.attnum > 0 and not a.attisdropped and c.relkind in ${relationKinds} and ${half("a.attrelid", part)}
order by a.attrelid, a.attnum limit ${limit + 1}`;

export const inheritanceQuery = (limit: number) => `
select i.inhrelid, i.inhparent from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
where c.relkind in ${relationKinds} limit ${limit + 1}`;

/** Columns that conditions of a table look at; 0: the condition's expression is not taken apart. */
export const conditionsQuery = (limit: number) => `
select conrelid, pg_catalog.unnest(conkey) from pg_catalog.pg_constraint
  where contype in ('c', 'x') and conrelid >= ${firstNormalOid}
union select partrelid, pg_catalog.unnest(partattrs) from pg_catalog.pg_partitioned_table
union select indrelid, 0::smallint from pg_catalog.pg_index
  where (indexprs is not null or indpred is not null) and indrelid >= ${firstNormalOid}
union select polrelid, 0::smallint from pg_catalog.pg_policy
union select tgrelid, 0::smallint from pg_catalog.pg_trigger where tgqual is not null and not tgisinternal
limit ${limit + 1}`;

export const treesQuery = (limit: number) => `
select ev_class, ev_action::text from pg_catalog.pg_rewrite
where ev_type = '1' and ev_class >= ${firstNormalOid} limit ${limit + 1}`;

/** @param bodyLimit characters of a body; one more is fetched, which tells that it is longer. */
export const functionsQuery = (limit: number, bodyLimit: number, part: Half) => `
select p.oid, n.nspname, p.proname, p.prokind, l.lanname, p.provolatile, p.prosecdef, p.proowner, p.proretset,
  p.proisstrict, p.proargtypes::text, p.prorettype,
  case when p.oid >= ${firstNormalOid} and l.lanname in ('sql', 'plpgsql') then
    pg_catalog.left(coalesce(case when p.prosqlbody is null then p.prosrc
      else pg_catalog.pg_get_function_sqlbody(p.oid) end, ''), ${bodyLimit + 1}) end,
  pg_catalog.array_to_json(p.proconfig)::text, e.extname
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  join pg_catalog.pg_language l on l.oid = p.prolang
  left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid
    and d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  left join pg_catalog.pg_extension e on e.oid = d.refobjid
where ${half("p.oid", part)} limit ${limit + 1}`;

/** Aggregates that initdb did not make, and the functions that they call. */
export const aggregatesQuery = (limit: number) => `
select aggfnoid::oid, aggtransfn::oid, aggfinalfn::oid, aggcombinefn::oid, aggserialfn::oid, aggdeserialfn::oid,
  aggmtransfn::oid, aggminvtransfn::oid, aggmfinalfn::oid
from pg_catalog.pg_aggregate where aggfnoid::oid >= ${firstNormalOid} limit ${limit + 1}`;

export const operatorsQuery = (limit: number, part: Half) => `
select o.oid, n.nspname, o.oprname, o.oprleft, o.oprright, o.oprresult, o.oprcode::oid
from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where ${half("o.oid", part)} limit ${limit + 1}`;

/** Functions in a domain's CHECK constraints stand in the constraints' trees, as do those behind its operators. */
export const typesQuery = (limit: number, part: Half) => `
select t.oid, n.nspname, t.typname, t.typtype, t.typcategory, t.typrelid, t.typelem, t.typarray, t.typbasetype,
  t.typinput::oid, t.typoutput::oid, t.typreceive::oid, t.typsend::oid,
  coalesce(r.rngsubtype, m.rngtypid, 0), coalesce(r.rngcanonical::oid, 0),
  case when t.typtype = 'd' then coalesce((
    select pg_catalog.string_agg(f[1], ' ') from pg_catalog.pg_constraint c,
      pg_catalog.regexp_matches(c.conbin::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') f
    where c.contypid = t.oid), '') end
from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  left join pg_catalog.pg_range r on r.rngtypid = t.oid
  left join pg_catalog.pg_range m on m.rngmultitypid = t.oid
where ${half("t.oid", part)} limit ${limit + 1}`;

export const castsQuery = (limit: number, part: Half) =>
  `select castsource, casttarget, castfunc, castcontext from pg_catalog.pg_cast where ${half("oid", part)} limit ${limit + 1}`;

/** Catalogs whose rows the snapshot depends on, which of them count, and whose oid tells the halves apart; "": all are of the first. */
const watched: readonly (readonly [catalog: string, where: string, oid: string])[] = [
  ["pg_class", "relpersistence <> 't'", "oid"],
  ["pg_attribute", "attrelid not in (select oid from temporary)", "attrelid"],
  ["pg_attrdef", "adrelid not in (select oid from temporary)", "adrelid"],
  ["pg_rewrite", "ev_class not in (select oid from temporary)", "ev_class"],
  ["pg_inherits", "inhrelid not in (select oid from temporary)", "inhrelid"],
  ["pg_type", `typnamespace not in ${temporarySchemas}`, "oid"],
  ["pg_namespace", `oid not in ${temporarySchemas}`, "oid"],
  ["pg_constraint", "contypid <> 0", "contypid"],
  ["pg_proc", "true", "oid"],
  ["pg_aggregate", "true", "aggfnoid::oid"],
  ["pg_operator", "true", "oid"],
  ["pg_cast", "true", "oid"],
  ["pg_range", "true", "rngtypid"],
  ["pg_extension", "true", ""],
  ["pg_auth_members", "true", ""],
];

const state = (which: string) => `count(*)${which}, sum(xmin::text::bigint)${which}`;

/**
 * One row, whose last column is of the objects that initdb did not make: how many rows each catalog has and the sum of the
 * transactions that wrote them: a change of any row changes it. Temporary objects are left out: sessions make and drop them all the time,
 * and no other session may use them.
 */
export const digestQuery = `
with temporary as materialized (select oid from pg_catalog.pg_class where relpersistence = 't'),
state (halves) as materialized (values ${watched
  .map(
    ([catalog, where, oid]) =>
      `((select ${oid === "" ? `array[pg_catalog.concat_ws('/', ${state("")}), '']` : `array[${(["system", "user"] as const).map((part) => `pg_catalog.concat_ws('/', ${state(` filter (where ${half(oid, part)})`)})`).join(", ")}]`} from pg_catalog.${catalog} where ${where}))`,
  )
  .join(",\n")})
select pg_catalog.current_setting('server_version_num'), pg_catalog.current_database(), current_user,
  (select pg_catalog.concat_ws('/', oid, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit)
    from pg_catalog.pg_roles where rolname = current_user),
  (select pg_catalog.string_agg(halves[1], ' ') from state), (select pg_catalog.string_agg(halves[2], ' ') from state)`;
