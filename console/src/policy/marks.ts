/** Places in a text that have something wrong. */
import type { PolicyProblem } from "./types.ts";

export interface Mark {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  readonly length?: number;
  readonly text: string;
}

/** The problems of one file as marks. */
export function marksOf(problems: readonly PolicyProblem[], file: string): readonly Mark[] {
  return problems
    .filter((one) => one.file === file)
    .map(({ line, column, what, expected }) => ({ line, column, text: sayProblem({ what, expected }) }));
}

/** "has no then; expected allow, deny, …". */
export function sayProblem({ what, expected }: Pick<PolicyProblem, "what" | "expected">): string {
  return expected === "" ? what : `${what}; expected ${expected}`;
}
