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
import { exposing } from "../../gateway/analyst/exposure.ts";

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
  return [...noise, ...steps, ...maskingSteps(posture)];
}

interface MaskingView {
  readonly relation: Relation;
  readonly schema: string;
  /** The output columns with their names; null: row-level security chooses the rows. */
  readonly columns: readonly { readonly name: string; readonly expression: string }[] | null;
  /** It is there, with these columns, and the login may read it. */
  readonly exists: boolean;
}

/**
 * Tables with protected columns as views that show the other columns, and NULL for what is masked: names without a schema find
 * these first. Views read with their owner's rights, so there is none of a table whose rows row-level security chooses.
 */
function maskingViews({ catalog, protectedSet }: LoginPosture): MaskingView[] {
  const views: MaskingView[] = [];
  for (const relation of catalog.relations()) {
    if (!isStored(relation) || protectedSet.ofRelation(relation.oid).length === 0) continue;
    if (relation.parents.some((parent) => protectedSet.ofRelation(parent).length > 0)) continue;
    const schema = `${relation.schema}${maskedSuffix}`;
    const columns = relation.columns.flatMap(({ attnum, name, type: oid }) => {
      const labels = protectedSet.column(relation.oid, attnum)?.labels ?? [];
      const own = quoteIdentifier(name);
      if (labels.length === 0) return [{ name, expression: own }];
      const type = catalog.type(oid);
      if (type === undefined || labels.some(({ access }) => access === "none")) return [];
      return [{ name, expression: `NULL::${qualified(type.schema, type.name)} AS ${own}` }];
    });
    if (columns.length === 0) continue;
    const view = catalog.relationNamed(schema, relation.name);
    const names = (list: readonly { readonly name: string }[]) =>
      JSON.stringify(list.map(({ name }) => name));
    const exists = view?.kind === "v" && view.privileges.select && names(view.columns) === names(columns);
    views.push({ relation, schema, columns: relation.rowSecurity ? null : columns, exists });
  }
  return views;
}

function maskingSteps(posture: LoginPosture): Step[] {
  const { catalog, login } = posture;
  const role = quoteIdentifier(login);
  const steps: Step[] = [];
  const schemas = new Set<string>();
  for (const { relation, schema, columns, exists } of maskingViews(posture)) {
    const name = qualified(relation.schema, relation.name);
    if (columns === null) {
      steps.push({
        why: `${name} has row-level security, which a view with its owner's rights would pass by: write one of your own`,
        sql: [],
      });
      continue;
    }
    const isNew = !schemas.has(schema);
    schemas.add(schema);
    if (exists) continue;
    const view = qualified(schema, relation.name);
    const quoted = quoteIdentifier(schema);
    steps.push({
      why: `masking view: what ${role} reads as ${quoteIdentifier(relation.name)}`,
      sql: [
        ...(isNew
          ? [`CREATE SCHEMA IF NOT EXISTS ${quoted};`, `GRANT USAGE ON SCHEMA ${quoted} TO ${role};`]
          : []),
        `CREATE OR REPLACE VIEW ${view} AS SELECT ${columns.map(({ expression }) => expression).join(", ")} FROM ${name};`,
        `GRANT SELECT ON ${view} TO ${role};`,
      ],
    });
  }
  if (pathLeads(posture)) return steps;
  const own = catalog.searchPath.filter((schema) => isOwn(schema) && !schemas.has(schema));
  const path = [...schemas, ...(own.length === 0 ? ["public"] : own)].map(quoteIdentifier).join(", ");
  const database = quoteIdentifier(catalog.database);
  steps.push({
    why: "names without a schema find the masking views first",
    sql: [`ALTER ROLE ${role} IN DATABASE ${database} SET search_path = ${path};`],
  });
  return steps;
}

/** The schemas with masking views come before all others that hold tables. */
function pathLeads(posture: LoginPosture): boolean {
  const schemas = new Set(
    maskingViews(posture).flatMap(({ schema, columns }) => (columns === null ? [] : [schema])),
  );
  const path = posture.catalog.searchPath.filter(isOwn);
  return path.slice(0, schemas.size).every((schema) => schemas.has(schema)) && path.length >= schemas.size;
}

const isOwn = (schema: string) => schema !== "pg_catalog" && !schema.startsWith("pg_temp");

function isStored({ kind, system, temporary, schema }: Relation): boolean {
  return ["r", "p", "m", "f"].includes(kind) && !system && !temporary && !schema.endsWith(maskedSuffix);
}

/** What hardening comes to, and whether it holds now. */
export function hardenConditions(posture: LoginPosture): Condition[] {
  const { catalog, protectedSet, findings, readable, readOnly } = posture;
  const none = (...codes: HardenFinding["code"][]) => !findings.some(({ code }) => codes.includes(code));
  const { superuser } = catalog.login;
  const total = exposing(protectedSet, catalog).length;
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
    {
      what: "finds a masking view for each table with protected columns (none where row-level security rules)",
      met:
        maskingViews(posture).every(({ columns, exists }) => columns === null || exists) &&
        pathLeads(posture),
    },
    { what: "keeps query trees out of the server's log", met: none("LOG_NOISE") },
  ];
}

/** Statements that hold control characters (in names of the database) are left out: a terminal would act on them. */
export function printableSql(sql: string): string {
  return /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(sql)
    ? "-- (left out: a name in this statement holds control characters)"
    : sql;
}
