/**
 * `postern check --harden`: SQL that makes PostgreSQL itself enforce what the policy says, and what of it is in place already
 * (MASKING.md section 4.4). Pure; an administrator runs the SQL.
 */
import type { ProtectedColumn, ProtectedSet } from "../../analysis/protected.ts";
import {
  type CatalogSnapshot,
  type HardenFinding,
  qualified,
  quoteIdentifier,
  type Relation,
} from "../../catalog/index.ts";

/** Of the schemas that hold masking views. */
export const maskedSuffix = "_masked";

/** One login of one database. */
export interface LoginPosture {
  readonly database: string;
  readonly login: string;
  readonly catalog: CatalogSnapshot;
  readonly protectedSet: ProtectedSet;
  readonly findings: readonly HardenFinding[];
  /** Columns of `protectedSet` that the login may read in the database itself. */
  readonly readable: readonly ProtectedColumn[];
  readonly readOnly: boolean;
}

export interface Step {
  /** Why, for a comment. */
  readonly why: string;
  readonly sql: readonly string[];
}

export interface Condition {
  readonly what: string;
  readonly met: boolean;
}

/** What an administrator would run, in order. */
export function hardenSteps(posture: LoginPosture): Step[] {
  const { findings } = posture;
  const steps = findings
    .filter(({ code }) => code !== "LOG_NOISE")
    .map(({ severity, code, object, message, sql }) => ({
      why: `${severity}: ${code} ${object}: ${message}${sql.length === 0 ? " (no SQL: a person has to choose)" : ""}`,
      sql,
    }));
  const noise = findings
    .filter(({ code }) => code === "LOG_NOISE")
    .map(({ message, sql }) => ({ why: `advice: the login ${message}`, sql }));
  return [...noise, ...steps, ...maskingViews(posture)];
}

/**
 * Tables with protected columns as views that show the other columns, and NULL for what is masked: names without a schema find
 * these first. Views read with their owner's rights, so there is none of a table whose rows row-level security chooses.
 */
function maskingViews({ catalog, protectedSet, login }: LoginPosture): Step[] {
  const role = quoteIdentifier(login);
  const steps: Step[] = [];
  const schemas = new Set<string>();
  for (const relation of catalog.relations()) {
    if (!isStored(relation) || protectedSet.ofRelation(relation.oid).length === 0) continue;
    if (relation.parents.some((parent) => protectedSet.ofRelation(parent).length > 0)) continue;
    const name = qualified(relation.schema, relation.name);
    if (relation.rowSecurity) {
      steps.push({
        why: `${name} has row-level security, which a view with its owner's rights would pass by: write one of your own`,
        sql: [],
      });
      continue;
    }
    const columns = relation.columns.flatMap((column) => {
      const labels = protectedSet.column(relation.oid, column.attnum)?.labels ?? [];
      const own = quoteIdentifier(column.name);
      if (labels.length === 0) return [own];
      if (labels.some(({ access }) => access === "none")) return [];
      const type = catalog.type(column.type);
      return type === undefined ? [] : [`NULL::${qualified(type.schema, type.name)} AS ${own}`];
    });
    if (columns.length === 0) continue;
    const schema = `${relation.schema}${maskedSuffix}`;
    const view = qualified(schema, relation.name);
    const isNew = !schemas.has(schema);
    schemas.add(schema);
    steps.push({
      why: `masking view: what ${role} reads as ${quoteIdentifier(relation.name)}`,
      sql: [
        ...(isNew
          ? [
              `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)};`,
              `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO ${role};`,
            ]
          : []),
        `CREATE OR REPLACE VIEW ${view} AS SELECT ${columns.join(", ")} FROM ${name};`,
        `GRANT SELECT ON ${view} TO ${role};`,
      ],
    });
  }
  if (schemas.size === 0) return steps;
  const path = [...schemas, ...catalog.searchPath.filter(isOwn)].map(quoteIdentifier);
  steps.push({
    why: "names without a schema find the masking views first",
    sql: [
      `ALTER ROLE ${role} IN DATABASE ${quoteIdentifier(catalog.database)} SET search_path = ${[...new Set([...path, "public"])].join(", ")};`,
    ],
  });
  return steps;
}

const isOwn = (schema: string) => schema !== "pg_catalog" && !schema.startsWith("pg_temp");

function isStored({ kind, system, temporary, schema }: Relation): boolean {
  return ["r", "p", "m", "f"].includes(kind) && !system && !temporary && !schema.endsWith(maskedSuffix);
}

/** What hardening comes to, and whether it holds now. */
export function hardenConditions({
  catalog,
  protectedSet,
  findings,
  readable,
  readOnly,
}: LoginPosture): Condition[] {
  const none = (...codes: HardenFinding["code"][]) => !findings.some(({ code }) => codes.includes(code));
  const { superuser } = catalog.login;
  const total = protectedSet.columns.filter(({ relation }) => !protectedSet.isView(relation)).length;
  return [
    {
      what: "is no superuser, has no administrative attributes and roles",
      met: none("SUPERUSER", "BYPASSES_ROW_SECURITY", "ROLE_ATTRIBUTE", "PREDEFINED_ROLE"),
    },
    { what: "owns no relation", met: !superuser && none("OWNER") },
    { what: "creates no objects", met: !superuser && none("CREATES_OBJECTS", "TEMPORARY_OBJECTS") },
    ...(readOnly ? [{ what: "writes nothing", met: !superuser && none("WRITES") }] : []),
    {
      what: "runs no function with its owner's rights, or that reaches past tables",
      met: !superuser && none("SECURITY_DEFINER", "EXTENSION_FUNCTION"),
    },
    {
      what: `reads none of the ${total} protected columns in the database itself (${readable.length} readable)`,
      met: readable.length === 0,
    },
    { what: "views over protected columns read with the caller's rights", met: none("VIEW_BYPASSES_GRANTS") },
    { what: "keeps query trees out of the server's log", met: none("LOG_NOISE") },
  ];
}

/** Statements that hold control characters (in names of the database) are left out: a terminal would act on them. */
export function printableSql(sql: string): string {
  return /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(sql)
    ? "-- (left out: a name in this statement holds control characters)"
    : sql;
}
