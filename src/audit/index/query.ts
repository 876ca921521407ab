/** A search's filters as a question to the full-text table. What it finds is decided again on each record (filters.ts). */
import type { RecordFilter } from "../read/filters.ts";
import { wordsOf } from "../read/words.ts";
import { type TagKind, tag } from "./document.ts";

export interface TermQuery {
  /** FTS5 MATCH expression; null: nothing that the terms could narrow. */
  readonly match: string | null;
  /** Terms that each found row must have: one that lacks them was changed. */
  readonly required: readonly string[];
}

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
  ["status", "status"],
];

export function termQuery(filter: RecordFilter): TermQuery {
  const { filters } = filter;
  const required = simple.flatMap(([kind, name]) => {
    const value = filters[name];
    return typeof value === "string" ? [tag(kind, value)] : [];
  });
  const clauses = required.map(quote);
  if (filters.table !== undefined) {
    const words = [...wordsOf(filters.table.toLowerCase())].map(quote);
    // Not analysed: its text may name the relation.
    const guess = [quote(tag("unread", "")), orPartial(words)].filter((c) => c !== "").join(" AND ");
    clauses.push(`(${quote(tag("table", filters.table))} OR (${guess}))`);
  }
  for (const { words, prefix } of filter.text?.terms ?? [])
    clauses.push(
      orPartial(words.map((w, i) => (prefix && i === words.length - 1 ? `${quote(w)}*` : quote(w)))),
    );
  return { match: clauses.length === 0 ? null : clauses.join(" AND "), required };
}

function orPartial(words: readonly string[]): string {
  return words.length === 0 ? "" : `((${words.join(" AND ")}) OR ${quote(tag("partial", ""))})`;
}

/** Words hold letters, digits and marks only; quoted all the same, since AND, OR and NOT are words too. */
function quote(term: string): string {
  return `"${term}"`;
}
