/** The filters of a search (SPEC section 5), each decided on the record itself. */
import { at, type Json, list, text } from "./leaves.ts";
import { type TextQuery, textOf, textQuery } from "./words.ts";

export interface SearchFilters {
  readonly subject?: string;
  readonly issuer?: string;
  /** The agent that the caller claims to be, or one that acts on the subject's behalf. */
  readonly agent?: string;
  readonly group?: string;
  /** SHA-256 of the token (hex) or its `jti`. */
  readonly token?: string;
  readonly session?: string;
  readonly request?: string;
  readonly database?: string;
  /** "schema.relation" or "relation". Where a statement was not analysed, the word is looked for in its stripped SQL. */
  readonly table?: string;
  /** "schema.relation.column", "relation.column" or "column". */
  readonly column?: string;
  readonly label?: string;
  /** "schema.function" or "function". */
  readonly function?: string;
  readonly fingerprint?: string;
  readonly rule?: string;
  readonly type?: string;
  /** Milliseconds since the epoch, inclusive. */
  readonly since?: number;
  readonly until?: number;
  readonly verdict?: string;
  readonly status?: string;
  /** Words: see words.ts. */
  readonly text?: string;
  /** The run the caller claims, its traceparent (or the trace id in it), or the session. */
  readonly run?: string;
  /** A value that a parameter or literal of the statement is known to have. Needs the index and the keys. */
  readonly value?: string;
  /** Only records with a smaller index: for reading on page by page. */
  readonly before?: number;
}

/** Names that stand for a relation, column or function: the whole one and what is left when leading parts are left out. */
export function namesOf(name: string): string[] {
  const names = [name];
  // A dot inside of quotes is part of a name (quote_ident), not between two.
  for (const { index } of name.matchAll(/\.(?=(?:[^"]*"[^"]*")*[^"]*$)/g)) names.push(name.slice(index + 1));
  return names;
}

function named(names: readonly string[] | null, wanted: string): boolean {
  return names?.some((name) => name === wanted || namesOf(name).includes(wanted)) ?? false;
}

/** All names a run goes by: see `SearchFilters.run`. */
export function runNames(leaf: Json): string[] {
  const names = [text(leaf, "claimed.run"), text(leaf, "session")];
  const parent = text(leaf, "claimed.traceparent");
  if (parent !== null) names.push(parent, parent.split("-")[1] ?? null);
  return names.filter((n) => n !== null && n !== "") as string[];
}

/** The agents that a record names: the claimed one, those that act, and the principal where it is one. */
function agentsOf(leaf: Json): string[] {
  const actors = at(leaf, "principal.actor");
  return [
    text(leaf, "claimed.agent"),
    text(leaf, "principal.kind") === "agent" ? text(leaf, "principal.subject") : null,
    ...(Array.isArray(actors) ? actors.map((one) => text(one, "subject")) : []),
  ].filter((name) => name !== null);
}

/** Rules that a record names. */
export function rulesOf(leaf: Json): string[] {
  const one = text(leaf, "decision.rule");
  return [...new Set([...(one === null ? [] : [one]), ...(list(leaf, "decision.rules") ?? [])])];
}

/** Whether a statement was analysed: then its lists of relations are the truth about what it touches. */
export function analysed(leaf: Json): boolean {
  return list(leaf, "statement.reads") !== null || list(leaf, "statement.writes") !== null;
}

function touches(leaf: Json, table: string): boolean {
  if (analysed(leaf))
    return named(list(leaf, "statement.reads"), table) || named(list(leaf, "statement.writes"), table);
  const sql = text(leaf, "statement.sql");
  if (sql === null) return false;
  const word = table.replaceAll('"', "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<![\\w$])${word}(?![\\w$])`, "i").test(sql.replaceAll('"', ""));
}

/** A search as it is asked of one record after the other. */
export class RecordFilter {
  readonly filters: SearchFilters;
  readonly text: TextQuery | null;
  /** The text asked for holds no word: nothing fits. */
  readonly nothing: boolean;

  constructor(filters: SearchFilters) {
    this.filters = filters;
    this.text = filters.text === undefined ? null : textQuery(filters.text);
    this.nothing = filters.text !== undefined && this.text === null;
  }

  /** `leaf` has its blobs put back; `status` and `value` are not looked at. */
  fits(leaf: Json, index: number): boolean {
    const f = this.filters;
    if (this.nothing || (f.before !== undefined && index >= f.before)) return false;
    const same = (wanted: string | undefined, path: string) =>
      wanted === undefined || text(leaf, path) === wanted;
    if (!same(f.subject, "principal.subject") || !same(f.session, "session")) return false;
    if (!same(f.issuer, "principal.issuer")) return false;
    if (f.agent !== undefined && !agentsOf(leaf).includes(f.agent)) return false;
    if (!same(f.request, "request") || !same(f.type, "type") || !same(f.verdict, "decision.verdict"))
      return false;
    if (!same(f.database, "database.name") || !same(f.fingerprint, "statement.fingerprint")) return false;
    if (f.token !== undefined && !tokensOf(leaf).includes(f.token)) return false;
    if (f.group !== undefined && !list(leaf, "principal.groups")?.includes(f.group)) return false;
    if (f.label !== undefined && !list(leaf, "statement.labels")?.includes(f.label)) return false;
    if (f.rule !== undefined && !rulesOf(leaf).includes(f.rule)) return false;
    if (f.run !== undefined && !runNames(leaf).includes(f.run)) return false;
    if (f.since !== undefined || f.until !== undefined) {
      const time = timeOf(leaf);
      if (f.since !== undefined && !(time >= f.since)) return false;
      if (f.until !== undefined && !(time <= f.until)) return false;
    }
    if (f.column !== undefined && !named(list(leaf, "statement.columns"), f.column)) return false;
    if (f.function !== undefined && !named(list(leaf, "statement.functions"), f.function)) return false;
    if (f.table !== undefined && !touches(leaf, f.table)) return false;
    return this.text === null || this.text.fits(textOf(leaf));
  }
}

/** What a record knows its token by. */
export function tokensOf(leaf: Json): string[] {
  return ["principal.token.sha256", "principal.token.jti", "token.sha256"]
    .map((path) => text(leaf, path))
    .filter((t) => t !== null);
}

/** Milliseconds since the epoch; NaN when the record says no time. */
export function timeOf(leaf: Json): number {
  return Date.parse(text(leaf, "time") ?? "");
}

/** The leaf index an outcome belongs to; null when the record is none. */
export function intentOf(leaf: Json): number | null {
  if (leaf.type !== "statement.outcome") return null;
  const index = at(leaf, "intent.index");
  return typeof index === "number" && Number.isSafeInteger(index) && index >= 0 ? index : null;
}
