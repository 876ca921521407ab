/** A search's filters as a question about the terms of a record's parts. What it finds is decided again on each record (filters.ts). */
import type { RecordFilter } from "../read/filters.ts";
import { wordsOf } from "../read/words.ts";
import { type TagKind, tag } from "./document.ts";

export interface Term {
  readonly text: string;
  /** The term need only begin so. */
  readonly prefix: boolean;
}

/** One of the groups must be there, that is all of its terms: numbers in `terms`. */
export type Clause = readonly (readonly number[])[];

export interface TermQuery {
  readonly terms: readonly Term[];
  /** All of them must hold. */
  readonly clauses: readonly Clause[];
  /** Terms that each found record must have: one that lacks them was changed. */
  readonly required: readonly string[];
}

/** A number of 32 bits holds what is known of a part. Terms beyond these do not narrow the search any more. */
const maxTerms = 30;

const simple: readonly (readonly [
  Exclude<TagKind, "table" | "unread" | "partial">,
  keyof RecordFilter["filters"],
])[] = [
  ["subject", "subject"],
  ["group", "group"],
  ["token", "token"],
  ["session", "session"],
  ["run", "run"],
  ["database", "database"],
  ["column", "column"],
  ["label", "label"],
  ["function", "function"],
  ["fingerprint", "fingerprint"],
  ["rule", "rule"],
  ["type", "type"],
  ["verdict", "verdict"],
];

export function termQuery(filter: RecordFilter): TermQuery {
  const { filters } = filter;
  const terms: Term[] = [];
  const clauses: Clause[] = [];
  const number = (text: string, prefix = false): number => {
    const known = terms.findIndex((t) => t.text === text && t.prefix === prefix);
    return known >= 0 ? known : terms.push({ text, prefix }) - 1;
  };
  /** Adds a clause of these groups of terms, if there is room for its terms. */
  const clause = (groups: readonly (readonly Term[])[]): void => {
    if (terms.length + groups.flat().length > maxTerms) return;
    clauses.push(groups.map((group) => group.map((t) => number(t.text, t.prefix))));
  };
  const partial = { text: tag("partial", ""), prefix: false };
  const required = simple.flatMap(([kind, name]) => {
    const value = filters[name];
    return typeof value === "string" ? [tag(kind, value)] : [];
  });
  for (const text of required) clause([[{ text, prefix: false }]]);
  if (filters.table !== undefined) {
    const words = [...wordsOf(filters.table.toLowerCase())].map((text) => ({ text, prefix: false }));
    // Not analysed: its text may name the relation.
    const unread = { text: tag("unread", ""), prefix: false };
    clause([[{ text: tag("table", filters.table), prefix: false }], [unread, ...words], [unread, partial]]);
  }
  for (const { words, prefix } of filter.text?.terms ?? [])
    clause([words.map((text, i) => ({ text, prefix: prefix && i === words.length - 1 })), [partial]]);
  return { terms, clauses, required };
}

/** The term as an FTS5 expression. Words hold letters, digits and marks only; quoted all the same, since AND, OR and NOT are words too. */
export function matchOf({ text, prefix }: Term): string {
  return prefix ? `"${text}"*` : `"${text}"`;
}
