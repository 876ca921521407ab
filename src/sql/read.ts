/** Puts a statement's static facts together. */
import { hasLimit, hasWhere } from "./bounds.ts";
import { copyFacts } from "./copy.ts";
import { definitionOf } from "./definition.ts";
import { explainFacts } from "./explain.ts";
import type { QualifiedName, StaticFacts, StaticRefusal, TransactionAction } from "./facts.ts";
import { Disagreement, type ParseOne, peel } from "./peel.ts";
import { renamesBy } from "./renames.ts";
import { flagAt, isObject, type JsonObject, nodeOf, numberAt, objectAt, stringAt } from "./tree.ts";
import type { Walk } from "./walk.ts";

export interface Source {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** What the facts are but for `literalSensitive`, and whether values of literals went into them. */
export interface StatementFacts {
  readonly facts: Omit<StaticFacts, "literalSensitive">;
  readonly literal: boolean;
}

/** The facts of the statement with top node `name`, through which `walk` went. Throws UnreadableSql where `parse` does. */
export function staticFacts(
  name: string,
  node: JsonObject,
  walk: Walk,
  source: Source,
  parse: ParseOne,
): StatementFacts {
  const main = mainStatement(name, node);
  const where = main === null ? { has: false, literal: false } : hasWhere(main.name, main.node);
  const copy = name === "CopyStmt" ? copyFacts(node) : null;
  const explain = name === "ExplainStmt" ? explainFacts(node) : null;
  let refusal: StaticRefusal | null = null;
  if (walk.unknown !== null) refusal = refused(`this version does not know its part ${walk.unknown}`);
  else if (name === "CopyStmt" && copy === null)
    refusal = refused("this version does not know its COPY format");
  let tree: StaticFacts["tree"] = [];
  if (refusal === null) {
    try {
      tree = peel(name, node, source.text, source.start, source.end, parse);
    } catch (error) {
      if (!(error instanceof Disagreement)) throw error;
      refusal = refused("the statement inside it could not be told apart");
    }
  }
  return {
    literal: walk.literal || where.literal,
    facts: {
      effects: [...walk.effects].sort(),
      tree,
      refusal,
      settings: walk.settings,
      ...transactionFacts(name, node),
      hasWhere: where.has,
      hasLimit: main !== null && hasLimit(main.name, main.node),
      unboundedWrite: walk.unboundedWrite,
      modifications: walk.modifications,
      executes: explain?.analyze ?? !deferring.has(name),
      explain,
      copy,
      cursor: name === "DeclareCursorStmt" ? cursorFacts(node) : null,
      procedure: name === "CallStmt" ? calledName(node) : null,
      relations: unique(walk),
      definition: walk.effects.has("ddl") || walk.effects.has("admin") ? definitionOf(name, node) : null,
      renames: renamesBy(name, node),
      temporary: walk.temporary,
    },
  };
}

function refused(why: string): StaticRefusal {
  return { code: "STATEMENT_NOT_UNDERSTOOD", message: `the statement is not understood exactly: ${why}` };
}

/** Statements that keep another one for later. */
const deferring = new Set(["PrepareStmt", "DeclareCursorStmt", "ViewStmt", "CreateFunctionStmt", "RuleStmt"]);

/** The query or write that a statement is, or holds. */
function mainStatement(name: string, node: JsonObject): { name: string; node: JsonObject } | null {
  let at: { name: string; node: JsonObject } | null = { name, node };
  while (at !== null && isObject(at.node.query)) at = nodeOf(at.node.query);
  return at;
}

const actions: ReadonlyMap<string, TransactionAction> = new Map([
  ["TRANS_STMT_BEGIN", "begin"],
  ["TRANS_STMT_START", "begin"],
  ["TRANS_STMT_COMMIT", "commit"],
  ["TRANS_STMT_ROLLBACK", "rollback"],
  ["TRANS_STMT_SAVEPOINT", "savepoint"],
  ["TRANS_STMT_RELEASE", "release"],
  ["TRANS_STMT_ROLLBACK_TO", "rollback-to"],
  ["TRANS_STMT_PREPARE", "prepare"],
  ["TRANS_STMT_COMMIT_PREPARED", "prepare"],
  ["TRANS_STMT_ROLLBACK_PREPARED", "prepare"],
]);

type TransactionFacts = Pick<StaticFacts, "transaction" | "readOnly" | "chain" | "savepoint">;

function transactionFacts(name: string, node: JsonObject): TransactionFacts {
  const kind = stringAt(node, "kind");
  if (name === "TransactionStmt") {
    const savepoint = stringAt(node, "savepoint_name");
    return {
      transaction: actions.get(kind) ?? null,
      readOnly: readOnly(node.options),
      chain: flagAt(node, "chain"),
      savepoint: savepoint === "" ? null : savepoint,
    };
  }
  const sets = name === "VariableSetStmt" && kind === "VAR_SET_MULTI";
  return {
    transaction: sets ? "set" : null,
    readOnly: sets ? readOnly(node.args) : null,
    chain: false,
    savepoint: null,
  };
}

/** The last one counts, as in PostgreSQL; any READ WRITE among them counts before it, as nobody says both. */
function readOnly(options: unknown): boolean | null {
  let answer: boolean | null = null;
  const list: readonly unknown[] = Array.isArray(options) ? options : [];
  for (const option of list) {
    const element = objectAt(option, "DefElem");
    if (stringAt(element, "defname") !== "transaction_read_only") continue;
    const value = objectAt(objectAt(element?.arg, "A_Const"), "ival");
    answer = answer !== false && numberAt(value, "ival") !== 0;
  }
  return answer;
}

/** CURSOR_OPT_BINARY and CURSOR_OPT_HOLD of parsenodes.h. */
function cursorFacts(node: JsonObject): StaticFacts["cursor"] {
  const options = numberAt(node, "options");
  return { hold: (options & 0x20) !== 0, binary: (options & 0x01) !== 0 };
}

function calledName(node: JsonObject): QualifiedName | null {
  const names = objectAt(node, "funccall")?.funcname;
  if (!Array.isArray(names)) return null;
  const parts = names.map((part: unknown) => stringAt(objectAt(part, "String"), "sval"));
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? "" };
}

function unique(walk: Walk): StaticFacts["relations"] {
  const seen = new Set<string>();
  return walk.relations.filter((relation) => {
    const key = JSON.stringify(relation);
    return !seen.has(key) && seen.add(key) !== null;
  });
}
