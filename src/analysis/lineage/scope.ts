/** Query levels: what the numbers in a Var, a Param or a reference to a WITH query stand for. */
import {
  boolOf,
  intOf,
  isNode,
  nodeOf,
  nodesOf,
  type ServerNode,
  textOf,
} from "../../sql/servertree/index.ts";
import { tagOf } from "./nodes.ts";

/** parsenodes.h, RTEKind. */
export const rteKinds = [
  "relation",
  "subquery",
  "join",
  "function",
  "tablefunc",
  "values",
  "cte",
  "tuplestore",
  "result",
  "group",
] as const;
export type RteKind = (typeof rteKinds)[number];

/** nodes.h, CmdType; 5 is MERGE from PostgreSQL 15 on, and a utility statement before. */
export type Command = "select" | "update" | "insert" | "delete" | "merge" | "other";

export interface Scope {
  readonly query: ServerNode;
  readonly rtable: readonly ServerNode[];
  readonly parent: Scope | null;
  readonly command: Command;
  /** The entries of the list that gives its rows: the target list of a SELECT, else the RETURNING list; none that is junk. */
  readonly outputs: readonly ServerNode[];
}

export class NotUnderstood extends Error {
  readonly object: string;
  constructor(object: string) {
    super(`the server's tree holds something that is not understood: ${object}`);
    this.object = object;
  }
}

export interface Scopes {
  /** The scope of a query node inside another; each node has one. */
  of(query: ServerNode, parent: Scope | null): Scope;
}

const commands: readonly Command[] = ["other", "select", "update", "insert", "delete", "merge"];

export function createScopes(): Scopes {
  const known = new Map<ServerNode, Scope>();
  return {
    of(query, parent) {
      let scope = known.get(query);
      if (scope === undefined) {
        if (query.tag !== "QUERY") throw new NotUnderstood("a query that is none");
        const command =
          query.kept("utilityStmt") === null
            ? (commands[intOf(query, "commandType", 0)] ?? "other")
            : "other";
        scope = {
          query,
          rtable: nodesOf(query, "rtable"),
          parent,
          command,
          outputs: nodesOf(query, command === "select" ? "targetList" : "returningList").filter(
            (entry) => !boolOf(entry, "resjunk"),
          ),
        };
        known.set(query, scope);
      }
      return scope;
    },
  };
}

/** The scope `levels` further out. */
export function outer(scope: Scope, levels: number): Scope {
  let at: Scope | null = scope;
  for (let i = 0; i < levels && at !== null; i++) at = at.parent;
  if (at === null || levels < 0) throw new NotUnderstood("a reference to a query level that does not exist");
  return at;
}

/** The range-table entry of that number, counted from 1. */
export function entryOf(scope: Scope, index: number): ServerNode {
  const entry = scope.rtable[index - 1];
  if (entry === undefined || tagOf(entry) !== "RANGETBLENTRY")
    throw new NotUnderstood("a reference to a table that does not exist");
  return entry;
}

export function kindOfEntry(entry: ServerNode): RteKind {
  const kind = rteKinds[intOf(entry, "rtekind", -1)];
  if (kind === undefined) throw new NotUnderstood(`RANGETBLENTRY.rtekind ${intOf(entry, "rtekind", -1)}`);
  return kind;
}

/**
 * The oid of the view that a subquery entry stands for; 0: the statement's own subquery. From PostgreSQL 16 on the entry keeps
 * it; before, the view's query begins with the entries OLD and NEW of its rule.
 */
export function viewOf(entry: ServerNode): number {
  const relid = intOf(entry, "relid");
  if (relid !== 0) return relid;
  const query = nodeOf(entry, "subquery");
  if (query === null || entry.has("perminfoindex")) return 0;
  const [old, fresh] = nodesOf(query, "rtable");
  if (old === undefined || fresh === undefined || intOf(old, "rtekind", -1) !== 0) return 0;
  const view = intOf(old, "relid");
  const ruled =
    textOf(old, "relkind") === "v" &&
    intOf(fresh, "relid") === view &&
    !boolOf(old, "inFromCl") &&
    !boolOf(fresh, "inFromCl") &&
    aliasOf(old) === "old" &&
    aliasOf(fresh) === "new";
  return ruled ? view : 0;
}

function aliasOf(entry: ServerNode): string {
  const alias = nodeOf(entry, "eref");
  return alias === null ? "" : textOf(alias, "aliasname");
}

/** The WITH query that an entry refers to, and the scope in whose WITH clause it stands. */
export function withQueryOf(entry: ServerNode, scope: Scope): { cte: ServerNode; holder: Scope } {
  const holder = outer(scope, intOf(entry, "ctelevelsup", -1));
  const name = textOf(entry, "ctename");
  const found = nodesOf(holder.query, "cteList").filter((cte) => textOf(cte, "ctename") === name);
  const [cte] = found;
  if (cte === undefined || found.length !== 1) throw new NotUnderstood("a reference to a WITH query");
  return { cte, holder };
}

/** The range-table indexes below a set operation, each with whether something on the way compares whole rows. */
export interface Leaf {
  readonly index: number;
  readonly compared: boolean;
}

export function leavesOf(setOperation: ServerNode): readonly Leaf[] {
  const leaves: Leaf[] = [];
  const open: { node: ServerNode | null; compared: boolean }[] = [{ node: setOperation, compared: false }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, compared } = next;
    if (node?.tag === "RANGETBLREF") leaves.push({ index: intOf(node, "rtindex"), compared });
    else if (node?.tag === "SETOPERATIONSTMT") {
      // parsenodes.h, SetOperation: 1 is UNION. Everything but UNION ALL looks for equal rows.
      const compares = compared || intOf(node, "op") !== 1 || !boolOf(node, "all");
      open.push({ node: nodeOf(node, "rarg"), compared: compares });
      open.push({ node: nodeOf(node, "larg"), compared: compares });
    } else throw new NotUnderstood("a set operation of something else");
  }
  return leaves;
}

/** The output of that number, counted from 1; undefined: there is none. Without junk between them the place is the number. */
export function outputAt({ outputs }: Scope, number: number): ServerNode | undefined {
  const guess = outputs[number - 1];
  if (guess !== undefined && intOf(guess, "resno", -1) === number) return guess;
  return outputs.find((entry) => intOf(entry, "resno", -1) === number);
}

export function exprOf(entry: ServerNode): ServerNode {
  const expr = entry.kept("expr");
  if (!isNode(expr)) throw new NotUnderstood("TARGETENTRY.expr");
  return expr;
}
