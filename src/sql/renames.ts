/** Statements that give something another name: what definitions behind them speak of has to be found out anew. */
import type { Definition, Renames } from "./facts.ts";
import { type JsonObject, stringAt } from "./tree.ts";

/** What RENAME and SET SCHEMA give another name. */
export function renamesBy(name: string, node: JsonObject): Renames {
  if (name !== "RenameStmt" && name !== "AlterObjectSchemaStmt") return null;
  return node.relation === undefined || stringAt(node, "renameType") === "OBJECT_ATTRIBUTE"
    ? "others"
    : "relations";
}

/** Whether it may mean something else behind what `renames` tells of. */
export function meansOthers(definition: Definition | null, renames: Renames): boolean {
  if (definition === null || renames === null) return false;
  const { moved, columns, references, partitioned, retyped, attributes } = definition;
  return (
    renames === "others" ||
    // What bears a label by its own name is never renamed.
    moved?.what === "parent" ||
    [columns, references, partitioned, retyped, attributes].some(({ length }) => length > 0)
  );
}

/** The one behind which more means something else. */
export function gravest(a: Renames, b: Renames): Renames {
  return a === "others" || b === null ? a : b;
}
