/** What is wrong in a policy file, and where. */

/** One fault, with all that its author needs to mend it. */
export interface PolicyProblem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Dotted path, e.g. `rules[2].limits.rows`; empty for the file as a whole. */
  readonly key: string;
  readonly what: string;
  readonly expected: string;
}

/** Refused policy: every problem found, by file and place. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  readonly code = "POLICY_INVALID";
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[]) {
    const sorted = [...problems].sort(
      (a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column,
    );
    super(sorted.map(formatPolicyProblem).join("\n"));
    this.problems = sorted;
  }
}

/** One line: `file:line:column key: what; expected …`, without control characters. */
export function formatPolicyProblem(problem: PolicyProblem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  const key = problem.key === "" ? "" : ` ${problem.key}`;
  const expected = problem.expected === "" ? "" : `; expected ${problem.expected}`;
  return `${place}${key}: ${problem.what}${expected}`.replace(/[\p{Cc}\u2028\u2029]/gu, " ");
}

/** Order by code units: the same on every machine, whatever its locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A text of the file, quoted and short enough for a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
