/** What a login of the configuration may do in its database, and the SQL that would narrow it (SPEC.md section 2). */

import { predefinedRoles } from "../../catalog/index.ts";
import { isLoopback } from "../../config/units.ts";
import type { DatabaseSettings, LoginSettings } from "../../gateway/settings.ts";
import type { Row } from "./query.ts";

export interface Finding {
  /**
   * `risk`: Postern's protection can be gone around with it. `grant`: what the login may do; right or wrong is yours to say.
   * `advice`: what the database could enforce as well.
   */
  readonly level: "risk" | "grant" | "advice";
  /** Stable, e.g. SUPERUSER. */
  readonly code: string;
  readonly what: string;
  /** SQL, to be run by an administrator, or a setting. */
  readonly remedy: string;
}

export type Ask = (sql: string) => Promise<Row[]>;

const userRelations = `pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r','p','v','m','f')
 and n.nspname not in ('pg_catalog','information_schema') and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp%'`;

/** Looks at the connected role. The session's search_path must be pg_catalog: the login's own must not choose what we call. */
export async function inspect(
  ask: Ask,
  database: DatabaseSettings,
  login: LoginSettings,
): Promise<Finding[]> {
  const [me] = await ask(
    `select r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication, pg_catalog.quote_ident(r.rolname)
 from pg_catalog.pg_roles r where r.rolname = current_user`,
  );
  if (me === undefined) return [];
  const [superuser, bypass, createRole, createDb, replication, role = login.user] = me;
  const findings: Finding[] = [];
  const risk = (code: string, what: string, remedy: string) =>
    findings.push({ level: "risk", code, what, remedy });
  const attribute = (has: unknown, name: string, what: string) => {
    if (has === "t") risk(name, what, `ALTER ROLE ${role} NO${name};`);
  };
  attribute(superuser, "SUPERUSER", "is a superuser: nothing in the database is closed to it");
  attribute(bypass, "BYPASSRLS", "bypasses row-level security");
  attribute(createRole, "CREATEROLE", "may create roles and grant them");
  attribute(createDb, "CREATEDB", "may create databases");
  if (!database.replication)
    attribute(replication, "REPLICATION", "may replicate: read every table as files");
  // A superuser is a member of everything and owns as it likes: the rest would only repeat it.
  if (superuser !== "t") {
    findings.push(...(await memberships(ask, String(role))));
    findings.push(...(await ownership(ask, String(role))));
  }
  findings.push(...(await grants(ask, String(role))));
  findings.push(...transport(database));
  return findings;
}

async function memberships(ask: Ask, role: string): Promise<Finding[]> {
  const rows = await ask(
    `select pg_catalog.quote_ident(r.rolname), r.rolname, r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolreplication
 from pg_catalog.pg_roles r where r.rolname <> current_user
 and pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER') order by r.rolname`,
  );
  return rows.flatMap(([quoted, name, powerful]): Finding[] => {
    const why = Object.hasOwn(predefinedRoles, name ?? "")
      ? predefinedRoles[name ?? ""]
      : powerful === "t"
        ? "a role with administrative attributes"
        : undefined;
    if (why === undefined) return [];
    return [
      {
        level: "risk",
        code: "MEMBERSHIP",
        what: `is a member of ${name}: ${why}`,
        remedy: `REVOKE ${quoted} FROM ${role};`,
      },
    ];
  });
}

async function ownership(ask: Ask, role: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const owned = await ask(
    `select pg_catalog.format('%I.%I', n.nspname, c.relname) from ${userRelations}
 and pg_catalog.pg_has_role(current_user, c.relowner, 'MEMBER') order by 1`,
  );
  if (owned.length > 0)
    findings.push({
      level: "risk",
      code: "OWNER",
      what: `owns ${owned.length} ${owned.length === 1 ? "relation" : "relations"} (${some(owned)}): may drop and grant them, and row-level security does not bind it`,
      remedy: `REASSIGN OWNED BY ${role} TO new_owner;`,
    });
  const [base] = await ask(
    `select pg_catalog.quote_ident(d.datname) from pg_catalog.pg_database d
 where d.datname = pg_catalog.current_database() and pg_catalog.pg_has_role(current_user, d.datdba, 'MEMBER')`,
  );
  if (base !== undefined)
    findings.push({
      level: "risk",
      code: "DATABASE_OWNER",
      what: "owns the database",
      remedy: `ALTER DATABASE ${base[0]} OWNER TO new_owner;`,
    });
  return findings;
}

async function grants(ask: Ask, role: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const writable = await ask(
    `select pg_catalog.format('%I.%I', n.nspname, c.relname) from ${userRelations} and c.relkind <> 'm'
 and (pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
  or pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE')) order by 1`,
  );
  if (writable.length > 0)
    findings.push({
      level: "grant",
      code: "WRITE",
      what: `may write ${writable.length} ${writable.length === 1 ? "relation" : "relations"} (${some(writable)})`,
      remedy: `REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ${some(writable, ", …")} FROM ${role};`,
    });
  const schemas = await ask(
    `select pg_catalog.quote_ident(n.nspname) from pg_catalog.pg_namespace n
 where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
 and pg_catalog.has_schema_privilege(n.oid, 'CREATE') order by 1`,
  );
  if (schemas.length > 0)
    findings.push({
      level: "grant",
      code: "CREATE",
      what: `may create objects in ${some(schemas)}`,
      remedy: `REVOKE CREATE ON SCHEMA ${some(schemas, ", …")} FROM ${role}, PUBLIC;`,
    });
  return findings;
}

/** How the gateway reaches the server: a matter of postern.yaml, not of SQL. */
function transport(database: DatabaseSettings): Finding[] {
  const { host, tls } = database.server;
  if (host.startsWith("/") || isLoopback(host)) return [];
  const remedy = "postern.yaml: server.tls: { mode: verify-full }";
  if (tls.mode === "disable")
    return [{ level: "risk", code: "NO_TLS", what: "the connection to the server is not encrypted", remedy }];
  if (tls.mode === "require")
    return [
      { level: "risk", code: "TLS_UNVERIFIED", what: "the server's certificate is not checked", remedy },
    ];
  return [];
}

function some(rows: readonly Row[], more = ` and ${rows.length - 5} more`): string {
  const names = rows.slice(0, 5).map(([name]) => name ?? "");
  return names.join(", ") + (rows.length > 5 ? more : "");
}
