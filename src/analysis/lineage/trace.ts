/** Lineage: follows an expression down to the columns of relations whose values may reach it (MASKING.md section 3.2). */
import {
  boolOf,
  intOf,
  isNode,
  itemsOf,
  type Kept,
  nodeOf,
  nodesOf,
  numbersOf,
  type ServerNode,
} from "../../sql/servertree/index.ts";
import {
  alsoColumn,
  columnFlow,
  computed,
  either,
  type Flow,
  nothing,
  sameFlow,
  unknownYet,
} from "./flow.ts";
import { childrenOf, collectNodes, tagOf } from "./nodes.ts";
import {
  entryOf,
  exprOf,
  kindOfEntry,
  leavesOf,
  NotUnderstood,
  outer,
  outputAt,
  type Scope,
  type Scopes,
  viewOf,
  withQueryOf,
} from "./scope.ts";

export interface Tracer {
  /** Where the value of an expression comes from. Throws NotUnderstood. */
  flow(expr: ServerNode, scope: Scope): Flow;
  /** Where column `number` (from 1) of a query's rows comes from; 0: any of them. */
  output(scope: Scope, number: number): Flow;
}

export interface TraceHooks {
  /** Column `number` of the rows of a query is read by another. */
  onOutput(scope: Scope, number: number): void;
  /** What an expression holds unchanged, beyond other types and collations for the same bytes; null: it may change it. */
  same?(expr: ServerNode): ServerNode | null;
}

/** primnodes.h, SubLinkType. */
export const subLinks = ["exists", "all", "any", "row", "scalar", "multi", "array", "cte"] as const;

const defaultSteps = 2_000_000;

export function createTracer(scopes: Scopes, hooks: TraceHooks, steps = defaultSteps): Tracer {
  const columns = new Map<ServerNode, Map<number, Flow>>();
  const outputs = new Map<Scope, Map<number, Flow>>();
  /** WITH RECURSIVE queries that are being worked out: what is known of their columns so far. */
  const growing = new Map<ServerNode, Flow[]>();
  /** Those that are known for good. */
  const grown = new Map<ServerNode, Flow[]>();
  let left = steps;

  function step(): void {
    if (--left < 0) throw new NotUnderstood("too many references");
  }

  function flow(expr: ServerNode, scope: Scope): Flow {
    step();
    const same = hooks.same?.(expr) ?? null;
    if (same !== null) return flow(same, scope);
    const tag = tagOf(expr);
    switch (tag) {
      case "VAR":
        return column(
          outer(scope, intOf(expr, "varlevelsup", -1)),
          intOf(expr, "varno", -1),
          attributeOfVar(expr),
        );
      // Another type or collation for the same bytes.
      case "RELABELTYPE":
      case "COLLATEEXPR":
        return inner(expr, "arg", scope);
      case "RETURNINGEXPR":
        return inner(expr, "retexpr", scope);
      case "FIELDSELECT":
        return field(expr, scope);
      case "PARAM":
        return parameter(expr, scope);
      case "SUBLINK":
        return subLink(expr, scope);
      case "WINDOWFUNC":
        return computed([...childrenOf(expr), ...windowOf(expr, scope)].map((child) => flow(child, scope)));
      case "CONST":
        return nothing;
      case "QUERY":
      case "RANGETBLENTRY":
        throw new NotUnderstood(`${tag} in an expression`);
      default:
        return computed(childrenOf(expr).map((child) => flow(child, scope)));
    }
  }

  function inner(node: ServerNode, name: string, scope: Scope): Flow {
    const child = nodeOf(node, name);
    if (child === null) throw new NotUnderstood(`${node.tag}.${name}`);
    return flow(child, scope);
  }

  /** A field of a whole row is that column; a field of a composite value is a part of it. */
  function field(expr: ServerNode, scope: Scope): Flow {
    const arg = nodeOf(expr, "arg");
    if (arg === null) throw new NotUnderstood("FIELDSELECT.arg");
    const number = intOf(expr, "fieldnum", -1);
    if (isWholeRow(arg) && number > 0) {
      const at = outer(scope, intOf(arg, "varlevelsup", -1));
      const kind = kindOfEntry(entryOf(at, intOf(arg, "varno", -1)));
      if (kind === "relation" || kind === "subquery" || kind === "join" || kind === "cte")
        return column(at, intOf(arg, "varno", -1), number);
    }
    return computed([flow(arg, scope)]);
  }

  function parameter(expr: ServerNode, scope: Scope): Flow {
    switch (intOf(expr, "paramkind", -1)) {
      // $n; and a column of the sub-select that the surrounding SubLink names in full.
      case 0:
      case 2:
        return nothing;
      case 3: {
        // The high 16 bits say which SubLink of the target list, the low ones which of its columns.
        const id = intOf(expr, "paramid");
        const links = assignedLists(scope.query)
          .map(exprOf)
          .filter((link) => link.tag === "SUBLINK" && intOf(link, "subLinkId") === id >>> 16);
        if (links.length === 0) throw new NotUnderstood("PARAM of an unknown sub-select");
        // Each action of a MERGE counts its own from 1: of several, any may be meant.
        const column = links.length === 1 ? id & 0xffff : 0;
        return computed(links.map((link) => output(subSelect(link, scope), column)));
      }
      default:
        throw new NotUnderstood("PARAM.paramkind");
    }
  }

  function subSelect(link: ServerNode, scope: Scope): Scope {
    const query = nodeOf(link, "subselect");
    if (query === null) throw new NotUnderstood("SUBLINK.subselect");
    return scopes.of(query, scope);
  }

  function subLink(link: ServerNode, scope: Scope): Flow {
    const select = subSelect(link, scope);
    const kind = subLinks[intOf(link, "subLinkType", -1)];
    switch (kind) {
      case "exists":
        return nothing;
      case "scalar":
      case "array":
        return computed([output(select, 1)]);
      case "all":
      case "any":
      case "row": {
        const test = nodeOf(link, "testexpr");
        return computed([output(select, 0), ...(test === null ? [] : [flow(test, scope)])]);
      }
      case "multi":
        return computed([output(select, 0)]);
      default:
        throw new NotUnderstood("SUBLINK.subLinkType");
    }
  }

  /** What a window orders and divides by decides about the value, too. */
  function windowOf(expr: ServerNode, scope: Scope): readonly ServerNode[] {
    const window = nodesOf(scope.query, "windowClause").find(
      (clause) => intOf(clause, "winref") === intOf(expr, "winref"),
    );
    if (window === undefined) throw new NotUnderstood("WINDOWFUNC.winref");
    const references = new Set(
      [...nodesOf(window, "partitionClause"), ...nodesOf(window, "orderClause")].map((clause) =>
        intOf(clause, "tleSortGroupRef"),
      ),
    );
    return nodesOf(scope.query, "targetList")
      .filter((entry) => references.has(intOf(entry, "ressortgroupref")))
      .map(exprOf);
  }

  /** Attribute `attribute` of range-table entry `index`. */
  function column(scope: Scope, index: number, attribute: number): Flow {
    const entry = entryOf(scope, index);
    const known = tableOf(columns, entry);
    let found = known.get(attribute);
    if (found === undefined) {
      step();
      found = columnOf(entry, scope, attribute);
      known.set(attribute, found);
    }
    return found;
  }

  function columnOf(entry: ServerNode, scope: Scope, attribute: number): Flow {
    const kind = kindOfEntry(entry);
    if (attribute < 0) {
      // ctid, xmin, tableoid …: of tables only.
      if (kind !== "relation") throw new NotUnderstood("a system column of no table");
      return nothing;
    }
    switch (kind) {
      case "relation": {
        const relation = intOf(entry, "relid");
        if (relation === 0) throw new NotUnderstood("RANGETBLENTRY.relid");
        return columnFlow(relation, attribute);
      }
      case "subquery": {
        const query = nodeOf(entry, "subquery");
        if (query === null) throw new NotUnderstood("RANGETBLENTRY.subquery");
        const rows = output(scopes.of(query, scope), attribute);
        const view = viewOf(entry);
        return view === 0 ? rows : alsoColumn(rows, view, attribute);
      }
      case "join": {
        const aliases = itemsOf(entry, "joinaliasvars");
        if (attribute === 0) return computed(aliases.filter(isNode).map((alias) => flow(alias, scope)));
        const alias = aliases[attribute - 1];
        if (!isNode(alias)) throw new NotUnderstood("RANGETBLENTRY.joinaliasvars");
        return flow(alias, scope);
      }
      case "function":
        return ofFunctions(entry, scope, attribute);
      case "tablefunc":
        return computed(nodesIn(entry.kept("tablefunc")).map((node) => flow(node, scope)));
      case "values": {
        const rows = itemsOf(entry, "values_lists").map((row) => nodesIn(row));
        if (attribute === 0) return computed(rows.flat().map((node) => flow(node, scope)));
        return either(
          rows.map((row) => {
            const node = row[attribute - 1];
            if (node === undefined) throw new NotUnderstood("RANGETBLENTRY.values_lists");
            return flow(node, scope);
          }),
        );
      }
      case "cte":
        return ofWithQuery(entry, scope, attribute);
      case "group": {
        const node = itemsOf(entry, "groupexprs")[attribute - 1];
        if (!isNode(node)) throw new NotUnderstood("RANGETBLENTRY.groupexprs");
        return flow(node, scope);
      }
      case "tuplestore":
      case "result":
        throw new NotUnderstood(`a column of ${kind}`);
    }
  }

  /** ROWS FROM: each function gives the next columns; behind them stands the ordinality. */
  function ofFunctions(entry: ServerNode, scope: Scope, attribute: number): Flow {
    let before = 0;
    for (const call of nodesOf(entry, "functions")) {
      const count = intOf(call, "funccolcount", -1);
      if (count < 0) throw new NotUnderstood("RANGETBLFUNCTION.funccolcount");
      if (attribute > before && attribute <= before + count)
        return computed([inner(call, "funcexpr", scope)]);
      before += count;
    }
    if (attribute === 0)
      return computed(nodesOf(entry, "functions").map((call) => inner(call, "funcexpr", scope)));
    if (attribute === before + 1 && boolOf(entry, "funcordinality")) return nothing;
    throw new NotUnderstood("RANGETBLENTRY.functions");
  }

  function ofWithQuery(entry: ServerNode, scope: Scope, attribute: number): Flow {
    const { cte, holder } = withQueryOf(entry, scope);
    const query = nodeOf(cte, "ctequery");
    if (query === null) throw new NotUnderstood("COMMONTABLEEXPR.ctequery");
    const rows = scopes.of(query, holder);
    if (!boolOf(cte, "cterecursive")) return output(rows, attribute);
    const known = growing.get(cte) ?? grown.get(cte) ?? grow(cte, rows);
    if (attribute === 0) return computed(known);
    const found = known[attribute - 1];
    if (found !== undefined) return found;
    // Stored trees of views still have SEARCH and CYCLE as they were written: their columns are made of the others.
    if (nodeOf(cte, "search_clause") === null && nodeOf(cte, "cycle_clause") === null)
      throw new NotUnderstood("a column of a WITH query");
    return computed(known);
  }

  /** The least fixed point of a recursion: starts with nothing and reads the query until nothing is added. */
  function grow(cte: ServerNode, rows: Scope): Flow[] {
    let known: Flow[] = rows.outputs.map(() => unknownYet);
    for (;;) {
      growing.set(cte, known);
      columns.clear();
      outputs.clear();
      const next = known.map((_, i) => output(rows, i + 1));
      const settled = next.every((flow, i) => sameFlow(flow, known[i] ?? nothing));
      known = next;
      if (settled) break;
    }
    // What was worked out meanwhile may rest on an outer recursion that still grows.
    growing.delete(cte);
    columns.clear();
    outputs.clear();
    if (growing.size === 0) grown.set(cte, known);
    return known;
  }

  function output(scope: Scope, number: number): Flow {
    let found = tableOf(outputs, scope).get(number);
    if (found === undefined) {
      step();
      found = outputOf(scope, number);
      // A recursion inside may have emptied the tables.
      tableOf(outputs, scope).set(number, found);
    }
    return found;
  }

  function outputOf(scope: Scope, number: number): Flow {
    if (number === 0) return computed(scope.outputs.map((entry) => output(scope, intOf(entry, "resno", -1))));
    const entry = outputAt(scope, number);
    if (entry === undefined) throw new NotUnderstood("a column that a query does not give");
    hooks.onOutput(scope, number);
    const operation = nodeOf(scope.query, "setOperations");
    if (operation === null) return flow(exprOf(entry), scope);
    return either(leavesOf(operation).map((leaf) => column(scope, leaf.index, number)));
  }

  return { flow, output };
}

function tableOf<K>(tables: Map<K, Map<number, Flow>>, key: K): Map<number, Flow> {
  const known = tables.get(key);
  if (known !== undefined) return known;
  const fresh = new Map<number, Flow>();
  tables.set(key, fresh);
  return fresh;
}

export function isWholeRow(node: ServerNode): boolean {
  return node.tag === "VAR" && attributeOfVar(node) === 0;
}

function attributeOfVar(node: ServerNode): number {
  const attribute = intOf(node, "varattno", Number.NaN);
  if (Number.isNaN(attribute)) throw new NotUnderstood("VAR.varattno");
  return attribute;
}

/** Where `SET (a, b) = (SELECT …)` may stand. */
function assignedLists(query: ServerNode): readonly ServerNode[] {
  const conflict = nodeOf(query, "onConflict");
  return [
    ...nodesOf(query, "targetList"),
    ...nodesOf(query, "mergeActionList").flatMap((action) => nodesOf(action, "targetList")),
    ...(conflict === null ? [] : nodesOf(conflict, "onConflictSet")),
  ];
}

function nodesIn(value: Kept | undefined): readonly ServerNode[] {
  const found: ServerNode[] = [];
  collectNodes(value, found);
  return found;
}

/** Attribute numbers of a set of columns: bits count from the first system column (FirstLowInvalidHeapAttributeNumber, -7). */
export function attributesOf(node: ServerNode, field: string): readonly number[] {
  return numbersOf(node, field).map((bit) => bit - 7);
}
