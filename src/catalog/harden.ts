/**
 * What a login may do beyond what the gateway needs, with the SQL that narrows it (`postern check --harden`): should a rule or
 * the gateway itself ever fail, the database still refuses (MASKING.md section 4.4). Nothing is run; an administrator does.
 */
import type { Grant } from "./grants.ts";
import { columnText, qualified, quoteIdentifier, relationText } from "./names.ts";
import type { CatalogSnapshot, Relation } from "./types.ts";

export interface HardenFinding {
  /** Stable. */
  readonly code:
    | "SUPERUSER"
    | "BYPASSES_ROW_SECURITY"
    | "ROLE_ATTRIBUTE"
    | "PREDEFINED_ROLE"
    | "OWNER"
    | "WRITES"
    | "PROTECTED_READABLE"
    | "VIEW_BYPASSES_GRANTS"
    | "CREATES_OBJECTS"
    | "TEMPORARY_OBJECTS"
    | "SECURITY_DEFINER"
    | "EXTENSION_FUNCTION"
    | "LOG_NOISE";
  /** `high`: goes around what the gateway enforces; `advice`: the database can enforce it as well. */
  readonly severity: "high" | "medium" | "advice";
  /** The role, relation, schema or function. */
  readonly object: string;
  readonly message: string;
  /** Statements for an administrator, in order; [] where a person has to choose. */
  readonly sql: readonly string[];
}

export interface HardenOptions {
  /** The login is meant to read only. */
  readonly readOnly: boolean;
  /** Columns that the policies protect, with everything that is computed or inherited from them. */
  readonly protectedColumns: readonly { readonly relation: number; readonly attribute: number }[];
}

/** Predefined roles (manual, "Predefined Roles") that reach past tables' own grants, and what they bring. */
export const predefinedRoles: Readonly<Record<string, string>> = {
  pg_read_all_data: "reads every table",
  pg_write_all_data: "writes every table",
  pg_read_server_files: "reads files of the server",
  pg_write_server_files: "writes files of the server",
  pg_execute_server_program: "runs programs on the server",
  pg_signal_backend: "ends other sessions",
  pg_monitor: "reads other sessions' statements",
  pg_read_all_stats: "reads other sessions' statements",
  pg_read_all_settings: "reads settings that hold addresses and passwords",
  pg_stat_scan_tables: "reads tables for their statistics",
  pg_create_subscription: "opens connections to other servers",
  pg_maintain: "locks and rewrites every table",
  pg_checkpoint: "runs checkpoints",
};

const writing = ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"];
/** Extensions whose functions reach files, networks or pages. */
const reaching = ["adminpack", "dblink", "file_fdw", "pageinspect", "pg_surgery", "postgres_fdw"];

/** What to narrow, most urgent first. Pure. */
export function hardenFindings(
  snapshot: CatalogSnapshot,
  grants: readonly Grant[],
  options: HardenOptions,
): HardenFinding[] {
  const login = quoteIdentifier(snapshot.login.name);
  const findings = roleFindings(snapshot, login, grants);
  // Nothing below binds a superuser.
  if (!snapshot.login.superuser) {
    findings.push(
      ...ownerFindings(snapshot, login, options),
      ...(options.readOnly ? writeFindings(grants) : []),
      ...createFindings(grants),
      ...functionFindings(snapshot, grants),
      ...protectedFindings(snapshot, grants, options),
    );
  }
  if (!snapshot.login.mayQuietLog) findings.push(logFinding(snapshot, login));
  const order = ["high", "medium", "advice"];
  return findings.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

function roleFindings(
  { login: facts }: CatalogSnapshot,
  login: string,
  grants: readonly Grant[],
): HardenFinding[] {
  const findings: HardenFinding[] = [];
  const alter = (option: string) => [`ALTER ROLE ${login} ${option};`];
  if (facts.superuser)
    findings.push({
      code: "SUPERUSER",
      severity: "high",
      object: login,
      message: "is a superuser: the database refuses it nothing",
      sql: alter("NOSUPERUSER"),
    });
  if (facts.bypassRowSecurity)
    findings.push({
      code: "BYPASSES_ROW_SECURITY",
      severity: "high",
      object: login,
      message: "passes by row-level security",
      sql: alter("NOBYPASSRLS"),
    });
  const attributes: readonly (readonly [boolean, string, string])[] = [
    [facts.replication, "may copy the whole server by replication", "NOREPLICATION"],
    [facts.createRole, "may create roles and grant them rights", "NOCREATEROLE"],
    [facts.createDatabase, "may create databases", "NOCREATEDB"],
  ];
  for (const [has, message, option] of attributes)
    if (has)
      findings.push({
        code: "ROLE_ATTRIBUTE",
        severity: "medium",
        object: login,
        message,
        sql: alter(option),
      });
  for (const { on, object, grantee } of facts.superuser ? [] : grants) {
    const brings =
      on === "role" && Object.hasOwn(predefinedRoles, object) ? predefinedRoles[object] : undefined;
    if (brings === undefined) continue;
    findings.push({
      code: "PREDEFINED_ROLE",
      severity: "high",
      object,
      message: `${grantee === login ? `${login} is a member` : `${login} is a member by way of ${grantee}`}, which ${brings}`,
      sql: [`REVOKE ${object} FROM ${grantee};`],
    });
  }
  return findings;
}

const keyword: Readonly<Partial<Record<Relation["kind"], string>>> = {
  r: "TABLE",
  p: "TABLE",
  v: "VIEW",
  m: "MATERIALIZED VIEW",
  f: "FOREIGN TABLE",
  S: "SEQUENCE",
};

/** PostgreSQL cuts longer names (manual, "Identifiers and Key Words"). */
const nameBytes = 63;
const ownerSuffix = "_owner";

/** A role of its own for what the login owns; never the login itself, however long its name is. */
function ownerName(login: string): string {
  let name = login;
  while (Buffer.byteLength(name) > nameBytes - ownerSuffix.length) name = [...name].slice(0, -1).join("");
  return name + ownerSuffix;
}

/** Once for all that it is to own, in one database and in the others: roles are the server's. */
function createOwner(name: string): string {
  const literal = `'${name.replaceAll("'", "''")}'`;
  const create = `CREATE ROLE ${quoteIdentifier(name)} NOLOGIN`;
  return name.includes("\\") || name.includes("$")
    ? `${create};`
    : `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${literal}) THEN ${create}; END IF; END $$;`;
}

/** Owners may lift every protection of their tables. */
function ownerFindings(
  snapshot: CatalogSnapshot,
  login: string,
  { protectedColumns }: HardenOptions,
): HardenFinding[] {
  const name = ownerName(snapshot.login.name);
  const owner = quoteIdentifier(name);
  const findings: HardenFinding[] = [];
  for (const relation of snapshot.relations()) {
    const kind = keyword[relation.kind];
    if (
      kind === undefined ||
      kind === "SEQUENCE" ||
      relation.system ||
      relation.temporary ||
      !relation.privileges.owns
    )
      continue;
    const name = qualified(relation.schema, relation.name);
    const hidden = new Set(
      protectedColumns.filter((one) => one.relation === relation.oid).map(({ attribute }) => attribute),
    );
    const open = relation.columns
      .filter(({ attnum }) => !hidden.has(attnum))
      .map((c) => quoteIdentifier(c.name));
    const what = hidden.size === 0 ? "SELECT" : `SELECT (${open.join(", ")})`;
    findings.push({
      code: "OWNER",
      severity: "high",
      object: name,
      message: `${login} owns it, directly or by a role, and may lift its row-level security and its grants`,
      sql: [
        // ALTER … OWNER takes the owner's rights away: what the gateway needs is granted again.
        `ALTER ${kind} ${name} OWNER TO ${owner};`,
        ...(open.length === 0 ? [] : [`GRANT ${what} ON ${name} TO ${login};`]),
      ],
    });
  }
  const [first] = findings;
  if (first === undefined) return findings;
  return [{ ...first, sql: [createOwner(name), ...first.sql] }, ...findings.slice(1)];
}

function writeFindings(grants: readonly Grant[]): HardenFinding[] {
  return grants.flatMap((grant) => {
    const given = grant.privileges.filter((privilege) => writing.includes(privilege));
    if ((grant.on !== "table" && grant.on !== "column") || given.length === 0) return [];
    return [
      {
        code: "WRITES",
        severity: "medium",
        object: grant.object,
        message: `${grant.grantee} may ${given.join(", ")}, though the login is meant to read only`,
        // A REVOKE on the table takes rights on its columns away as well.
        sql: [`REVOKE ${given.join(", ")} ON ${grant.object} FROM ${grant.grantee};`],
      } satisfies HardenFinding,
    ];
  });
}

function createFindings(grants: readonly Grant[]): HardenFinding[] {
  const findings: HardenFinding[] = [];
  for (const { on, object, grantee, privileges } of grants) {
    const what = on === "schema" ? "SCHEMA" : "DATABASE";
    if ((on === "schema" || on === "database") && privileges.includes("CREATE"))
      findings.push({
        code: "CREATES_OBJECTS",
        severity: "high",
        object,
        message: `${grantee} may create objects in it, and so functions and views that stand in for others`,
        sql: [`REVOKE CREATE ON ${what} ${object} FROM ${grantee};`],
      });
    if (on === "database" && privileges.includes("TEMPORARY"))
      findings.push({
        code: "TEMPORARY_OBJECTS",
        severity: "medium",
        object,
        message: `${grantee} may create temporary tables, which hide tables of the same name`,
        sql: [`REVOKE TEMPORARY ON DATABASE ${object} FROM ${grantee};`],
      });
  }
  return findings;
}

function functionFindings(snapshot: CatalogSnapshot, grants: readonly Grant[]): HardenFinding[] {
  return grants.flatMap((grant): HardenFinding[] => {
    const func = grant.on === "function" ? snapshot.func(grant.oid) : undefined;
    if (func === undefined || func.verdict.safe) return [];
    const routine = func.kind === "p" ? "PROCEDURE" : "FUNCTION";
    const sql = [`REVOKE EXECUTE ON ${routine} ${grant.object} FROM ${grant.grantee};`];
    const object = grant.object;
    if (func.extension !== null && reaching.includes(func.extension))
      return [
        {
          code: "EXTENSION_FUNCTION",
          severity: "medium",
          object,
          message: `${grant.grantee} may run it; it belongs to ${func.extension}, which reaches past tables and grants`,
          sql,
        },
      ];
    if (!func.securityDefiner) return [];
    return [
      {
        code: "SECURITY_DEFINER",
        severity: "medium",
        object,
        message: `${grant.grantee} may run it; it runs with its owner's rights`,
        sql,
      },
    ];
  });
}

/** Masks still apply to what comes through views with their owner's rights; the tables themselves need not be readable. */
function protectedFindings(
  snapshot: CatalogSnapshot,
  grants: readonly Grant[],
  options: HardenOptions,
): HardenFinding[] {
  const byRelation = new Map<number, Set<number>>();
  for (const { relation, attribute } of options.protectedColumns)
    byRelation.set(relation, (byRelation.get(relation) ?? new Set()).add(attribute));
  const findings: HardenFinding[] = [];
  for (const grant of grants) {
    const hidden = byRelation.get(grant.oid);
    const relation = snapshot.relation(grant.oid);
    if (hidden === undefined || relation === undefined || !grant.privileges.includes("SELECT")) continue;
    const names = [...hidden].map((attnum) => columnText(snapshot, grant.oid, attnum));
    if (grant.on === "column" && hidden.has(grant.attnum)) {
      const column = quoteIdentifier(snapshot.column(grant.oid, grant.attnum)?.name ?? "");
      findings.push(
        readable(columnText(snapshot, grant.oid, grant.attnum), grant.grantee, [
          `REVOKE SELECT (${column}) ON ${grant.object} FROM ${grant.grantee};`,
        ]),
      );
    }
    if (grant.on !== "table") continue;
    const open = relation.columns.filter((c) => !hidden.has(c.attnum)).map((c) => quoteIdentifier(c.name));
    findings.push(
      readable(names.join(", "), grant.grantee, [
        `REVOKE SELECT ON ${grant.object} FROM ${grant.grantee};`,
        ...(open.length === 0 || hidden.has(0)
          ? []
          : [`GRANT SELECT (${open.join(", ")}) ON ${grant.object} TO ${grant.grantee};`]),
      ]),
    );
  }
  return [...findings, ...viewFindings(snapshot, grants, byRelation)];
}

function readable(object: string, grantee: string, sql: readonly string[]): HardenFinding {
  return {
    code: "PROTECTED_READABLE",
    severity: "advice",
    object,
    message: `${grantee} may read it unmasked in the database; where only masked values are ever needed, serve them from views of their own and take this right away`,
    sql,
  };
}

/** A view reads with its owner's rights, unless it is told otherwise (PostgreSQL 15: security_invoker); so it does through other views. */
function viewFindings(
  snapshot: CatalogSnapshot,
  grants: readonly Grant[],
  byRelation: ReadonlyMap<number, unknown>,
): HardenFinding[] {
  const granted = new Set(
    grants
      .filter(({ on, privileges }) => on !== "role" && privileges.includes("SELECT"))
      .map(({ oid }) => oid),
  );
  const reads = new Map<number, readonly number[]>();
  for (const { oid, kind, storedTree } of snapshot.relations())
    if (kind === "v" && storedTree !== null)
      reads.set(oid, [
        ...new Set([...storedTree.matchAll(/:relid (\d+)/g)].map((match) => Number(match[1]))),
      ]);
  const findings: HardenFinding[] = [];
  for (const view of snapshot.relations()) {
    if (view.kind !== "v" || view.securityInvoker) continue;
    if (!view.privileges.select && !granted.has(view.oid)) continue;
    const hidden = behind(view.oid, reads).filter((oid) => byRelation.has(oid));
    if (hidden.length === 0) continue;
    const name = relationText(snapshot, view.oid);
    const tables = hidden.map((oid) => relationText(snapshot, oid)).join(", ");
    findings.push({
      code: "VIEW_BYPASSES_GRANTS",
      severity: "advice",
      object: name,
      message: `reads ${tables} with its owner's rights, past the caller's grants`,
      sql: snapshot.serverVersion >= 150_000 ? [`ALTER VIEW ${name} SET (security_invoker = on);`] : [],
    });
  }
  return findings;
}

/** What a view reads, and what the views read that it reads. */
function behind(view: number, reads: ReadonlyMap<number, readonly number[]>): number[] {
  const seen = new Set(reads.get(view));
  for (const oid of seen) for (const inner of reads.get(oid) ?? []) seen.add(inner);
  seen.delete(view);
  return [...seen];
}

function logFinding(snapshot: CatalogSnapshot, login: string): HardenFinding {
  const modern = snapshot.serverVersion >= 150_000;
  return {
    code: "LOG_NOISE",
    severity: "advice",
    object: login,
    message: modern
      ? "may not keep the query trees of the analysis out of the server's log"
      : "may not keep the query trees of the analysis out of the server's log; this hides all its messages below FATAL, so give the analysis a role of its own",
    sql: [
      modern
        ? `GRANT SET ON PARAMETER log_min_messages TO ${login};`
        : `ALTER ROLE ${login} SET log_min_messages = 'fatal';`,
    ],
  };
}
