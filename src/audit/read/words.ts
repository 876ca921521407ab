/** The words of a record: what `--text` finds. The index and the scan share this, so that both give the same answer. */
import { isObject, type Json } from "./leaves.ts";

/** Ids, times and digests have filters of their own or say nothing to a reader. */
const silent = new Set([
  "id",
  "time",
  "session",
  "request",
  "sealed",
  "sha256",
  "jti",
  "digests",
  "issued",
  "expires",
]);
const longest = 64;
const word = /[\p{L}\p{N}\p{M}]+/gu;

/** The texts of a record, in lower case, one a line. */
export function textOf(value: unknown): string {
  const found: string[] = [];
  gather(value, found);
  return found.join("\n").toLowerCase();
}

function gather(value: unknown, into: string[]): void {
  if (typeof value === "string") into.push(value.replace(/\s+/g, " "));
  else if (Array.isArray(value)) for (const member of value) gather(member, into);
  else if (isObject(value))
    for (const [name, member] of Object.entries(value)) if (!silent.has(name)) gather(member, into);
}

/** The distinct words of a text that is in lower case; very long ones by their beginning. */
export function wordsOf(lower: string): Set<string> {
  const found = new Set<string>();
  for (const [w] of lower.matchAll(word)) found.add(w.length > longest ? w.slice(0, longest) : w);
  return found;
}

/**
 * What is looked for: terms between blanks, each of which must occur between word boundaries, without regard to case; one that
 * ends with `*` need only begin a word. "Quoted terms" may hold blanks.
 */
export interface TextQuery {
  readonly terms: readonly { readonly words: readonly string[]; readonly prefix: boolean }[];
  /** Whether a record's text (`textOf`) holds all terms. */
  fits(text: string): boolean;
}

/** Reads what a person typed; null when it holds no word at all. */
export function textQuery(typed: string): TextQuery | null {
  const terms: { words: string[]; prefix: boolean }[] = [];
  const patterns: RegExp[] = [];
  for (const [, quoted, bare] of typed.toLowerCase().matchAll(/"([^"]*)"|([^\s"]+)/g)) {
    const raw = quoted ?? bare ?? "";
    const prefix = raw.endsWith("*");
    const term = (prefix ? raw.slice(0, -1) : raw).trim();
    const words = [...wordsOf(term)];
    if (words.length === 0) continue;
    terms.push({ words, prefix: prefix && /[\p{L}\p{N}\p{M}]$/u.test(term) });
    const escaped = term.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&").replace(/\s+/g, " ");
    const before = /^[\p{L}\p{N}\p{M}]/u.test(term) ? "(?<![\\p{L}\\p{N}\\p{M}])" : "";
    const after = /[\p{L}\p{N}\p{M}]$/u.test(term) && !prefix ? "(?![\\p{L}\\p{N}\\p{M}])" : "";
    patterns.push(new RegExp(`${before}${escaped}${after}`, "u"));
  }
  if (terms.length === 0) return null;
  return { terms, fits: (text) => patterns.every((p) => p.test(text)) };
}

/** The parts of a record that all records of a session, and all of a statement's shape, have in common; and what is left. */
export function partsOf(leaf: Json): {
  readonly session: Json;
  readonly statement: unknown;
  readonly rest: Json;
} {
  const { principal, client, claimed, database, session, token, statement, ...rest } = leaf;
  const shape = isObject(statement) ? { ...statement, ...unshared } : statement;
  return { session: { principal, client, claimed, database, session, token }, statement: shape, rest };
}

/** Members of a statement that differ from one run of it to the next. */
const unshared = { sealed: undefined, transaction: undefined, index: undefined };
