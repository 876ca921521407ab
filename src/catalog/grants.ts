/** Who granted what a login may do: read for `--harden`, so that its REVOKEs name the role that holds the right. */
import { tooLarge } from "./errors.ts";
import { firstNormalOid } from "./queries.ts";
import { RowReader } from "./rows.ts";
import type { CatalogQuery } from "./types.ts";

/**
 * A right that the login has, directly, through a role that it is a member of, or as one of PUBLIC. A role that it does not inherit from
 * counts as well: SET ROLE is one statement away.
 */
export interface Grant {
  readonly on: "table" | "column" | "schema" | "database" | "function" | "role";
  /** Of the table (also for columns), schema, function, or predefined role; 0 for the database. */
  readonly oid: number;
  /** Attribute number of the column; 0 otherwise. */
  readonly attnum: number;
  /** As it stands behind ON in GRANT: quoted; functions with the types of their arguments. */
  readonly object: string;
  /** A role's name, quoted, or PUBLIC. */
  readonly grantee: string;
  /** SELECT, INSERT, …, sorted; MEMBER of a role. */
  readonly privileges: readonly string[];
}

const limit = 200_000;
const held = "(a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'MEMBER'))";
const grantee =
  "case when a.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end";
const privileges = "pg_catalog.json_agg(distinct a.privilege_type order by a.privilege_type)::text";

/** Owners' own rights are left out: REVOKE does not bind an owner. Superusers have no use for it: everything is theirs. */
const grantsQuery = `
select 'table', c.oid, 0, pg_catalog.format('%I.%I', n.nspname, c.relname), ${grantee}, ${privileges}
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral pg_catalog.aclexplode(c.relacl) a
where c.oid >= ${firstNormalOid} and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.grantee <> c.relowner and ${held}
group by c.oid, n.nspname, c.relname, a.grantee
union all
select 'column', c.oid, t.attnum, pg_catalog.format('%I.%I', n.nspname, c.relname), ${grantee}, ${privileges}
from pg_catalog.pg_attribute t join pg_catalog.pg_class c on c.oid = t.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace cross join lateral pg_catalog.aclexplode(t.attacl) a
where c.oid >= ${firstNormalOid} and t.attacl is not null and a.grantee <> c.relowner and ${held}
group by c.oid, t.attnum, n.nspname, c.relname, a.grantee
union all
select 'schema', n.oid, 0, pg_catalog.quote_ident(n.nspname), ${grantee}, ${privileges}
from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and a.grantee <> n.nspowner and ${held}
group by n.oid, n.nspname, a.grantee
union all
select 'database', 0, 0, pg_catalog.quote_ident(d.datname), ${grantee}, ${privileges}
from pg_catalog.pg_database d
  cross join lateral pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
where d.datname = pg_catalog.current_database() and a.grantee <> d.datdba and ${held}
group by d.datname, a.grantee
union all
select 'function', p.oid, 0, pg_catalog.format('%I.%I(%s)', n.nspname, p.proname,
  pg_catalog.pg_get_function_identity_arguments(p.oid)), ${grantee}, ${privileges}
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  cross join lateral pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
where p.oid >= ${firstNormalOid} and a.grantee <> p.proowner and ${held}
group by p.oid, n.nspname, p.proname, a.grantee
union all
select 'role', m.roleid, 0, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.roleid)),
  pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.member)), '["MEMBER"]'
from pg_catalog.pg_auth_members m
where m.roleid < ${firstNormalOid} and m.member >= ${firstNormalOid} and pg_catalog.pg_has_role(m.member, 'MEMBER')
group by m.roleid, m.member
limit ${limit + 1}`;

/** One read-only statement as an ordinary user. Rejects with CatalogError, or with what the query rejects with. */
export async function loadGrants(query: CatalogQuery): Promise<Grant[]> {
  const rows = await query(grantsQuery);
  if (rows.length > limit) throw tooLarge("grants", limit);
  const r = new RowReader("grants");
  return rows.map((row) => {
    r.on(row);
    return {
      on: r.letter(["table", "column", "schema", "database", "function", "role"]),
      oid: r.int(),
      attnum: r.int(),
      object: r.text(),
      grantee: r.text(),
      privileges: r.texts(),
    };
  });
}
