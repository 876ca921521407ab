/** Writing SQL for what the parser's tree says, with every name quoted. */
import { type JsonObject, objectAt, stringAt } from "./tree.ts";

/** An identifier that means exactly `name` (manual section 4.1.1). */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function strings(names: unknown): string[] {
  return Array.isArray(names) ? names.map((name: unknown) => stringAt(objectAt(name, "String"), "sval")) : [];
}

/** A list of String nodes as column names; "" for none. */
export function columnList(names: unknown): string {
  return strings(names).map(quoted).join(", ");
}

/** COPY t (a, b) … as SELECT of these columns. COPY never looks at child tables, and without a list leaves generated columns out. */
export function copyQuery(copy: JsonObject): string {
  const columns = columnList(copy.attlist);
  return `SELECT ${columns === "" ? "*" : columns} FROM ONLY ${relationName(objectAt(copy, "relation"))}`;
}

/** COPY t (a, b) FROM as the INSERT that it resembles: it writes the same columns, and evaluates defaults where none is given. */
export function copyInsert(copy: JsonObject): string {
  const columns = strings(copy.attlist).map(quoted);
  const values =
    columns.length === 0
      ? "DEFAULT VALUES"
      : `(${columns.join(", ")}) VALUES (${columns.map(() => "DEFAULT").join(", ")})`;
  return `INSERT INTO ${relationName(objectAt(copy, "relation"))} ${values}`;
}

/** TRUNCATE as the DELETEs that it resembles, one for each table. */
export function truncateDeletes(truncate: JsonObject): string[] {
  const relations: readonly unknown[] = Array.isArray(truncate.relations) ? truncate.relations : [];
  return relations.map((relation) => `DELETE FROM ${relationName(objectAt(relation, "RangeVar"))}`);
}

/** A RangeVar node. */
function relationName(relation: JsonObject | undefined): string {
  return [stringAt(relation, "catalogname"), stringAt(relation, "schemaname"), stringAt(relation, "relname")]
    .filter((part) => part !== "")
    .map(quoted)
    .join(".");
}

/** A TypeName node without its modifiers, which parameters do not have. */
export function typeText(node: unknown): string {
  const type = objectAt(node, "TypeName");
  const bounds = Array.isArray(type?.arrayBounds) ? "[]".repeat(type.arrayBounds.length) : "";
  return strings(type?.names).map(quoted).join(".") + bounds;
}
