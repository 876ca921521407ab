/**
 * What the index holds of a record: tags, one for each value that a filter asks for, and words. Both are terms of one
 * full-text table. Records of a session, of a statement's shape and of a decision share their parts: a record itself is three numbers.
 */
import { hash } from "node:crypto";
import { analysed, intentOf, namesOf, rulesOf, runNames, timeOf, tokensOf } from "../read/filters.ts";
import { isObject, type Json, list, text, withBlobs } from "../read/leaves.ts";
import { partsOf, textOf, wordsOf } from "../read/words.ts";

/** What a tag is about. One letter each: it begins the term. */
const kinds = {
  subject: "s",
  group: "g",
  token: "t",
  session: "n",
  run: "r",
  database: "d",
  table: "x",
  column: "c",
  label: "l",
  function: "f",
  fingerprint: "p",
  rule: "o",
  type: "y",
  verdict: "v",
  /** Not analysed: its relations can only be guessed from its words. */
  unread: "q",
  /** Too many words: not all of them are in the index. */
  partial: "w",
} as const;
export type TagKind = keyof typeof kinds;

/** More distinct words than this are not taken from one record. */
const maxWords = 20_000;

/** The term that stands for a value. "§" is in no word, so that no record can counterfeit a tag. */
export function tag(kind: TagKind, value: string): string {
  return `§${kinds[kind]}${hash("sha256", value, "hex").slice(0, 14)}`;
}

function tags(kind: TagKind, values: readonly (string | null)[] | null): string[] {
  return (values ?? []).filter((v) => v !== null).map((v) => tag(kind, v));
}

function terms(found: readonly string[], of: unknown): string {
  const words = wordsOf(textOf(of));
  if (words.size <= maxWords) return [...new Set([...found, ...words])].join(" ");
  return [...new Set([...found, tag("partial", ""), ...[...words].slice(0, maxWords)])].join(" ");
}

/** Terms of what a session's records say of it. Of `leaf` only the members of partsOf().session are looked at, blobs put back. */
export function sessionTerms(leaf: Json, part: Json = partsOf(leaf).session): string {
  return terms(
    [
      ...tags("subject", [text(leaf, "principal.subject")]),
      ...tags("group", list(leaf, "principal.groups")),
      ...tags("token", tokensOf(leaf)),
      ...tags("session", [text(leaf, "session")]),
      ...tags("run", runNames(leaf)),
      ...tags("database", [text(leaf, "database.name")]),
    ],
    part,
  );
}

/** Terms of what the records of a statement say of it, blobs put back; "" when there is none. */
export function statementTerms(leaf: Json, part: unknown = partsOf(leaf).statement): string {
  if (part === undefined) return "";
  const names = (path: string) => list(leaf, path)?.flatMap(namesOf) ?? null;
  return terms(
    [
      ...tags("table", names("statement.reads")),
      ...tags("table", names("statement.writes")),
      ...tags("column", names("statement.columns")),
      ...tags("function", names("statement.functions")),
      ...tags("label", list(leaf, "statement.labels")),
      ...tags("fingerprint", [text(leaf, "statement.fingerprint")]),
      ...(analysed(leaf) ? [] : [tag("unread", "")]),
    ],
    part,
  );
}

/** Terms of all that a record says itself, its blobs put back. */
export function ownTerms(leaf: Json, rest: Json = partsOf(leaf).rest): string {
  return terms(
    [
      ...tags("type", [text(leaf, "type")]),
      ...tags("verdict", [text(leaf, "decision.verdict")]),
      ...tags("rule", rulesOf(leaf)),
    ],
    shown(rest),
  );
}

export interface Document {
  /** The three shared parts, terms between blanks. */
  readonly session: string;
  readonly statement: string;
  readonly own: string;
}

/** Parts that were made before, by the JSON they were made of. Bounded by the characters of both. */
export class PartCache {
  private readonly known = new Map<string, string>();
  private readonly limit: number;
  private chars = 0;

  constructor(limit = 2 * 1024 * 1024) {
    this.limit = limit;
  }

  get(of: unknown, make: () => string): string {
    const key = JSON.stringify(of) ?? "";
    let found = this.known.get(key);
    if (found === undefined) {
      found = make();
      // Long ones are rare and would keep megabytes.
      if (key.length > 65_536) return found;
      this.chars += key.length + found.length;
      if (this.chars > this.limit) {
        this.known.clear();
        this.chars = key.length + found.length;
      }
      this.known.set(key, found);
    }
    return found;
  }
}

/** The document of a record with its blobs put back. Outcomes have none. */
export function documentOf(leaf: Json, cache: PartCache): Document {
  const { session, statement, rest } = partsOf(leaf);
  return {
    session: cache.get(["s", session], () => sessionTerms(leaf, session)),
    statement: cache.get(["q", statement], () => statementTerms(leaf, statement)),
    own: cache.get(["o", leaf.type, shown(rest)], () => ownTerms(leaf, rest)),
  };
}

/** What the own part depends on. */
function shown(rest: Json): Json {
  const { id: _id, time: _time, request: _request, sealed: _sealed, parameters, ...fields } = rest;
  return { ...fields, parameters };
}

/** The columns of a row that come from the record itself. */
export interface RowFacts {
  /** Milliseconds since the epoch, or null. */
  readonly time: number | null;
  readonly id: string | null;
  readonly request: string | null;
  /** Of an outcome: the leaf index of its intent. */
  readonly intent: number | null;
}

export function rowFacts(leaf: Json): RowFacts {
  const time = timeOf(leaf);
  return {
    time: Number.isNaN(time) ? null : time,
    id: text(leaf, "id"),
    request: text(leaf, "request"),
    intent: intentOf(leaf),
  };
}

/** The record with its blobs put back; one that is no JSON object is empty. */
export function readable(dir: string, leaf: Json | null): Json {
  const whole = leaf === null ? {} : withBlobs(dir, leaf);
  return isObject(whole) ? whole : {};
}
