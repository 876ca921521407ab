/** Relations as utility statements name them. */
import type { NamedRelation } from "./facts.ts";
import { type JsonObject, objectAt, stringAt } from "./tree.ts";

/** The parts of a RangeVar node. */
export function named(relation: JsonObject): NamedRelation {
  const parts = [stringAt(relation, "catalogname"), stringAt(relation, "schemaname")];
  const [catalog, schema] = parts.map((part) => (part === "" ? null : part));
  return { catalog: catalog ?? null, schema: schema ?? null, name: stringAt(relation, "relname") };
}

const relationTypes = new Set([
  "OBJECT_TABLE",
  "OBJECT_VIEW",
  "OBJECT_MATVIEW",
  "OBJECT_FOREIGN_TABLE",
  "OBJECT_SEQUENCE",
  "OBJECT_INDEX",
]);

/** What DROP names, where it is a kind of relation: lists of strings, for the grammar does not know RangeVars there. */
export function droppedRelations(node: JsonObject): NamedRelation[] {
  if (!relationTypes.has(stringAt(node, "removeType")) || !Array.isArray(node.objects)) return [];
  return node.objects.map((object: unknown) => {
    const items = objectAt(object, "List")?.items;
    const parts = Array.isArray(items)
      ? items.map((item: unknown) => stringAt(objectAt(item, "String"), "sval"))
      : [];
    return { catalog: parts.at(-3) ?? null, schema: parts.at(-2) ?? null, name: parts.at(-1) ?? "" };
  });
}
