/** Names as PostgreSQL writes them (quote_identifier() in ruleutils.c). */
import { reserved } from "./keywords.ts";
import type { CatalogSnapshot } from "./types.ts";

/** An identifier, in double quotes where PostgreSQL's quote_identifier() puts them. */
export function quoteIdentifier(name: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && !reserved.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

export function qualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** "schema.relation", each part quoted where needed; "oid N" when the snapshot does not know it. */
export function relationText(snapshot: CatalogSnapshot, oid: number): string {
  const relation = snapshot.relation(oid);
  return relation === undefined ? `oid ${oid}` : qualified(relation.schema, relation.name);
}

/** PostgreSQL manual, "System Columns"; numbers of sysattr.h. */
const systemColumns: Readonly<Record<number, string>> = {
  [-1]: "ctid",
  [-2]: "xmin",
  [-3]: "cmin",
  [-4]: "xmax",
  [-5]: "cmax",
  [-6]: "tableoid",
};

/** "schema.relation.column"; "schema.relation.*" for the whole row (attribute 0). */
export function columnText(snapshot: CatalogSnapshot, oid: number, attnum: number): string {
  const relation = relationText(snapshot, oid);
  if (attnum === 0) return `${relation}.*`;
  const name = snapshot.column(oid, attnum)?.name ?? systemColumns[attnum];
  return `${relation}.${name === undefined ? `attribute ${attnum}` : quoteIdentifier(name)}`;
}

/** "schema.function"; "oid N" when the snapshot does not know it. */
export function functionText(snapshot: CatalogSnapshot, oid: number): string {
  const func = snapshot.func(oid);
  return func === undefined ? `oid ${oid}` : qualified(func.schema, func.name);
}
