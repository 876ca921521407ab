/**
 * What a definition (DDL) holds that the server's trees do not show: expressions that it runs or keeps, code that it makes, and
 * what takes a name or a place from a relation that a label goes by.
 */
import { checkedBy } from "./checked.ts";
import type { Definition, NamedRelation, QualifiedName } from "./facts.ts";
import { named } from "./relations.ts";
import { flagAt, isObject, type JsonObject, nodeOf, objectAt, stringAt, wordsOf } from "./tree.ts";

/** Their queries are asked about; nothing else in them is an expression. */
const analysed: ReadonlySet<string> = new Set([
  "SelectStmt",
  "ViewStmt",
  "CreateTableAsStmt",
  "CommentStmt",
  "DropStmt",
  "GrantStmt",
]);

/** The definition that the statement with top node `name` is; null: it holds none of this. */
export function definitionOf(name: string, node: JsonObject): Definition | null {
  if (analysed.has(name)) return null;
  const found = namesIn(node);
  const made = madeBy(name, node, found.queries);
  const moved = movedBy(name, node);
  const subjects = subjectsOf(name, node);
  const { functions, operators, types } = found;
  const { columns: compared, ...checked } = checkedBy(name, node);
  const columns = [...found.columns, ...compared];
  const { references, partitioned, retyped, attributes, domain } = checked;
  const all = [functions, operators, types, columns, references, partitioned, retyped, attributes];
  if (made === null && moved === null && domain === null && all.every(({ length }) => length === 0))
    return null;
  return { made, moved, functions, operators, types, columns, subjects, ...checked };
}

function madeBy(name: string, node: JsonObject, queries: boolean): Definition["made"] {
  switch (name) {
    case "CreateFunctionStmt":
      return "function";
    case "CreatePolicyStmt":
    case "AlterPolicyStmt":
      return queries ? "policy" : null;
    case "RuleStmt":
      return stringAt(node, "event") === "CMD_SELECT" ? "view" : null;
    case "AlterTableStmt":
      return commandsOf(node).some(({ command }) => setsBarrier(command)) ? "view" : null;
    case "CreateSchemaStmt":
      return Array.isArray(node.schemaElts) && node.schemaElts.length > 0 ? "schema" : null;
    default:
      return null;
  }
}

/** What stands in such a view counts as its owner's condition from then on. */
function setsBarrier(command: JsonObject): boolean {
  const options = objectAt(command.def, "List")?.items;
  return (
    Array.isArray(options) &&
    options.some((option) => stringAt(objectAt(option, "DefElem"), "defname").startsWith("security_"))
  );
}

function movedBy(name: string, node: JsonObject): Definition["moved"] {
  switch (name) {
    case "RenameStmt":
      switch (stringAt(node, "renameType")) {
        case "OBJECT_COLUMN":
          return { what: "column", names: [stringAt(node, "subname")] };
        case "OBJECT_ATTRIBUTE":
          return { what: "attribute", names: [stringAt(node, "subname")] };
        case "OBJECT_TABCONSTRAINT":
        case "OBJECT_TRIGGER":
        case "OBJECT_POLICY":
        case "OBJECT_RULE":
          return null;
        case "OBJECT_SCHEMA":
          return { what: "schema", names: [stringAt(node, "subname")] };
        default:
          return node.relation === undefined ? null : { what: "relation", names: [] };
      }
    case "AlterObjectSchemaStmt":
      return node.relation === undefined ? null : { what: "relation", names: [] };
    case "AlterTableStmt":
      return movedByAlter(node);
    default:
      return null;
  }
}

/**
 * What leaves its parent leaves the parent's labels; what becomes a partition is checked against bounds, and what belongs to a new
 * parent (policies, statistics, materialized views) looks at its values.
 */
const leaving: ReadonlySet<string> = new Set([
  "AT_AddInherit",
  "AT_DropInherit",
  "AT_DetachPartition",
  "AT_DetachPartitionFinalize",
  "AT_AttachPartition",
]);

function movedByAlter(node: JsonObject): Definition["moved"] {
  const dropped: string[] = [];
  for (const { type, command } of commandsOf(node)) {
    if (leaving.has(type)) return { what: "parent", names: [] };
    // Children keep the column.
    if (type === "AT_DropColumn" && !flagAt(objectAt(node, "relation"), "inh"))
      dropped.push(stringAt(command, "name"));
  }
  return dropped.length === 0 ? null : { what: "column", names: dropped };
}

function commandsOf(node: JsonObject): { readonly type: string; readonly command: JsonObject }[] {
  const commands: readonly unknown[] = Array.isArray(node.cmds) ? node.cmds : [];
  return commands.flatMap((item) => {
    const command = objectAt(item, "AlterTableCmd");
    return command === undefined ? [] : [{ type: stringAt(command, "subtype"), command }];
  });
}

/** The relations whose columns its expressions name, or that it moves. */
function subjectsOf(name: string, node: JsonObject): NamedRelation[] {
  const own = ["relation", "table"].flatMap((field) => (isObject(node[field]) ? [named(node[field])] : []));
  const partitions = commandsOf(node).flatMap(({ command }) => {
    const def = nodeOf(command.def);
    const relation = def?.name === "PartitionCmd" ? objectAt(def.node, "name") : undefined;
    return relation === undefined ? [] : [named(relation)];
  });
  const listed: readonly unknown[] =
    name === "CreateStatsStmt" && Array.isArray(node.relations) ? node.relations : [];
  const relations = listed.flatMap((item) => {
    const relation = objectAt(item, "RangeVar");
    return relation === undefined ? [] : [named(relation)];
  });
  return [...own, ...partitions, ...relations];
}

interface Names {
  readonly functions: readonly QualifiedName[];
  readonly operators: readonly QualifiedName[];
  readonly types: readonly QualifiedName[];
  /** Last parts of what may be a column, a whole row, or a call in the notation of an attribute. */
  readonly columns: readonly string[];
  readonly queries: boolean;
}

/** Names in it, but for queries inside. Not recursive: expressions may be deep. */
function namesIn(top: JsonObject): Names {
  const functions: QualifiedName[] = [];
  const operators: QualifiedName[] = [];
  const types: QualifiedName[] = [];
  const columns: string[] = [];
  let queries = false;
  const open: unknown[] = [top];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (Array.isArray(at)) {
      for (const item of at) open.push(item);
      continue;
    }
    if (!isObject(at)) continue;
    if (at.SelectStmt !== undefined || at.SubLink !== undefined) {
      queries = true;
      continue;
    }
    for (const [key, value] of Object.entries(at)) {
      switch (key) {
        case "funcname":
          push(functions, value);
          break;
        case "names":
          push(types, value);
          break;
        case "A_Expr":
          for (const one of operatorsOf(value)) operators.push(one);
          break;
        case "fields":
        case "indirection":
          for (const word of wordsOf(value)) columns.push(word);
          break;
        case "fk_attrs":
          for (const word of wordsOf(value)) columns.push(word);
          break;
        default:
      }
      if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return { functions, operators, types, columns, queries };
}

function push(into: QualifiedName[], list: unknown): void {
  const words = wordsOf(list);
  const name = words.at(-1);
  if (name !== undefined) into.push({ schema: words.at(-2) ?? null, name });
}

/** The forms of BETWEEN are spelled otherwise than the operators they use. */
function operatorsOf(expr: unknown): QualifiedName[] {
  if (!isObject(expr)) return [];
  if (stringAt(expr, "kind").includes("BETWEEN"))
    return ["<", "<=", ">", ">="].map((name) => ({ schema: null, name }));
  const found: QualifiedName[] = [];
  push(found, expr.name);
  return found;
}
