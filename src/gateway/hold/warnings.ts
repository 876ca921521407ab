/** What an approver should look at: consequences in other tables, code that will run, and texts that deceive. */
import { createHash } from "node:crypto";
import type { ApprovalWarning, HeldStatement } from "../../facts/approval.ts";
import { parseSql } from "../../sql/index.ts";
import { objectAt, stringAt } from "../../sql/tree.ts";
import { characterWarnings } from "./characters.ts";
import { type Query, relationsCte } from "./definitions.ts";

const maxWarnings = 50;

/** What the texts themselves show. Pure. */
export function textWarnings(
  statements: readonly HeldStatement[],
  inTransaction: boolean,
): ApprovalWarning[] {
  const warnings: ApprovalWarning[] = [];
  for (const [index, statement] of statements.entries()) {
    const name = statements.length === 1 ? "the statement" : `statement ${index + 1}`;
    warnings.push(...characterWarnings(statement.sql, name));
    for (const [at, parameter] of statement.parameters.entries())
      if (typeof parameter.text === "string")
        warnings.push(...characterWarnings(parameter.text, `parameter $${at + 1} of ${name}`));
    if (statement.unboundedWrite)
      warnings.push({
        code: "UNBOUNDED",
        text: `${name} (${statement.command}) has no WHERE that names rows: it reaches every row`,
        object: statement.writes[0] ?? null,
      });
    if (statement.unmask !== undefined)
      warnings.push({
        code: "UNMASK",
        text: `${name} shows ${statement.unmask.join(", ")} in the clear`,
        object: null,
      });
    const irreversible = statement.effects.filter((effect) => effect === "network" || effect === "file");
    if (irreversible.length > 0)
      warnings.push({
        code: "NOT_ROLLED_BACK",
        text: `${name} reaches outside of the database (${irreversible.join(", ")}): that cannot be rolled back`,
        object: null,
      });
  }
  if (statements.length > 1)
    warnings.push({
      code: "MANY_STATEMENTS",
      text: `${statements.length} statements run together: read all of them`,
      object: null,
    });
  if (inTransaction)
    warnings.push({
      code: "IN_TRANSACTION",
      text: "its transaction is open: it has done things before, and locks are held while it waits",
      object: null,
    });
  return warnings;
}

const events = { insert: 4, delete: 8, update: 16, truncate: 32 } as const;

/** Which events of triggers a statement brings about: bits of pg_trigger.tgtype (trigger.h). */
function eventsOf({ kind }: HeldStatement): number {
  switch (kind) {
    case "insert":
    case "copy":
      return events.insert | events.update;
    case "update":
      return events.update;
    case "delete":
      return events.delete;
    case "truncate":
      return events.truncate;
    default:
      return events.insert | events.update | events.delete | events.truncate;
  }
}

const actions: Readonly<Record<string, string>> = {
  c: "changed along (CASCADE)",
  n: "set to NULL",
  d: "set to their default",
};

/** What the database will do besides: cascades, triggers, foreign keys, sequences. Rejects as `query` does. */
export async function databaseWarnings(
  query: Query,
  statements: readonly HeldStatement[],
): Promise<ApprovalWarning[]> {
  const warnings = new Map<string, ApprovalWarning>();
  for (const statement of statements) {
    if (statement.writes.length === 0) continue;
    for (const warning of await ofStatement(query, statement))
      warnings.set(createHash("sha256").update(JSON.stringify(warning)).digest("hex"), warning);
  }
  return [...warnings.values()].slice(0, maxWarnings);
}

async function ofStatement(query: Query, statement: HeldStatement): Promise<ApprovalWarning[]> {
  const bits = eventsOf(statement);
  const deletes = (bits & (events.delete | events.truncate)) !== 0;
  const updates = (bits & events.update) !== 0;
  const sets = columnsSet(statement);
  const rows = await query(`WITH ${relationsCte(statement.writes)},
  named(oid, name) AS (
    SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace)
  SELECT 'trigger', w.name, t.tgname, pg_catalog.format('%I.%I', s.nspname, f.proname), NULL, NULL
    FROM pg_catalog.pg_trigger t JOIN rels ON rels.oid OPERATOR(pg_catalog.=) t.tgrelid
    JOIN named w ON w.oid OPERATOR(pg_catalog.=) t.tgrelid
    JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) t.tgfoid
    JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) f.pronamespace
   WHERE NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'
     AND (t.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) ${bits}) OPERATOR(pg_catalog.<>) 0
  UNION ALL
  SELECT 'reference', w.name, other.name, k.conname, pg_catalog.concat(k.confdeltype, k.confupdtype),
         (SELECT pg_catalog.json_agg(a.attname)::pg_catalog.text FROM pg_catalog.pg_attribute a
           WHERE a.attrelid OPERATOR(pg_catalog.=) k.confrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.confkey))
    FROM pg_catalog.pg_constraint k JOIN rels ON rels.oid OPERATOR(pg_catalog.=) k.confrelid
    JOIN named w ON w.oid OPERATOR(pg_catalog.=) k.confrelid
    JOIN named other ON other.oid OPERATOR(pg_catalog.=) k.conrelid
   WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.conparentid OPERATOR(pg_catalog.=) 0
  UNION ALL
  SELECT 'key', w.name, other.name, k.conname, NULL,
         (SELECT pg_catalog.json_agg(a.attname)::pg_catalog.text FROM pg_catalog.pg_attribute a
           WHERE a.attrelid OPERATOR(pg_catalog.=) k.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey))
    FROM pg_catalog.pg_constraint k JOIN rels ON rels.oid OPERATOR(pg_catalog.=) k.conrelid
    JOIN named w ON w.oid OPERATOR(pg_catalog.=) k.conrelid
    JOIN named other ON other.oid OPERATOR(pg_catalog.=) k.confrelid
   WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.conparentid OPERATOR(pg_catalog.=) 0
  UNION ALL
  SELECT 'elsewhere', NULL, NULL, NULL, NULL, NULL
    FROM pg_catalog.pg_class c JOIN rels ON rels.oid OPERATOR(pg_catalog.=) c.oid
   WHERE c.relkind OPERATOR(pg_catalog.<>) ALL (ARRAY['r', 'p']::pg_catalog."char"[]) OR c.relhasrules
      OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attgenerated OPERATOR(pg_catalog.<>) '')
  UNION ALL
  SELECT 'sequence', w.name, a.attname, NULL, NULL, NULL
    FROM pg_catalog.pg_attribute a JOIN rels ON rels.oid OPERATOR(pg_catalog.=) a.attrelid
    JOIN named w ON w.oid OPERATOR(pg_catalog.=) a.attrelid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid
         AND d.adnum OPERATOR(pg_catalog.=) a.attnum
   WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND (a.attidentity OPERATOR(pg_catalog.<>) ''
      OR pg_catalog.strpos(pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'nextval(') OPERATOR(pg_catalog.>) 0)
  ORDER BY 1, 2, 3, 4 LIMIT 200`);
  const warnings: ApprovalWarning[] = [];
  // Triggers, rules and generated columns may change others than those that the statement names.
  const only = rows.some(([what]) => what === "trigger" || what === "elsewhere") ? null : sets;
  for (const [what, table, other, detail, kinds, key] of rows) {
    if (only !== null && key != null && !(JSON.parse(key) as string[]).some((name) => only.has(name)))
      continue;
    if (what === "trigger")
      warnings.push({
        code: "TRIGGER",
        text: `the trigger ${other} on ${table} may fire and run ${detail}()`,
        object: table ?? null,
      });
    else if (what === "reference") {
      const [onDelete, onUpdate] = [kinds?.[0] ?? "a", kinds?.[1] ?? "a"];
      const along = (deletes ? actions[onDelete] : undefined) ?? (updates ? actions[onUpdate] : undefined);
      if (statement.kind === "insert" || statement.kind === "copy") continue;
      if (along !== undefined)
        warnings.push({
          code: "CASCADE",
          text: `rows of ${other} that refer to ${table} are ${deletes && onDelete === "c" ? "deleted along (CASCADE)" : along}: ${detail}`,
          object: other ?? null,
        });
      else
        warnings.push({
          code: "FOREIGN_KEY",
          text: `rows of ${other} refer to ${table} (${detail}): it fails where one still does`,
          object: other ?? null,
        });
    } else if (what === "key") {
      if (statement.kind === "delete" || statement.kind === "truncate") continue;
      warnings.push({
        code: "FOREIGN_KEY",
        text: `${table} refers to ${other} (${detail}): it fails where there is no such row`,
        object: other ?? null,
      });
    } else if (
      what === "sequence" &&
      (statement.kind === "insert" || statement.kind === "copy" || statement.kind === "merge")
    )
      warnings.push({
        code: "SEQUENCE",
        text: `${table}.${other} takes its values from a sequence: numbers that were taken are not given back`,
        object: table ?? null,
      });
  }
  if (statement.functions.some((name) => /^pg_catalog\.(?:nextval|setval)$/.test(name)))
    warnings.push({
      code: "SEQUENCE",
      text: "it takes or sets values of a sequence: that is not rolled back",
      object: null,
    });
  return warnings;
}

/** The columns that a plain UPDATE of one table sets; null: it is another statement, or nobody can say. */
function columnsSet({ kind, sql, prepared, writes }: HeldStatement): ReadonlySet<string> | null {
  if (kind !== "update" || prepared !== undefined || writes.length !== 1) return null;
  const [only, ...more] = parseSql(sql) ?? [];
  const update = objectAt(only, "UpdateStmt");
  if (update === undefined || more.length > 0 || update.withClause !== undefined) return null;
  // A view's columns may have other names than the table's.
  const relation = stringAt(objectAt(update, "relation"), "relname");
  const written = writes[0] ?? "";
  if (!written.endsWith(`.${relation}`) && !written.endsWith(`."${relation.replaceAll('"', '""')}"`))
    return null;
  const names = new Set<string>();
  for (const target of Array.isArray(update.targetList) ? update.targetList : []) {
    const name = stringAt(objectAt(target, "ResTarget"), "name");
    if (name === "") return null;
    names.add(name);
  }
  return names.size === 0 ? null : names;
}
