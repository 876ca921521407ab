/** What is wrong in a configuration file, and where. */

/** One fault, with all that its reader needs to mend it. Holds no secret. */
export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Dotted path, e.g. `databases[0].logins[1].password`; empty for the file as a whole. */
  readonly key: string;
  readonly what: string;
  readonly expected: string;
}

/** Path of keys and indexes into the configuration's value. */
export type Path = readonly (string | number)[];

/** Refused configuration: every problem found, in the order of the file. */
export class ConfigError extends Error {
  readonly code = "CONFIG_INVALID";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** One line: `file:line:column key: what; expected …` (SPEC.md section 2). */
export function formatProblem(problem: Problem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  const key = problem.key === "" ? "" : ` ${problem.key}`;
  const expected = problem.expected === "" ? "" : `; expected ${problem.expected}`;
  return oneLine(`${place}${key}: ${problem.what}${expected}`);
}

/** `a.b[0].c`; keys that are not plain words are quoted. */
export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) text += text === "" ? part : `.${part}`;
    else text += `[${JSON.stringify(part.length > 40 ? `${part.slice(0, 40)}…` : part)}]`;
  }
  return text;
}

/** Control characters out, so that a hostile key cannot forge a line of output. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, " ");
}
