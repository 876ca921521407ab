/**
 * The statements that read a database's catalog: set-based, read-only, schema-qualified, for PostgreSQL 14 to 18 as an
 * ordinary user (PostgreSQL manual, "System Catalogs"). Every one is bounded by a LIMIT of its own.
 */

/** Objects below are made by initdb (FirstNormalObjectId in transam.h). */
export const firstNormalOid = 16_384;

/** Oids, both ends included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Which objects are read: those of some oids, or the temporary ones of all sessions, which no range holds. */
export type Part = readonly Range[] | "temporary";

/** Objects are kept, compared and read again in pieces of so many oids: what is made together lies together. */
export const pieceBits = 8;
/** Everything that initdb made is one piece: it hardly ever changes. */
export const systemPiece = 0;

/** The oids of a piece. */
export function rangeOf(piece: number): Range {
  if (piece === systemPiece) return { from: 0, to: firstNormalOid - 1 };
  return { from: piece * 2 ** pieceBits, to: (piece + 1) * 2 ** pieceBits - 1 };
}

/** The piece that an oid belongs to. */
export function pieceOf(oid: number): number {
  return oid < firstNormalOid ? systemPiece : Math.floor(oid / 2 ** pieceBits);
}

const within = (oid: string, ranges: readonly Range[]) =>
  `(${ranges.map(({ from, to }) => `${oid} between ${from} and ${to}`).join(" or ") || "false"})`;

export const relationKinds = "('r', 'v', 'm', 'p', 'f', 'S', 't', 'c')";
export const temporarySchemas =
  "(select oid from pg_catalog.pg_namespace where nspname ~ '^pg_(toast_)?temp_[0-9]+$')";
const temporaryRelations = "(select oid from pg_catalog.pg_class where relpersistence = 't')";

/** Relations of a part; `c` is pg_class. */
const ofRelation = (part: Part) =>
  part === "temporary" ? "c.relpersistence = 't'" : `c.relpersistence <> 't' and ${within("c.oid", part)}`;

/**
 * Functions of PostgreSQL's own triggers that only look whether a key is there (ri_triggers.c, constraint.c): what they say names
 * the key of the row that is written. Those of ON DELETE CASCADE, SET NULL and the like write to other tables.
 */
const keyChecks =
  "('RI_FKey_check_ins', 'RI_FKey_check_upd', 'RI_FKey_noaction_del', 'RI_FKey_noaction_upd', 'RI_FKey_restrict_del', 'RI_FKey_restrict_upd', 'unique_key_recheck')";

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

/** One row: how much there is of everything that is to be read, before any of it is fetched. */
export const sizesQuery = (read: Readonly<Record<"relations" | "functions" | "types", readonly Range[]>>) => `
select (select count(*) from pg_catalog.pg_class where relkind in ${relationKinds} and ${within("oid", read.relations)}),
  (select count(*) from pg_catalog.pg_attribute where ${within("attrelid", read.relations)}),
  (select count(*) from pg_catalog.pg_proc where ${within("oid", read.functions)}),
  (select count(*) from pg_catalog.pg_type where ${within("oid", read.types)}),
  (select coalesce(sum(pg_catalog.octet_length(ev_action::text)), 0) from pg_catalog.pg_rewrite
    where ev_type = '1' and ev_class >= ${firstNormalOid} and ${within("ev_class", read.relations)}),
  (select coalesce(sum(pg_catalog.octet_length(prosrc)), 0) from pg_catalog.pg_proc
    where oid >= ${firstNormalOid} and ${within("oid", read.functions)})`;

export const schemasQuery = (limit: number) =>
  `select oid, nspname from pg_catalog.pg_namespace limit ${limit + 1}`;

export const rolesQuery = (limit: number) => `
select oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin
from pg_catalog.pg_roles limit ${limit + 1}`;

/**
 * Relations whose writes call functions or operators that users made, not extensions: in checks, generated columns, indexes and
 * partition keys. (Defaults stand in the server's tree of the statement.)
 */
const runsCode = `
select coalesce(k.conrelid, a.attrelid, i.indrelid, d.objid) from pg_catalog.pg_depend d
  left join pg_catalog.pg_constraint k on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and k.oid = d.objid
  left join pg_catalog.pg_attrdef f on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and f.oid = d.objid
  left join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum and a.attgenerated <> ''
  left join pg_catalog.pg_index i on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and i.indexrelid = d.objid
where d.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
  and d.refobjid >= ${firstNormalOid} and d.classid in ('pg_catalog.pg_constraint'::pg_catalog.regclass,
    'pg_catalog.pg_attrdef'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass)
  and not exists (select from pg_catalog.pg_depend e
    where e.classid = d.refclassid and e.objid = d.refobjid and e.deptype = 'e')`;

export const relationsQuery = (limit: number, part: Part) => `
select c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
  c.oid in (${runsCode}) or c.relhastriggers and exists (select from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc f on f.oid = t.tgfoid where t.tgrelid = c.oid and not (t.tgisinternal and f.proname in ${keyChecks})),
  c.relhasrules, coalesce(pg_catalog.array_to_json(c.reloptions)::text, '[]'),
  pg_catalog.pg_has_role(c.relowner, 'MEMBER'),
  pg_catalog.has_table_privilege(c.oid, 'SELECT') or pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
  pg_catalog.has_table_privilege(c.oid, 'INSERT') or pg_catalog.has_any_column_privilege(c.oid, 'INSERT'),
  pg_catalog.has_table_privilege(c.oid, 'UPDATE') or pg_catalog.has_any_column_privilege(c.oid, 'UPDATE'),
  pg_catalog.has_table_privilege(c.oid, 'DELETE'), pg_catalog.has_table_privilege(c.oid, 'TRUNCATE')
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ${relationKinds} and ${ofRelation(part)} limit ${limit + 1}`;

const pgClass = "'pg_catalog.pg_class'::pg_catalog.regclass";

/**
 * What a generated column is computed from stands in its expression's tree: the numbers of its variables. Columns of a partition key, also
 * of its expressions, depend on their own table (heap.c, StorePartitionKey).
 */
export const columnsQuery = (limit: number, part: Part) => `
select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
  coalesce(a.attnum = any (k.indkey::int2[]), false),
  t.partrelid is not null and exists (select from pg_catalog.pg_depend d where d.classid = ${pgClass} and d.refclassid = ${pgClass}
    and d.objid = a.attrelid and d.objsubid = a.attnum and d.refobjid = a.attrelid and d.refobjsubid = 0 and d.deptype = 'i'),
  case when a.attgenerated <> '' then coalesce((
    select pg_catalog.string_agg(m[1], ' ') from pg_catalog.pg_attrdef d,
      pg_catalog.regexp_matches(d.adbin::text, ':varattno (-?[0-9]+)', 'g') m
    where d.adrelid = a.attrelid and d.adnum = a.attnum), '') end
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
  left join pg_catalog.pg_index k on k.indrelid = a.attrelid and k.indisprimary
  left join pg_catalog.pg_partitioned_table t on t.partrelid = a.attrelid and t.partdefid <> 0
where a.attnum > 0 and not a.attisdropped and c.relkind in ${relationKinds} and ${ofRelation(part)}
order by a.attrelid, a.attnum limit ${limit + 1}`;

/** Children of the part, whatever their parents are of. */
export const inheritanceQuery = (limit: number, part: Part) => `
select i.inhrelid, i.inhparent from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
where c.relkind in ${relationKinds} and ${ofRelation(part)} limit ${limit + 1}`;

/** Foreign keys that write something else to the rows which name a key, when it changes. */
export const writesOn = "contype = 'f' and confupdtype in ('c', 'n', 'd')";

/**
 * Columns that conditions of a table look at, or that it has copied elsewhere; 0: the expression is not taken apart. Not what only tells
 * that two values are equal: but some collations take different texts for equal. (PostgreSQL's own trigger functions copy columns that
 * their arguments name.)
 */
export const conditionsQuery = (limit: number, part: Part) => `
select k.relation, k.attribute from (
  select conrelid, pg_catalog.unnest(conkey) from pg_catalog.pg_constraint where contype in ('c', 'x')
  union select partrelid, pg_catalog.unnest(partattrs) from pg_catalog.pg_partitioned_table
  union select confrelid, pg_catalog.unnest(confkey) from pg_catalog.pg_constraint where ${writesOn}
  union select indrelid, 0::smallint from pg_catalog.pg_index where indexprs is not null or indpred is not null
  union select indrelid, pg_catalog.unnest(indkey::int2[]) from pg_catalog.pg_index where indisexclusion
  union select i.indrelid, n.attnum from pg_catalog.pg_index i,
    rows from (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indcollation::oid[])) n(attnum, compared)
    join pg_catalog.pg_collation o on o.oid = n.compared where i.indisunique and not o.collisdeterministic
  union select stxrelid, 0::smallint from pg_catalog.pg_statistic_ext where stxexprs is not null
  union select polrelid, 0::smallint from pg_catalog.pg_policy
  union select tgrelid, 0::smallint from pg_catalog.pg_trigger
    where not tgisinternal and (tgqual is not null or tgfoid < ${firstNormalOid})
) k(relation, attribute) join pg_catalog.pg_class c on c.oid = k.relation
where c.oid >= ${firstNormalOid} and ${ofRelation(part)} limit ${limit + 1}`;

export const treesQuery = (limit: number, part: Part) => `
select ev_class, ev_action::text from pg_catalog.pg_rewrite
where ev_type = '1' and ev_class >= ${firstNormalOid}
  and ${part === "temporary" ? `ev_class in ${temporaryRelations}` : within("ev_class", part)} limit ${limit + 1}`;

/** @param bodyLimit characters of a body; one more is fetched, which tells that it is longer. */
export const functionsQuery = (limit: number, bodyLimit: number, ranges: readonly Range[]) => `
select p.oid, n.nspname, p.proname, p.prokind, l.lanname, p.provolatile, p.prosecdef, p.proowner, p.proretset,
  p.proisstrict, p.proargtypes::text, p.prorettype,
  case when p.oid >= ${firstNormalOid} and l.lanname in ('sql', 'plpgsql', 'internal') then
    pg_catalog.left(coalesce(case when p.prosqlbody is null then p.prosrc
      else pg_catalog.pg_get_function_sqlbody(p.oid) end, ''), ${bodyLimit + 1}) end,
  pg_catalog.array_to_json(p.proconfig)::text, e.extname
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  join pg_catalog.pg_language l on l.oid = p.prolang
  left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid
    and d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  left join pg_catalog.pg_extension e on e.oid = d.refobjid
where ${within("p.oid", ranges)} limit ${limit + 1}`;

/** Aggregates that initdb did not make, and the functions that they call. */
export const aggregatesQuery = (limit: number, ranges: readonly Range[]) => `
select aggfnoid::oid, aggtransfn::oid, aggfinalfn::oid, aggcombinefn::oid, aggserialfn::oid, aggdeserialfn::oid,
  aggmtransfn::oid, aggminvtransfn::oid, aggmfinalfn::oid
from pg_catalog.pg_aggregate where aggfnoid::oid >= ${firstNormalOid} and ${within("aggfnoid::oid", ranges)} limit ${limit + 1}`;

export const operatorsQuery = (limit: number, ranges: readonly Range[]) => `
select o.oid, n.nspname, o.oprname, o.oprleft, o.oprright, o.oprresult, o.oprcode::oid
from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where ${within("o.oid", ranges)} limit ${limit + 1}`;

/** Functions in a domain's CHECK constraints stand in the constraints' trees, as do those behind its operators. */
export const typesQuery = (limit: number, part: Part) => `
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
where ${
  part === "temporary"
    ? `t.typnamespace in ${temporarySchemas}`
    : `t.typnamespace not in ${temporarySchemas} and ${within("t.oid", part)}`
} limit ${limit + 1}`;

export const castsQuery = (limit: number, ranges: readonly Range[]) =>
  `select oid, castsource, casttarget, castfunc, castcontext from pg_catalog.pg_cast where ${within("oid", ranges)} limit ${limit + 1}`;
