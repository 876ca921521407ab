/**
 * What a definition compares or converts of values that are there, by names alone: keys of foreign keys and exclusion constraints,
 * rows of a default partition, columns and attributes that get another type, domains that get a check.
 */
import type { Definition, NamedRelation } from "./facts.ts";
import { named } from "./relations.ts";
import { flagAt, isObject, type JsonObject, objectAt, stringAt, wordsOf } from "./tree.ts";

type Checked = Pick<Definition, "references" | "partitioned" | "retyped" | "attributes" | "domain"> & {
  /** Columns of its own subject. */
  readonly columns: readonly string[];
};

/** Reads them from the statement with top node `name`. Not recursive: expressions may be deep. */
export function checkedBy(name: string, node: JsonObject): Checked {
  const references: Definition["references"][number][] = [];
  const columns: string[] = [];
  const open: unknown[] = [node];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (Array.isArray(at)) {
      for (const item of at) open.push(item);
      continue;
    }
    if (!isObject(at)) continue;
    const constraint = objectAt(at, "Constraint");
    if (constraint !== undefined) {
      if (isObject(constraint.pktable))
        references.push({ relation: named(constraint.pktable), columns: wordsOf(constraint.pk_attrs) });
      // Ranges that overlap, and what other operators find: more than that two values are equal.
      if (flagAt(constraint, "without_overlaps")) columns.push(...wordsOf(constraint.keys));
      if (stringAt(constraint, "contype") === "CONSTR_EXCLUSION")
        columns.push(...excluded(constraint.exclusions));
    }
    for (const value of Object.values(at)) if (typeof value === "object" && value !== null) open.push(value);
  }
  columns.push(...seenByTrigger(name, node), ...foldedByIndex(name, node));
  return { references, columns, partitioned: partitionedBy(name, node), ...ofTypes(name, node) };
}

/** CREATE TABLE and CREATE FOREIGN TABLE … PARTITION OF … FOR VALUES; what becomes the default is held against nothing. */
function partitionedBy(name: string, node: JsonObject): NamedRelation[] {
  const table = name === "CreateForeignTableStmt" ? objectAt({ base: node.base }, "base") : node;
  const { partbound, inhRelations } = table ?? {};
  if (!isObject(partbound) || flagAt(partbound, "is_default") || !Array.isArray(inhRelations)) return [];
  return inhRelations.flatMap((item) => {
    const parent = objectAt(item, "RangeVar");
    return parent === undefined ? [] : [named(parent)];
  });
}

/** Columns of a unique index that are compared by another collation than their own: it may take many texts for one. */
function foldedByIndex(name: string, node: JsonObject): string[] {
  if (name !== "IndexStmt" || !flagAt(node, "unique")) return [];
  const params: readonly unknown[] = Array.isArray(node.indexParams) ? node.indexParams : [];
  return params.flatMap((item) => {
    const element = objectAt(item, "IndexElem");
    const column = stringAt(element, "name");
    return column === "" || tellsApart(element?.collation) ? [] : [column];
  });
}

/** Collations of PostgreSQL's own under which different texts are never equal; none: the column's. */
const telling: ReadonlySet<string> = new Set(["C", "POSIX", "default", "ucs_basic"]);

function tellsApart(collation: unknown): boolean {
  const words = wordsOf(collation);
  const [schema] = words.length > 1 ? words : ["pg_catalog"];
  return words.length === 0 || (schema === "pg_catalog" && telling.has(words.at(-1) ?? ""));
}

/** What PostgreSQL's own trigger functions do with the columns that they are given, and with rows that do not change, is seen. */
function seenByTrigger(name: string, node: JsonObject): string[] {
  if (name !== "CreateTrigStmt") return [];
  const compares =
    wordsOf(node.funcname).at(-1) === "suppress_redundant_updates_trigger" || namesRows(node.whenClause);
  return [...wordsOf(node.args), ...(compares ? [stringAt(objectAt(node, "relation"), "relname")] : [])];
}

/** OLD and NEW as a whole, or `.*` of them, in WHEN. Not recursive: expressions may be deep. */
function namesRows(condition: unknown): boolean {
  const open: unknown[] = [condition];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (Array.isArray(at)) {
      for (const item of at) open.push(item);
      continue;
    }
    if (!isObject(at)) continue;
    const fields = objectAt(at, "ColumnRef")?.fields;
    // A star is no word.
    if (
      Array.isArray(fields) &&
      ["old", "new"].includes(wordsOf(fields)[0] ?? "") &&
      wordsOf(fields).length < 2
    )
      return true;
    for (const value of Object.values(at)) if (typeof value === "object" && value !== null) open.push(value);
  }
  return false;
}

/** Columns of an exclusion constraint that stand by themselves; expressions are read with all others. */
function excluded(exclusions: unknown): string[] {
  const pairs: readonly unknown[] = Array.isArray(exclusions) ? exclusions : [];
  return pairs.flatMap((pair) => {
    const items = objectAt(pair, "List")?.items;
    const column = stringAt(objectAt(Array.isArray(items) ? items[0] : undefined, "IndexElem"), "name");
    return column === "" ? [] : [column];
  });
}

function ofTypes(name: string, node: JsonObject): Pick<Checked, "retyped" | "attributes" | "domain"> {
  const nothing = { retyped: [], attributes: [], domain: null };
  switch (name) {
    case "AlterDomainStmt": {
      // alterdomain: "C" adds a constraint, "V" validates one (parsenodes.h).
      const words = wordsOf(node.typeName);
      const last = words.at(-1);
      const checks = ["C", "V"].includes(stringAt(node, "subtype")) && last !== undefined;
      return checks ? { ...nothing, domain: { schema: words.at(-2) ?? null, name: last } } : nothing;
    }
    case "AlterTableStmt": {
      const retyped = retypedBy(node);
      // Tables of that type have its attributes as columns.
      return stringAt(node, "objtype") === "OBJECT_TYPE"
        ? { ...nothing, attributes: retyped.map(({ column }) => column) }
        : { ...nothing, retyped };
    }
    default:
      return nothing;
  }
}

function retypedBy(node: JsonObject): Definition["retyped"] {
  const commands: readonly unknown[] = Array.isArray(node.cmds) ? node.cmds : [];
  return commands.flatMap((item) => {
    const command = objectAt(item, "AlterTableCmd");
    if (command === undefined || stringAt(command, "subtype") !== "AT_AlterColumnType") return [];
    const type = objectAt(objectAt(command.def, "ColumnDef"), "typeName");
    const words = wordsOf(type?.names);
    const last = words.at(-1);
    const plain =
      type?.typmods === undefined &&
      type?.arrayBounds === undefined &&
      last !== undefined &&
      tellsApart(objectAt(objectAt(command.def, "ColumnDef"), "collClause")?.collname);
    return [
      {
        column: stringAt(command, "name"),
        to: plain ? { schema: words.at(-2) ?? null, name: last } : null,
      },
    ];
  });
}
