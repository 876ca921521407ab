/** zod's issues → "what is there" and "what is expected". Schemas' own `error` texts say what was expected. */
import type { z } from "zod";
import type { Path } from "./problem.ts";

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

export interface Fault {
  readonly path: Path;
  /** The key is at fault, not its value. */
  readonly atKey: boolean;
  readonly what: string;
  readonly expected: string;
}

/** What is expected where a schema does not say it itself: given to safeParse as `error`. */
export function expectedText(issue: RawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return typeNames[issue.expected] ?? "another type";
    case "invalid_value":
      return issue.values.length > 2 ? `one of ${issue.values.join(", ")}` : issue.values.join(" or ");
    case "too_small":
      return issue.origin === "array" ? "at least one" : `at least ${issue.minimum}`;
    case "too_big":
      return issue.origin === "array" ? `at most ${issue.maximum} items` : `at most ${issue.maximum}`;
    default:
      return "";
  }
}

const typeNames: Readonly<Record<string, string>> = {
  object: "keys and values",
  record: "keys and values",
  array: "a list",
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

/** `keysAt` gives the keys known at a path, for unknown ones. */
export function explain(
  issues: readonly Issue[],
  value: unknown,
  keysAt: (path: Path) => readonly string[],
): Fault[] {
  return issues.flatMap((issue) => explainOne(issue, [], value, keysAt));
}

function explainOne(
  issue: Issue,
  base: Path,
  value: unknown,
  keysAt: (path: Path) => readonly string[],
): Fault[] {
  const path: Path = [...base, ...names(issue.path)];
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(path);
    return issue.keys.map((key) => ({ path: [...path, key], atKey: true, ...unknownKey(key, known) }));
  }
  const there = valueAt(value, path);
  if (issue.code === "invalid_union") {
    const inner = nearestBranch(issue, there);
    if (inner !== null) return inner.flatMap((nested) => explainOne(nested, path, value, keysAt));
  }
  return [{ path, atKey: there === undefined, what: describe(there, issue), expected: issue.message }];
}

/**
 * The branch of a union that the value was meant for: when it is a mapping or list, the one whose complaints lie deepest.
 * null: none is near, and the union's own text says more.
 */
function nearestBranch(
  issue: Extract<Issue, { code: "invalid_union" }>,
  value: unknown,
): readonly Issue[] | null {
  if (typeof value !== "object" || value === null) return null;
  let best: { faults: number; issues: readonly Issue[] } | null = null;
  for (const issues of issue.errors) {
    if (issues.length === 0 || issues.some((nested) => isWrongType(nested, value))) continue;
    const faults = issues.reduce((sum, nested) => sum + weight(nested, value), 0);
    if (best === null || faults < best.faults) best = { faults, issues };
  }
  return best?.issues ?? null;
}

/** The complaint is about the value as a whole: this branch is for something else altogether. */
function isWrongType(issue: Issue, value: unknown): boolean {
  if (issue.path.length > 0 || issue.code === "unrecognized_keys") return false;
  return issue.code !== "invalid_union" || nearestBranch(issue, value) === null;
}

/** Unknown and missing keys say more than a wrong value that another branch was meant. */
function weight(issue: Issue, value: unknown): number {
  if (issue.code === "unrecognized_keys") return 2 * issue.keys.length;
  return valueAt(value, names(issue.path)) === undefined ? 2 : 1;
}

function names(path: readonly PropertyKey[]): Path {
  return path.map((part) => (typeof part === "number" ? part : String(part)));
}

function describe(value: unknown, issue: Issue): string {
  if (value === undefined) return "is missing";
  if (value === null) return "is empty";
  if (Array.isArray(value)) return value.length === 0 ? "is an empty list" : "is a list";
  switch (typeof value) {
    case "object":
      return "is a mapping";
    case "boolean":
      return `is ${value}`;
    case "number":
      return `is ${value}`;
    case "string":
      if (value === "") return "is an empty text";
      // A union may be meant to keep secrets out of the file: never repeat what stands there.
      if (
        issue.code === "invalid_type" ||
        (issue.code === "invalid_union" && issue.discriminator === undefined)
      )
        return "is a text";
      return isPrintable(value) ? `"${value}" is not accepted` : "this text is not accepted";
    default:
      return "is not accepted";
  }
}

/** Short, harmless in a terminal, and nothing that looks like a credential. */
function isPrintable(value: string): boolean {
  return value.length <= 60 && /^[\w .,:;+*/[\]()-]+$/.test(value) && !/\/\/[^/]*:[^/]*@|@/.test(value);
}

/** The value at a path; undefined when there is none. */
export function valueAt(value: unknown, path: Path): unknown {
  let here = value;
  for (const part of path) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, part)) return undefined;
    here = (here as Record<string | number, unknown>)[part];
  }
  return here;
}

function unknownKey(key: string, known: readonly string[]): { what: string; expected: string } {
  // Known, but to another branch of a union than the one that the other keys speak for.
  if (known.includes(key))
    return { what: "does not go together with the other keys", expected: "one form only" };
  const expected = known.length > 0 ? `one of ${known.join(", ")}` : "no keys here";
  return { what: `is not a known key${suggestion(key, known)}`, expected };
}

function suggestion(key: string, known: readonly string[]): string {
  const near = known.find(
    (name) => distance(name, key.toLowerCase().slice(0, 64)) <= (name.length > 5 ? 2 : 1),
  );
  return near === undefined ? "" : ` (did you mean ${near}?)`;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
