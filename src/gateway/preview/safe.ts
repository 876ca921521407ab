/** Whether a held statement may be run for a preview: everything it does must be undone when its transaction is rolled back. */
import type { Approval, HeldStatement } from "../../facts/approval.ts";
import { type Query, relationsCte } from "../hold/definitions.ts";
import { textArray } from "../hold/sqltext.ts";

const kinds: ReadonlySet<string> = new Set(["insert", "update", "delete", "merge", "select"]);
const effects: ReadonlySet<string> = new Set(["read", "write"]);

/** Why it is not run, as far as the request itself tells; null: nothing speaks against it. */
export function refusedByItself({ kind, state, statements }: Approval): string | null {
  if (kind !== "statement") return "only statements have a preview";
  if (state !== "pending") return "it is not waiting for a decision any more";
  if (statements.length === 0) return "there is no statement to run";
  for (const statement of statements) {
    const why = refusedStatement(statement);
    if (why !== null) return why;
  }
  return null;
}

function refusedStatement(statement: HeldStatement): string | null {
  const { kind, command } = statement;
  if (statement.parameters.some(({ cut }) => cut !== undefined)) return "a parameter is too large to be kept";
  if ((statement.prepared?.length ?? 0) > 0)
    return `${command} runs a statement of its own session, which a preview does not have`;
  if (!kinds.has(kind)) return `${command} is not run for a preview: not all that it does would be undone`;
  const other = statement.effects.filter((effect) => !effects.has(effect));
  return other.length === 0
    ? null
    : `${command} has effects beside rows (${other.join(", ")}), which a roll-back may not undo`;
}

/** Words in a function's body behind which something may leave the database, or code may run that nobody can see. */
const reaching =
  /\b(?:execute|dblink\w*|copy|notify|pg_notify|lo_\w+|pg_read_\w+|pg_write_\w+|pg_file_\w+|http\w*|net|aws_\w+|azure_\w+|pg_background\w*|plsh|curl\w*|load|nextval|setval|pg_sleep\w*|advisory\w*|commit|rollback)\b/i;

const maxDepth = 4;

/**
 * Why the triggers that it would fire speak against running it; null: they are read, and do nothing but change rows.
 * Looks at the written tables and at those that foreign keys change along. Rejects as `query` does.
 */
export async function refusedByTriggers(query: Query, writes: readonly string[]): Promise<string | null> {
  if (writes.length === 0) return null;
  const triggers = await query(`WITH ${relationsCte(writes)},
  reached(oid) AS (
    SELECT oid FROM rels
    UNION SELECT k.conrelid FROM pg_catalog.pg_constraint k JOIN reached ON k.confrelid OPERATOR(pg_catalog.=) reached.oid
     WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')))
  SELECT DISTINCT f.oid::pg_catalog.text FROM pg_catalog.pg_trigger t
    JOIN reached ON reached.oid OPERATOR(pg_catalog.=) t.tgrelid
    JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) t.tgfoid
   WHERE NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'D' AND f.oid OPERATOR(pg_catalog.>=) 16384
   LIMIT 500`);
  let due = triggers.flatMap(([oid]) => (oid == null ? [] : [oid]));
  const seen = new Set<string>();
  for (let depth = 0; due.length > 0; depth++) {
    if (depth === maxDepth) return "its triggers call too many functions to be read";
    const bodies =
      await query(`SELECT f.oid::pg_catalog.text, pg_catalog.format('%I.%I', n.nspname, f.proname), l.lanname, f.prosrc
      FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) f.prolang
     WHERE f.oid::pg_catalog.text OPERATOR(pg_catalog.=) ANY (${textArray(due)})`);
    const called = new Set<string>();
    for (const [oid, name, language, body] of bodies) {
      if (oid != null) seen.add(oid);
      if (language !== "plpgsql" && language !== "sql")
        return `a trigger runs ${name}(), which is written in ${language} and cannot be read`;
      const code = (body ?? "").replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ");
      // A body in SQL-standard form is not in the source text.
      if (code.trim() === "") return `a trigger runs ${name}(), which cannot be read`;
      const word = reaching.exec(code)?.[0];
      if (word !== undefined)
        return `a trigger runs ${name}(), which uses ${word.toLowerCase()}: not all of that would be undone`;
      for (const [, one] of code.matchAll(/([A-Za-z_][A-Za-z_0-9$]*)"?\s*\(/g))
        if (one !== undefined) called.add(one.toLowerCase());
    }
    if (called.size === 0) return null;
    const next = await query(`SELECT f.oid::pg_catalog.text FROM pg_catalog.pg_proc f
     WHERE f.oid OPERATOR(pg_catalog.>=) 16384
       AND pg_catalog.lower(f.proname::pg_catalog.text) OPERATOR(pg_catalog.=) ANY (${textArray([...called])}) LIMIT 500`);
    due = next.flatMap(([oid]) => (oid == null || seen.has(oid) ? [] : [oid]));
  }
  return null;
}
