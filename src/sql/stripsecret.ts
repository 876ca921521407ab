import { Lexer, token } from "./lexer.ts";

/**
 * A secret setting's value may be written as a word, which stripping leaves: `SET app.password = hunter2`. So what stands
 * behind the first `=` or TO of a SET, ALTER SYSTEM SET or ALTER … SET becomes one `?`.
 * Everywhere else a secret can only be a literal.
 */
export function strippedSecret(stripped: string): string {
  const lexer = new Lexer(stripped);
  let set = false;
  for (let kind = lexer.next(); kind !== token.end; kind = lexer.next()) {
    if (kind !== token.word && kind !== token.operator) continue;
    const piece = stripped.slice(lexer.start, lexer.end).toLowerCase();
    if (piece === "set") set = true;
    else if (set && (piece === "to" || piece === "=")) return `${stripped.slice(0, lexer.end)} ?`;
  }
  return stripped;
}
