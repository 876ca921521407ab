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

/** Texts that were put together for a snapshot, which never changes: every statement asks for some. Bounded. */
class Texts {
  readonly relations = new Map<number, string>();
  readonly functions = new Map<number, string>();
  /** By relation, then by number. */
  readonly columns = new Map<number, Map<number, string>>();
  #left = maxTexts;

  /** Room for one more. */
  makeRoom(): void {
    if (this.#left-- > 0) return;
    this.relations.clear();
    this.functions.clear();
    this.columns.clear();
    this.#left = maxTexts;
  }
}
const maxTexts = 50_000;
const known = new WeakMap<CatalogSnapshot, Texts>();

function textsOf(snapshot: CatalogSnapshot): Texts {
  let texts = known.get(snapshot);
  if (texts === undefined) {
    texts = new Texts();
    known.set(snapshot, texts);
  }
  return texts;
}

/** "schema.relation", each part quoted where needed; "oid N" when the snapshot does not know it. */
export function relationText(snapshot: CatalogSnapshot, oid: number): string {
  const texts = textsOf(snapshot);
  let text = texts.relations.get(oid);
  if (text === undefined) {
    const relation = snapshot.relation(oid);
    if (relation === undefined) return `oid ${oid}`;
    text = qualified(relation.schema, relation.name);
    texts.makeRoom();
    texts.relations.set(oid, text);
  }
  return text;
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
  const texts = textsOf(snapshot);
  const text = texts.columns.get(oid)?.get(attnum);
  if (text !== undefined) return text;
  const relation = relationText(snapshot, oid);
  if (attnum === 0) return `${relation}.*`;
  const name = snapshot.column(oid, attnum)?.name ?? systemColumns[attnum];
  if (name === undefined) return `${relation}.attribute ${attnum}`;
  const fresh = `${relation}.${quoteIdentifier(name)}`;
  texts.makeRoom();
  let columns = texts.columns.get(oid);
  if (columns === undefined) {
    columns = new Map();
    texts.columns.set(oid, columns);
  }
  columns.set(attnum, fresh);
  return fresh;
}

/** "schema.function"; "oid N" when the snapshot does not know it. */
export function functionText(snapshot: CatalogSnapshot, oid: number): string {
  const texts = textsOf(snapshot);
  let text = texts.functions.get(oid);
  if (text === undefined) {
    const func = snapshot.func(oid);
    if (func === undefined) return `oid ${oid}`;
    text = qualified(func.schema, func.name);
    texts.makeRoom();
    texts.functions.set(oid, text);
  }
  return text;
}
