import type { TreeText } from "./facts.ts";
import type { StatementText } from "./types.ts";

/** The texts to ask the server about for this very statement, each one statement without a semicolon's need. */
export function treeTexts(statement: StatementText): readonly (TreeText & { readonly text: string })[] {
  return statement.shape.facts.tree.map(({ text, kind }) => ({ text: text ?? statement.text, kind }));
}
