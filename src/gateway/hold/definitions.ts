/**
 * What the names in a held statement stand for, as one digest: relations with their columns, rules, triggers, constraints and
 * row policies, and functions with their bodies. Who agrees to a statement agrees to it under these definitions.
 */
import { createHash } from "node:crypto";
import { textArray } from "./sqltext.ts";

/** Runs one read-only statement and gives its rows as text. */
export type Query = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** What a digest is made of: names as "schema.name", quoted as PostgreSQL quotes. */
export interface Named {
  readonly relations: readonly string[];
  readonly functions: readonly string[];
}

/** The relations and what inherits from them, as `rels(oid)`. Unknown names are left out. */
export function relationsCte(names: readonly string[]): string {
  return `RECURSIVE rels(oid) AS (
    SELECT pg_catalog.to_regclass(n)::pg_catalog.oid FROM pg_catalog.unnest(${textArray(names)}) AS n
     WHERE pg_catalog.to_regclass(n) IS NOT NULL
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN rels ON i.inhparent OPERATOR(pg_catalog.=) rels.oid)`;
}

const bar = "pg_catalog.concat_ws('|', ";

/** Digest (hex) of the definitions behind `named`; "" when it names nothing. Rejects as `query` does. */
export async function definitionsDigest(query: Query, named: Named): Promise<string> {
  if (named.relations.length === 0 && named.functions.length === 0) return "";
  const sql = `WITH ${relationsCte(named.relations)},
  triggers AS (SELECT t.* FROM pg_catalog.pg_trigger t JOIN rels ON t.tgrelid OPERATOR(pg_catalog.=) rels.oid),
  lines(line) AS (
    SELECT ${bar} 'class', c.oid, c.relname, c.relnamespace, c.relkind, c.relowner, c.relrowsecurity,
           c.relforcerowsecurity, c.relpersistence, c.reltype)
      FROM pg_catalog.pg_class c JOIN rels ON c.oid OPERATOR(pg_catalog.=) rels.oid
    UNION ALL SELECT ${bar} 'column', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
           a.attisdropped, a.attgenerated, a.attidentity, d.adbin)
      FROM pg_catalog.pg_attribute a JOIN rels ON a.attrelid OPERATOR(pg_catalog.=) rels.oid
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid
           AND d.adnum OPERATOR(pg_catalog.=) a.attnum
     WHERE a.attnum OPERATOR(pg_catalog.>) 0
    UNION ALL SELECT ${bar} 'rule', r.ev_class, r.rulename, r.ev_type, r.ev_enabled, r.is_instead, r.ev_qual, r.ev_action)
      FROM pg_catalog.pg_rewrite r JOIN rels ON r.ev_class OPERATOR(pg_catalog.=) rels.oid
    UNION ALL SELECT ${bar} 'trigger', t.tgrelid, t.tgname, t.tgfoid, t.tgtype, t.tgenabled, t.tgargs, t.tgqual)
      FROM triggers t
    UNION ALL SELECT ${bar} 'constraint', k.conrelid, k.confrelid, k.conname, k.contype, k.confdeltype, k.confupdtype,
           k.conkey, k.confkey, k.condeferrable, k.conbin)
      FROM pg_catalog.pg_constraint k
     WHERE k.conrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM rels)
        OR k.confrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM rels)
    UNION ALL SELECT ${bar} 'policy', p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles, p.polqual, p.polwithcheck)
      FROM pg_catalog.pg_policy p JOIN rels ON p.polrelid OPERATOR(pg_catalog.=) rels.oid
    UNION ALL SELECT ${bar} 'function', f.oid, f::pg_catalog.text)
      FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) f.pronamespace
     WHERE f.oid OPERATOR(pg_catalog.>=) 16384 AND (
           pg_catalog.format('%I.%I', s.nspname, f.proname) OPERATOR(pg_catalog.=) ANY (${textArray(named.functions)})
        OR f.oid OPERATOR(pg_catalog.=) ANY (SELECT tgfoid FROM triggers)))
  SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(line, 'UTF8')), 'hex') FROM lines ORDER BY 1`;
  const hash = createHash("sha256");
  for (const [line] of await query(sql)) hash.update(`${line}\n`);
  return hash.digest("hex");
}
