/** The statement that tells the state of a catalog, piece by piece: which rows of which catalogs a snapshot depends on. */
import {
  firstNormalOid,
  pieceBits,
  relationKinds,
  systemPiece,
  temporarySchemas,
  writesOn,
} from "./queries.ts";

/** What is read, compared and kept by itself: objects of one kind, with all that belongs to them. */
export const kinds = ["relations", "functions", "operators", "types", "casts"] as const;
export type Kind = (typeof kinds)[number];

interface Watched {
  readonly kind: Kind;
  /** Stands in the state of a piece before how many rows it has of this. */
  readonly mark: string;
  readonly catalog: string;
  /** Which rows count. Temporary objects are of no piece. */
  readonly where: string;
  /** By which oid a row belongs to a piece. */
  readonly oid: string;
}

const ofHeld = (oid: string) => `${oid} in (select oid from held)`;
const watch = (kind: Kind, mark: string, catalog: string, oid: string, where = "true"): Watched => ({
  kind,
  mark,
  catalog,
  where,
  oid,
});

/** Rows of catalogs that pieces depend on. */
const watched: readonly Watched[] = [
  watch("relations", "class", "pg_class", "oid", ofHeld("oid")),
  watch("relations", "attribute", "pg_attribute", "attrelid", `attnum > 0 and ${ofHeld("attrelid")}`),
  watch("relations", "default", "pg_attrdef", "adrelid", ofHeld("adrelid")),
  watch("relations", "rewrite", "pg_rewrite", "ev_class", ofHeld("ev_class")),
  watch("relations", "trigger", "pg_trigger", "tgrelid", ofHeld("tgrelid")),
  // Of primary keys the columns are told, of all whether they look at more than that values are equal.
  watch(
    "relations",
    "index",
    "pg_index",
    "indrelid",
    `(indisunique or indisexclusion or indexprs is not null or indpred is not null) and ${ofHeld("indrelid")}`,
  ),
  watch(
    "relations",
    "condition",
    "pg_constraint",
    "conrelid",
    `contype in ('c', 'x') and ${ofHeld("conrelid")}`,
  ),
  watch("relations", "cascade", "pg_constraint", "confrelid", `${writesOn} and ${ofHeld("confrelid")}`),
  watch(
    "relations",
    "statistics",
    "pg_statistic_ext",
    "stxrelid",
    `stxexprs is not null and ${ofHeld("stxrelid")}`,
  ),
  // Whether there is a default partition.
  watch("relations", "partitioned", "pg_partitioned_table", "partrelid", ofHeld("partrelid")),
  watch("relations", "policy", "pg_policy", "polrelid", ofHeld("polrelid")),
  watch("relations", "inherits", "pg_inherits", "inhrelid", ofHeld("inhrelid")),
  watch("functions", "proc", "pg_proc", "oid"),
  // Their bodies are printed with the names that other objects bear at the time.
  watch("functions", "body", "pg_proc", "oid", `prosqlbody is not null and oid >= ${firstNormalOid}`),
  watch("functions", "aggregate", "pg_aggregate", "aggfnoid::oid"),
  // Which functions belong to an extension.
  watch(
    "functions",
    "depend",
    "pg_depend",
    "objid",
    "refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and deptype = 'e'",
  ),
  watch("operators", "operator", "pg_operator", "oid"),
  watch("types", "type", "pg_type", "oid", `typnamespace not in ${temporarySchemas}`),
  watch("types", "constraint", "pg_constraint", "contypid", "contypid <> 0"),
  watch("types", "range", "pg_range", "rngtypid"),
  watch("types", "multirange", "pg_range", "rngmultitypid"),
  watch("casts", "cast", "pg_cast", "oid"),
];

/** Of a plain sum two changes could take each other's part: whoever keeps an old transaction open may choose its number. */
const written = "count(*), sum(pg_catalog.hashint8extended(xmin::text::bigint, 0))";

/**
 * What the snapshot depends on, as one row and then one for each piece of each kind: how many rows each catalog has in it and a sum over
 * hashes of the transactions that wrote them, which a change of any row changes. Temporary objects are left out: sessions make and drop them all the
 * time, and no other session may use them. The first row: server, database and role; what the role may do as another, by which privileges
 * are decided; schemas and roles; and whether this very transaction has written something, whose rows it could change once more unseen.
 */
export const digestQuery = `
with held as materialized (select oid from pg_catalog.pg_class where relkind in ${relationKinds} and relpersistence <> 't'),
me as materialized (select * from pg_catalog.pg_roles where rolname = current_user),
pieces as (${watched
  .map(
    ({ kind, mark, catalog, where, oid }) =>
      `select '${kind}' as kind, case when ${oid} < ${firstNormalOid} then ${systemPiece} else ${oid}::bigint >> ${pieceBits} end as piece, pg_catalog.concat_ws('/', '${mark}', ${written}) as state from pg_catalog.${catalog} where ${where} group by 2`,
  )
  .join("\nunion all ")})
select null, pg_catalog.concat_ws(' ', pg_catalog.current_setting('server_version_num'), pg_catalog.current_database(), current_user,
    (select pg_catalog.concat_ws('/', oid, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit) from me),
    (select pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws('/', oid, rolsuper, pg_catalog.pg_has_role(oid, 'USAGE')), ' ' order by oid))
      from pg_catalog.pg_roles where not (select rolsuper from me) and pg_catalog.pg_has_role(oid, 'MEMBER'))),
  pg_catalog.concat_ws(' ', (select pg_catalog.concat_ws('/', ${written}) from pg_catalog.pg_namespace where oid not in ${temporarySchemas}),
    (select pg_catalog.concat_ws('/', ${written}) from pg_catalog.pg_auth_members),
    (select pg_catalog.concat_ws('/', ${written}) from pg_catalog.pg_extension),
    (select pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws('/', oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb,
      rolreplication, rolbypassrls, rolcanlogin), ' ' order by oid)) from pg_catalog.pg_roles)),
  pg_catalog.pg_current_xact_id_if_assigned() is not null
union all
select kind, piece::text, pg_catalog.string_agg(state, ' ' order by state), null from pieces group by kind, piece`;
