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
  /\b(?:execute|dblink\w*|copy|notify|pg_notify|lo_\w+|pg_read_\w+|pg_write_\w+|pg_file_\w+|http\w*|net|aws_\w+|azure_\w+|pg_background\w*|plsh|curl\w*|load|nextval|setval|pg_sleep\w*|advisory\w*|commit|rollback|pg_terminate_\w+|pg_cancel_\w+|pg_reload_\w+|pg_rotate_\w+|pg_switch_\w+|pg_promote|pg_logical_\w+|pg_create_\w+|pg_drop_\w+|pg_stat_reset\w*|\w+_to_xml\w*|ts_stat|crosstab\w*|connectby)\b|\bu&"/i;

const maxDepth = 4;

/** A name before a parenthesis, with comments between the two. */
const call = /("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*\(/gu;
const name = /"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/gu;

/**
 * Code that runs when rows of `rels(oid)`, or of what foreign keys change along, are written: of triggers, and of checks, defaults and
 * indexes. Foreign tables among them have '' in place of a function.
 */
const codeOf = (rels: string) => `WITH ${rels},
  reached(oid) AS (
    SELECT oid FROM rels
    UNION SELECT k.conrelid FROM pg_catalog.pg_constraint k JOIN reached ON k.confrelid OPERATOR(pg_catalog.=) reached.oid
     WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))),
  parts(classid, objid) AS (
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid, k.oid FROM pg_catalog.pg_constraint k
     WHERE k.conrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM reached)
        OR k.contypid OPERATOR(pg_catalog.=) ANY (SELECT a.atttypid FROM pg_catalog.pg_attribute a
             JOIN reached ON a.attrelid OPERATOR(pg_catalog.=) reached.oid WHERE a.attnum OPERATOR(pg_catalog.>) 0)
    UNION ALL SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid, d.oid FROM pg_catalog.pg_attrdef d
      JOIN reached ON d.adrelid OPERATOR(pg_catalog.=) reached.oid
    UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, i.indexrelid FROM pg_catalog.pg_index i
      JOIN reached ON i.indrelid OPERATOR(pg_catalog.=) reached.oid)
  SELECT f.oid::pg_catalog.text FROM pg_catalog.pg_trigger t
    JOIN reached ON reached.oid OPERATOR(pg_catalog.=) t.tgrelid
    JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) t.tgfoid
   WHERE NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'D' AND f.oid OPERATOR(pg_catalog.>=) 16384
  UNION SELECT p.refobjid::pg_catalog.text FROM pg_catalog.pg_depend p
    JOIN parts ON parts.classid OPERATOR(pg_catalog.=) p.classid AND parts.objid OPERATOR(pg_catalog.=) p.objid
   WHERE p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
     AND p.refobjid OPERATOR(pg_catalog.>=) 16384
  UNION SELECT '' FROM pg_catalog.pg_class c JOIN reached ON reached.oid OPERATOR(pg_catalog.=) c.oid
   WHERE c.relkind OPERATOR(pg_catalog.=) 'f'
   LIMIT 500`;

/**
 * Why the code that it would run besides speaks against running it; null: it is read, and does nothing but change rows. Looks at the
 * written tables, at those that foreign keys change along, and at those that this code names. Rejects as `query` does.
 */
export async function refusedByTriggers(query: Query, writes: readonly string[]): Promise<string | null> {
  if (writes.length === 0) return null;
  const seen = new Set<string>();
  const oids = (rows: Awaited<ReturnType<Query>>) =>
    rows.flatMap(([oid]) => (oid == null || seen.has(oid) ? [] : [oid]));
  let due = oids(await query(codeOf(relationsCte(writes))));
  for (let depth = 0; due.length > 0; depth++) {
    if (due.includes("")) return "its triggers may write to a foreign table: not all of that would be undone";
    if (depth === maxDepth) return "its triggers call too many functions to be read";
    const bodies =
      await query(`SELECT f.oid::pg_catalog.text, pg_catalog.format('%I.%I', n.nspname, f.proname), l.lanname, f.prosrc
      FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) f.prolang
     WHERE f.oid::pg_catalog.text OPERATOR(pg_catalog.=) ANY (${textArray(due)})`);
    const called = new Set<string>();
    const named = new Set<string>();
    for (const [oid, text, language, body] of bodies) {
      if (oid != null) seen.add(oid);
      if (language !== "plpgsql" && language !== "sql")
        return `writing runs ${text}(), which is written in ${language} and cannot be read`;
      const code = withoutComments(body ?? "");
      // A body in SQL-standard form is not in the source text.
      if (code.trim() === "") return `writing runs ${text}(), which cannot be read`;
      const word = reaching.exec(code)?.[0];
      if (word !== undefined)
        return `writing runs ${text}(), which uses ${word.toLowerCase()}: not all of that would be undone`;
      for (const [, one = ""] of code.matchAll(call)) called.add(plain(one));
      for (const [one] of code.matchAll(name)) named.add(plain(one));
    }
    const functions = await query(`SELECT f.oid::pg_catalog.text FROM pg_catalog.pg_proc f
     WHERE f.oid OPERATOR(pg_catalog.>=) 16384
       AND f.proname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (${textArray([...called])}) LIMIT 500`);
    const others = await query(
      codeOf(`RECURSIVE rels(oid) AS (SELECT c.oid FROM pg_catalog.pg_class c
     WHERE c.oid OPERATOR(pg_catalog.>=) 16384 AND c.relkind IN ('r', 'p', 'v', 'f')
       AND c.relname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (${textArray([...named])}))`),
    );
    due = [...new Set([...oids(functions), ...oids(others)])];
  }
  return null;
}

/** A name as the catalog has it. */
function plain(written: string): string {
  return written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase();
}

/** What only looks like a comment, since it stands in a text, is code: in doubt everything is. */
function withoutComments(body: string): string {
  if (/\\'|\$\w*\$|\/\*(?:(?!\*\/)[\s\S])*\/\*/.test(body)) return body;
  return body.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\//g, (part) =>
    part.startsWith("'") || part.startsWith('"') ? part : " ",
  );
}
