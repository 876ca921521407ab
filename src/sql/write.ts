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
  const relation = objectAt(copy, "relation");
  const name = [
    stringAt(relation, "catalogname"),
    stringAt(relation, "schemaname"),
    stringAt(relation, "relname"),
  ]
    .filter((part) => part !== "")
    .map(quoted)
    .join(".");
  const columns = columnList(copy.attlist);
  return `SELECT ${columns === "" ? "*" : columns} FROM ONLY ${name}`;
}

/** A TypeName node without its modifiers, which parameters do not have. */
export function typeText(node: unknown): string {
  const type = objectAt(node, "TypeName");
  const bounds = Array.isArray(type?.arrayBounds) ? "[]".repeat(type.arrayBounds.length) : "";
  return strings(type?.names).map(quoted).join(".") + bounds;
}
